"""Servers on loopback that do what real ones should not, for what asks them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

Behaviour = Callable[[socket.socket, bytes], None]


class Odd:
    """Listens on loopback; each request (what comes up to `end`) is kept in `requests`, and `behave` does the rest."""

    def __init__(self, behave: Behaviour, end: bytes = b"\r\n\r\n") -> None:
        self.behave = behave
        self._end = end
        self.requests: list[bytes] = []
        self.connections = 0
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = ("127.0.0.1", int(self._socket.getsockname()[1]))
        self.url = f"http://127.0.0.1:{self.address[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            data = connection.recv(65536)
            while data and self._end not in data:
                data += (piece := connection.recv(65536))
                if not piece:
                    return
            self.requests.append(data)
            self.behave(connection, data)

    def __enter__(self) -> Odd:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def says(data: bytes) -> Behaviour:
    """Answers with these bytes and closes."""
    return lambda connection, _: connection.sendall(data)


def hangs(connection: socket.socket, data: bytes) -> None:
    """Never answers."""
    connection.recv(1)  # until the client has gone


def drips(head: bytes) -> Behaviour:
    """Sends `head`, and then a byte now and then, without end."""

    def behave(connection: socket.socket, data: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return behave


def floods(head: bytes) -> Behaviour:
    """Sends `head`, and then as much as the client takes."""

    def behave(connection: socket.socket, data: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"x" * 65536)

    return behave
