"""The comparison notices what a wrong prediction gets wrong, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from probes.client import Reply
from probes.compare import Observation
from probes.origin import Received
from tests.apache.compare import differences

Pairs = list[tuple[str, str | None]]


def trace(protocol: str, pairs: Pairs, servers: tuple[str, ...] = (), body: str = "none") -> dict[str, Any]:
    headers = [{"name": name, "value": value, "present": "yes"} for name, value in pairs]
    exchange = {"role": "main", "servers": servers, "protocol": protocol, "method": "GET", "uri": "/", "body": body}
    outcome = {"action": "cgi", "status": 200, "exchanges": [{**exchange, "headers": headers}], "response_headers": []}
    return {"request": {}, "outcomes": [outcome]}


def seen(protocol: str, *pairs: tuple[str, str]) -> Observation:
    return Observation(Reply(200), (Received(0, "X", "127.0.0.1:9", protocol, "", "", pairs, b""),))


@pytest.mark.parametrize("shown", ["cgi", "wsgi", "fastcgi", "uwsgi", "scgi"])
def test_variables_are_compared_by_name(shown: str) -> None:
    protocol = "cgi" if shown == "wsgi" else shown
    script = seen(shown, ("REMOTE_USER", "alice"), ("AUTH_TYPE", "Basic"), ("PATH", "/bin"), ("REMOTE_PORT", "7"))
    right: Pairs = [("AUTH_TYPE", "Basic"), ("PATH", "/usr/bin"), ("REMOTE_PORT", None), ("REMOTE_USER", "alice")]
    assert differences(trace(protocol, right), script) == []
    assert differences(trace(protocol, right[:-1]), script) != []
    assert differences(trace(protocol, [*right, ("HTTP_AUTHORIZATION", "x")]), script) != []
    assert differences(trace(protocol, [*right[:-1], ("REMOTE_USER", "bob")]), script) != []
    assert differences(trace("HTTP/1.1", right), script) != []


def test_the_lines_of_http_are_compared_in_order() -> None:
    origin = Observation(Reply(200), (Received(0, "A", "", "HTTP/1.1", "GET", "/", (("A", "1"), ("B", "2")), b""),))
    assert differences(trace("HTTP/1.1", [("A", "1"), ("B", "2")]), origin) == []
    assert differences(trace("HTTP/1.1", [("B", "2"), ("A", "1")]), origin) != []


def test_php_shows_what_authenticates() -> None:
    script = seen("php", ("REMOTE_USER", "alice"), ("PHP_AUTH_USER", "alice"), ("getallheaders()", "Basic x"))
    params: Pairs = [("REMOTE_USER", "alice"), ("SCRIPT_NAME", "/index.php")]
    for protocol in ("cgi", "fastcgi"):
        assert differences(trace(protocol, params, ("127.0.0.1:1",)), script) == []
        assert differences(trace(protocol, [*params, ("HTTP_AUTHORIZATION", "Basic x")]), script) != []
        assert differences(trace(protocol, params[1:]), script) != []
    assert differences(trace("scgi", params), script) != []


def test_an_error_of_the_predictor_is_a_difference() -> None:
    assert differences({"error": "crash"}, seen("cgi")) == ["the trace is an error: crash"]
