"""The requests of a probe are harmless, say what they are, and are read by all that has to read them."""

from __future__ import annotations

import pytest

from auditor.asked import read_line
from auditor.rules.common import BASIC
from probes.client import request_bytes
from probes.questions import LARGEST, PROBES, Probe, basic, oversized, spoofed

BASE = {"url": "http://a.example:8080/x?y=1", "headers": [["Accept", "*/*"], ["authorization", "of the route's own"]]}


@pytest.mark.parametrize("probe", PROBES, ids=[probe.name for probe in PROBES])
def test_every_probe(probe: Probe) -> None:
    line = probe.line(BASE, "alice:secret", "mark")
    assert line is not None
    request, world = read_line(line)
    assert request.method in ("GET", "HEAD", "OPTIONS")
    assert request_bytes(line).count(b"\r\n\r\n") == 1
    assert [name.lower() for name, _ in request.headers].count("authorization") == (probe.credentials != "none")
    assert ("Accept", "*/*") in request.headers
    assert request.target == ("/x?y=1&audit-probe=mark" if probe.fresh else "/x?y=1")
    assert world.answers[0][2].status == probe.status


def test_names_and_bodies_tell_probes_apart() -> None:
    assert len({probe.name for probe in PROBES}) == len({probe.body for probe in PROBES}) == len(PROBES)


def test_without_a_password_everything_is_made_up() -> None:
    lines = [line for probe in PROBES if (line := probe.line(BASE)) is not None]
    assert len(lines) == len(PROBES) - 1  # Basic with the right password
    for line in lines:
        for name, value in line["headers"]:
            assert name != "Authorization" or "audit-probe" in value or value == basic("audit-probe:wrong")


def test_spellings_of_the_same_name() -> None:
    names = [probe.headers[0][0] for probe in spoofed(["X-Remote-User"])]
    assert names == ["X-Remote-User", "X_Remote_User", "x-remote-user", "X_REMOTE_USER"]


@pytest.mark.parametrize(("given", "scheme"), [(None, "bearer "), ("alice:secret", "basic ")])
def test_a_scheme_in_lower_case(given: str | None, scheme: str) -> None:
    (probe,) = [probe for probe in PROBES if probe.name == "lower-case"]
    line = probe.line(BASE, given)
    assert line is not None
    assert dict(line["headers"])["Authorization"].startswith(scheme)


def test_basic_credentials() -> None:
    assert basic("audit:probe") == BASIC[1]


@pytest.mark.parametrize("size", [18, 19, LARGEST])
def test_oversized(size: int) -> None:
    ((_, value),) = [pair for pair in oversized(BASE, size)["headers"] if pair[0] == "Authorization"]
    assert len(value) == size
    assert value.startswith("Bearer audit-probe")
