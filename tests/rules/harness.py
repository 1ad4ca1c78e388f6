"""What the rule tests share: the configurations beside them, the lines that they mark, and the real server.

Configurations read like real ones: port 8080, upstreams such as 127.0.0.1:9000, and files below /srv, which lie in the
folder `files`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from auditor import rules
from auditor.check import Options, check
from auditor.findings import Finding

HERE = Path(__file__).parent
FILES = HERE / "files"
NAMES = [name for name in rules.NAMES if (HERE / name).is_dir()]
OPTIONS = Options(roots=(("/srv", str(FILES)),))

_EXPECT = re.compile(r"expect(-next)?: ([\w-]+)")


class Case(NamedTuple):
    """A configuration beside a rule."""

    rule: str
    path: Path

    def __str__(self) -> str:
        return f"{self.rule}/{self.path.name}"


def cases(good: bool) -> list[Case]:
    """The configurations that must be reported, or those that must stay silent (good*.conf)."""
    return [
        Case(name, path)
        for name in NAMES
        for path in sorted((HERE / name).glob("*.conf"))
        if path.name.startswith("good") == good
    ]


def expected(path: Path) -> set[tuple[str, int]]:
    """The rules and lines that the comments of a configuration mark."""
    found = set()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for match in _EXPECT.finditer(line):
            found.add((match.group(2), number + (1 if match.group(1) else 0)))
    return found


def findings(path: Path) -> list[Finding]:
    """What is found in that configuration; fails where it cannot be read."""
    report = check([str(path)], OPTIONS)
    assert not report.errors, report.errors
    return list(report.findings)


def proof(rule: str) -> dict[str, Any] | None:
    """The rule's description of what the real server does, None where it has none."""
    path = HERE / rule / "proof.yaml"
    return yaml.safe_load(path.read_text()) if path.exists() else None
