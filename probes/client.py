"""A client that sends exactly the bytes it is told to, and reads one response."""

from __future__ import annotations

import contextlib
import functools
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

from auditor.http import Pairs, make_request

BODY_BYTE = b"x"
BODY_PATIENCE = 0.3  # seconds; a body announced and not sent is worth knowing, and not worth waiting for
TOTAL = 60.0  # seconds that one exchange may take
SIZE = 64 << 20  # bytes that one response may have
PIECE = 64 << 10  # bytes: what a server announces is not allocated before it comes


class Reply(NamedTuple):
    """What came back. `status` is None where the server closed the connection without a response; where it sent
    something that is no response, `body` is the beginning of that. `interim` are the 1xx statuses before the final one;
    `complete` is False where the body broke off or was longer than one wanted to read."""

    status: int | None
    headers: Pairs = ()
    body: bytes = b""
    interim: tuple[int, ...] = ()
    complete: bool = True

    def all(self, name: str) -> list[str]:
        """The values of all lines of that name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def request_bytes(line: Mapping[str, Any]) -> bytes:
    """The bytes that a line of a requests file stands for.

    Host comes first unless `headers` has one. A Content-Length of N is followed by N bytes,
    `Transfer-Encoding: chunked`
    by one chunk and the last one. Raises ValueError where the URL cannot be read.
    """
    pairs = tuple((str(name), str(value)) for name, value in line.get("headers", ()))
    version = line.get("http_version", "1.1")
    request = make_request(line["url"], line.get("method", "GET"), pairs, version)
    text = f"{request.method} {request.target} HTTP/{version}\r\n"
    text += "".join(f"{name}: {value}\r\n" for name, value in request.headers)
    return text.encode("latin-1") + b"\r\n" + body_of(pairs)


def body_of(headers: Pairs) -> bytes:
    """The body that these header lines announce."""
    for name, value in headers:
        if name.lower() == "transfer-encoding" and value.strip().lower() == "chunked":
            return b"5\r\n" + BODY_BYTE * 5 + b"\r\n0\r\n\r\n"
    for name, value in headers:
        if name.lower() == "content-length" and value.strip().isdigit():
            return BODY_BYTE * min(int(value), 1 << 20)
    return b""


def address_of(line: Mapping[str, Any]) -> tuple[str, int]:
    """Where that request goes: the URL's IPv4 literal, else 127.0.0.1, and its port."""
    request = make_request(line["url"])
    literal = request.host if request.host.replace(".", "").isdigit() else "127.0.0.1"
    return literal, request.port


def tls_name(line: Mapping[str, Any]) -> str | None:
    """The server name that a TLS client indicates for that request: "" for none (IP literals, RFC 6066, 3), None where
    the URL is not https."""
    request = make_request(line["url"])
    if not request.tls:
        return None
    return "" if request.host.startswith("[") or request.host.replace(".", "").isdigit() else request.host


def send(
    address: tuple[str, int],
    data: bytes,
    source: str = "",
    timeout: float = 5.0,
    tls: str | None = None,
    *,
    verify: bool | None = None,
    total: float = TOTAL,
    size: int = SIZE,
    patience: float = BODY_PATIENCE,
) -> Reply:
    """Sends the bytes and reads one response; `source` is the client's own address on loopback, `tls` the name that is
    indicated to a TLS server ("" for none).

    `address` is an IP literal with a port. `timeout` is in seconds: to connect, and without a byte of the response's
    head; `patience` the same for its body; `total` for everything, so that a server cannot hold the client with one
    byte now and then. No more than `size` bytes of the response are read. `verify` says whether the server must have a
    certificate of a known authority for the name `tls`; with None any will do, and a handshake that breaks off is no
    response.

    The connection stays open until the response is read: a client that goes away early changes what the server does.
    Raises OSError where no connection can be made, ssl.SSLError where `verify` is given and the handshake fails,
    TimeoutError where the response does not come in time.
    """
    deadline = time.monotonic() + total
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(
            socket.create_connection(address, min(timeout, total), (source, 0) if source else None)
        )
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            try:
                connection = stack.enter_context(
                    _context(bool(verify)).wrap_socket(connection, server_hostname=tls or None)
                )
            except (ssl.SSLError, ConnectionError):
                if verify is not None:
                    raise
                return Reply(None)
        with contextlib.suppress(ConnectionError):  # the server may answer and close before it has read everything
            connection.sendall(data)
        stream = _Stream(connection, timeout, deadline, size)
        reply = read_reply(
            io.BufferedReader(stream, 8192),
            head=data.startswith(b"HEAD "),
            on_body=lambda: stream.wait_at_most(patience),
        )
        return reply._replace(complete=False) if stream.left <= 0 else reply


