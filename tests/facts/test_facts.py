"""Every measured fact on nginx that the product rests on: the real server still does it, and the predictor says it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from probes.compare import differences
from probes.runners import local
from probes.runners.local import Refused, Server, fill
from probes.runners.program import Program
from tests.differential.play import Origins, observe, play, predictor
from tests.facts.cases import Fact, expected, imagined, load, observed

VERSIONS = ("1.22.1", "1.26.3", "1.31.3")
FACTS = {fact.name: fact for fact in load()}
LEFT_OUT = {
    "NGX-039": "the client speaks HTTP/2; requests files speak HTTP/1",
    "NGX-114": "the result is what PHP shows; the parameters that reach it are NGX-101 to NGX-115",
    "NGX-203": "needs workers of another user than the one that owns the files",
}
NUMBERS = [*range(1, 41), *range(101, 116), *range(201, 252), *range(301, 320), *range(401, 417), *range(501, 524),
           *range(601, 615)]  # fmt: skip


def test_every_fact_is_tested_or_left_out_with_a_reason() -> None:
    assert sorted([*FACTS, *LEFT_OUT]) == [f"NGX-{number:03}" for number in NUMBERS]


@pytest.mark.parametrize("name", [name for name, fact in FACTS.items() if fact.refused is None])
def test_the_server_does_it(name: str, server: Program, origins: Origins) -> None:
    fact = FACTS[name]
    if fact.needs not in server.build:
        pytest.skip(f"this nginx has no {fact.needs}")
    version = tuple(int(part) for part in server.version.split("."))
    for number, seen in enumerate(_play(fact, server, origins)):
        wanted = expected(fact, fact.requests[number], version)
        if "mirror" in fact.case.config:  # its request goes out beside the main one, in any order
            for entry in (seen, wanted):
                entry["reached"] = sorted(entry["reached"])
        assert seen == wanted, fact.requests[number].get("ask")


@pytest.mark.parametrize("name", [name for name, fact in FACTS.items() if fact.refused is not None])
def test_the_server_refuses_it(name: str, server: Program, origins: Origins) -> None:
    fact = FACTS[name]
    with pytest.raises(Refused, match=fact.refused):
        list(play(fact.case, server, origins, lambda path, version: dict))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [name for name, fact in FACTS.items() if fact.refused is None])
def test_the_predictor_says_it(name: str, version: str, tmp_path: Path) -> None:
    fact = FACTS[name]
    numbers = tuple(int(part) for part in version.split("."))
    if (fact.needs == "headers-more" and numbers < (1, 29)) or (
        fact.needs == "http_addition_module" and numbers > (1, 29)
    ):
        pytest.skip(f"no nginx {version} with {fact.needs} was measured")
    places: dict[str, object] = {"DIR": tmp_path, "P1": 18000, "VERSION": version, "APORT": 18081}
    places |= {origin: f"127.0.0.1:{18081 + at}" for at, origin in enumerate(("A", "B", "FCGI", "UWSGI", "SCGI", "H2"))}
    for path, text in {**fact.case.files, "nginx.conf": fact.case.config}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(fill(text, places), encoding="latin-1", newline="")
        os.utime(tmp_path / path, (local.FILE_TIME, local.FILE_TIME))
    predict = predictor(str(tmp_path / "nginx.conf"), version)
    for request, line in zip(fact.requests, fact.case.lines, strict=True):
        if "unpredicted" in request:
            continue
        asked = json.loads(fill(json.dumps(line), places))
        seen = imagined(request, expected(fact, request, numbers), places)
        assert differences(predict(asked), seen) == [], request["ask"]


def _play(fact: Fact, server: Program, origins: Origins) -> list[dict[str, Any]]:
    """What the server does with the fact's requests, one after the other at one server."""
    (port,) = local.free_ports(1)
    places: dict[str, object] = {
        **origins.values(),
        "APORT": origins.all["A"].port,
        "P1": port,
        "VERSION": server.version,
    }
    seen = []
    with Server(server, fact.case.config, fact.case.files, (), [("127.0.0.1", port)], places) as running:
        places["DIR"] = running.path
        for raw in fact.case.lines:
            line = json.loads(fill(json.dumps(raw), places))
            seen.append(observed(observe(line, origins, 0 if "mirror" in fact.case.config else None), places))
    return seen
