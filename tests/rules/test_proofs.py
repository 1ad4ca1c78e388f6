"""The real server does what each rule says of its bad example."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from probes.client import Reply, request_bytes, send
from probes.gateways import FastCGI
from probes.origin import Log, Origin, Received
from probes.runners.local import Binary, Server, find, free_ports
from tests.rules.harness import FILES, HERE, NAMES, proof

pytestmark = pytest.mark.live

SERVERS: list[Binary | None] = [*find()]
PROOFS = [(name, described) for name in NAMES if (described := proof(name)) is not None]
# Paths that the compiled-in defaults would put where only an installed server may write.
PREAMBLE = "daemon off; master_process off; user root;\n"
TEMPORARY = "".join(
    f"{kind}_temp_path @DIR@/tmp/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


@pytest.fixture(params=SERVERS or [None], ids=lambda server: server.version if server else "none")
def program(request: pytest.FixtureRequest) -> Binary:
    if request.param is None:
        if os.environ.get("CI"):
            pytest.fail("no nginx on this machine")
        pytest.skip("no nginx on this machine")
    binary: Binary = request.param
    return binary


@pytest.fixture
def origins() -> Iterator[dict[str, Origin]]:
    log = Log()
    with Origin("A", log) as first, Origin("B", log) as second, FastCGI("F", log) as third:
        yield {"A": first, "B": second, "F": third}


@pytest.mark.parametrize(("name", "described"), PROOFS, ids=[name for name, _ in PROOFS])
def test_proof(name: str, described: dict[str, Any], program: Binary, origins: dict[str, Origin]) -> None:
    text = (HERE / name / described["config"]).read_text()
    for item in described["requests"]:
        reply, received = ask(program, text, item["request"], origins)
        _compare(item, reply, received, origins)
        if "same_without" in item:
            assert item["same_without"] in text
            again = ask(program, text.replace(item["same_without"], ""), item["request"], origins)
            assert _bare(reply, received) == _bare(*again)


def ask(program: Binary, text: str, line: dict[str, Any], origins: dict[str, Origin]) -> tuple[Reply, list[Received]]:
    """What the real server answers to one request, and what its origins received meanwhile."""
    (port,) = free_ports(1)
    config = PREAMBLE + text.replace("http {", "http {\n" + TEMPORARY, 1)
    config = config.replace("listen 8080;", f"listen 127.0.0.1:{port};").replace("/srv/", "@DIR@/srv/")
    for number, origin in zip((9000, 9001, 9002), origins.values(), strict=True):
        config = config.replace(f"127.0.0.1:{number}", origin.address)
    log = next(iter(origins.values())).log
    log.take()
    files = {f"srv/{path.relative_to(FILES)}": path.read_text() for path in FILES.rglob("*") if path.is_file()}
    with Server(program, config, files, listens=[("127.0.0.1", port)]):
        log.take()
        reply = send(("127.0.0.1", port), request_bytes(line))
    return reply, log.take()


def _compare(item: dict[str, Any], reply: Reply, received: list[Received], origins: dict[str, Origin]) -> None:
    assert reply.status == item["status"]
    answered = {name.lower() for name, _ in reply.headers}
    for name in item.get("answer_with", ()):
        assert name.lower() in answered
    for name in item.get("answer_without", ()):
        assert name.lower() not in answered
    if "body" in item:
        assert reply.body.decode() == item["body"]
    reaches = item.get("reaches")
    assert [one.origin for one in received] == ([reaches["origin"]] if reaches else [])
    if reaches:
        headers = {name.lower(): value for name, value in received[0].headers}
        for name in reaches.get("without", ()):
            assert name.lower() not in headers
        for name, value in reaches.get("with", {}).items():
            assert headers.get(name.lower()) == value.replace("127.0.0.1:9000", origins["A"].address)


def _bare(reply: Reply, received: list[Received]) -> Any:
    """What does not differ from one run of the server to the next."""
    exchanges = [
        (one.origin, one.method, one.target, sorted((name.lower(), value) for name, value in one.headers))
        for one in received
    ]
    return reply.status, reply.body, exchanges


def test_every_bad_line_is_asked_about() -> None:
    """A proof asks at least one request of each location that its configuration marks."""
    for name, described in PROOFS:
        text = (HERE / name / described["config"]).read_text()
        marked = len(re.findall(r"# expect: " + name + r"\b", text))
        assert len(described["requests"]) >= marked, name
