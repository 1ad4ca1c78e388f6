"""What reached the origins, what they answer, and the log of both."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from auditor.http import Pairs

KEPT = 10_000  # requests
KEPT_BYTES = 64 << 20  # of heads and bodies, over all kept requests


class Received(NamedTuple):
    """One request as it reached an origin.

    `headers` are the lines (or CGI parameters) in order, latin-1, without the line's end and one space after the colon;
    a line without a colon is a name with the value "", a folded line (RFC 9112, 5.2) is a line of its own. `target` is
    "" for the CGI-like protocols. `body` is at most the first 64 KiB, `size` counts all bytes of it; `body_missing`
    says that a body was announced and did not come whole.

    `line` is the request line, and `raw` the bytes of the head, as they arrived (of a CGI-like protocol the block of
    parameters, of HTTP/2 nothing). `tls` is the version of TLS or "", `server_name` what the client indicated (RFC
    6066, 3) or "". `fault` says in words what keeps this from being a request, or "".
    """

    sequence: int
    origin: str
    address: str
    protocol: str
    method: str
    target: str
    headers: Pairs
    body: bytes
    body_missing: bool = False
    line: str = ""
    peer: str = ""
    size: int = 0
    raw: bytes = b""
    tls: str = ""
    server_name: str = ""
    fault: str = ""


class Answer(NamedTuple):
    """What an origin answers, after `delay` seconds. Content-Length is added unless `headers` has one.

    With `websocket`, a request to upgrade to WebSocket gets its handshake and an echo of its messages instead.
    """

    status: int = 200
    headers: Pairs = ()
    body: bytes = b"origin\n"
    delay: float = 0.0
    websocket: bool = False


Answering = Callable[[Received], Answer]


class Log:
    """The exchanges of a set of origins, in the order in which they were complete. The latest `kept` are held, and of
    these not more than KEPT_BYTES; sequences count on, so a gap shows. May be used from any thread."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lock = threading.Lock()
        self._kept = kept
        self._received: deque[Received] = deque()
        self._bytes = 0
        self._coming = 0
        self.next = 0  # the sequence that the next request gets
        self.watchers: list[Callable[[Received], None]] = []  # called in the loop's thread for each request

    def begin(self, change: int = 1) -> None:
        """A request has begun to arrive (or, with -1, its end is known)."""
        with self._lock:
            self._coming += change

    def add(self, received: Received) -> Received:
        """Notes a request and gives it its sequence."""
        with self._lock:
            received = received._replace(sequence=self.next)
            self.next += 1
            self._received.append(received)
            self._bytes += _weight(received)
            while len(self._received) > self._kept or (self._bytes > KEPT_BYTES and len(self._received) > 1):
                self._bytes -= _weight(self._received.popleft())
        for watcher in self.watchers:
            watcher(received)
        return received

    def take(self) -> list[Received]:
        """All that arrived since the last call."""
        with self._lock:
            taken, self._received = self._received, deque()
            self._bytes = 0
        return list(taken)

    def since(self, sequence: int) -> tuple[list[Received], int]:
        """The kept requests from that sequence on, which stay in the log, and the sequence of the next one."""
        with self._lock:
            return [one for one in self._received if one.sequence >= sequence], self.next

    @property
    def state(self) -> tuple[int, int]:
        """How many have arrived, and how many are arriving: two equal states have no arrival between them."""
        return self.next, self._coming

    @property
    def count(self) -> int:
        """How many are held that nobody has taken."""
        with self._lock:
            return len(self._received)

    def settle(self, quiet: float = 0.02, patience: float = 60.0) -> None:
        """Waits until nothing has arrived for `quiet` seconds: for requests that nobody waits for, as mirrors are.
        After `patience` seconds it gives up."""
        end = time.monotonic() + patience
        before = -1
        while (before != self.next or self._coming) and time.monotonic() < end:
            before = self.next
            time.sleep(quiet)


def _weight(received: Received) -> int:
    """The bytes that a kept request stands for: a head is held as it came, and again in pieces."""
    return 2 * len(received.raw) + len(received.body) + 1000
