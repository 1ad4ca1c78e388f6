"""The sample configurations through the command `audit probe`: as predicted, each defect confirmed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditor.cli.main import main
from probes.runners.local import Binary

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "nginx"
REACHED = "answered 200, having asked origin:9000"
REFUSED = "answered 401, no upstream asked"
# Rule, line, and what the real server did, which is what the rule says happens.
PROOFS: dict[str, list[tuple[str, int, str, str]]] = {
    "bypassed-gate": [
        ("bypassed-gate", 16, "confirmed", REACHED.replace("9000", "9001")),
        ("cleartext-credentials", 11, "confirmed", REFUSED),
        ("forwarded-proxy-header", 17, "confirmed", REACHED.replace("9000", "9001")),
        ("leaked-credentials", 17, "confirmed", REACHED.replace("9000", "9001")),
    ],
    "folklore": [
        ("ineffective-directive", 12, "untested", "no request shows it"),
        ("stripped-authorization", 3, "confirmed", REACHED),
    ],
    "gated-preflight": [
        ("cleartext-credentials", 10, "confirmed", REFUSED),
        ("gated-preflight", 10, "confirmed", REFUSED),
    ],
    "good": [("cleartext-credentials", 31, "confirmed", REFUSED)],
    "lost-strip-line": [
        ("cleartext-credentials", 12, "confirmed", REFUSED),
        ("dropped-inherited-headers", 14, "confirmed", REACHED),
        ("leaked-credentials", 15, "confirmed", REACHED),
    ],
    "open-gate": [("open-gate", 10, "confirmed", REACHED)],
    "spoofable-identity": [
        ("cleartext-credentials", 10, "confirmed", REFUSED),
        ("spoofable-identity-header", 18, "confirmed", REACHED),
    ],
    "stripped-authorization": [("stripped-authorization", 11, "confirmed", REACHED)],
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.conf")), ids=lambda path: path.stem)
def test_sample(path: Path, nginx: Binary, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["probe", str(path), "--nginx", nginx.path, "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    cells = [(row["route"], cell) for row in report["routes"] for cell in row["probes"]]
    assert len(cells) >= 12
    assert [(route, cell) for route, cell in cells if cell["verdict"] != "agrees"] == []
    assert [limit["verdict"] for limit in report["limits"]] == ["agrees"]
    assert not report["taken_out"]
    found = [(one["rule"], one["line"], one["proof"]["status"], one["proof"]["observed"]) for one in report["findings"]]
    assert sorted(found) == PROOFS[path.stem]
    assert status == (0 if path.stem == "good" else 1)
