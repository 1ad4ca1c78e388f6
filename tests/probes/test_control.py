"""The control interface: what it shows, what it takes, and whom it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError

from probes import loop, show
from probes.control import Control, read_answer
from probes.gateways import FastCGI
from probes.log import Answer, Log
from probes.origin import Origin
from tests.probes.wire import talk

GET = b"GET /x?y HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: \xe4\r\n\r\n"


class Setting:
    """A running origin, a FastCGI one beside it, and their control interface."""

    def __init__(self) -> None:
        self.log = Log(1000)
        self.app = Origin("http", self.log)
        self.cgi = FastCGI("fastcgi", self.log)
        for origin in (self.app, self.cgi):
            origin.answer = show.answer
        self.control = Control(self.log, [self.app, self.cgi], show.answer)
        self.url = "http://" + loop.call(self.control.start("127.0.0.1", 0))

    def ask(self, work: Callable[[ClientSession], Awaitable[Any]]) -> Any:
        """The result of a coroutine that uses the client."""

        async def with_client() -> Any:
            async with ClientSession(self.url) as client:
                return await work(client)

        return asyncio.run(with_client())

    def call(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Status and text of one call."""

        async def work(client: ClientSession) -> tuple[int, str]:
            async with client.request(method, path, **options) as response:
                return response.status, await response.text()

        result: tuple[int, str] = self.ask(work)
        return result

    def json(self, path: str) -> Any:
        status, text = self.call("GET", path)
        assert status == 200
        return json.loads(text)

    def close(self) -> None:
        loop.call(self.control.stop())
        self.app.close()
        self.cgi.close()


@pytest.fixture
def setting() -> Iterator[Setting]:
    one = Setting()
    yield one
    one.close()


def test_health(setting: Setting) -> None:
    assert setting.json("/health") == {
        "schema": "origin/1",
        "listeners": [
            {"name": "http", "protocol": "HTTP/1.1", "address": setting.app.address},
            {"name": "fastcgi", "protocol": "fastcgi", "address": setting.cgi.address},
        ],
    }


def test_requests(setting: Setting) -> None:
    assert setting.json("/requests") == {"schema": "origin/1", "requests": [], "next": 0}
    talk(setting.app, GET)
    talk(setting.cgi, b"\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0\1\4\0\1\0\4\0\0\1\1AB\1\4\0\1\0\0\0\0\1\5\0\1\0\0\0\0")
    talk(setting.app, b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhel")
    answer = setting.json("/requests")
    first, second, third = answer["requests"]
    assert (answer["schema"], answer["next"]) == ("origin/1", 3)
    peer = first.pop("peer")
    assert peer.startswith("127.0.0.1:")
    assert first == {
        "sequence": 0, "listener": "http", "address": setting.app.address, "protocol": "HTTP/1.1",
        "request_line": "GET /x?y HTTP/1.1", "method": "GET", "target": "/x?y",
        "headers": [["Host", "a"], ["X", "1"], ["X", "\xe4"]], "body_size": 0, "body_complete": True, "tls": None,
        "fault": "",
    }  # fmt: skip
    assert (second["protocol"], second["headers"], second["request_line"]) == ("fastcgi", [["A", "B"]], "")
    assert (third["protocol"], third["body_size"], third["body_complete"]) == ("HTTP/1.0", 3, False)
    assert [one["sequence"] for one in setting.json("/requests?after=2")["requests"]] == [2]
    assert setting.json("/requests?after=7")["requests"] == []


def test_settle_waits_for_what_comes(setting: Setting) -> None:
    async def work(client: ClientSession) -> int:
        async with client.get("/requests?settle=500") as response:
            return len((await response.json())["requests"])

    async def both(client: ClientSession) -> int:
        waiting = asyncio.create_task(work(client))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(talk, setting.app, GET)
        return await waiting

    assert setting.ask(both) == 1


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=%C2%B2", "settle=2001", "settle=", "settle=1.5"])
def test_bad_queries(setting: Setting, query: str) -> None:
    status, text = setting.call("GET", f"/requests?{query}")
    assert status == 400
    assert text.startswith(query.split("=")[0] + " must be a number")


def test_the_answer_can_be_set_and_reset(setting: Setting) -> None:
    answer = {"status": 401, "headers": [["WWW-Authenticate", "Basic"], ["A", "\xe4"]], "body": "n\xf6", "delay": 0.01}
    assert setting.call("PUT", "/answer", json=answer) == (204, "")
    wanted = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nA: \xe4\r\nContent-Length: 3\r\n\r\nn\xc3\xb6"
    assert talk(setting.app, GET) == wanted
    assert setting.call("PUT", "/answer", json={}) == (204, "")
    assert talk(setting.app, GET) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert setting.call("DELETE", "/answer") == (204, "")
    assert b'"request_line": "GET /x?y HTTP/1.1"' in talk(setting.app, GET)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "it must be an object"),
        ({"code": 200}, "'code' is none of"),
        ({"status": "200"}, "status must be"),
        ({"status": 101}, "status must be"),
        ({"status": True}, "status must be"),
        ({"status": 600}, "status must be"),
        ({"body": 1}, "body must be"),
        ({"delay": 61}, "delay must be"),
        ({"delay": -0.1}, "delay must be"),
        ({"delay": float("nan")}, "delay must be"),
        ({"delay": "1"}, "delay must be"),
        ({"headers": {"A": "b"}}, "headers must be"),
        ({"headers": [["A"]]}, "headers must be"),
        ({"headers": [["A", 1]]}, "headers must be"),
        ({"headers": [["A b", "c"]]}, "headers must be"),
        ({"headers": [["A", "b\r\nC: d"]]}, "headers must be"),
        ({"headers": [["A", "\u20ac"]]}, "headers must be"),
    ],
)
def test_answers_that_are_none(setting: Setting, value: Any, said: str) -> None:
    status, text = setting.call("PUT", "/answer", json=value)
    assert status == 400
    assert said in text
    assert talk(setting.app, GET).startswith(b"HTTP/1.1 200 OK\r\n")


