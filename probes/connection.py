"""One connection to an origin: what arrives is gathered in a buffer, and every wait is bounded.

Not asyncio's streams: a reader that gives up waiting must still be able to show the half line that came.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

HEAD_LIMIT = 1 << 20  # bytes of one head
BODY_KEPT = 64 << 10  # bytes of a body that are kept; all are counted
IDLE = 30.0  # seconds after which an unused connection, or a peer that does not read, is given up
LINGER = 1.0  # seconds that a peer gets to read the answer to what it should not have sent

_server_names: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def note_server_names(context: ssl.SSLContext) -> None:
    """Lets the connections of that context know what name the client indicated."""

    def note(side: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        _server_names[side] = name or ""

    context.sni_callback = note


class Body(NamedTuple):
    """The kept part of a body, its whole size in bytes, and whether all that was announced has come."""

    kept: bytes = b""
    size: int = 0
    complete: bool = True


class Connection(asyncio.Protocol):
    """The bytes of one connection. `buffer` holds what has arrived and is not used up."""

    def __init__(self, made: Callable[[Connection], None]) -> None:
        self._made = made
        self.buffer = bytearray()
        self.ended = False  # the peer sends nothing more
        self.lost = False  # the connection is no more
        self.peer = ""
        self.tls = ""
        self.server_name = ""
        self.transport = cast(asyncio.Transport, None)
        self.guest: asyncio.Protocol | None = None  # has taken the connection over
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._full = False  # the peer does not read what it is sent
        self._paused = False

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.peer = f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"
        else:
            self.peer = "unix:"
        side = transport.get_extra_info("ssl_object")
        if side is not None:
            self.tls = side.version() or ""
            self.server_name = _server_names.get(side, "")
        self._made(self)

    def secured(self, transport: asyncio.Transport) -> None:
        """From here on there is TLS inside: `transport` carries what is said there."""
        self.transport = transport
        side = transport.get_extra_info("ssl_object")
        self.tls = side.version() or ""
        self.server_name = _server_names.get(side, "")

    def data_received(self, data: bytes) -> None:
        if self.guest is not None:
            self.guest.data_received(data)
            return
        self.buffer += data
        if len(self.buffer) > HEAD_LIMIT and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self.ended = True
        self._wake()
        if self.guest is not None:
            self.guest.eof_received()
            return False
        return not self.tls  # half a connection is enough to answer; TLS has no such thing here

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = self.lost = True
        self._full = False
        self._wake()
        if self.guest is not None:
            self.guest.connection_lost(error)

    def pause_writing(self) -> None:
        self._full = True
        if self.guest is not None:
            self.guest.pause_writing()

    def resume_writing(self) -> None:
        self._full = False
        self._wake()
        if self.guest is not None:
            self.guest.resume_writing()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, patience: float) -> None:
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(patience, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    # What a conversation calls

    async def hand_over(self, guest: asyncio.Protocol, data: bytes) -> None:
        """Lets another protocol have the connection from here on, beginning with `data`, until it is over."""
        guest.connection_made(self.transport)
        rest = self.take(len(self.buffer))
        self.guest = guest
        guest.data_received(data + rest)
        while not self.lost:
            await self._wait(IDLE)

    async def more(self, patience: float) -> bool:
        """Waits for further bytes. False where the peer has ended, or none came within `patience` seconds."""
        size = len(self.buffer)
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()
        if not self.ended:
            await self._wait(patience)
        return len(self.buffer) > size

    def take(self, size: int) -> bytes:
        """Up to `size` bytes of the buffer, which are used up."""
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    async def need(self, size: int, patience: float = IDLE) -> bytes:
        """Exactly `size` bytes. Raises EOFError where they do not come."""
        while len(self.buffer) < size:
            if not await self.more(patience):
                raise EOFError
        return self.take(size)

    async def line(self, limit: int, patience: float) -> bytes | None:
        """A line with its end, or None where none of at most `limit` bytes comes."""
        seen = 0
        while (at := self.buffer.find(b"\n", seen)) < 0:
            seen = len(self.buffer)
            if seen > limit or not await self.more(patience):
                return None
        return self.take(at + 1) if at < limit else None

    async def body(self, wanted: int, patience: float, kept: bytes = b"") -> Body:
        """A body, or a chunk of one, of `wanted` bytes, of which only the first are kept (after `kept`)."""
        size = 0
        data = bytearray(kept)
        while size < wanted:
            if not self.buffer and not await self.more(patience):
                return Body(bytes(data), size, False)
            count = min(len(self.buffer), wanted - size)
            data += self.buffer[: min(count, BODY_KEPT - len(data))]
            del self.buffer[:count]
            size += count
        return Body(bytes(data), size, True)

    async def send(self, data: bytes) -> None:
        """Sends; waits while the peer does not read. Raises ConnectionError where it has gone or never reads."""
        if self.transport.is_closing():
            raise ConnectionError("the peer has gone")
        self.transport.write(data)
        if self._full:
            end = self._loop.time() + IDLE
            while self._full and (left := end - self._loop.time()) > 0:
                await self._wait(left)
            if self._full:
                raise ConnectionError("the peer does not read")

    async def linger(self, patience: float) -> None:
        """Says that nothing more will be sent, and drops what still arrives: to close with bytes unread would take the
        answer away from the peer (RFC 9112, 9.6)."""
        if self.transport.is_closing() or not self.transport.can_write_eof():
            return
        self.transport.write_eof()
        end = self._loop.time() + patience
        self.buffer.clear()
        while (left := end - self._loop.time()) > 0 and await self.more(left):
            self.buffer.clear()
