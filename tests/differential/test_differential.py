"""The predictor against the real server: random configurations, and the cases that random ones have left behind."""

from __future__ import annotations

import json
import os
from glob import glob

import pytest

from probes.runners.program import Program
from tests.differential.nginx import Nginx
from tests.differential.play import HUNG, Case, Origins
from tests.differential.suite import Options, run_one, show

CASES = sorted(path.removesuffix(".conf") for path in glob(os.path.join(os.path.dirname(__file__), "cases", "*.conf")))
CONFIGS = int(os.environ.get("AUDIT_DIFFERENTIAL_CONFIGS", "12"))
SEED = os.environ.get("AUDIT_DIFFERENTIAL_SEED", "1")


IN_SANDBOX = pytest.mark.parametrize("in_sandbox", (False, True), ids=("plain", "sealed"))


@IN_SANDBOX
@pytest.mark.parametrize("number", range(CONFIGS))
def test_random_configuration(number: int, in_sandbox: bool, server: Program, origins: Origins) -> None:
    kind = Nginx(server, sealed=in_sandbox)
    result = run_one(Options(kind, "", SEED, 20, shrink=True, predict=True), number, origins)
    assert not result.failures, "\n".join(show(failure, kind, SEED) for failure in result.failures)


@IN_SANDBOX
@pytest.mark.parametrize("stem", CASES, ids=[os.path.basename(stem) for stem in CASES])
def test_case(stem: str, in_sandbox: bool, server: Program, origins: Origins) -> None:
    with open(stem + ".json", encoding="ascii") as file:
        about = json.load(file)
    if about.get("needs", "") not in server.build:
        pytest.skip(f"this nginx has no {about['needs']}")
    if [int(part) for part in server.version.split(".")] < [int(part) for part in about.get("since", "0").split(".")]:
        pytest.skip(f"nginx takes this since {about['since']}")
    kind = Nginx(server, sealed=in_sandbox)
    for played in kind.play(Case.read(stem), origins):
        assert played.seen.reply is not HUNG, played.line
        assert kind.contradictions(played) == [], played.line
