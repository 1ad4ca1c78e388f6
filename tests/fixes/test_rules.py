"""What fixes make of the configurations beside the rules: the finding is gone, nothing worse has come, other routes are
as they were, and the real server takes it."""

from __future__ import annotations

import functools
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from auditor import rules
from auditor.check import check, load_sites
from auditor.findings import INFO, Finding
from auditor.fixes import Fixed, find_changes, write
from auditor.http import Request, Response
from auditor.rules.common import ADMITTED, BASIC, BEARER, ORIGIN_REFUSES, STRANGER, with_header
from auditor.rules.ineffective_directive import _bare as bare
from auditor.server import Site
from auditor.settings import DEFAULT
from auditor.world import World
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


Fixing = Callable[[Case, bool], Done]


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Fixing:
    """Fixes an example, once for all tests; the second argument says whether unsafe fixes are wanted."""

    @functools.cache
    def of(case: Case, unsafe: bool) -> Done:
        folder = tmp_path_factory.mktemp("fixed")
        shutil.copytree(case.path.parent, folder, dirs_exist_ok=True)
        for path in folder.glob("*.conf"):
            if path.name != case.path.name:
                path.unlink()
        path = folder / case.path.name
        before = list(check([str(path)], OPTIONS).findings)
        sites, _, _ = load_sites([str(path)], OPTIONS)
        found = find_changes([str(folder)], OPTIONS, DEFAULT, unsafe)
        for change in found.changes:
            write(change)
        return Done(path, before, sites, found)

    return of


def worse_than_info(findings: Iterable[Finding]) -> Counter[tuple[str, str]]:
    return Counter((each.rule, each.severity) for each in findings if each.severity != INFO)


def asked(request: Request) -> list[tuple[Request, World]]:
    return [
        (with_header(request, BASIC), ADMITTED),
        (with_header(request, BEARER), ADMITTED),
        (request, STRANGER),
        (with_header(request, BEARER), ORIGIN_REFUSES),
    ]


@pytest.mark.parametrize("unsafe", [False, True], ids=["safe", "unsafe"])
@pytest.mark.parametrize("case", EXAMPLES, ids=str)
def test_the_finding_is_gone_and_nothing_has_come(case: Case, unsafe: bool, fixed: Fixing) -> None:
    done = fixed(case, unsafe)
    after = check([str(done.path)], OPTIONS)
    assert not after.errors
    assert not worse_than_info(after.findings) - worse_than_info(done.before)
    assert [each for each in done.fixed.report.findings if each.fix and (each.fix.safe or unsafe)] == []
    assert done.fixed.taken_back == (TAKEN_BACK.get(str(case), 0) if unsafe else 0)
    assert find_changes([str(done.path)], OPTIONS, DEFAULT, unsafe).changes == ()


@pytest.mark.parametrize("case", EXAMPLES, ids=str)
def test_safe_fixes_change_nothing_that_works(case: Case, fixed: Fixing) -> None:
    done = fixed(case, False)
    after, _, _ = load_sites([str(done.path)], OPTIONS)
    meant = {route for each in done.fixed.fixed for route in each.routes}
    # What the origin gets changes with these alone: one line instead of two, and an empty parameter.
    request_side = {each.rule for each in done.fixed.fixed} & {"duplicated-request-header", "forwarded-proxy-header"}
    for old, new in zip(done.sites, after, strict=True):
        assert len(old.routes()) == len(new.routes())
        for route in old.routes():
            if route.label not in meant:
                for question in asked(route.request):
                    assert brief(old, *question) == brief(new, *question), route.label
            elif not request_side:  # who gets in, gets the same
                question = with_header(route.request, BASIC), ADMITTED._replace(origin=Response(200))
                assert brief(old, *question, but=401) == brief(new, *question, but=401), route.label


def brief(site: Site, request: Request, world: World, but: int = 0) -> list[Any]:
    """All that can be seen from outside; blame moves with the lines."""
    return [bare(outcome) for outcome in site.trace(request, world) if outcome.status != but]


def test_the_server_takes_what_was_fixed(nginx: Binary, fixed: Fixing) -> None:
    served = set()
    for case in EXAMPLES:
        done = fixed(case, True)
        (site,), _, _ = load_sites([str(done.path)], OPTIONS)
        if done.fixed.changes and site.complete:  # a part of a configuration may lack what it names
            with Session(site, nginx) as session:  # raises where the server refuses the text
                assert session.routes, str(case)
            served |= {each.rule for each in done.fixed.fixed}
    assert served == {name for name in rules.NAMES if rules.fix_of(name)}


@pytest.mark.parametrize("name", rules.NAMES)
def test_what_a_rule_says_of_its_fixes(name: str, fixed: Fixing) -> None:
    """FIX, from which the rules' page is made."""
    made = {
        "safe" if each.fix.safe else "unsafe"
        for case in EXAMPLES
        if case.rule == name
        for each in fixed(case, True).fixed.fixed
        if each.rule == name and each.fix
    }
    wanted = rules.fix_of(name)
    assert (wanted in made and made <= {wanted, "unsafe"}) if wanted else not made
