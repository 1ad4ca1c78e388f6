"""The examples in the rules' documentation do what the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor import rules
from auditor.check import Options, check
from auditor.discover import context_of
from auditor.findings import INFO, Finding
from tests.rules.harness import FILES


def example(name: str, heading: str) -> str:
    """The configuration below that heading."""
    section = rules.documentation(name).split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    match = re.search(r"```nginx\n(.*?)```", section, re.DOTALL)
    assert match, "no configuration"
    return match.group(1)


def findings(text: str, folder: Path, with_files: bool, text_of_users: str = "") -> list[Finding]:
    """What is found in that configuration; `with_files` decides whether the user files that it names exist."""
    deployed = folder / "etc"
    (deployed / "passwords").mkdir(parents=True)
    for path in re.findall(r"auth_basic_user_file /etc/nginx/(\S+);", text) if with_files else ():
        if not (deployed / path).exists():
            (deployed / path).write_text(text_of_users or (FILES / "users").read_text())
    config = folder / "site.conf"
    # Examples show the locations only: a part of a configuration would be judged for what it says itself.
    in_server = context_of(text) in ("server", "location")
    config.write_text(f"server {{\n{text}}}\n" if in_server else text)
    report = check([str(config)], Options(kind="nginx", roots=(("/etc/nginx", str(deployed)),)))
    assert not report.errors, report.errors
    return list(report.findings)


@pytest.mark.parametrize("name", rules.NAMES)
def test_bad_example(name: str, tmp_path: Path) -> None:
    plain = "alice:secret\n" if name == "malformed-user-file" else ""
    found = findings(example(name, "Bad example"), tmp_path, name != "missing-user-file", plain)
    assert name in {finding.rule for finding in found}


@pytest.mark.parametrize("name", rules.NAMES)
def test_good_example(name: str, tmp_path: Path) -> None:
    found = findings(example(name, "Good example"), tmp_path, with_files=True)
    assert name not in {finding.rule for finding in found}
    assert not [finding for finding in found if finding.severity != INFO]
