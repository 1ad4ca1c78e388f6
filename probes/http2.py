"""An HTTP/2 origin with prior knowledge (RFC 9113, 3.3): what grpc_pass talks to."""

from __future__ import annotations

import socket
from typing import BinaryIO

from probes.origin import Origin


class Http2(Origin):
    """Answers each stream with header and data frames. Pseudo-headers are recorded where they stand."""

    protocol = "HTTP/2"

    def converse(self, connection: socket.socket, reader: BinaryIO) -> None:
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        from h2.events import DataReceived, RequestReceived, StreamEnded

        # No validation and no decoding of our own: what arrived is what counts.
        state = H2Connection(
            H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=False,
                            validate_outbound_headers=False, normalize_inbound_headers=False)
        )  # fmt: skip
        state.initiate_connection()
        connection.sendall(state.data_to_send())
        heads: dict[int, list[tuple[str, str]]] = {}
        bodies: dict[int, bytes] = {}
        while data := connection.recv(65536):
            for event in state.receive_data(data):
                if isinstance(event, RequestReceived) and event.stream_id is not None:
                    heads[event.stream_id] = [
                        (n.decode("latin-1"), v.decode("latin-1")) for n, v in event.headers or ()
                    ]
                    bodies[event.stream_id] = b""
                elif isinstance(event, DataReceived) and event.stream_id is not None:
                    bodies[event.stream_id] += event.data or b""
                    state.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
                elif isinstance(event, StreamEnded) and event.stream_id is not None:
                    stream = event.stream_id
                    self._answer(state, stream, heads.pop(stream, []), bodies.pop(stream, b""))
            connection.sendall(state.data_to_send())

    def _answer(self, state: object, stream: int, head: list[tuple[str, str]], body: bytes) -> None:
        from h2.connection import H2Connection

        assert isinstance(state, H2Connection)
        pseudo = dict(head)
        method = pseudo.get(":method", "")
        answer = self.record(self.protocol, method, pseudo.get(":path", ""), tuple(head), body)
        lines = [(":status", str(answer.status)), *((name.lower(), value) for name, value in answer.headers)]
        bodiless = answer.status in (204, 304) or method == "HEAD"
        state.send_headers(stream, [(n.encode("latin-1"), v.encode("latin-1")) for n, v in lines], end_stream=bodiless)
        if not bodiless:
            state.send_data(stream, answer.body, end_stream=True)
