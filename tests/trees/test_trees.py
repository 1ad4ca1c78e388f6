"""Configurations of the kind that people run: what is wrong with them is found, and nothing else.

Each folder has `verdicts.json`:

- `about`: what the tree is;
- `expected`: findings that there must be, each with `rule`, `file`, `severity` and why it is right; the lines are those
  that a comment `# expect: RULE` marks, or `line` where the file cannot hold a comment. Rules that do not exist yet
  are passed over;
- `silent`: findings that there must not be even as an info, each with `rule`, perhaps `file` and `line`, and why;
- `nginx`: for `system` and `wheel`, why that server cannot read the tree;
- `replay`: the same for why it does something else than the server that the tree is meant for.

Any other warning or error is a false alarm. Other infos are knowledge, which nobody has to see.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from auditor import rules
from auditor.check import Options, check
from auditor.findings import INFO, Finding
from probes.runners import local
from tests.differential.play import Origins, contradictions, play, predictor
from tests.trees import replay, stage

HERE = Path(__file__).resolve().parent
TREES = sorted(path.parent.name for path in HERE.glob("*/verdicts.json"))
MARK = re.compile(r"# expect: ([\w-]+(?:, [\w-]+)*)")


def verdicts(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((HERE / name / "verdicts.json").read_text())
    return read


def marks(name: str) -> set[tuple[str, str, int]]:
    """Rule, file and line of each mark in the tree's files."""
    folder = HERE / name
    return {
        (rule, str(path.relative_to(folder)), number)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != "verdicts.json"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in MARK.finditer(line)
        for rule in match.group(1).split(", ")
    }


def expected(name: str) -> dict[tuple[str, str, int], str]:
    """The severity of each finding that there must be; fails where a mark and a verdict do not belong together."""
    wanted = {}
    left = marks(name)
    for entry in verdicts(name)["expected"]:
        places = {place for place in left if place[:2] == (entry["rule"], entry["file"])}
        if "line" in entry:
            places = {(entry["rule"], entry["file"], entry["line"])}
        assert places, f"no line is marked for {entry}"
        left -= places
        wanted.update(dict.fromkeys(places, entry["severity"]))
    assert not left, f"marked without a verdict: {left}"
    return {place: severity for place, severity in wanted.items() if place[0] in rules.NAMES}


def found(name: str) -> list[tuple[tuple[str, str, int], Finding]]:
    report = check([str(HERE / name)], Options())
    assert not report.errors, report.errors
    return [((item.rule, true_name(item.place.file, HERE / name), item.place.line), item) for item in report.findings]


def true_name(file: str, folder: Path) -> str:
    """The name in the tree; of links, as sites-enabled has them, that of the file they lead to."""
    path = Path(file).resolve()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else file


def said(place: tuple[str, str, int], finding: Finding) -> str:
    return f"{place[1]}:{place[2]}: {finding.severity}[{place[0]}] {finding.message}"


@pytest.mark.parametrize("name", TREES)
def test_what_is_wrong_is_found(name: str) -> None:
    findings = found(name)
    severities = {place: finding.severity for place, finding in findings}
    wanted = expected(name)
    assert {place: severities.get(place) for place in wanted} == wanted, [said(*item) for item in findings]


@pytest.mark.parametrize("name", TREES)
def test_nothing_else_is_reported(name: str) -> None:
    wanted = expected(name)
    others = [said(*item) for item in found(name) if item[0] not in wanted and item[1].severity != INFO]
    assert not others


@pytest.mark.parametrize("name", [name for name in TREES if verdicts(name).get("silent")])
def test_no_noise(name: str) -> None:
    for entry in verdicts(name)["silent"]:
        noise = [
            said(place, finding)
            for place, finding in found(name)
            if place[0] == entry["rule"]
            and entry.get("file", place[1]) == place[1]
            and entry.get("line", place[2]) == place[2]
        ]
        assert not noise, entry["why"]


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate and its key."""
    folder = tmp_path_factory.mktemp("pem")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=stand-in -days 2 -keyout key -out certificate"
    try:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl found")
    return (folder / "certificate").read_text() + (folder / "key").read_text()


@pytest.mark.parametrize("name", [name for name in TREES if (HERE / name / "nginx.conf").exists()])
def test_the_real_server_accepts_it(name: str, nginx: local.Binary, pem: str, tmp_path: Path) -> None:
    reason = verdicts(name).get("nginx", {}).get(nginx.name)
    if reason:
        pytest.skip(reason)
    assert not stage.complaint(nginx.path, stage.stage(HERE / name, tmp_path / "tree", pem))


@pytest.mark.parametrize("name", [name for name in TREES if (HERE / name / "nginx.conf").exists()])
def test_the_real_server_does_what_is_predicted(name: str, nginx: local.Binary, origins: Origins) -> None:
    verdict = verdicts(name)
    reason = verdict.get("nginx", {}).get(nginx.name) or verdict.get("replay", {}).get(nginx.name)
    if reason:
        pytest.skip(reason)
    tree = HERE / name
    differing = []
    for played in play(replay.case(tree, replay.requests(tree)), nginx, origins, predictor, fresh=False):
        for difference in contradictions(played):
            differing.append(f"{played.line['method']} {played.line['url']} {played.line['headers']}: {difference}")
    assert not differing
