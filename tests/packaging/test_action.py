"""The composite action runs a command line that audit takes, and hands no input to the shell as code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]


def test_the_audit_writes_a_log_and_annotations(tmp_path: Path) -> None:
    (line,) = [step["run"] for step in STEPS if step.get("name") == "Audit"]
    command = line.replace("audit ", f"{sys.executable} -m auditor ", 1)
    config = ROOT / "configs" / "nginx" / "open-gate.conf"
    environment = {"PATHS": str(config), "ARGUMENTS": "--position edge", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["/bin/bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error ")
    log = json.loads((tmp_path / "audit.sarif").read_text(encoding="utf-8"))
    assert {result["ruleId"] for result in log["runs"][0]["results"]} >= {"open-gate"}


def test_inputs_reach_the_shell_as_variables_only() -> None:
    assert [step["run"] for step in STEPS if "${{" in step.get("run", "")] == []
