"""What an origin says in each protocol it speaks."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded

from auditor.http import Pairs
from probes.certificate import server_context
from probes.client import send
from probes.gateways import FastCGI, Scgi, Uwsgi
from probes.http2 import Http2
from probes.origin import Answer, Log, Origin
from tests.probes.wire import PATIENCE, connect, exactly, nothing_left, rest, talk

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\norigin\n"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\norigin\n"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture
def app() -> Iterator[Origin]:
    with Origin("A") as one:
        yield one


# HTTP/1


def test_a_connection_is_kept(app: Origin) -> None:
    with connect(app) as connection:
        for _ in range(3):
            connection.sendall(GET)
            assert exactly(connection, len(OK)) == OK
        connection.sendall(GET.replace(b"Host: a", b"Host: a\r\nConnection: te, Close"))
        assert rest(connection) == LAST
    assert len({one.peer for one in app.log.take()}) == 1


def test_requests_may_come_all_at_once_or_in_pieces(app: Origin) -> None:
    body = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
    assert talk(app, GET + body + GET) == OK * 3
    assert [(one.method, one.size) for one in app.log.take()] == [("GET", 0), ("POST", 5), ("GET", 0)]
    with connect(app) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(1, len(body)):
            connection.sendall(body[:at])
            time.sleep(0.002)  # so that the pieces are read one by one
            connection.sendall(body[at:])
            assert exactly(connection, len(OK)) == OK
    for received in app.log.take():
        assert (received.raw + received.body, received.body_missing) == (body, False)


def test_the_answer_to_what_is_not_read_is_not_taken_away(app: Origin) -> None:
    for data in (b"no request\r\n", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n"):
        with connect(app) as connection:
            connection.sendall(data + b"x" * 3_000_000)
            reply = b""
            while part := connection.recv(65536):  # raises ConnectionResetError where the connection is torn down
                reply += part
        assert reply.startswith(b"HTTP/1.1 ")


def test_http_1_0_and_head(app: Origin) -> None:
    assert talk(app, b"GET / HTTP/1.0\r\n\r\n", end=False) == LAST
    assert talk(app, b"HEAD / HTTP/1.0\r\n\r\n", end=False) == LAST.removesuffix(b"origin\n")


def test_answers(app: Origin) -> None:
    app.respond(401, [("WWW-Authenticate", 'Basic realm="a"'), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], b"no")
    assert talk(app, GET) == (
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="a"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n'
        b"Content-Length: 2\r\n\r\nno"
    )
    app.respond(204)
    assert talk(app, GET) == b"HTTP/1.1 204 No Content\r\n\r\n"
    app.answer = lambda received: Answer(299, (("Content-Length", "1"),), received.target.encode()[:1])
    assert talk(app, GET) == b"HTTP/1.1 299 Status\r\nContent-Length: 1\r\n\r\n/"


def test_a_delayed_answer_delays_nobody_else(app: Origin) -> None:
    app.answer = lambda received: Answer(delay=600.0 if received.target == "/slow" else 0.1)
    with connect(app) as slow:
        slow.sendall(GET.replace(b"/x", b"/slow"))
        while not app.log.next:
            time.sleep(0.001)
        begun = time.monotonic()
        assert talk(app, GET) == OK
        assert time.monotonic() - begun >= 0.1
        slow.setblocking(False)
        with pytest.raises(BlockingIOError):
            slow.recv(1)


def test_a_body_is_asked_for_where_the_client_waits_for_that(app: Origin) -> None:
    app.patience = PATIENCE
    head = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    with connect(app) as connection:
        connection.sendall(head)
        assert exactly(connection, len(interim)) == interim
        connection.sendall(b"hello")
        assert exactly(connection, len(OK)) == OK
        connection.sendall(head.replace(b"5", b"0"))
        assert exactly(connection, len(OK)) == OK
        connection.sendall(head + b"hello")
        assert exactly(connection, len(OK)) == OK
    assert [one.body for one in app.log.take()] == [b"hello", b"", b"hello"]


def test_many_clients_at_once(app: Origin) -> None:
    def ask() -> None:
        for _ in range(50):
            assert send(("127.0.0.1", app.port), GET.replace(b"Host: a", b"Connection: close")).status == 200

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.sequence for one in app.log.take()] == list(range(400))


def test_settle_waits_for_what_is_arriving(app: Origin) -> None:
    app.patience = PATIENCE
    with connect(app) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel")
        while not app.log.state[1]:
            time.sleep(0.001)
        late = threading.Timer(0.1, connection.sendall, (b"lo",))
        late.start()
        app.log.settle()
        assert [one.body for one in app.log.take()] == [b"hello"]
        late.join()


# Places


def test_a_taken_port_is_named() -> None:
    with Origin("A") as first, pytest.raises(OSError, match=f"^.Errno 98. cannot listen on 127.0.0.1:{first.port}: "):
        Origin("B", port=first.port)


def test_a_port_is_free_again(app: Origin) -> None:
    with Origin("B", host="127.0.0.2") as one:
        assert one.address == f"127.0.0.2:{one.port}"
        port = one.port
        assert send(("127.0.0.2", port), GET.replace(b"Host: a", b"Connection: close")).status == 200
    with Origin("B", host="127.0.0.2", port=port) as again:
        assert again.port == port


def test_a_bad_address_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:1"):
        Origin("A", host="192.0.2.1", port=1)
    with pytest.raises(OSError, match=r"cannot listen on no such host"):
        Origin("A", host="no such host")


def test_close_drops_connections(app: Origin) -> None:
    other = Origin("B")
    with connect(other) as connection:
        connection.sendall(GET)
        assert exactly(connection, len(OK)) == OK
        other.close()
        assert rest(connection) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(other)
    assert talk(app, GET) == OK


def test_a_unix_socket(tmp_path: Path) -> None:
    with Origin("A", local=True) as app:
        assert talk(app, GET) == OK
        folder = os.path.dirname(app.address[5:])
    assert not os.path.exists(folder)
    path = str(tmp_path / "origin.sock")
    with Origin("A", local=path) as app:
        assert app.address == f"unix:{path}"
        assert talk(app, GET) == OK
        assert app.log.take()[0].peer == "unix:"
        with pytest.raises(OSError, match=f"cannot listen on {path}: Address already in use"):
            Origin("B", local=path)
        assert talk(app, GET) == OK
    assert not os.path.exists(path)


def test_what_stands_at_the_path_of_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "origin.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with Origin("A", local=str(path)) as app:
        assert talk(app, GET) == OK
    path.write_text("precious")
    with pytest.raises(OSError, match="Address already in use"):
        Origin("A", local=str(path))
    assert path.read_text() == "precious"
    with pytest.raises(OSError, match="cannot listen on /no/such/folder/s: No such file"):
        Origin("A", local="/no/such/folder/s")


def test_tls_shows_its_version_and_the_name_that_was_indicated() -> None:
    with Origin("A", tls=server_context(["a.example"])) as app:
        for name in ("a.example", ""):
            closing = GET.replace(b"Host: a", b"Host: a\r\nConnection: close")
            assert send(("127.0.0.1", app.port), closing, tls=name).status == 200
        assert talk(app, GET)[:1] != b"H"  # plain HTTP gets no answer in plain HTTP
        assert [(one.tls, one.server_name, one.raw) for one in app.log.take()] == [
            ("TLSv1.3", "a.example", closing), ("TLSv1.3", "", closing)]  # fmt: skip


def test_old_tls_is_told() -> None:
    with Origin("A", tls=server_context([])) as app:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        with client.wrap_socket(connect(app)) as connection:
            connection.sendall(GET)
            assert exactly(connection, len(OK)) == OK
        assert app.log.take()[0].tls == "TLSv1.2"


# FastCGI, uwsgi, SCGI: the bytes are written by hand, after the specifications

CGI_OK = b"Status: 200 OK\r\n\r\norigin\n"
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
        head = b"Status: 200 OK\r\n\r\n"
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
    assert reply == CGI_OK


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


# HTTP/2


class Client:
    """An HTTP/2 client with prior knowledge."""

    def __init__(self, app: Origin) -> None:
        self.socket = connect(app)
        self.state = H2Connection(H2Configuration(header_encoding="latin-1"))
        self.state.initiate_connection()
        self.heads: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: list[int] = []

    def ask(self, stream: int, path: str, body: bytes | None = None) -> None:
        head = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"), ("x", "1"), ("x", "2")]
        self.state.send_headers(stream, head, end_stream=body is None)
        if body is not None:
            self.state.send_data(stream, body, end_stream=True)
        self.socket.sendall(self.state.data_to_send())

    def until(self, count: int) -> None:
        """Reads until so many streams have ended."""
        while len(self.ended) < count:
            data = self.socket.recv(65536)
            assert data
            for event in self.state.receive_data(data):
                if isinstance(event, ResponseReceived):
                    self.heads[event.stream_id or 0] = {str(n): str(v) for n, v in event.headers or ()}
                elif isinstance(event, DataReceived):
                    stream = event.stream_id or 0
                    self.bodies[stream] = self.bodies.get(stream, b"") + (event.data or b"")
                    self.state.acknowledge_received_data(event.flow_controlled_length or 0, stream)
                elif isinstance(event, StreamEnded):
                    self.ended.append(event.stream_id or 0)
            self.socket.sendall(self.state.data_to_send())


def test_http2() -> None:
    with Http2("H") as app:
        client = Client(app)
        app.respond(401, [("X-Mixed", "a")], b"no")
        client.ask(1, "/one", b"hello")
        client.until(1)
        client.socket.close()
        app.log.settle()
        (received,) = app.log.take()
    assert client.heads[1] == {":status": "401", "x-mixed": "a"}
    assert client.bodies[1] == b"no"
    assert (received.protocol, received.method, received.target, received.body) == ("HTTP/2", "POST", "/one", b"hello")
    pseudo = ((":method", "POST"), (":scheme", "http"), (":path", "/one"), (":authority", "a"))
    assert received.headers == (*pseudo, ("x", "1"), ("x", "2"))


def test_http2_streams_do_not_wait_for_each_other() -> None:
    with Http2("H") as app:
        app.answer = lambda received: Answer(delay=600.0 if received.target == "/slow" else 0.0)
        client = Client(app)
        client.ask(1, "/slow")
        client.ask(3, "/quick")
        client.until(1)
        assert client.ended == [3]
        client.socket.close()


def test_http2_answers_larger_than_the_window() -> None:
    with Http2("H") as app:
        app.respond(200, (), bytes(range(256)) * 2000)
        client = Client(app)
        client.ask(1, "/")
        client.ask(3, "/")
        client.until(2)
        assert client.bodies[1] == client.bodies[3] == bytes(range(256)) * 2000
        client.socket.close()


def test_http2_an_answer_that_is_not_wanted_any_more() -> None:
    with Http2("H") as app:
        app.respond(200, (), b"y" * 500_000)
        client = Client(app)
        client.ask(1, "/long")
        while client.socket.recv(65536, socket.MSG_PEEK)[-1:] != b"y":
            time.sleep(0.001)
        client.state.reset_stream(1)
        app.respond(200)
        client.ask(3, "/short")
        client.until(1)
        assert client.bodies[3] == b"origin\n"
        client.socket.close()


def test_http2_requests_that_break_off() -> None:
    with Http2("H") as app:
        client = Client(app)
        client.state.send_headers(
            1, [(":method", "POST"), (":scheme", "http"), (":path", "/reset"), (":authority", "a")]
        )
        client.state.reset_stream(1)
        client.state.send_headers(
            3, [(":method", "POST"), (":scheme", "http"), (":path", "/gone"), (":authority", "a")]
        )
        client.state.send_data(3, b"hel")
        client.socket.sendall(client.state.data_to_send())
        while not app.log.next:
            time.sleep(0.001)
        client.socket.close()
        app.log.settle()
        received = app.log.take()
    assert [(one.target, one.body, one.body_missing) for one in received] == [
        ("/reset", b"", True), ("/gone", b"hel", True)]  # fmt: skip


# WebSocket (RFC 6455)

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


def test_origins_of_a_set_share_their_log() -> None:
    log = Log()
    with Origin("A", log) as first, FastCGI("F", log) as second:
        talk(first, GET)
        talk(second, BEGIN + fastcgi_record(4, b"") + fastcgi_record(5, b""))
        talk(first, GET)
    assert [(one.sequence, one.origin) for one in log.take()] == [(0, "A"), (1, "F"), (2, "A")]
