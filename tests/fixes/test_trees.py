"""What fixes make of whole configurations of the kind that people run."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from auditor.check import Options, check, load_sites
from auditor.findings import INFO
from auditor.fixes import find_changes, write
from auditor.settings import DEFAULT
from tests.fixes.test_rules import asked, brief
from tests.trees.test_trees import HERE, TREES


def worse_than_info(folder: Path) -> Counter[tuple[str, str]]:
    report = check([str(folder)], Options())
    assert not report.errors
    return Counter((each.rule, each.severity) for each in report.findings if each.severity != INFO)


@pytest.mark.parametrize("name", TREES)
def test_tree(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(HERE / name, folder, symlinks=True)
    before = worse_than_info(folder)
    sites, _, _ = load_sites([str(folder)], Options())
    seen = {
        (number, question): brief(site, *question)
        for number, site in enumerate(sites)
        for route in site.routes()
        for question in asked(route.request)
    }
    for unsafe in (False, True):
        found = find_changes([str(folder)], Options(), DEFAULT, unsafe)
        for change in found.changes:
            write(change)
        if not unsafe:
            meant = {route for each in found.fixed for route in each.routes}
            sites, _, _ = load_sites([str(folder)], Options())
            for number, site in enumerate(sites):
                for route in site.routes():
                    for question in asked(route.request) if route.label not in meant else ():
                        assert brief(site, *question) == seen[number, question], route.label
        assert not worse_than_info(folder) - before
        assert find_changes([str(folder)], Options(), DEFAULT, unsafe).changes == ()
