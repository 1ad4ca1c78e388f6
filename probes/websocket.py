"""WebSocket behind an upgrade (RFC 6455): the handshake and an echo, both by aiohttp."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from probes.connection import Connection

if TYPE_CHECKING:
    from aiohttp import web

MESSAGE_LIMIT = 1 << 20  # bytes
QUIET = 300.0  # seconds without a message after which the connection is given up


async def echo(connection: Connection, low: dict[str, str]) -> None:
    """Hands the connection over and returns when it has ended. `low` are the request's header lines by lower-case name.

    Raises ImportError where aiohttp is missing.
    """
    from aiohttp import web

    # Only what the handshake needs: aiohttp would refuse a request for any other odd line in it.
    lines = [f"{name}: {low.get(name, '')}" for name in ("sec-websocket-key", "sec-websocket-version")]
    head = "\r\n".join(["GET / HTTP/1.1", "Host: origin", "Upgrade: websocket", "Connection: Upgrade", *lines])
    guest = web.Server(_echo, access_log=None)()
    await connection.hand_over(guest, head.encode("latin-1") + b"\r\n\r\n")


async def _echo(request: web.BaseRequest) -> web.StreamResponse:
    from aiohttp import WSMsgType, web

    side = web.WebSocketResponse(max_msg_size=MESSAGE_LIMIT, receive_timeout=QUIET, compress=False)
    try:
        await side.prepare(request)
    except web.HTTPException as refusal:
        refusal.force_close()  # what comes next would go unrecorded
        raise
    with contextlib.suppress(TimeoutError, ConnectionError):
        async for message in side:
            if message.type is WSMsgType.TEXT:
                await side.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await side.send_bytes(message.data)
    await side.close()
    return side
