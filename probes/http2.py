"""An HTTP/2 origin with prior knowledge (RFC 9113, 3.3): what grpc_pass talks to."""

from __future__ import annotations

import asyncio
import contextlib

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from probes.connection import BODY_KEPT, HEAD_LIMIT, IDLE, Body, Connection
from probes.origin import Origin, Received


class Http2(Origin):
    """Answers each stream with header and data frames. Pseudo-headers are recorded where they stand."""

    protocol = "HTTP/2"

    async def converse(self, connection: Connection) -> None:
        talk = _Talk(self, connection)
        try:
            await talk.run()
        finally:
            talk.end()


class _Stream:
    __slots__ = ("body", "head", "size")

    def __init__(self, head: tuple[tuple[str, str], ...]) -> None:
        self.head = head
        self.body = b""
        self.size = 0


class _Talk:
    """One connection and its streams."""

    def __init__(self, origin: Origin, connection: Connection) -> None:
        self.origin = origin
        self.connection = connection
        # No validation and no decoding of our own: what arrived is what counts.
        self.state = H2Connection(
            H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=False,
                            validate_outbound_headers=False, normalize_inbound_headers=False)
        )  # fmt: skip
        self.state.decoder.max_header_list_size = HEAD_LIMIT
        self.open: dict[int, _Stream] = {}
        self.unsent: dict[int, bytes] = {}  # of bodies, until the client makes room
        self.answers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        self.state.initiate_connection()
        while True:
            await self.connection.send(self.state.data_to_send())
            if not self.connection.buffer and not await self.connection.more(IDLE):
                if self.answers and not self.connection.ended:
                    continue
                if self.answers:  # the client says nothing more, and still listens
                    await asyncio.wait(self.answers)
                return
            try:
                for event in self.state.receive_data(self.connection.take(len(self.connection.buffer))):
                    self.handle(event)
                self.flush()
            except ProtocolError:
                await self.connection.send(self.state.data_to_send())
                return

    def handle(self, event: Event) -> None:

        stream = getattr(event, "stream_id", None) or 0
        if isinstance(event, RequestReceived):
            self.origin.log.begin()
            self.open[stream] = _Stream(
                tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in event.headers or ())
            )
        elif isinstance(event, DataReceived):
            self.state.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            if stream in self.open:
                data, entry = event.data or b"", self.open[stream]
                entry.size += len(data)
                entry.body += data[: BODY_KEPT - len(entry.body)]
        elif isinstance(event, StreamEnded) and stream in self.open:
            received = self.record(self.open.pop(stream))
            task = asyncio.create_task(self.answer(stream, received))
            self.answers.add(task)
            task.add_done_callback(self.answers.discard)
        elif isinstance(event, StreamReset):
            self.unsent.pop(stream, None)
            if stream in self.open:
                self.record(self.open.pop(stream), complete=False)

    def record(self, stream: _Stream, complete: bool = True) -> Received:
        pseudo = dict(stream.head)
        body = Body(stream.body, stream.size, complete)
        self.origin.log.begin(-1)
        return self.origin.receive(
            self.connection, "HTTP/2", pseudo.get(":method", ""), pseudo.get(":path", ""), stream.head, body
        )

    async def answer(self, stream: int, received: Received) -> None:

        answer = await self.origin.decide(received)
        lines = [(":status", str(answer.status)), *((name.lower(), value) for name, value in answer.headers)]
        bodiless = answer.status in (204, 304) or received.method == "HEAD"
        with contextlib.suppress(ProtocolError, OSError):  # the client may have lost interest
            self.state.send_headers(
                stream, [(n.encode("latin-1"), v.encode("latin-1")) for n, v in lines], end_stream=bodiless
            )
            if not bodiless:
                self.unsent[stream] = answer.body
                self.flush()
            await self.connection.send(self.state.data_to_send())

    def flush(self) -> None:
        """Puts as much of the bodies into frames as the client has room for (RFC 9113, 5.2)."""
        for stream, body in list(self.unsent.items()):
            while True:
                room = min(self.state.local_flow_control_window(stream), self.state.max_outbound_frame_size)
                if body and room <= 0:
                    self.unsent[stream] = body
                    break
                part, body = body[:room], body[room:]
                self.state.send_data(stream, part, end_stream=not body)
                if not body:
                    del self.unsent[stream]
                    break

    def end(self) -> None:
        """Notes what has not come whole, and leaves no answer behind."""
        for stream in self.open.values():
            self.record(stream, complete=False)
        for task in self.answers:
            task.cancel()
