"""The control interface of an origin (`origin/1`): what has arrived, and what is to be answered, out of band."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, web

from probes import show
from probes.log import Answer, Answering, Log, Received
from probes.origin import Origin, listen

SETTLE_LIMIT = 2000  # milliseconds
SETTLE_PATIENCE = 10.0  # seconds after which it is answered although requests keep coming
DELAY_LIMIT = 60.0  # seconds
SHOWN = 50  # requests on the page
WAITING = 1000  # requests that a slow listener of /live may be behind

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"[^\r\n\0]*")


class Control:
    """The running interface for these origins and their log. Its coroutines run in the loop of the origins."""

    def __init__(self, log: Log, origins: Sequence[Origin], default: Answering) -> None:
        self._log = log
        self._origins = origins
        self._default = default
        self._live: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> str:
        """Listens, and gives the address. Raises OSError, which names it, where that cannot be."""
        application = web.Application(middlewares=[_own_site], client_max_size=1 << 20)
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/health", self._health),
                web.get("/requests", self._requests),
                web.get("/live", self._tell),
                web.put("/answer", self._answer),
                web.delete("/answer", self._default_again),
            ]
        )
        listener = listen(host, port)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        own, number = listener.getsockname()[:2]
        return f"[{own}]:{number}" if ":" in own else f"{own}:{number}"

    async def stop(self) -> None:
        """Ends it; a call that is being answered gets a second."""
        for side in list(self._live):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(side.close(code=WSCloseCode.GOING_AWAY), 0.2)
        if self._runner is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._runner.cleanup(), 1)

    async def _page(self, _: web.Request) -> web.Response:
        requests, _next = self._log.since(0)
        text = show.page("What reached the origin", requests[: -SHOWN - 1 : -1], refresh=5)
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def _health(self, _: web.Request) -> web.Response:
        listeners = [
            {"name": origin.name, "protocol": origin.protocol, "address": origin.address} for origin in self._origins
        ]
        return web.json_response({"schema": show.SCHEMA, "listeners": listeners})

    async def _requests(self, request: web.Request) -> web.Response:
        after = _number(request, "after", None)
        await self._settle(_number(request, "settle", SETTLE_LIMIT) / 1000)
        received, following = self._log.since(after)
        entries = [show.as_json(one) for one in received]
        return web.json_response({"schema": show.SCHEMA, "requests": entries, "next": following})

    async def _settle(self, quiet: float) -> None:
        now = asyncio.get_running_loop().time
        end = now() + SETTLE_PATIENCE
        before = (-1, 0)
        while quiet and (before != self._log.state or before[1]) and now() < end:
            before = self._log.state
            await asyncio.sleep(quiet)

    async def _tell(self, request: web.Request) -> web.WebSocketResponse:
        side = web.WebSocketResponse(heartbeat=30)
        await side.prepare(request)
        waiting: asyncio.Queue[Received] = asyncio.Queue(WAITING)

        def note(received: Received) -> None:
            with contextlib.suppress(asyncio.QueueFull):  # the sequences show the gap
                waiting.put_nowait(received)

        async def tell() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await side.send_str(json.dumps(show.as_json(await waiting.get())))

        self._live.add(side)
        self._log.watchers.append(note)
        telling = asyncio.create_task(tell())
        try:
            async for _ in side:
                pass  # nothing that a listener says means anything
        finally:
            telling.cancel()
            self._log.watchers.remove(note)
            self._live.discard(side)
        return side

    async def _answer(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="Say what to answer as Content-Type: application/json.\n")
        try:
            answer = read_answer(json.loads(await request.text()))
        except (ValueError, RecursionError) as error:
            raise web.HTTPBadRequest(text=f"This is no answer: {error}.\n") from error
        self._set(lambda _: answer)
        return web.Response(status=204)

    async def _default_again(self, _: web.Request) -> web.Response:
        self._set(self._default)
        return web.Response(status=204)

    def _set(self, answer: Answering) -> None:
        for origin in self._origins:
            origin.answer = answer


def read_answer(value: Any) -> Answer:
    """The answer that a JSON value describes. Raises ValueError, which says what is wrong."""
    if not isinstance(value, dict):
        raise ValueError("it must be an object")
    unknown = sorted(set(value) - {"status", "headers", "body", "delay"})
    if unknown:
        raise ValueError(f"{unknown[0]!r} is none of status, headers, body, delay")
    status, headers = value.get("status", 200), value.get("headers", [])
    body, delay = value.get("body", ""), value.get("delay", 0.0)
    if type(status) is not int or not 200 <= status <= 599:
        raise ValueError("status must be a number from 200 to 599")
    if not isinstance(body, str):
        raise ValueError("body must be text")
    if type(delay) not in (int, float) or not math.isfinite(delay) or not 0 <= delay <= DELAY_LIMIT:
        raise ValueError(f"delay must be a number of seconds from 0 to {DELAY_LIMIT:.0f}")
    if not isinstance(headers, list) or not all(_is_line(line) for line in headers):
        raise ValueError('headers must be a list of ["Name", "value"]')
    pairs = tuple((str(name), str(text)) for name, text in headers)
    return Answer(status, pairs, body.encode("utf-8", "surrogatepass"), float(delay))


def _is_line(line: Any) -> bool:
    if not isinstance(line, list) or len(line) != 2 or not all(isinstance(text, str) for text in line):
        return False
    latin = all(ord(char) < 256 for char in line[1])
    return bool(_NAME.fullmatch(line[0])) and bool(_VALUE.fullmatch(line[1])) and latin


def _number(request: web.Request, name: str, limit: int | None) -> int:
    text = request.query.get(name, "0")
    if not re.fullmatch(r"[0-9]{1,15}", text) or (limit is not None and int(text) > limit):
        most = f" of at most {limit}" if limit is not None else ""
        raise web.HTTPBadRequest(text=f"{name} must be a number{most}.\n")
    return int(text)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _own_site(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page of another site, open in a browser of this machine, can neither read nor steer: not by a request or a
    WebSocket from there (they carry its Origin), and not under a name of its own that leads here (DNS rebinding)."""
    own = request.headers.get("Host", "")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != own.lower():
        raise web.HTTPForbidden(text="Pages of other sites have no access.\n")
    if not _is_local_name(own):
        raise web.HTTPForbidden(text="Ask by an address, or by a name without dots.\n")
    response = await handler(request)
    return response


def _is_local_name(authority: str) -> bool:
    try:
        name = urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return False
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return "." not in name
