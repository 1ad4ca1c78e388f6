"""HTTP/1 as an origin speaks it: kept connections, answers, delays, 100 (Continue)."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from probes.client import send
from probes.origin import Answer, Origin
from tests.probes.wire import GET, LAST, OK, PATIENCE, connect, exactly, rest, talk


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
