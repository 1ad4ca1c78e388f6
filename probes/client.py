"""A client that sends exactly the bytes it is told to, and reads one response."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

from auditor.http import Pairs, make_request

BODY_BYTE = b"x"
BODY_PATIENCE = 0.3  # seconds; a body announced and not sent is worth knowing, and not worth waiting for


class Reply(NamedTuple):
    """What came back. `status` is None where the server closed the connection without a response; `interim` are the
    1xx statuses before the final one; `complete` is False where the body broke off."""

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
    address: tuple[str, int], data: bytes, source: str = "", timeout: float = 5.0, tls: str | None = None
) -> Reply:
    """Sends the bytes and reads one response; `source` is the client's own address on loopback, `tls` the name that is
    indicated to a TLS server ("" for none).

    The connection stays open until the response is read: a client that goes away early changes what the server does.
    A TLS server that breaks off the handshake gives no response. Raises OSError where no connection can be made,
    TimeoutError where the response does not come in `timeout` seconds.
    """
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(address, timeout, (source, 0) if source else None))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            try:
                connection = stack.enter_context(_trusting().wrap_socket(connection, server_hostname=tls or None))
            except (ssl.SSLError, ConnectionError):
                return Reply(None)
        with contextlib.suppress(ConnectionError):  # the server may answer and close before it has read everything
            connection.sendall(data)
        with connection.makefile("rb") as reader:
            return read_reply(
                reader, head=data.startswith(b"HEAD "), on_body=lambda: connection.settimeout(BODY_PATIENCE)
            )


def _trusting() -> ssl.SSLContext:
    """A client's side of TLS that takes any certificate: what is asked here is the server's configuration."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def read_reply(reader: BinaryIO, head: bool = False, on_body: Callable[[], None] = lambda: None) -> Reply:
    """One response (RFC 9112, 4 and 6.3), interim ones read and noted."""
    interim: list[int] = []
    while True:
        status, headers = _read_head(reader)
        if status is None or status >= 200 or status == 101:
            break
        interim.append(status)
    if status is None or head or status in (101, 204, 304):
        return Reply(status, headers, b"", tuple(interim))
    on_body()
    body, complete = _read_body(reader, headers)
    return Reply(status, headers, body, tuple(interim), complete)


def _read_head(reader: BinaryIO) -> tuple[int | None, Pairs]:
    try:
        first = reader.readline()
    except (ConnectionError, ssl.SSLError):
        return None, ()
    words = first.split(None, 2)
    if len(words) < 2 or not words[1].isdigit():
        return None, ()
    headers = []
    while (line := reader.readline().decode("latin-1")).rstrip("\r\n"):
        name, _, value = line.rstrip("\r\n").partition(":")
        headers.append((name, value.removeprefix(" ")))
    return int(words[1]), tuple(headers)


def _read_body(reader: BinaryIO, headers: Pairs) -> tuple[bytes, bool]:
    low = {name.lower(): value for name, value in headers}
    body = b""
    try:
        if low.get("transfer-encoding", "").lower() == "chunked":
            while size := int(reader.readline().split(b";")[0] or b"0", 16):
                body += reader.read(size)
                reader.readline()
            reader.readline()
            return body, True
        if low.get("content-length", "").isdigit():
            wanted = int(low["content-length"])
            body = reader.read(wanted)
            return body, len(body) == wanted
        return reader.read(), True
    except (OSError, ValueError):
        return body, False
