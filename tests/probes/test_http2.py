"""HTTP/2 with prior knowledge, against the state machine of the package h2 on the client's side."""

from __future__ import annotations

import contextlib
import socket
import time

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded

from probes.http2 import Http2
from probes.origin import Answer, Origin
from tests.probes.wire import connect


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
            with contextlib.suppress(BrokenPipeError):  # this side may have said that it sends nothing more
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


def test_http2_a_client_that_only_listens_gets_its_answer() -> None:
    with Http2("H") as app:
        app.answer = lambda _: Answer(delay=0.05)
        client = Client(app)
        client.ask(1, "/")
        client.socket.shutdown(socket.SHUT_WR)
        client.until(1)
        assert client.bodies[1] == b"origin\n"
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
