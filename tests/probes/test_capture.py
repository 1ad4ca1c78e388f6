"""What an origin shows is what was sent, byte for byte, and nothing that is sent crashes or hangs it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from probes import http1, log, origin
from probes.gateways import FastCGI, Scgi, Uwsgi
from probes.http2 import Http2
from probes.log import Log, Received
from probes.origin import Origin
from tests.probes.wire import connect, rest, talk

CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
TE = (("Transfer-Encoding", "chunked"),)
BIG = "v" * 200 * 1024


def got(app: Origin, data: bytes, end: bool = True) -> Received:
    """The one request that these bytes are recorded as."""
    talk(app, data, end)
    (received,) = app.log.take()
    return received


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", [("Host", "a"), ("Host", "b")]),
        (b"GET / HTTP/1.1\r\nX:\tone\ttwo\t\r\n\r\n", [("X", "\tone\ttwo\t")]),
        (b"GET / HTTP/1.1\r\nX:none\r\nY:  two\r\nZ : before\r\n\r\n",
         [("X", "none"), ("Y", " two"), ("Z ", "before")]),
        (b"GET / HTTP/1.1\r\nX: one\r\n folded\r\n\tagain: 1\r\n\r\n",
         [("X", "one"), (" folded", ""), ("\tagain", "1")]),
        (b"GET / HTTP/1.1\nX: bare line feeds\n\n", [("X", "bare line feeds")]),
        (b"GET / HTTP/1.1\r\nX: mixed\nY: ends\r\n\n", [("X", "mixed"), ("Y", "ends")]),
        (b"GET / HTTP/1.1\r\nX: a\rb\r\r\n\r\n", [("X", "a\rb\r")]),
        (b"GET / HTTP/1.1\r\nX: a\0b\r\n\0: c\r\n\r\n", [("X", "a\0b"), ("\0", "c")]),
        (b"GET / HTTP/1.1\r\nX: \xff\xfe \xc3\xbc\r\n\r\n", [("X", "\xff\xfe \xc3\xbc")]),
        (b"GET / HTTP/1.1\r\nno colon here\r\n: no name\r\nempty:\r\n\r\n",
         [("no colon here", ""), ("", "no name"), ("empty", "")]),
        (b"GET / HTTP/1.1\r\nX_Y: 1\r\nx-y: 2\r\nX-Y: 3\r\n\r\n", [("X_Y", "1"), ("x-y", "2"), ("X-Y", "3")]),
        (b"GET / HTTP/1.1\r\nX: " + b"v" * 8192 + b"\r\n\r\n", [("X", "v" * 8192)]),
        (b"GET / HTTP/1.1\r\nX: " + BIG.encode() + b"\r\n\r\n", [("X", BIG)]),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 20000 + b"\r\n", [("X", "1")] * 20000),
        (b"\r\n\nGET / HTTP/1.1\r\nX: after empty lines\r\n\r\n", [("X", "after empty lines")]),
        (b"GET / HTTP/1.1\r\n\r\n", []),
    ],
    ids=["two hosts", "tabs", "spaces", "folded", "bare LF", "mixed ends", "bare CR", "NUL", "bytes", "no colon",
         "spellings", "8 KiB", "200 KiB", "many lines", "empty lines", "no lines"],
)  # fmt: skip
def test_heads_come_as_they_were_sent(app: Origin, data: bytes, headers: list[tuple[str, str]]) -> None:
    received = got(app, data)
    assert received.raw == data
    assert received.headers == tuple(headers)
    assert (received.line, received.method, received.target) == ("GET / HTTP/1.1", "GET", "/")
    assert (received.protocol, received.body, received.size, received.fault) == ("HTTP/1.1", b"", 0, "")


@pytest.mark.parametrize(
    ("line", "method", "target", "protocol"),
    [
        (b"GET //a/../%2f?x=%zz#frag HTTP/1.1", "GET", "//a/../%2f?x=%zz#frag", "HTTP/1.1"),
        (b"GET /a b\tc HTTP/1.1", "GET", "/a b\tc", "HTTP/1.1"),
        (b"get http://a.example:80/ HTTP/1.0", "get", "http://a.example:80/", "HTTP/1.0"),
        (b"OPTIONS * HTTP/1.1", "OPTIONS", "*", "HTTP/1.1"),
        (b"G\xffT /\xe4 HTTP/1.7", "G\xffT", "/\xe4", "HTTP/1.7"),
        (b"PRI * HTTP/2.0", "PRI", "*", "HTTP/2.0"),
        (b"GET  /  HTTP/1.1", "GET", " / ", "HTTP/1.1"),
        (b"GET HTTP/1.1", "GET", "", "HTTP/1.1"),
        (b"\rGET / HTTP/1.1\r", "\rGET", "/", "HTTP/1.1\r"),
    ],
)
def test_request_lines(app: Origin, line: bytes, method: str, target: str, protocol: str) -> None:
    received = got(app, line + b"\r\nHost: a\r\n\r\n")
    assert received.line == line.decode("latin-1")
    assert received.raw == line + b"\r\nHost: a\r\n\r\n"
    assert (received.method, received.target, received.protocol) == (method, target, protocol)


def test_who_sent_it(app: Origin) -> None:
    with connect(app) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 200 OK\r\n")
        own = "{}:{}".format(*connection.getsockname())
    (received,) = app.log.take()
    assert (received.peer, received.address, received.origin) == (own, app.address, "A")
    assert (received.tls, received.server_name) == ("", "")


# Bodies

LONG = b"x" * 300_000


@pytest.mark.parametrize(
    ("data", "body", "size", "complete", "fault"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"hello", 5, True, ""),
        (b"POST / HTTP/1.1\r\ncontent-length:\t5 \r\n\r\nhello", b"hello", 5, True, ""),
        (b"POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n" + LONG, LONG[:65536], 300_000, True, ""),
        (b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhello", b"hello", 5, False, ""),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999999999\r\n\r\nhello", b"hello", 5, False, ""),
        (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"", 0, True, ""),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\nhello", b"", 0, False, "the Content-Length is no length"),
        (b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello", b"", 0, False, "the Content-Length is no length"),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\nhello", b"", 0, False, "the Content-Length is no length"),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nhello", b"", 0, False,
         "the Content-Length is no length"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello", 5, True, ""),
        (CHUNKED + b"5;ext=\"1\"\r\nhello\r\nA \r\n0123456789\r\n000\r\nTrailer: 1\r\n\r\n", b"hello0123456789",
         15, True, ""),
        (CHUNKED + b"5\nhello\n0\n\n", b"hello", 5, True, ""),
        (CHUNKED + b"493E0\r\n" + LONG + b"\r\n1\r\ny\r\n0\r\n\r\n", LONG[:65536], 300_001, True, ""),
        (CHUNKED + b"5\r\nhel", b"hel", 3, False, ""),
        (CHUNKED + b"5\r\nhello", b"hello", 5, False, ""),
        (CHUNKED + b"5\r\nhello\r\n", b"hello", 5, False, ""),
        (CHUNKED + b"0\r\nTrailer: without end", b"", 0, False, ""),
        (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", b"", 0, False, "a chunk's size is no number"),
        (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", b"", 0, False, "a chunk's size is no number"),
        (CHUNKED + b"5_0\r\nhello\r\n0\r\n\r\n", b"", 0, False, "a chunk's size is no number"),
        (CHUNKED + b"\r\nhello\r\n0\r\n\r\n", b"", 0, False, "a chunk's size is no number"),
        (CHUNKED + b"\0\xff\r\nhello", b"", 0, False, "a chunk's size is no number"),
        (CHUNKED + b"F" * 40 + b"\r\nhello", b"", 0, False, "a chunk's size is no number"),
        (CHUNKED + b"FFFFFFFFFFFFFFF\r\nhello", b"hello", 5, False, ""),
        (CHUNKED + b"5;" + b"x" * 100_000 + b"\r\nhello", b"", 0, False, ""),
        (CHUNKED + b"2\r\nhello\r\n0\r\n\r\n", b"he", 2, False, "a chunk is longer than its size"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 3\r\n\r\n1\r\nx\r\n0\r\n\r\n", b"x",
         1, True, ""),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: identity\r\n\r\nleft over", b"", 0, True, ""),
    ],
)  # fmt: skip
def test_bodies(app: Origin, data: bytes, body: bytes, size: int, complete: bool, fault: str) -> None:
    received = got(app, data)
    assert received.raw == data[: data.index(b"\r\n\r\n") + 4]
    assert (received.body, received.size, received.body_missing, received.fault) == (body, size, not complete, fault)


def test_a_body_that_does_not_come_is_not_waited_for(app: Origin) -> None:
    received = got(app, b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", end=False)
    assert (received.body_missing, received.size, received.fault) == (True, 0, "")


def test_the_rest_of_a_body_that_nobody_announced_is_no_request(app: Origin) -> None:
    received = got(app, b"POST / HTTP/1.1\r\nHost: a\r\n\r\nhello\r\n", end=False)
    assert received.size == 0


# What is no request


@pytest.mark.parametrize(
    ("data", "line", "fault"),
    [
        (b"hello\r\n\r\n", "hello", "the first line names no version of HTTP"),
        (b"GET /old\r\n", "GET /old", "the first line names no version of HTTP"),
        (b"GET\t/\tHTTP/1.1\r\n\r\n", "GET\t/\tHTTP/1.1", "the first line names no version of HTTP"),
        (b"\x16\x03\x01\x02\0\n\xff", "\x16\x03\x01\x02\0", "the first line names no version of HTTP"),
        (b"GET / HTTP/1.1\rHost: a\r\r", "GET / HTTP/1.1\rHost: a\r\r", "the head breaks off"),
        (b"GET / HT", "GET / HT", "the head breaks off"),
        (b"\0" * 100, "\0" * 100, "the head breaks off"),
        (b"GET / HTTP/1.1\r\nHost: a.exa", "GET / HTTP/1.1", "the head breaks off"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1", "the head breaks off"),
        (b"\r\n\r\n", "", "the head breaks off"),
    ],
)
def test_what_is_no_request_is_shown_all_the_same(app: Origin, data: bytes, line: str, fault: str) -> None:
    reply = talk(app, data)
    assert reply.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert fault.encode() in reply
    (received,) = app.log.take()
    assert (received.raw, received.line, received.fault) == (data, line, fault)
    assert (received.protocol, received.method, received.headers, received.body_missing) == ("", "", (), True)


def test_half_a_request_and_then_silence(app: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "HEAD_PATIENCE", 0.05)
    for data in (b"GET / HTTP/1.1\r\nHost: a\r\nX: he", b"GET / HT"):
        received = got(app, data, end=False)
        assert (received.raw, received.fault) == (data, "the head does not go on")


def test_an_endless_head_ends(app: Origin) -> None:
    for data in (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 300_000, b"G" * 2_000_000, b"\r\n" * 1_000_000):
        received = got(app, data)
        assert received.fault == "the head is larger than 1048576 bytes"
        assert received.raw == data[:1048576]


def test_a_connection_without_a_byte_is_no_request(app: Origin) -> None:
    assert talk(app, b"") == b""
    assert app.log.take() == []


SEEDS = (
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x05hello",
    b"\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0\1\4\0\1\0\4\0\0\1\1AB\1\4\0\1\0\0\0\0\1\5\0\1\0\0\0\0",
    b"\0\x06\0\0\1\0A\1\0B",
    b"4:A\0B\0,",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\3\1\5\0\0\0\1\x82\x86\x84",
)


@pytest.mark.parametrize("kind", [Origin, FastCGI, Uwsgi, Scgi, Http2], ids=lambda kind: kind.protocol)
def test_nothing_crashes_or_hangs(kind: type[Origin]) -> None:
    """Valid requests of each protocol with bytes changed, lost, and put in, at each protocol's origin."""
    dice = random.Random(1)
    with kind("A") as app:
        for _ in range(400):
            data = bytearray(dice.choice(SEEDS))
            for _ in range(dice.randrange(6)):
                at = dice.randrange(len(data) + 1)
                data[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(4))
            talk(app, bytes(data))
        app.log.settle()
        assert app.log.state[1] == 0
        assert app.log.take()


