"""Talks to the control interface of an origin that runs alone: tells it what to answer, asks what reached it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from auditor.http import Pairs, Request
from probes.client import Reply
from probes.origin import Received
from probes.peer import Peer, Target, Unreachable

SCHEMA = "origin/1"
MANY = 16 << 20  # bytes: the origin keeps 1000 requests, and one may have header lines of 64 KiB
FAR = 10**12  # a sequence that no request has yet


class Listener(NamedTuple):
    """Where the origin takes requests, as in `http`, `HTTP/1.1`, `127.0.0.1:9000`."""

    name: str
    protocol: str
    address: str


class Control:
    """The control interface at that URL. Every method raises Unreachable where it does not answer as it should."""

    def __init__(self, url: Request, timeout: float = 10.0) -> None:
        self._url = url
        self._peer = Peer(Target.of(url), timeout=timeout, size=MANY)
        self._told: object = None

    def listeners(self) -> list[Listener]:
        """Where requests are taken; asked first, because it shows that an origin is there."""
        document = self._json("GET", "/health")
        try:
            return [
                Listener(str(one["name"]), str(one["protocol"]), str(one["address"])) for one in document["listeners"]
            ]
        except (KeyError, TypeError) as error:
            raise self._odd() from error

    def answer(self, status: int, headers: Pairs, body: str) -> None:
        """Every request from now on gets this answer."""
        wanted = {"status": status, "headers": [list(pair) for pair in headers], "body": body}
        if wanted != self._told:
            self._call("PUT", "/answer", json.dumps(wanted))
            self._told = wanted

    def reset(self) -> None:
        """Back to the answer that nobody has chosen."""
        self._told = None
        self._call("DELETE", "/answer")

    def mark(self) -> int:
        """The sequence that the next request will get."""
        return self.received(FAR)[1]

    def received(self, after: int, settle: int = 0) -> tuple[list[Received], int]:
        """What arrived from that sequence on, after nothing has been arriving for `settle` milliseconds, and the
        sequence that the next request will get."""
        document = self._json("GET", f"/requests?after={after}&settle={settle}")
        try:
            return [_received(one) for one in document["requests"]], int(document["next"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._odd() from error

    def _json(self, method: str, path: str) -> Any:
        try:
            document = json.loads(self._call(method, path).body)
        except (ValueError, RecursionError) as error:
            raise self._odd() from error
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise self._odd()
        return document

    def _call(self, method: str, path: str, body: str = "") -> Reply:
        data = body.encode("ascii")
        lines = [
            f"{method} {self._url.path.rstrip('/')}{path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in self._url.headers),
            "Accept: application/json",
            "Connection: close",
        ]
        if data:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        reply = self._peer.send("\r\n".join((*lines, "", "")).encode("latin-1") + data)
        if reply.status is None or (path == "/health" and reply.status != 200):
            raise self._odd()
        if not 200 <= reply.status < 300:
            asked = f"{method} {path.partition('?')[0]}"
            raise Unreachable(f"the control interface of the origin answers {reply.status} to {asked}")
        return reply

    def _odd(self) -> Unreachable:
        return Unreachable(
            f"{self._url.url}: no control interface of `audit origin` answers there (--control-port of that command)"
        )


def _received(one: Mapping[str, Any]) -> Received:
    """A request as the origin tells of it. Only the size of its body is known."""
    return Received(
        sequence=int(one["sequence"]),
        origin=str(one["listener"]),
        address=str(one["address"]),
        protocol=str(one["protocol"]),
        method=str(one["method"]),
        target=str(one["target"]),
        headers=tuple((str(name), str(value)) for name, value in one["headers"]),
        body=bytes(min(int(one["body_size"]), 1 << 20)),
        body_missing=not one["body_complete"],
    )
