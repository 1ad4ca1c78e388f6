"""Configurations of the kind that people run: what is wrong with them is found, and nothing else.

Each folder has `verdicts.json`:

- `about`: what the tree is;
- `expected`: findings that there must be, each with `rule`, `file`, `severity` and why it is right; the lines are those
  that a comment `# expect: RULE` marks (`# expect-next: RULE` the next one, for httpd), or `line` where the file cannot
  hold a comment. Rules that do not exist yet are passed over;
- `silent`: findings that there must not be even as an info, each with `rule`, perhaps `file` and `line`, and why;
- `nginx`: for `system` and `wheel`, why that server cannot run the tree. Trees called apache-... are httpd's.

Any other warning or error is a false alarm. Other infos are knowledge, which nobody has to see.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from auditor import rules
from auditor.check import Options, check, load_sites
from auditor.findings import INFO, Finding
from auditor.server import Site
from probes.probing import Session
from probes.questions import Line
from probes.runners import httpd, local
from tests import live
from tests.live import disagreements

HERE = Path(__file__).resolve().parent
TREES = sorted(path.parent.name for path in HERE.glob("*/verdicts.json"))
MARK = re.compile(r"# expect(-next)?: ([\w-]+(?:, [\w-]+)*)")


def verdicts(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((HERE / name / "verdicts.json").read_text())
    return read


def marks(name: str) -> set[tuple[str, str, int]]:
    """Rule, file and line of each mark in the tree's files."""
    folder = HERE / name
    return {
        (rule, str(path.relative_to(folder)), number + (1 if match.group(1) else 0))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != "verdicts.json"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in MARK.finditer(line)
        for rule in match.group(2).split(", ")
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


@pytest.mark.parametrize("name", [name for name in TREES if name.startswith("apache-")])
def test_the_real_httpd_does_what_is_predicted(name: str) -> None:
    program = httpd.find()
    if program is None:
        live.unavailable("no httpd with loadable modules found: install apache2")
    sites, _, _ = load_sites([str(HERE / name)], Options())
    for site in sites:
        with Session(site, program, witnesses=further(site)) as session:
            assert disagreements(session) == []


@pytest.mark.parametrize("name", [name for name in TREES if not name.startswith("apache-")])
def test_the_real_server_does_what_is_predicted(name: str, nginx: local.Binary) -> None:
    verdict = verdicts(name)
    reason = verdict.get("nginx", {}).get(nginx.name)
    if reason:
        pytest.skip(reason)
    sites, errors, _ = load_sites([str(HERE / name)], Options())
    assert not errors, errors
    for site in sites:
        if not any(note.kind == "template" for note in site.notes):
            with Session(site, nginx, witnesses=further(site)) as session:
                assert disagreements(session) == []


def further(site: Site) -> list[Line]:
    """What the probes do not ask, of each route: an upgrade that the origin knows nothing of, and other spellings of
    the path."""
    lines: list[Line] = []
    for request in (route.request for route in site.routes()):
        headers = [list(pair) for pair in request.headers]
        base = {"method": request.method, "headers": headers, "client_ip": "127.0.0.1"}
        upgrade = [["Upgrade", "websocket"], ["Connection", "upgrade"], ["X_Remote_User", "forged"]]
        answer = {"status": 404, "headers": []}
        lines.append({**base, "url": request.url, "headers": [*headers, *upgrade], "upstream_response": answer})
        path, mark, query = request.target.partition("?")
        root = request.url.removesuffix(request.target)
        for spelling in (path.replace("/", "//", 1), f"{path}%2e%2E/x.php", f"{path}X"):
            lines.append({**base, "url": f"{root}{spelling}{mark}{query}", "upstream_response": {"status": 200}})
    return lines