# Bounds


def test_only_so_many_connections(app: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "CONNECTIONS", 2)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with connect(app) as first, connect(app) as second:
        for connection in (first, second):  # both are being served
            connection.sendall(request)
            assert connection.recv(65536)
        assert talk(app, request, end=False) == b""
        second.sendall(request)
        assert second.recv(65536)
    assert len(app.log.take()) == 3


def received(number: int = 0, body: bytes = b"") -> Received:
    return Received(number, "A", "127.0.0.1:1", "HTTP/1.1", "GET", "/", (), body)


def test_the_log_keeps_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Log(3)
    for _ in range(5):
        kept.add(received())
    assert [one.sequence for one in kept.since(0)[0]] == [2, 3, 4]
    assert ([one.sequence for one in kept.since(4)[0]], kept.since(4)[1]) == ([4], 5)
    assert kept.since(9) == ([], 5)
    assert [one.sequence for one in kept.take()] == [2, 3, 4]
    assert kept.take() == []
    assert kept.add(received()).sequence == 5
    monkeypatch.setattr(log, "KEPT_BYTES", 150_000)
    for _ in range(3):
        kept.add(received(body=b"x" * 60_000))
    assert [one.sequence for one in kept.take()] == [7, 8]


def test_an_answer_that_cannot_be_made_is_an_answer(app: Origin, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: Received) -> Any:
        raise KeyError("no answer")

    app.answer = fail
    assert talk(app, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 500 ")
    assert "no answer" in capsys.readouterr().err
