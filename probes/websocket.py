"""WebSocket behind an upgrade (RFC 6455): the handshake and an echo, both by aiohttp."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from probes.connection import Connection

if TYPE_CHECKING:
    from aiohttp import web

MESSAGE_LIMIT = 1 << 20  # bytes
QUIET = 300.0  # seconds without a message after which the connection is given up


async def echo(connection: Connection, head: bytes) -> None:
    """Hands the connection over, as if it began with this head, and returns when it has ended.

    Raises ImportError where aiohttp is missing.
    """
    from aiohttp import web

    await connection.hand_over(web.Server(_echo, access_log=None)(), head)


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
