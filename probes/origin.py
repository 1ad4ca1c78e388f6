"""Origins that record exactly what arrives and answer what the test asks for.

An origin is one listening socket; its connections are served by coroutines in the one background loop of this process,
while its users call plain functions. All origins of a set share one log, so the order of exchanges over several origins
is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import stat
import tempfile
import traceback
from collections.abc import Iterable

from auditor.http import Pairs
from probes import http1, loop
from probes.connection import Body, Connection, note_server_names
from probes.log import Answer, Answering, Log, Received

__all__ = ["BODY_PATIENCE", "Answer", "Answering", "Log", "Origin", "Received"]

BODY_PATIENCE = 0.15  # seconds to wait for a body that was announced; the server sends what it has at once
CONNECTIONS = 400  # of one origin at a time; further ones are closed at once
HANDSHAKE = 10.0  # seconds


class Origin:
    """One listening socket. Subclasses speak a protocol in `converse`.

    With `tls` it speaks that inside TLS; with `local` it listens on a Unix socket: one in a folder of its own, or at
    the path that is given. Port 0 is any free one; `host` is an address, or a name that has one. `patience` is how many
    seconds a body that was announced may pause. Raises OSError, which names the address, where it cannot listen there.

    `answer` is called in the loop's thread for each request, and must not wait.
    """

    protocol = "HTTP/1.1"

    def __init__(
        self,
        name: str,
        log: Log | None = None,
        tls: ssl.SSLContext | None = None,
        local: bool | str = False,
        host: str = "127.0.0.1",
        port: int = 0,
        patience: float = BODY_PATIENCE,
    ) -> None:
        self.name = name
        self.log = log or Log()
        self.answer: Answering = lambda _: Answer()
        self.patience = patience
        self.port = 0
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._path = ""
        if local:
            if local is True:
                self._folder = tempfile.TemporaryDirectory(prefix="audit-")
                os.chmod(self._folder.name, 0o755)
                local = os.path.join(self._folder.name, "origin.sock")
            listener = _listen_local(local)
            self._path = local
            self.address = f"unix:{local}"
        else:
            listener = listen(host, port)
            own, self.port = listener.getsockname()[:2]
            self.address = f"[{own}]:{self.port}" if ":" in own else f"{own}:{self.port}"
        if tls is not None:
            note_server_names(tls)
        self._server = loop.call(self._start(listener, tls))

    def respond(self, status: int = 200, headers: Iterable[tuple[str, str]] = (), body: bytes = b"origin\n") -> None:
        """Every request from now on gets this answer."""
        fixed = Answer(status, tuple(headers), body)
        self.answer = lambda _: fixed

    def close(self) -> None:
        """Stops listening and drops the open connections."""
        loop.call(self._stop())
        if self._folder is not None:
            self._folder.cleanup()
        elif self._path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def __enter__(self) -> Origin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def converse(self, connection: Connection) -> None:
        """Serves one connection until it is over."""
        await http1.converse(self, connection)

    def receive(
        self,
        connection: Connection,
        protocol: str,
        method: str,
        target: str,
        headers: Pairs,
        body: Body,
        line: str = "",
        raw: bytes = b"",
        fault: str = "",
    ) -> Received:
        """Notes a request in the log."""
        received = Received(
            0, self.name, self.address, protocol, method, target, headers, body.kept, not body.complete, line,
            connection.peer, body.size, raw, connection.tls, connection.server_name, fault,
        )  # fmt: skip
        return self.log.add(received)

    async def decide(self, received: Received) -> Answer:
        """The answer to a request, when its time has come."""
        try:
            answer = self.answer(received)
        except Exception:
            traceback.print_exc()
            answer = Answer(500, (), b"the origin cannot answer\n")
        if answer.delay > 0:
            await asyncio.sleep(answer.delay)
        return answer

    async def _start(self, listener: socket.socket, tls: ssl.SSLContext | None) -> asyncio.Server:
        create = asyncio.get_running_loop().create_server
        timeout = HANDSHAKE if tls is not None else None
        return await create(lambda: Connection(self._made), sock=listener, ssl=tls, ssl_handshake_timeout=timeout)

    async def _stop(self) -> None:
        self._server.close()
        for connection, task in self._open.items():
            connection.transport.abort()
            task.cancel()
        await asyncio.gather(*self._open.values(), return_exceptions=True)

    def _made(self, connection: Connection) -> None:
        if len(self._open) >= CONNECTIONS or not self._server.is_serving():
            connection.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._run(connection))
        self._open[connection] = task
        task.add_done_callback(lambda _: self._open.pop(connection))

    async def _run(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(OSError, ValueError, EOFError):
                await self.converse(connection)
        finally:
            connection.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises OSError, which names the address."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        raise _refusal(f"{host}:{port}", error) from error


def _listen_local(path: str) -> socket.socket:
    """A Unix socket at that path; one that a dead process has left there is taken away."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_dead(path):
            os.unlink(path)
        listener.bind(path)
        os.chmod(path, 0o777)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise _refusal(path, error) from error
    return listener


def _refusal(where: str, error: OSError | UnicodeError) -> OSError:
    """The same error in plain words: Python's own hold the address twice, or not at all."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        return OSError(errno.EINVAL, f"cannot listen on {where}: {error}")
    # Errors of name look-up have numbers of their own.
    text = error.strerror if isinstance(error, socket.gaierror) else os.strerror(number)
    return OSError(number, f"cannot listen on {where}: {text}")


def _is_dead(path: str) -> bool:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(path)
        except ConnectionRefusedError:
            return True
    return False