def test_bodies_that_are_no_json(setting: Setting) -> None:
    own = {"Content-Type": "application/json"}
    for data in (b"", b"{", b"\xff", b"[" * 100_000):
        assert setting.call("PUT", "/answer", data=data, headers=own)[0] == 400
    assert setting.call("PUT", "/answer", data=b"x" * (2 << 20), headers=own)[0] == 413
    assert setting.call("PUT", "/answer", data=b"{}", headers={"Content-Type": "text/plain"})[0] == 415
    assert setting.call("PUT", "/answer", data={"status": "401"})[0] == 415
    assert setting.call("POST", "/answer", json={})[0] == 405


def test_whole_answers() -> None:
    assert read_answer({}) == Answer(200, (), b"", 0.0)
    assert read_answer({"status": 503, "delay": 60}) == Answer(503, (), b"", 60.0)


@asynccontextmanager
async def live(client: ClientSession, **headers: str) -> AsyncIterator[Any]:
    async with client.ws_connect("/live", headers=headers) as side:
        yield side


def test_live(setting: Setting) -> None:
    async def work(client: ClientSession) -> list[Any]:
        async with live(client) as one, live(client) as other:
            await asyncio.to_thread(talk, setting.app, GET)
            await asyncio.to_thread(talk, setting.app, GET)
            return [await side.receive_json(timeout=10) for side in (one, one, other, other)]

    told = setting.ask(work)
    requests = setting.json("/requests")["requests"]
    assert told == requests * 2
    assert setting.log.watchers == []


def test_live_ends_with_the_interface(setting: Setting) -> None:
    async def work(client: ClientSession) -> Any:
        async with live(client) as side:
            stopped = asyncio.create_task(asyncio.to_thread(loop.call, setting.control.stop()))
            message = await side.receive(timeout=10)
            await stopped
            return message.type, message.data

    assert setting.ask(work) == (WSMsgType.CLOSE, 1001)


def test_the_page_shows_odd_bytes_and_runs_nothing(setting: Setting) -> None:
    talk(setting.app, b"GET /<script> HTTP/1.1\r\nX: <b>&\0\x1b\ty\r\n folded\r\n\r\n")
    status, text = setting.call("GET", "/")
    assert status == 200
    assert "<pre>GET /&lt;script&gt; HTTP/1.1\nX: &lt;b&gt;&amp;\\x00\\x1b\ty\n folded</pre>" in text
    assert "<script" not in text


# Pages of other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Host": "evil.example:9001", "Origin": "http://evil.example:9001"},
        {"Host": "evil.example:9001"},
    ],
)
def test_other_sites_have_no_access(setting: Setting, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/requests"), ("GET", "/"), ("DELETE", "/answer"), ("PUT", "/answer")):
        assert setting.call(method, path, headers={**headers, "Content-Type": "application/json"})[0] == 403

    async def work(client: ClientSession) -> int:
        with pytest.raises(WSServerHandshakeError) as refused:
            async with live(client, **headers):
                pass
        return refused.value.status

    assert setting.ask(work) == 403


@pytest.mark.parametrize("host", ["127.0.0.1:9001", "localhost:9001", "origin:9001", "[::1]:9001", "origin"])
def test_own_names_have_access(setting: Setting, host: str) -> None:
    for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        assert setting.call("GET", "/requests", headers=headers)[0] == 200


# The answer of an origin that was told none


def test_an_origin_answers_with_the_request(setting: Setting) -> None:
    head, _, body = talk(setting.app, GET).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    assert [json.loads(body)] == setting.json("/requests")["requests"]
    assert b'\n    ["X", "\\u00e4"]\n' in body
    reply = talk(setting.app, b"GET / HTTP/1.1\r\nAccept: text/html,*/*\r\nX: <b>\r\n\r\n")
    assert b"Content-Type: text/html; charset=utf-8\r\n" in reply
    assert b"X: &lt;b&gt;" in reply


def test_an_origin_shakes_hands_for_websocket(setting: Setting) -> None:
    async def work(_: ClientSession) -> str:
        async with ClientSession() as client, client.ws_connect(f"http://{setting.app.address}/chat") as side:
            await side.send_str("hello")
            return str(await side.receive_str(timeout=10))

    assert setting.ask(work) == "hello"
    assert setting.log.take()[0].target == "/chat"
