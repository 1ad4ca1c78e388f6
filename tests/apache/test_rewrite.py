"""mod_rewrite and mod_alias against what the real httpd did (rewrite_measured.json), and anew where it is installed."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.apache import rewrite_lab
from tests.apache.rewrite_cases import CASES, Ask, Case
from tests.apache.rewrite_way import ROOT, lookup, send
from tests.live import unavailable

MEASURED = rewrite_lab.stored()
PAIRS = [(case, ask) for case in CASES for ask in case.requests]
# What the lab's server does and this way through the two modules does not show.
_NOT_OURS = ("CONTEXT_", "PATH_TRANSLATED", "REQUEST_URI", "REDIRECT_URL", "REDIRECT_QUERY_STRING")


@pytest.fixture(autouse=True)
def _lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "auditor.servers.apache.phases", SimpleNamespace(lookup=lookup))


def plain(result: dict[str, Any], case: str) -> dict[str, Any]:
    """A prediction with the lab's words for folders and ports."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(one) for name, one in value.items()}
        if isinstance(value, list):
            return [change(one) for one in value]
        if isinstance(value, str):
            value = value.replace(f"{ROOT}/{case}", "{doc}").replace(ROOT, "{root}")
            return value.replace("|8080|", "|{port}|").replace(":8080", ":{port}").replace(":9090", ":{backend}")
        return value

    changed: dict[str, Any] = change(result)
    return changed


def compared(result: dict[str, Any]) -> dict[str, Any]:
    """What counts of a result: not the variables that others set, nor how mod_proxy writes a URL once more."""
    result = dict(result)
    if "script" in result:
        result["script"] = {name: value for name, value in result["script"].items() if not name.startswith(_NOT_OURS)}
    if "vary" in result:
        result["vary"] = sorted({name for line in result["vary"] for name in re.split(", *", line)})
    if "origin" in result:
        result["origin"] = True
    return result


@pytest.mark.parametrize(("case", "ask"), PAIRS, ids=lambda one: one.name if isinstance(one, Case) else one.label)
def test_prediction_is_what_was_measured(case: Case, ask: Ask) -> None:
    assert compared(plain(send(case, ask), case.name)) == compared(MEASURED[case.name, ask.label])


@pytest.mark.live
def test_the_real_server_does_so_still() -> None:
    if rewrite_lab.httpd() is None:
        unavailable("no httpd with the modules that the cases need")
    now = rewrite_lab.measure()
    assert {key: compared(result) for key, result in now.items()} == {key: compared(MEASURED[key]) for key in now}
    for case, ask in PAIRS:
        assert compared(plain(send(case, ask), case.name)) == compared(now[case.name, ask.label]), (
            case.name,
            ask.label,
        )
