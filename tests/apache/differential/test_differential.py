"""The predictor against the real httpd: random configurations, and the cases that random ones have left behind."""

from __future__ import annotations

import os
from glob import glob

import pytest

from tests.apache.differential.kind import Apache
from tests.apache.differential.words import COMMON
from tests.apache.lab import Httpd
from tests.differential.play import HUNG, Case, Origins
from tests.differential.suite import Options, run_one, show

pytestmark = pytest.mark.live
CASES = sorted(path.removesuffix(".conf") for path in glob(os.path.join(os.path.dirname(__file__), "cases", "*.conf")))
CONFIGS = int(os.environ.get("AUDIT_DIFFERENTIAL_CONFIGS", "12"))
SEED = os.environ.get("AUDIT_DIFFERENTIAL_SEED", "1")


@pytest.mark.parametrize("number", range(CONFIGS))
def test_random_configuration(number: int, httpd: Httpd, origins: Origins) -> None:
    kind = Apache(httpd)
    result = run_one(Options(kind, "", SEED, 20, shrink=True, predict=True), number, origins)
    assert not result.failures, "\n".join(show(failure, kind, SEED) for failure in result.failures)


@pytest.mark.parametrize("stem", CASES, ids=[os.path.basename(stem) for stem in CASES])
def test_case(stem: str, httpd: Httpd, origins: Origins) -> None:
    kind = Apache(httpd)
    for played in kind.play(Case.read(stem, COMMON), origins):
        assert played.seen.reply is not HUNG, played.line
        assert kind.contradictions(played) == [], played.line
