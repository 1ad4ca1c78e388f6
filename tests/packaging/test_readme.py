"""The README shows what the tool prints today and speaks of what exists."""

from __future__ import annotations

import re

import pytest

from auditor.cli.main import COMMANDS
from tests.packaging import rules_page
from tests.packaging.readme import README, ROOT, examples, printed

TEXT = README.read_text(encoding="utf-8")


def test_the_folklore_comes_with_audit_and_trace() -> None:
    commands = [command.split()[1] for command, _ in examples()]
    assert commands[:2] == ["--show", "trace"]


@pytest.mark.parametrize(("command", "output"), examples(), ids=[command for command, _ in examples()])
def test_output_is_current(command: str, output: str) -> None:
    """Where a change of the output is meant, `python -m tests.packaging.readme` writes it into the README."""
    assert printed(command) == output


def test_every_command_is_described() -> None:
    described = set(re.findall(r"^    audit ([a-z]+) ", TEXT, re.MULTILINE))
    assert described | {"check"} == set(COMMANDS)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    )make ([a-z]+)", TEXT, re.MULTILINE))
    assert {"audit", "test"} <= named <= targets


def test_every_path_in_the_text_exists() -> None:
    named = re.findall(r"`((?:tests|configs|docker-compose|\.ci)[\w./-]*)`", TEXT)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_page_of_rules_is_current() -> None:
    """Where a change of a rule's documentation is meant, `python -m tests.packaging.rules_page` writes it."""
    assert rules_page.PAGE.read_text(encoding="utf-8") == rules_page.page()
