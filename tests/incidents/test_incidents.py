"""Configurations after real incidents: the defect is found where it is, and the repaired ones stay silent.

`expected`: any of its rules at one of its lines is right; cases of rules that do not exist yet must only stay silent.
`clean` takes the place of `clean_replaces` in the repaired twin.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditor import rules
from auditor.check import Options, check
from auditor.findings import INFO, Finding

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/case.yaml"))


def read(name: str) -> dict[str, Any]:
    case: dict[str, Any] = yaml.safe_load((HERE / name / "case.yaml").read_text())
    return case


def entry(folder: Path) -> Path:
    """The file that the case is audited by."""
    return next(path for name in ("nginx.conf", "vhost.conf", ".htaccess") if (path := folder / name).exists())


def copy(name: str, into: Path) -> Path:
    """The case in a folder of its own: the pages of another case are none of it."""
    folder = into / "case"
    shutil.copytree(HERE / name, folder)
    return folder


def findings(folder: Path) -> list[Finding]:
    report = check([str(entry(folder))], Options())
    assert not report.errors, report.errors
    return list(report.findings)


def where(finding: Finding) -> str:
    return f"{finding.place.file}:{finding.place.line}: {finding.severity}[{finding.rule}] {finding.message}"


@pytest.mark.parametrize("name", CASES)
def test_as_it_was(name: str, tmp_path: Path) -> None:
    expected = read(name).get("expected")
    found = findings(copy(name, tmp_path))
    wanted = set(expected["rules"]) & set(rules.NAMES) if expected else set()
    if wanted:
        assert [
            finding
            for finding in found
            if finding.rule in wanted
            and expected is not None
            and finding.place.line in expected["lines"]
            and finding.place.file.endswith(expected["file"])
        ], [where(finding) for finding in found]
    # Nothing else: one defect, one finding.
    assert not [where(finding) for finding in found if finding.rule not in wanted and finding.severity != INFO]


@pytest.mark.parametrize("name", [name for name in CASES if "clean_replaces" in read(name)])
def test_repaired(name: str, tmp_path: Path) -> None:
    case = read(name)
    folder = copy(name, tmp_path)
    (folder / case["clean"]).replace(folder / case["clean_replaces"])
    said = findings(folder)
    assert not [where(finding) for finding in said if finding.severity != INFO]
    assert not [where(finding) for finding in said if finding.rule in case["expected"]["rules"]]
