"""The origin of docker-compose.yml: answers every request with the request as it arrived. The standard library only."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    """Sends the request line and the header lines back as text, in their order and spelling."""

    protocol_version = "HTTP/1.1"

    def _echo(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items())]
        answer = ("\n".join(lines) + "\n\n").encode("latin-1", "replace") + body
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _echo


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), Echo).serve_forever()
