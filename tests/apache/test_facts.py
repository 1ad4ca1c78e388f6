"""Every measured fact on httpd that the product rests on: the real server still does it, and the predictor says it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.runners import local
from probes.runners.local import Refused, fill
from tests import live
from tests.apache import lab
from tests.apache.cases import Fact, expected, load, observed
from tests.apache.compare import differences
from tests.apache.play import observe, predictor, serving
from tests.differential.play import Origins
from tests.facts.cases import imagined

FACTS = {fact.name: fact for fact in load()}
LEFT_OUT: dict[str, str] = {}
NUMBERS = [*range(1, 32), *range(101, 115), *range(121, 152), *range(161, 170), 171, 172, *range(201, 215),
           *range(221, 240), *range(241, 247), *range(251, 271), *range(281, 299), 301, *range(311, 319), 321, 322,
           *range(331, 338), *range(340, 347), *range(351, 359), *range(361, 370), 371, 372]  # fmt: skip
PLAYED = [name for name, fact in FACTS.items() if fact.refused is None]


def test_every_fact_is_tested_or_left_out_with_a_reason() -> None:
    assert sorted([*(fact.name for fact in load()), *LEFT_OUT]) == [f"APA-{number:03}" for number in NUMBERS]
    assert len(NUMBERS) == 208


@pytest.mark.live
@pytest.mark.parametrize("name", PLAYED)
def test_the_server_does_it(name: str, httpd: lab.Httpd, origins: Origins, fpm: Callable[[], str]) -> None:
    fact = playable(name, httpd)
    php = fpm() if fact.fpm else ""
    with serving(fact.case, httpd, origins, fact.modules, fact.modes, php) as (server, places):
        for request, raw in zip(fact.requests, fact.case.lines, strict=True):
            line = json.loads(fill(json.dumps(raw), places))
            assert observed(observe(line, origins, server), places) == expected(request), request.get("ask")


@pytest.mark.live
@pytest.mark.parametrize("name", [name for name, fact in FACTS.items() if fact.refused is not None])
def test_the_server_refuses_it(name: str, httpd: lab.Httpd, origins: Origins) -> None:
    fact = playable(name, httpd)
    with pytest.raises(Refused, match=fact.refused), serving(fact.case, httpd, origins, fact.modules):
        pass


@pytest.mark.parametrize("name", PLAYED)
def test_the_predictor_says_it(name: str, tmp_path: Path) -> None:
    fact = FACTS[name]
    places: dict[str, object] = {"DIR": tmp_path, "P1": 18000, "APORT": 18081}
    places |= {
        origin: f"127.0.0.1:{18081 + at}" for at, origin in enumerate(("A", "B", "FCGI", "UWSGI", "SCGI", "FPM"))
    }
    places["LOAD"] = lab.Httpd(local.Binary("httpd", "", ""), lab.PLACES[0], frozenset()).load(fact.modules)
    for path, text in {**lab.FILES, **fact.case.files, "httpd.conf": fact.case.config}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(fill(text, places), encoding="latin-1", newline="")
        os.utime(tmp_path / path, (local.FILE_TIME, local.FILE_TIME))
    predict = predictor(str(tmp_path / "httpd.conf"))
    for request, line in zip(fact.requests, fact.case.lines, strict=True):
        if "unpredicted" in request:
            continue
        asked = json.loads(fill(json.dumps(line), places))
        seen = imagined(request, expected(request), places)
        assert differences(predict(asked), seen) == [], request["ask"]


def playable(name: str, httpd: lab.Httpd) -> Fact:
    """That fact, where this httpd has the modules for it."""
    fact = FACTS[name]
    missing = [module for module in fact.modules if not httpd.has(module)]
    if missing:
        live.unavailable(f"this httpd has no module {', '.join(missing)}")
    return fact
