"""A stand-in for every HTTP upstream at once: what a server sends to a forward proxy names the upstream itself.

httpd is told to send all that it would send to any upstream to this one (ProxyRemote). Its requests then have the
upstream's URL in the request line (RFC 9112, 3.2.2), and for TLS it asks for a tunnel first (RFC 9110, 9.3.6). All
other lines are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable

from auditor.http import Pairs
from probes import http1
from probes.connection import HEAD_LIMIT, IDLE, Body, Connection, note_server_names
from probes.log import Log, Received
from probes.origin import HANDSHAKE, Origin

_ABSOLUTE = re.compile(r"(https?|wss?)://([^/?#]*)", re.IGNORECASE)


class Forward(Origin):
    """See Origin. What is recorded has the upstream (`app:8080`) as its origin, and the target that the upstream would
    get. `context` is asked for when the first tunnel is wanted. With `local` it stands for one upstream alone, which
    listens on a Unix socket: what goes there has the form that a forward proxy gets, too."""

    def __init__(
        self, name: str, log: Log, context: Callable[[], ssl.SSLContext], host: str, local: str | bool = False
    ) -> None:
        self._context = context
        self._alone = bool(local)
        self._tunnels: dict[Connection, str] = {}
        super().__init__(name, log, local=local, host=host)

    async def converse(self, connection: Connection) -> None:
        if not connection.buffer and not await connection.more(IDLE):
            return
        if not connection.buffer.startswith(b"CONNECT "):
            await http1.converse(self, connection)
            return
        while b"\r\n\r\n" not in connection.buffer:
            if len(connection.buffer) > HEAD_LIMIT or not await connection.more(IDLE):
                return
        head = connection.take(connection.buffer.index(b"\r\n\r\n") + 4)
        self._tunnels[connection] = head.split(b" ")[1].decode("latin-1")
        context = self._context()
        note_server_names(context)
        await connection.send(b"HTTP/1.0 200 OK\r\n\r\n")
        try:
            transport = await asyncio.get_running_loop().start_tls(
                connection.transport, connection, context, server_side=True, ssl_handshake_timeout=HANDSHAKE
            )
            if transport is not None:
                connection.secured(transport)
                await http1.converse(self, connection)
        finally:
            del self._tunnels[connection]

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
        server = self._tunnels.get(connection, self.name)
        match = _ABSOLUTE.match(target)
        if match is not None:
            if not self._alone:
                server = with_port(match[2].rpartition("@")[2], match[1])
            rest = target[match.end() :]
            plain = rest if rest.startswith("/") else "/" + rest
            line = line.replace(target, plain, 1)
            target = plain
        received = Received(
            0, server, server, protocol, method, target, headers, body.kept, not body.complete, line,
            connection.peer, body.size, raw, connection.tls, connection.server_name, fault,
        )  # fmt: skip
        return self.log.add(received)

    async def _run(self, connection: Connection) -> None:
        with contextlib.suppress(ssl.SSLError):
            await super()._run(connection)


def with_port(authority: str, scheme: str) -> str:
    """A host with its port, the scheme's own where none is written."""
    if ":" in authority.rpartition("]")[2]:
        return authority
    return f"{authority}:{443 if scheme.lower() in ('https', 'wss') else 80}"
