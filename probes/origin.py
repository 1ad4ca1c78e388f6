"""Origins on loopback that record exactly what arrives and answer what the test asks for.

An origin is a listening socket with a thread for each connection: blocking reads keep each protocol readable from top
to bottom. All origins of a set share one log, so the order of exchanges over several origins is known.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import BinaryIO, NamedTuple

from auditor.http import Pairs

BODY_PATIENCE = 0.3  # seconds to wait for a body that was announced; the server sends what it has at once
IDLE = 30.0  # seconds after which an unused connection is given up


class Received(NamedTuple):
    """One request as it reached an origin.

    `headers` are the lines (or CGI parameters) in order, latin-1; `target` is "" for the CGI-like protocols.
    `body_missing` says that a body was announced and did not come.
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


class Answer(NamedTuple):
    """What an origin answers. Content-Length is added unless `headers` has one."""

    status: int = 200
    headers: Pairs = ()
    body: bytes = b"origin\n"


Answering = Callable[[Received], Answer]


class Log:
    """The exchanges of a set of origins, in the order in which they were complete."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received: list[Received] = []
        self._coming = 0

    def begin(self, change: int = 1) -> None:
        """A request has begun to arrive (or, with -1, its end is known)."""
        with self._lock:
            self._coming += change

    def add(self, received: Received) -> Received:
        with self._lock:
            received = received._replace(sequence=len(self._received))
            self._received.append(received)
        return received

    def take(self) -> list[Received]:
        """All that arrived since the last call."""
        with self._lock:
            taken, self._received = self._received, []
        return taken

    def settle(self, quiet: float = 0.02) -> None:
        """Waits until nothing has arrived for `quiet` seconds: for requests that nobody waits for, as mirrors are."""
        count = -1
        while count != len(self._received) or self._coming:
            count = len(self._received)
            time.sleep(quiet)


class Origin:
    """One listening socket. Subclasses speak a protocol in `converse`. With `tls` it speaks that inside TLS; with
    `local` it listens on a Unix socket."""

    protocol = "HTTP/1.1"

    def __init__(
        self, name: str, log: Log | None = None, tls: ssl.SSLContext | None = None, local: bool = False
    ) -> None:
        self.name = name
        self.log = log or Log()
        self.answer: Answering = lambda _: Answer()
        self._open: set[socket.socket] = set()
        self._tls = tls
        self._folder = tempfile.TemporaryDirectory(prefix="audit-") if local else None
        if self._folder is not None:
            path = os.path.join(self._folder.name, "origin.sock")
            self._socket = socket.create_server(path, family=socket.AF_UNIX, backlog=128)
            self.port = 0
            self.address = f"unix:{path}"
            os.chmod(self._folder.name, 0o755)
            os.chmod(path, 0o777)
        else:
            self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
            self.port = int(self._socket.getsockname()[1])
            self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, name=f"origin {name}", daemon=True).start()

    def respond(self, status: int = 200, headers: Iterable[tuple[str, str]] = (), body: bytes = b"origin\n") -> None:
        """Every request from now on gets this answer."""
        fixed = Answer(status, tuple(headers), body)
        self.answer = lambda _: fixed

    def close(self) -> None:
        """Stops listening and drops the open connections."""
        for sock in [self._socket, *self._open]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Origin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def record(
        self, protocol: str, method: str, target: str, headers: Pairs, body: bytes, missing: bool = False
    ) -> Answer:
        """Notes a request and gives the answer for it."""
        received = Received(0, self.name, self.address, protocol, method, target, headers, body, missing)
        return self.answer(self.log.add(received))

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        self._open.add(connection)
        connection.settimeout(IDLE)
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, ValueError, EOFError), connection:
            stream = self._tls.wrap_socket(connection, server_side=True) if self._tls is not None else connection
            with stream, stream.makefile("rb") as reader:
                self.converse(stream, reader)
        self._open.discard(connection)

    def converse(self, connection: socket.socket, reader: BinaryIO) -> None:
        """Serves one connection until it is over."""
        while self._exchange(connection, reader):
            pass

    def _exchange(self, connection: socket.socket, reader: BinaryIO) -> bool:
        """One HTTP/1 exchange (RFC 9112); says whether the connection goes on."""
        first = reader.readline()
        if not first:
            return False
        method, _, rest = first.decode("latin-1").rstrip("\r\n").partition(" ")
        target, _, version = rest.rpartition(" ")
        if not version.startswith("HTTP/"):
            return False  # the rest of a body that no header line announced
        self.log.begin()
        try:
            headers = []
            while (line := reader.readline().decode("latin-1")).rstrip("\r\n"):
                name, _, value = line.rstrip("\r\n").partition(":")
                headers.append((name, value.removeprefix(" ")))
            low = {name.lower(): value.lower() for name, value in headers}
            body, missing = _read_body(connection, reader, low)
        finally:
            self.log.begin(-1)
        answer = self.record(version, method, target, tuple(headers), body, missing)
        upgraded = answer.status == 101
        keep = version == "HTTP/1.1" and low.get("connection") != "close" and not missing and not upgraded
        connection.sendall(response_bytes(answer, head=method == "HEAD", keep=keep))
        return keep


def _read_body(connection: socket.socket, reader: BinaryIO, low: dict[str, str]) -> tuple[bytes, bool]:
    """The request's body, and whether an announced one did not come."""
    connection.settimeout(BODY_PATIENCE)
    body = b""
    try:
        if "chunked" in low.get("transfer-encoding", ""):
            while size := int(reader.readline().split(b";")[0] or b"0", 16):
                body += reader.read(size)
                reader.readline()
            reader.readline()
        elif low.get("content-length", "").isdigit():
            wanted = int(low["content-length"])
            body = reader.read(wanted) if wanted else b""
            return body, len(body) < wanted
    except (OSError, ValueError):
        return body, True
    finally:
        connection.settimeout(IDLE)
    return body, False


def response_bytes(answer: Answer, head: bool = False, keep: bool = True) -> bytes:
    """The bytes of an HTTP/1.1 response."""
    lines = [
        f"HTTP/1.1 {answer.status} {reason(answer.status)}",
        *(f"{name}: {value}" for name, value in answer.headers),
    ]
    bodiless = answer.status in (204, 304) or answer.status < 200
    if not bodiless and not any(name.lower() == "content-length" for name, _ in answer.headers):
        lines.append(f"Content-Length: {len(answer.body)}")
    if not keep and answer.status != 101:
        lines.append("Connection: close")
    text = "\r\n".join(lines) + "\r\n\r\n"
    return text.encode("latin-1") + (b"" if head or bodiless else answer.body)


def reason(status: int) -> str:
    """The reason phrase of a status code, or "Status" for codes that have none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"
