"""WebSocket (RFC 6455): the frames are written by hand."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from probes.origin import Answer, Origin
from tests.probes.wire import GET, LAST, OK, connect, exactly, rest, talk

UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MASK = b"\x01\x02\x03\x04"


def frame(first: int, data: bytes) -> bytes:
    size = bytes([128 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
    return bytes([first]) + size + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(data))


@pytest.fixture
def chat(app: Origin) -> Iterator[socket.socket]:
    """A connection after the handshake."""
    app.answer = lambda _: Answer(websocket=True)
    with connect(app) as connection:
        connection.sendall(UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += exactly(connection, 1)
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        # The key and what must be made of it are those of RFC 6455, 1.3.
        assert b"\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n" in head.lower()
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert [one.raw for one in app.log.take()] == [UPGRADE]
        yield connection


def test_websocket_echo(chat: socket.socket) -> None:
    chat.sendall(frame(0x81, b"hello"))
    assert exactly(chat, 7) == b"\x81\x05hello"
    chat.sendall(frame(0x82, b"\0\xff"))
    assert exactly(chat, 4) == b"\x82\x02\0\xff"
    chat.sendall(frame(0x81, b"x" * 300))
    assert exactly(chat, 304) == b"\x81\x7e\x01\x2c" + b"x" * 300


def test_websocket_ping_fragments_and_close(chat: socket.socket) -> None:
    chat.sendall(frame(0x01, b"hel") + frame(0x89, b"?") + frame(0x80, b"lo"))
    assert exactly(chat, 10) == b"\x8a\x01?" + b"\x81\x05hello"
    chat.sendall(frame(0x88, struct.pack("!H", 1000)))
    assert rest(chat) == b"\x88\x02" + struct.pack("!H", 1000)


def test_websocket_messages_are_bounded(chat: socket.socket) -> None:
    part = b"x" * 30_000
    chat.sendall(frame(0x01, part) + frame(0x00, part) * 34)  # just above 1 MiB, and without an end
    reply = rest(chat)
    assert (reply[0], reply[2:4]) == (0x88, struct.pack("!H", 1009))


def test_odd_lines_do_not_keep_websocket_away(app: Origin) -> None:
    app.answer = lambda _: Answer(websocket=True)
    data = UPGRADE.replace(b"Host: a\r\n", b"Host: a\r\nHost: b\r\nX\0: \r\n folded\r\n")
    reply = talk(app, data + frame(0x81, b"hello") + frame(0x88, b""), end=False)
    assert reply.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert reply.partition(b"\r\n\r\n")[2].startswith(b"\x81\x05hello\x88")
    assert app.log.take()[0].raw == data


def test_websocket_only_where_it_is_asked_for_and_answered(app: Origin) -> None:
    assert talk(app, UPGRADE) == OK
    app.answer = lambda _: Answer(websocket=True)
    for data in (GET, UPGRADE.replace(b"GET", b"POST"), UPGRADE.replace(b"Connection: Upgrade", b"Connection: x")):
        assert talk(app, data) == OK
    assert talk(app, UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0")) == LAST


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short"),
        (b"Version: 13", b"Version: 99"),
    ],
)
def test_a_handshake_that_is_none_ends_the_connection(app: Origin, there: bytes, instead: bytes) -> None:
    app.answer = lambda _: Answer(websocket=True)
    data = UPGRADE.replace(there, instead)
    assert talk(app, data + GET, end=False).startswith(b"HTTP/1.1 400 ")
    assert app.log.take()[0].raw == data


def test_an_open_websocket_does_not_keep_an_origin_from_closing(chat: socket.socket, app: Origin) -> None:
    app.close()
    assert rest(chat) == b""
