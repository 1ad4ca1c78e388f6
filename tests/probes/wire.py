"""A client that writes bytes and reads bytes, and the events that the loop of the origins complains about."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from probes import loop
from probes.origin import Origin

PATIENCE = 10.0  # seconds; whatever is sent, an origin has ended the connection by then


def connect(origin: Origin) -> socket.socket:
    if origin.address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(origin.address[5:])
    else:
        connection = socket.create_connection(("127.0.0.1", origin.port))
    connection.settimeout(PATIENCE)
    return connection


def talk(origin: Origin, data: bytes, end: bool = True) -> bytes:
    """Sends these bytes, says with `end` that there are no more, and gives all that comes back until the origin closes.

    Raises TimeoutError where it does not.
    """
    with connect(origin) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
        return rest(connection)


def exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes; fails where the origin closes before."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        assert part, data
        data += part
    return data


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    return data


@contextlib.contextmanager
def no_complaints() -> Iterator[None]:
    """Fails where a task of an origin has ended with an exception, or a callback has raised one."""
    seen: list[dict[str, Any]] = []
    running = loop.background()
    running.call_soon_threadsafe(running.set_exception_handler, lambda _, context: seen.append(context))
    yield
    import gc

    gc.collect()  # a task's exception is told when the task is collected
    running.call_soon_threadsafe(running.set_exception_handler, None)
    assert seen == []
