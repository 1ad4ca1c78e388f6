"""The static commands start quickly because they import little, and they cannot go online with what they import."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import generate, imports

# Modules that open connections or start processes: the static side does neither.
ACTIVE = {"socket", "ssl", "subprocess", "asyncio", "multiprocessing", "http", "urllib3", "requests", "probes"}


@pytest.mark.parametrize("command", imports.COMMANDS)
def test_static_commands_import_neither_heavy_nor_active_modules(command: str, tmp_path: Path) -> None:
    config = generate.write(str(tmp_path), generate.SMALL_LINES)
    found = imports.modules(sys.executable, imports.COMMANDS[command], config)
    assert "auditor" in found
    # The standard library's reader of package metadata brings the module socket along.
    brought = {"socket"} if command == "audit --version" else set()
    assert sorted(found & {*imports.HEAVY, *ACTIVE} - brought) == []


def test_listing_rules_leaves_the_predictor_out(tmp_path: Path) -> None:
    assert "crossplane" not in imports.modules(sys.executable, ("rules",), "")
    config = generate.write(str(tmp_path), generate.SMALL_LINES)
    assert "crossplane" in imports.modules(sys.executable, imports.COMMANDS["audit"], config)