class _Stream(io.RawIOBase):
    """What comes out of a connection, until a deadline (on the monotonic clock) and up to a number of bytes."""

    def __init__(self, connection: socket.socket, wait: float, deadline: float, size: int) -> None:
        self.left = size
        self._connection = connection
        self._deadline = deadline
        self._wait = wait

    def wait_at_most(self, seconds: float) -> None:
        """How long the next bytes may take from now on."""
        self._wait = seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.left <= 0:
            return 0
        rest = self._deadline - time.monotonic()
        if rest <= 0:
            raise TimeoutError("timed out")
        wait = min(self._wait, rest)
        if self._connection.gettimeout() != wait:
            self._connection.settimeout(wait)
        count = self._connection.recv_into(memoryview(buffer)[: self.left])
        self.left -= count
        return count


@functools.cache
def _context(verify: bool) -> ssl.SSLContext:
    """A client's side of TLS; making one reads all the authorities of the machine, so it is made once."""
    if verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def read_reply(reader: BinaryIO, head: bool = False, on_body: Callable[[], None] = lambda: None) -> Reply:
    """One response (RFC 9112, 4 and 6.3), interim ones read and noted."""
    interim: list[int] = []
    while True:
        status, headers, first = _read_head(reader)
        if status is None or status >= 200 or status == 101:
            break
        interim.append(status)
    if status is None:
        return Reply(None, (), first, tuple(interim))
    if head or status in (101, 204, 304):
        return Reply(status, headers, b"", tuple(interim))
    on_body()
    body = bytearray()
    try:
        complete = _read_body(reader, headers, body)
    except (OSError, ValueError):
        complete = False
    return Reply(status, headers, bytes(body), tuple(interim), complete)


def _read_head(reader: BinaryIO) -> tuple[int | None, Pairs, bytes]:
    """Status and header lines; None with the beginning of what came where that is no response."""
    headers = []
    try:
        first = reader.readline()
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit() or len(words[1]) > 3:
            return None, (), first[:80]
        while (line := reader.readline().decode("latin-1")).rstrip("\r\n"):
            name, _, value = line.rstrip("\r\n").partition(":")
            headers.append((name, value.removeprefix(" ")))
    except (ConnectionError, ssl.SSLError):
        return None, (), b""
    return int(words[1]), tuple(headers), first


def _read_body(reader: BinaryIO, headers: Pairs, body: bytearray) -> bool:
    """Reads the body into `body` and says whether it came whole. Raises OSError or ValueError where it breaks off."""
    low = {name.lower(): value for name, value in headers}
    if low.get("transfer-encoding", "").lower() == "chunked":
        while line := reader.readline():
            count = int(line.split(b";")[0], 16)
            if not count:
                reader.readline()
                return True
            if not _read_bytes(reader, count, body):
                return False
            reader.readline()
        return False
    if low.get("content-length", "").isdigit():
        return _read_bytes(reader, int(low["content-length"]), body)
    while piece := reader.read1(PIECE):  # type: ignore[attr-defined]
        body += piece
    return True


def _read_bytes(reader: BinaryIO, count: int, body: bytearray) -> bool:
    while count > 0:
        piece = reader.read(min(count, PIECE))
        if not piece:
            return False
        body += piece
        count -= len(piece)
    return True
