"""A client that writes bytes and reads bytes, and a watch over the loop of the origins."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import Iterator
from typing import Any

from probes import loop
from probes.origin import Origin

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\norigin\n"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\norigin\n"
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
def nothing_left() -> Iterator[None]:
    """Fails where something in the loop of the origins has raised an exception, or goes on after they are closed."""
    seen: list[dict[str, Any]] = []
    running = loop.background()
    running.call_soon_threadsafe(running.set_exception_handler, lambda _, context: seen.append(context))
    before = loop.call(_tasks())
    yield
    end = time.monotonic() + PATIENCE
    while (left := loop.call(_tasks()) - before) and time.monotonic() < end:
        time.sleep(0.01)
    assert left == set()
    gc.collect()  # a task's exception is told when the task is collected
    running.call_soon_threadsafe(running.set_exception_handler, None)
    assert seen == []


async def _tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}
