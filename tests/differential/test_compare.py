"""The comparison itself: a comparison that finds nothing proves nothing, so each kind of difference is shown to it."""

from __future__ import annotations

from typing import Any

import pytest

from probes.client import Reply
from probes.compare import Observation, differences
from probes.origin import Received

HOST = ("Host", "app")


def received(origin: str = "A", target: str = "/", body: bytes = b"", *headers: tuple[str, str]) -> Received:
    return Received(0, origin, f"127.0.0.1:{ord(origin)}", "HTTP/1.1", "GET", target, (HOST, *headers), body)


def header(name: str, value: str | None, present: str = "yes") -> dict[str, Any]:
    return {"name": name, "value": value, "present": present}


def exchange(role: str = "main", origin: str = "A", **changes: Any) -> dict[str, Any]:
    return {
        "role": role, "upstream": "http://app", "servers": [f"127.0.0.1:{ord(origin)}"], "protocol": "HTTP/1.1",
        "method": "GET", "uri": "/", "body": "none", "headers": [header("Host", "app")], **changes,
    }  # fmt: skip


def trace(*exchanges: dict[str, Any], **changes: Any) -> dict[str, Any]:
    outcome = {"action": "proxied", "status": 200, "exchanges": list(exchanges), "response_headers": [], **changes}
    return {"schema": "trace/1", "request": {}, "outcomes": [outcome]}


def seen(*exchanges: Received, status: int | None = 200, headers: tuple[tuple[str, str], ...] = ()) -> Observation:
    return Observation(Reply(status, headers), exchanges, frozenset({"x-origin"}))


@pytest.mark.parametrize(
    ("predicted", "observed"),
    [
        (trace(exchange()), seen(received())),
        (trace(exchange(), status=None), seen(received(), status=404)),
        (trace(exchange(headers=[header("Host", None)])), seen(received())),
        (trace(exchange(headers=[header("Host", "app"), header("X", None, "maybe")])), seen(received())),
        (trace(exchange(uri=None)), seen(received(target="/other"))),
        (trace(exchange("mirror", "B"), exchange()), seen(received(), received("B"))),
        (trace(exchange("mirror", "B"), exchange()), seen(received("B"), received())),
        (trace(action="closed", status=None), seen(status=None)),
        (trace(action="unknown", status=None), seen(received(), status=500)),
        (trace(exchange()), seen(received(), headers=(("X-Origin", "1"),))),
        (trace(exchange()), seen(received(), headers=(("Server", "nginx"),))),
        (trace(exchange(), response_headers=[header("Vary", None)]), seen(received(), headers=(("vary", "Origin"),))),
    ],
)
def test_what_fits(predicted: dict[str, Any], observed: Observation) -> None:
    assert differences(predicted, observed) == []


@pytest.mark.parametrize(
    ("predicted", "observed", "begins"),
    [
        (trace(exchange()), seen(received(), status=404), "status: predicted 200, observed 404"),
        (trace(action="closed", status=None), seen(), "action"),
        (trace(exchange()), seen(status=None), "action"),
        (trace(exchange()), seen(), "exchange 0 (main): predicted GET /, observed none"),
        (trace(), seen(received()), "exchange not predicted"),
        (trace(exchange(origin="B")), seen(received()), "exchange 0 (main): server"),
        (trace(exchange(protocol="HTTP/1.0")), seen(received()), "exchange 0 (main): protocol"),
        (trace(exchange(method="HEAD")), seen(received()), "exchange 0 (main): method"),
        (trace(exchange()), seen(received(target="/x")), "exchange 0 (main): uri"),
        (trace(exchange()), seen(received("A", "/", b"", ("X", "1"))), "exchange 0 (main): headers"),
        (trace(exchange(headers=[])), seen(received()), "exchange 0 (main): headers"),
        (trace(exchange(headers=[header("host", "app")])), seen(received()), "exchange 0 (main): headers"),
        (trace(exchange(headers=[header("X", None), header("Host", "app")])), seen(received()), "exchange 0 (main): h"),
        (trace(exchange()), seen(received("A", "/", b"body")), "exchange 0 (main): body"),
        (trace(exchange("mirror", "B"), exchange()), seen(received(), received("C")), "mirror: server"),
        (trace(exchange("mirror", "B"), exchange()), seen(received()), "mirror: predicted GET /, observed none"),
        (trace(exchange("auth", "B"), exchange()), seen(received(), received("B")), "exchange 0 (auth): server"),
        (trace(exchange()), seen(received(), headers=(("X-Own", "1"),)), "response header x-own"),
        (trace(exchange(), response_headers=[header("Vary", "a")]), seen(received()), "response header vary"),
        ({"error": "no"}, seen(), "the trace is an error"),
        ({"request": {}, "outcomes": []}, seen(), "the trace has no outcome"),
    ],
)
def test_what_does_not_fit(predicted: dict[str, Any], observed: Observation, begins: str) -> None:
    found = differences(predicted, observed)
    assert found
    assert found[0].startswith(begins)


def test_one_of_several_outcomes_must_fit() -> None:
    both = trace(exchange())
    both["outcomes"].append({"action": "answered", "status": 401, "exchanges": [], "response_headers": []})
    assert differences(both, seen(received())) == []
    assert differences(both, seen(status=401)) == []
    assert differences(both, seen(status=403))[0].startswith("none of 2 outcomes fits")
