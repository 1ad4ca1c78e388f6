"""What fixes make of the configurations beside the rules: the finding is gone, nothing worse has come, other routes are
as they were, and the real server takes it."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from auditor import rules
from auditor.check import check, load_sites
from auditor.findings import INFO, Finding
from auditor.fixes import Fixed, find_changes, write
from auditor.http import Request
from auditor.rules.common import ADMITTED, BASIC, BEARER, ORIGIN_REFUSES, STRANGER, with_header
from auditor.rules.ineffective_directive import _bare
from auditor.server import Site
from auditor.settings import DEFAULT
from probes.probing import Session
from probes.runners.local import Binary
from tests.rules.harness import OPTIONS, Case, cases

EXAMPLES = cases(good=False) + cases(good=True)
# Its fix brings the question whether clearing Authorization is meant without a gate, so a person has to decide.
TAKEN_BACK = {"dropped-inherited-headers/bad.conf": 1}


class Done(NamedTuple):
    """An example that has been fixed in a copy of its folder."""

    path: Path
    before: list[Finding]
    sites: list[Site]
    fixed: Fixed


def fixed(case: Case, folder: Path, unsafe: bool) -> Done:
    shutil.copytree(case.path.parent, folder, dirs_exist_ok=True)
    path = folder / case.path.name
    before = check([str(path)], OPTIONS)
    sites, _, _ = load_sites([str(path)], OPTIONS)
    found = find_changes([str(folder)], OPTIONS._replace(exclude=others(path), base=str(folder)), DEFAULT, unsafe)
    for change in found.changes:
        write(change)
    return Done(path, list(before.findings), sites, found)


def others(path: Path) -> tuple[str, ...]:
    return tuple(each.name for each in path.parent.glob("*.conf") if each != path)


def worse_than_info(findings: Any) -> Counter[tuple[str, str]]:
    return Counter((each.rule, each.severity) for each in findings if each.severity != INFO)


@pytest.mark.parametrize("unsafe", [False, True], ids=["safe", "unsafe"])
@pytest.mark.parametrize("case", EXAMPLES, ids=str)
def test_the_finding_is_gone_and_nothing_has_come(case: Case, unsafe: bool, tmp_path: Path) -> None:
    done = fixed(case, tmp_path, unsafe)
    after = check([str(done.path)], OPTIONS)
    assert not after.errors
    assert not worse_than_info(after.findings) - worse_than_info(done.before)
    left = [each for each in done.fixed.report.findings if each.fix and (each.fix.safe or unsafe)]
    assert len(left) == 0
    assert done.fixed.taken_back == (TAKEN_BACK.get(str(case), 0) if unsafe else 0)
    again = find_changes([str(done.path)], OPTIONS, DEFAULT, unsafe)
    assert again.changes == ()


def asked(request: Request) -> list[Any]:
    return [
        (with_header(request, BASIC), ADMITTED),
        (with_header(request, BEARER), ADMITTED),
        (request, STRANGER),
        (with_header(request, BEARER), ORIGIN_REFUSES),
    ]


@pytest.mark.parametrize("case", EXAMPLES, ids=str)
def test_safe_fixes_change_no_other_route(case: Case, tmp_path: Path) -> None:
    done = fixed(case, tmp_path, unsafe=False)
    after, _, _ = load_sites([str(done.path)], OPTIONS)
    meant = {route for each in done.fixed.fixed for route in each.routes}
    for old, new in zip(done.sites, after, strict=True):
        assert len(old.routes()) == len(new.routes())
        for route in old.routes():
            for request, world in asked(route.request) if route.label not in meant else ():
                assert [_bare(each) for each in old.trace(request, world)] == [
                    _bare(each) for each in new.trace(request, world)
                ], route.label


@pytest.mark.parametrize("case", EXAMPLES, ids=str)
def test_safe_fixes_change_no_answer_that_was_right(case: Case, tmp_path: Path) -> None:
    """On the routes that were meant, too: who gets in gets the same, and the origin what it has got."""
    done = fixed(case, tmp_path, unsafe=False)
    mended = {each.rule for each in done.fixed.fixed} & {"duplicated-request-header", "forwarded-proxy-header"}
    after, _, _ = load_sites([str(done.path)], OPTIONS)
    for old, new in zip(done.sites, after, strict=True):
        for route in old.routes() if not mended else ():
            request = with_header(route.request, BASIC)
            welcome = ADMITTED._replace(origin=STRANGER.origin)
            assert [_bare(each) for each in old.trace(request, welcome) if each.status != 401] == [
                _bare(each) for each in new.trace(request, welcome) if each.status != 401
            ], route.label


@pytest.mark.parametrize("case", EXAMPLES, ids=str)
def test_the_server_takes_it(case: Case, nginx: Binary, tmp_path: Path) -> None:
    done = fixed(case, tmp_path, unsafe=True)
    if not done.fixed.changes:
        pytest.skip("nothing to fix")
    (site,), _, _ = load_sites([str(done.path)], OPTIONS)
    if not site.complete:
        pytest.skip("a part of a configuration")
    with Session(site, nginx) as session:  # raises where the server refuses the text
        assert session.routes


@pytest.mark.parametrize("name", rules.NAMES)
def test_what_a_rule_says_of_its_fixes(name: str, tmp_path: Path) -> None:
    """FIX, from which the rules' page is made."""
    folder = tmp_path / name
    made: set[str] = set()
    for case in EXAMPLES:
        if case.rule == name:
            done = fixed(case, folder / case.path.stem, unsafe=True)
            made |= {
                "safe" if each.fix.safe else "unsafe" for each in done.fixed.fixed if each.rule == name and each.fix
            }
    assert (rules.fix_of(name) in made) == bool(rules.fix_of(name))
    assert made <= {rules.fix_of(name), "unsafe"} if rules.fix_of(name) else not made
