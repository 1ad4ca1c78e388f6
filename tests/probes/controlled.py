"""An origin with its control interface (origin/1), in this process."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from probes.origin import Answer, Origin, Received

DEFAULT = Answer(200, (("Content-Type", "application/json"),), b"{}\n")


class Controlled:
    """`origin` takes requests; `url` is where it is controlled."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.received: list[Received] = []
        self.told: Answer = DEFAULT
        self.calls: list[str] = []
        origin.answer = self._answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.origin.close()

    def _answer(self, received: Received) -> Answer:
        self.received.append(received)
        return self.told

    def requests(self, after: int, settle: float) -> dict[str, Any]:
        count = -1
        while count != len(self.received):
            count = len(self.received)
            time.sleep(settle)
        return {
            "schema": "origin/1",
            "requests": [_json(number, one) for number, one in enumerate(self.received) if number >= after],
            "next": len(self.received),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        controlled = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                super().handle_one_request()
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                controlled.calls.append(f"{self.command} {self.path}")

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                if parts.path == "/health":
                    place = {"name": "http", "protocol": "HTTP/1.1", "address": controlled.origin.address}
                    self._send(200, {"schema": "origin/1", "listeners": [place]})
                elif parts.path == "/requests":
                    settle = int(query.get("settle", "0")) / 1000
                    self._send(200, controlled.requests(int(query.get("after", "0")), settle))
                else:
                    self._send(404, {})

            def do_PUT(self) -> None:
                assert self.headers["Content-Type"] == "application/json"
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                pairs = tuple((name, value) for name, value in told["headers"])
                controlled.told = Answer(told["status"], pairs, told["body"].encode())
                self._send(204, None)

            def do_DELETE(self) -> None:
                controlled.told = DEFAULT
                self._send(204, None)

            def _send(self, status: int, document: Any) -> None:
                data = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                if document is not None:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        return Handler


def _json(number: int, one: Received) -> dict[str, Any]:
    return {
        "sequence": number,
        "listener": one.origin,
        "address": one.address,
        "peer": "127.0.0.1:1",
        "protocol": one.protocol,
        "request_line": f"{one.method} {one.target} {one.protocol}",
        "method": one.method,
        "target": one.target,
        "headers": [list(pair) for pair in one.headers],
        "body_size": len(one.body),
        "body_complete": not one.body_missing,
        "tls": None,
    }
