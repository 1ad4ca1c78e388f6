"""The SARIF log: valid against the standard's schema, and right in what services make of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from auditor import rules
from auditor.check import Options, Report, check, judge
from auditor.cli.main import main
from auditor.findings import ERROR, INFO, Finding
from auditor.reports import sarif
from auditor.reports.sarif import Run, as_object
from auditor.source import Place, SourceFile
from tests.packaging.readme import ROOT
from tests.toy import ToySite

# The schema of OASIS lies beside the checkout where everything is tested; it is not ours to keep here.
SCHEMA = ROOT.parent / "shared" / "schemas" / "sarif-2.1.0.json"
CONFIG = """\
events {}
http {
  server {
    listen 80;
    server_name a.example;
    location /api/ {
      set $name "Zo\u00eb"; proxy_set_header Authorization "";
      proxy_pass http://127.0.0.1:9000;
    }
%s  }
}
"""
SILENCED = """\
    location /old/ {
      # audit: ignore[stripped-authorization] it has sessions of its own
      proxy_set_header Authorization "";
      proxy_pass http://127.0.0.1:9000;
    }
"""

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def log(capsys: Captured, *arguments: str) -> dict[str, Any]:
    """The one run of the log that the command prints."""
    main([*arguments, "--format", "sarif"])
    run: dict[str, Any] = json.loads(capsys.readouterr().out)["runs"][0]
    return run


def valid(value: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="install the extra dev")
    if not SCHEMA.exists():
        pytest.skip("the schema of SARIF is not at hand")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    checker = jsonschema.validators.validator_for(schema)
    complaints = checker(schema, format_checker=checker.FORMAT_CHECKER).iter_errors(value)
    assert [f"{error.json_path}: {error.message}" for error in complaints] == []


def test_valid_with_findings_of_every_rule(capsys: Captured) -> None:
    folder = ROOT / "tests" / "rules"
    examples = [str(path) for path in sorted([*folder.glob("*/*.conf"), *folder.glob("*/apache-*/htdocs/.htaccess")])]
    main([*examples, "--format", "sarif", "--root", f"/srv={ROOT / 'tests' / 'rules' / 'files'}"])
    value = json.loads(capsys.readouterr().out)
    assert {result["ruleId"] for result in value["runs"][0]["results"]} == set(rules.NAMES)
    valid(value)


def test_valid_with_everything_else(repository: Path, capsys: Captured) -> None:
    (repository / "a.conf").write_text(CONFIG % SILENCED)
    (repository / "broken.conf").write_text("http {\n  server {\n")
    (repository / "t.conf.j2").write_text("server { listen {{ port }}; location / { return 401; } }\n")
    (repository / "none").mkdir()
    assert main(["a.conf", "broken.conf", "absent.conf", "t.conf.j2", "none", "--format", "sarif"]) == 3
    value = json.loads(capsys.readouterr().out)
    valid(value)
    (invocation,) = value["runs"][0]["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 3)
    told = [(item["level"], item["descriptor"]["id"]) for item in invocation["toolExecutionNotifications"]]
    assert told[:2] == [("error", "error"), ("error", "error")]
    assert {("note", "unread"), ("note", "template")} <= set(told)
    descriptors = value["runs"][0]["tool"]["driver"]["notifications"]
    for item in invocation["toolExecutionNotifications"]:
        assert descriptors[item["descriptor"]["index"]]["id"] == item["descriptor"]["id"]


def test_valid_without_findings() -> None:
    valid(as_object(Report(files=("a.conf",)), Run()))


def test_a_region_counts_characters(repository: Path, capsys: Captured) -> None:
    (repository / "a.conf").write_text(CONFIG % "", encoding="utf-8")
    run = log(capsys, "a.conf")
    assert run["columnKind"] == "unicodeCodePoints"
    (result,) = run["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    line = (CONFIG % "").splitlines()[region["startLine"] - 1]
    assert line[region["startColumn"] - 1 : region["endColumn"] - 1] == 'proxy_set_header Authorization "";'


@pytest.mark.parametrize(
    ("line", "column", "character"),
    [
        ("abc", 3, 3),
        ("é a".encode().decode("latin-1"), 4, 3),
        ("\xe9 a", 3, 3),  # ISO 8859-1, which is no UTF-8
        ("\U0001f600 a".encode().decode("latin-1"), 6, 3),
    ],
)
def test_columns(line: str, column: int, character: int) -> None:
    assert SourceFile("a", f"x\n{line}\ny").character(2, column) == character
    assert SourceFile("a", f"x\n{line}").character(2, column) == character


def test_files_are_named_from_the_top_of_the_repository(
    repository: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository / "a b" / "100%"
    folder.mkdir(parents=True)
    name = os.fsdecode(b"caf\xe9:#?.conf")
    (folder / name).write_text(CONFIG % "")
    monkeypatch.chdir(folder)
    run = log(capsys, name)
    uri = "a%20b/100%25/caf%E9%3A%23%3F.conf"
    assert run["artifacts"] == [{"location": {"uri": uri, "uriBaseId": "SRCROOT"}}]
    location = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": uri, "uriBaseId": "SRCROOT", "index": 0}
    assert str(repository) not in json.dumps(run)


def test_files_outside_of_the_repository(repository: Path, capsys: Captured, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("other") / "a.conf"
    other.write_text(CONFIG % "")
    for name in (str(other), os.path.relpath(other)):
        assert log(capsys, name)["artifacts"] == [{"location": {"uri": other.as_uri()}}]


def test_fingerprints_survive_shifted_lines(repository: Path, capsys: Captured) -> None:
    def fingerprints() -> list[Any]:
        return [result["partialFingerprints"] for result in log(capsys, "a.conf")["results"]]

    (repository / "a.conf").write_text(CONFIG % SILENCED)
    before = fingerprints()
    (repository / "a.conf").write_text("# one\n# two\n" + CONFIG % SILENCED)
    assert fingerprints() == before
    assert len({json.dumps(item) for item in before}) == 2


def test_findings_that_comments_silence(repository: Path, capsys: Captured) -> None:
    (repository / "a.conf").write_text(CONFIG % SILENCED)
    first, second = log(capsys, "a.conf")["results"]
    assert first["suppressions"] == []  # known to be none: the standard wants it said of all results or of none
    (suppression,) = second["suppressions"]
    assert (suppression["kind"], suppression["justification"]) == ("inSource", "it has sessions of its own")
    assert suppression["location"]["physicalLocation"]["region"]["startLine"] == 11


def test_the_way_of_the_header(repository: Path, capsys: Captured) -> None:
    (repository / "snippet.inc").write_text('proxy_set_header Authorization "";\n')
    (repository / "a.conf").write_text(
        (CONFIG % "").replace('set $name "Zo\u00eb"; proxy_set_header Authorization "";', "include snippet.inc;")
    )
    (result,) = log(capsys, "a.conf")["results"]
    ((flow,),) = [item["threadFlows"] for item in result["codeFlows"]]
    steps = [
        (step["location"]["physicalLocation"]["region"]["startLine"], step["location"]["message"]["text"])
        for step in flow["locations"]
    ]
    assert [line for line, _ in steps] == [3, 6, 8, 1]
    assert "longest prefix" in steps[1][1]
    assert steps[-1][1].startswith("Is the client's Authorization meant to be kept")
    related = [item["message"]["text"] for item in result["relatedLocations"]]
    assert related == ["the requests go here", "included here"]
    assert [item["id"] for item in result["relatedLocations"]] == [1, 2]


def test_every_rule_is_described(repository: Path, capsys: Captured) -> None:
    (repository / "a.conf").write_text(CONFIG % "")
    run = log(capsys, "a.conf")
    described = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in described] == list(rules.NAMES)
    for rule in described:
        assert rule["help"]["markdown"] == rules.documentation(rule["id"])
        assert 10 < len(rule["fullDescription"]["text"]) <= 1000
    (result,) = run["results"]
    assert described[result["ruleIndex"]]["id"] == result["ruleId"] == "stripped-authorization"
    assert (result["level"], described[result["ruleIndex"]]["defaultConfiguration"]["level"]) == ("warning", "error")


def test_the_worst_finding_ranks_its_rule() -> None:
    def score(*severities: str) -> str:
        place = Place(SourceFile("a", "x\ny\n"), 1)
        report = Report(tuple(Finding("open-gate", severity, "x", place) for severity in severities))
        driver = as_object(report, Run())["runs"][0]["tool"]["driver"]
        return str(driver["rules"][rules.NAMES.index("open-gate")]["properties"]["security-severity"])

    assert (score(), score(INFO), score(INFO, ERROR)) == ("8.0", "2.0", "8.0")
    assert {*sarif._SECURITY} <= {*rules.NAMES}


def test_severities_of_the_settings_are_told() -> None:
    chosen = (("open-gate", "off"), ("leaked-credentials", "error"))
    (invocation,) = as_object(Report(), Run(0, chosen))["runs"][0]["invocations"]
    assert invocation["ruleConfigurationOverrides"] == [
        {
            "descriptor": {"id": "open-gate", "index": rules.NAMES.index("open-gate")},
            "configuration": {"enabled": False},
        },
        {
            "descriptor": {"id": "leaked-credentials", "index": rules.NAMES.index("leaked-credentials")},
            "configuration": {"level": "error"},
        },
    ]


def test_more_results_than_services_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MAX_RESULTS", 1)
    report = judge([ToySite("route /a\n  gate door\n  to app\nroute /b\n  set Authorization -\n  to app\n")])
    assert len(report.findings) > 1
    run = as_object(report, Run())["runs"][0]
    assert [result["ruleId"] for result in run["results"]] == ["stripped-authorization"]
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"].startswith(f"{len(report.findings) - 1} findings")


def test_text_is_no_link_and_drives_no_terminal() -> None:
    place = Place(SourceFile("a", "x\n"), 1)
    report = Report((Finding("open-gate", ERROR, "See [here](http://x.example)\x1b[2J.", place),))
    (result,) = as_object(report, Run())["runs"][0]["results"]
    assert result["message"]["text"] == "See \\[here\\](http://x.example)\\x1b[2J."


def test_the_same_tree_gives_the_same_bytes(
    repository: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any
) -> None:
    texts = []
    for folder in (repository, tmp_path_factory.mktemp("clone")):
        (folder / ".git").mkdir(exist_ok=True)
        (folder / "a.conf").write_text(CONFIG % SILENCED)
        monkeypatch.chdir(folder)
        main(["a.conf", "--format", "sarif"])
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_ways_are_looked_for_only_where_they_are_shown() -> None:
    path = str(ROOT / "configs" / "nginx" / "stripped-authorization.conf")
    assert all(not finding.way for finding in check([path], Options()).findings)
    assert any(finding.way for finding in check([path], Options(), ways=True).findings)
