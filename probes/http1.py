"""HTTP/1 as an origin speaks it (RFC 9112): takes anything that resembles a request, and mends nothing."""

from __future__ import annotations

import contextlib
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from probes.connection import HEAD_LIMIT, IDLE, LINGER, Body, Connection
from probes.log import Answer

if TYPE_CHECKING:
    from probes.origin import Origin

HEAD_PATIENCE = 10.0  # seconds between two pieces of a head
CHUNK_LINE = 16 << 10  # bytes

_EMPTY_LINES = re.compile(rb"(?:\r?\n)*")
_HEAD_END = re.compile(rb"\n\r?\n")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?\n", re.DOTALL)
_LENGTH = re.compile(r"[ \t]*([0-9]{1,15})[ \t]*", re.ASCII)


async def converse(origin: Origin, connection: Connection) -> None:
    """Serves one connection until it is over."""
    first = True
    while await _exchange(origin, connection, first):
        first = False


async def _exchange(origin: Origin, connection: Connection, first: bool) -> bool:
    """One exchange; says whether the connection goes on."""
    if not connection.buffer and not await connection.more(IDLE):
        return False
    with contextlib.ExitStack() as arriving:
        raw, fault = await _read_head(origin, connection, arriving)
        if not raw:
            if first:  # or else this is the rest of a body that no header line announced
                _record_fault(origin, connection, fault)
        else:
            line, method, target, version, headers = parse_head(raw)
            low: dict[str, str] = {}
            for name, value in headers:
                low[name.lower()] = f"{low[name.lower()]},{value}" if name.lower() in low else value
            body, fault = await _read_body(origin, connection, low, version)
            received = origin.receive(connection, version, method, target, headers, body, line, raw, fault)
    if not raw:
        if first:
            await connection.send(response_bytes(Answer(400, (), fault.encode() + b"\n"), keep=False))
            await connection.linger(LINGER)
        return False
    answer = await origin.decide(received)
    if answer.websocket and method == "GET" and version == "HTTP/1.1" and is_upgrade(low):
        from probes.websocket import echo

        await echo(connection, low)
        return False
    close = "close" in [word.strip() for word in low.get("connection", "").lower().split(",")]
    keep = version == "HTTP/1.1" and not close and body.complete and not fault and answer.status != 101
    await connection.send(response_bytes(answer, head=method == "HEAD", keep=keep))
    if not body.complete or (connection.buffer and not keep):
        await connection.linger(LINGER)
    return keep


async def _read_head(origin: Origin, connection: Connection, arriving: contextlib.ExitStack) -> tuple[bytes, str]:
    """The bytes of a head, or b"" and what is wrong with what stands in the buffer instead. From the first line on the
    request is said to be arriving, until `arriving` ends."""
    buffer, seen, begun = connection.buffer, 0, False
    while True:
        start = _EMPTY_LINES.match(buffer).end()  # type: ignore[union-attr]  # matches everything; RFC 9112, 2.2
        line_end = buffer.find(b"\n", start)
        if line_end >= 0 and not begun:
            if not buffer[start:line_end].rpartition(b" ")[2].startswith(b"HTTP/"):
                return b"", "the first line names no version of HTTP"
            origin.log.begin()
            arriving.callback(origin.log.begin, -1)
            begun = True
        match = _HEAD_END.search(buffer, max(start, seen - 3))
        if match and match.end() <= HEAD_LIMIT:
            return connection.take(match.end()), ""
        seen = len(buffer)
        if seen > HEAD_LIMIT:
            return b"", f"the head is larger than {HEAD_LIMIT} bytes"
        if not await connection.more(HEAD_PATIENCE):
            return b"", "the head breaks off" if connection.ended else "the head does not go on"


def parse_head(raw: bytes) -> tuple[str, str, str, str, tuple[tuple[str, str], ...]]:
    """Request line, method, target, version and header lines of a head, latin-1 (RFC 9112, 2 and 5)."""
    lines = _EMPTY_LINES.sub(b"", raw, 1).decode("latin-1").split("\n")
    line, *rest = [text.removesuffix("\r") for text in lines[:-2]]
    method, _, after = line.partition(" ")
    target, _, version = after.rpartition(" ")
    headers = []
    for text in rest:
        name, _, value = text.partition(":")
        headers.append((name, value.removeprefix(" ")))
    return line, method, target, version, tuple(headers)


def _record_fault(origin: Origin, connection: Connection, fault: str) -> None:
    raw = connection.take(HEAD_LIMIT)
    line, end, _ = _EMPTY_LINES.sub(b"", raw, 1).partition(b"\n")
    text = (line.removesuffix(b"\r") if end else line)[:8192].decode("latin-1")
    origin.receive(connection, "", "", "", (), Body(complete=False), text, raw, fault)


async def _read_body(origin: Origin, connection: Connection, low: dict[str, str], version: str) -> tuple[Body, str]:
    """The body that the head announces (RFC 9112, 6.3), and what is wrong with the announcement."""
    chunked = "chunked" in low.get("transfer-encoding", "").lower()
    announced = low.get("content-length", "").rpartition(",")[2]
    length = _LENGTH.fullmatch(announced)
    if not chunked and announced and not length:
        return Body(complete=False), "the Content-Length is no length"
    if not chunked and (not length or not int(length[1])):
        return Body(), ""
    if not connection.buffer and version == "HTTP/1.1" and "100-continue" in low.get("expect", "").lower():
        await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not chunked:
        assert length
        return await connection.body(int(length[1]), origin.patience), ""
    return await _read_chunks(connection, origin.patience)


async def _read_chunks(connection: Connection, patience: float) -> tuple[Body, str]:
    """A chunked body (RFC 9112, 7.1), its trailer lines dropped."""
    kept, size = b"", 0
    while True:
        line = await connection.line(CHUNK_LINE, patience)
        if line is None:
            return Body(kept, size, False), ""
        match = _CHUNK_SIZE.fullmatch(line)
        if not match:
            return Body(kept, size, False), "a chunk's size is no number"
        wanted = int(match[1], 16)
        if not wanted:
            break
        kept, count, complete = await connection.body(wanted, patience, kept)
        size += count
        if not complete:
            return Body(kept, size, False), ""
        while not connection.buffer.startswith((b"\r\n", b"\n")):
            if bytes(connection.buffer[:2]) not in (b"", b"\r"):
                return Body(kept, size, False), "a chunk is longer than its size"
            if not await connection.more(patience):
                return Body(kept, size, False), ""
        connection.take(connection.buffer.index(b"\n") + 1)
    left = HEAD_LIMIT
    while left > 0:
        line = await connection.line(left, patience)
        if line is None:
            break
        if line in (b"\r\n", b"\n"):
            return Body(kept, size), ""
        left -= len(line)
    return Body(kept, size, False), ""


def is_upgrade(low: dict[str, str]) -> bool:
    """Whether these header lines (lower-case names) ask for WebSocket (RFC 6455, 4.1)."""
    return "websocket" in low.get("upgrade", "").lower() and "upgrade" in low.get("connection", "").lower()


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
