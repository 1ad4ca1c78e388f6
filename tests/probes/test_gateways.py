"""FastCGI, uwsgi and SCGI: the bytes are written by hand, after the specifications."""

from __future__ import annotations

import struct

import pytest

from auditor.http import Pairs
from probes.gateways import FastCGI, Scgi, Uwsgi
from probes.origin import Log, Origin
from tests.probes.wire import GET, talk

CGI_OK = b"Audit-Origin: 1\r\n\r\norigin\n"  # without a status, as php-fpm answers
PARAMS = (("REQUEST_METHOD", "POST"), ("CONTENT_LENGTH", "5"), ("HTTP_X", "\xe4 "), ("HTTP_X", ""))


def fastcgi_record(kind: int, content: bytes, padding: int = 0) -> bytes:
    return struct.pack("!BBHHBB", 1, kind, 1, len(content), padding, 0) + content + b"\xaa" * padding


def fastcgi_params(pairs: Pairs, long: bool = False) -> bytes:
    data = b""
    for name, value in pairs:
        for text in (name, value):
            data += struct.pack("!L", len(text) | 1 << 31) if long or len(text) > 127 else bytes([len(text)])
        data += (name + value).encode("latin-1")
    return data


BEGIN = fastcgi_record(1, b"\0\1\0\0\0\0\0\0")


@pytest.mark.parametrize("long", [False, True])
def test_fastcgi(long: bool) -> None:
    params = fastcgi_params(PARAMS, long)
    data = BEGIN + fastcgi_record(4, params[:7], 3) + fastcgi_record(4, params[7:]) + fastcgi_record(4, b"")
    data += fastcgi_record(5, b"he", 6) + fastcgi_record(5, b"llo") + fastcgi_record(5, b"")
    with FastCGI("F") as app:
        reply = talk(app, data)
        (received,) = app.log.take()
    assert (received.protocol, received.headers, received.raw) == ("fastcgi", PARAMS, params)
    assert (received.body, received.size, received.body_missing, received.fault) == (b"hello", 5, False, "")
    assert (received.method, received.target, received.line) == ("", "", "")
    assert reply == fastcgi_record(6, CGI_OK) + fastcgi_record(6, b"") + fastcgi_record(3, b"\0" * 8)


def test_fastcgi_long_answers_and_bodies() -> None:
    with FastCGI("F") as app:
        app.respond(200, (), b"y" * 100_000)
        stdin = fastcgi_record(5, b"x" * 65535) * 2
        data = BEGIN + fastcgi_record(4, b"") + stdin
        reply = talk(app, data + fastcgi_record(5, b""))
        head = b"Audit-Origin: 1\r\n\r\n"
        first = fastcgi_record(6, head + b"y" * (65535 - len(head)))
        assert reply.startswith(first)
        assert reply[len(first) :].startswith(struct.pack("!BBHHBB", 1, 6, 1, 100_000 + len(head) - 65535, 0, 0))
        talk(app, data)
    received = app.log.take()
    assert [(one.size, len(one.body), one.body_missing) for one in received] == [
        (131070, 65536, False), (131070, 65536, True)]  # fmt: skip


def uwsgi(pairs: Pairs) -> bytes:
    return b"".join(struct.pack("<H", len(text)) + text.encode("latin-1") for pair in pairs for text in pair)


def test_uwsgi() -> None:
    params = uwsgi(PARAMS)
    with Uwsgi("U") as app:
        reply = talk(app, struct.pack("<BHB", 0, len(params), 0) + params + b"hello")
        (received,) = app.log.take()
    assert (received.protocol, received.headers, received.raw, received.body) == ("uwsgi", PARAMS, params, b"hello")
    assert reply == b"HTTP/1.0 200 OK\r\n\r\norigin\n"


def test_scgi() -> None:
    params = b"".join(text.encode("latin-1") + b"\0" for pair in PARAMS for text in pair)
    with Scgi("S") as app:
        reply = talk(app, b"%d:%s,hel" % (len(params), params))
        (received,) = app.log.take()
    assert (received.protocol, received.headers, received.raw) == ("scgi", PARAMS, params)
    assert (received.body, received.body_missing, received.fault) == (b"hel", True, "")
    assert reply == CGI_OK


@pytest.mark.parametrize(
    ("kind", "data", "fault"),
    [
        (FastCGI, GET, "this is not fastcgi"),
        (FastCGI, BEGIN, "the request breaks off"),
        (FastCGI, BEGIN + fastcgi_record(4, b"\x05\x05abc") + fastcgi_record(4, b""), "this is not fastcgi"),
        (FastCGI, BEGIN + fastcgi_record(4, b"\x01") + fastcgi_record(4, b""), "this is not fastcgi"),
        (FastCGI, BEGIN + fastcgi_record(4, b"\x80") + fastcgi_record(4, b""), "this is not fastcgi"),
        (FastCGI, BEGIN + fastcgi_record(4, b"x" * 65535) * 17, "this is not fastcgi"),
        (Uwsgi, GET, "the request breaks off"),
        (Uwsgi, b"\0\4\0\0\xff\xffab", "this is not uwsgi"),
        (Uwsgi, b"\0\3\0\0\1\0a", "this is not uwsgi"),
        (Scgi, GET, "this is not scgi"),
        (Scgi, b"-5:hello,", "this is not scgi"),
        (Scgi, b"9999999:", "this is not scgi"),
        (Scgi, b"99:CONTENT", "the request breaks off"),
        (Scgi, b"4:A\0B\0;", "this is not scgi"),
    ],
)
def test_what_is_not_the_protocol(kind: type[Origin], data: bytes, fault: str) -> None:
    with kind("A") as app:
        talk(app, data)
        (received,) = app.log.take()
    assert (received.fault, received.body_missing) == (fault, True)


def test_origins_of_a_set_share_their_log() -> None:
    log = Log()
    with Origin("A", log) as first, FastCGI("F", log) as second:
        talk(first, GET)
        talk(second, BEGIN + fastcgi_record(4, b"") + fastcgi_record(5, b""))
        talk(first, GET)
    assert [(one.sequence, one.origin) for one in log.take()] == [(0, "A"), (1, "F"), (2, "A")]
