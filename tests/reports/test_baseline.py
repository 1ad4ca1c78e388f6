"""What is in the baseline does not fail; what comes later does, wherever lines have gone meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditor import baseline
from auditor.check import Report, judge
from auditor.cli.main import main
from auditor.settings import Settings, SettingsError
from tests.toy import ToySite

Captured = pytest.CaptureFixture[str]
STRIPPED = "route {}\n  set Authorization -\n  to app\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> None:
    Path("base.json").write_text(baseline.written(judge([ToySite(text)]).findings))


def against(text: str) -> Report:
    return judge([ToySite(text)], Settings(baseline="base.json"))


def test_what_is_known_does_not_count() -> None:
    write(STRIPPED.format("/a"))
    report = against(STRIPPED.format("/a"))
    assert [finding.known for finding in report.findings] == [True]
    assert not report.fails("info")
    assert report.count("error") == 0
    assert report.new == []


def test_lines_may_move() -> None:
    write(STRIPPED.format("/a"))
    other = STRIPPED.format("/b").replace("set Authorization -", "set X-Other x")
    assert against("# one\n\n" + other + STRIPPED.format("/a")).new == []


def test_another_route_rule_file_or_directive_is_new() -> None:
    write(STRIPPED.format("/a"))
    assert [finding.place.line for finding in against(STRIPPED.format("/a") + STRIPPED.format("/b")).new] == [5]
    assert [finding.rule for finding in against("route /a\n  gate -\n  set Authorization -\n  to app\n").new] == [
        "open-gate"
    ]
    assert against(STRIPPED.format("/a").replace("Authorization", "authorization")).new
    moved = judge([ToySite(STRIPPED.format("/a"), "other.conf")], Settings(baseline="base.json"))
    assert moved.new and not moved.notes


def test_each_counts() -> None:
    one = "route /a\n  gate -\n  to app\n"
    two = "route /a\n  gate -\n  gate -\n  to app\n"
    write(two)
    (entry,) = json.loads(Path("base.json").read_text())["findings"]
    assert entry["count"] == 2
    assert (against(two).new, against(two).notes) == ([], ())
    (note,) = against(one).notes
    assert (note.kind, "not found any more" in note.text) == ("stale", True)
    write(one)
    assert [finding.place.line for finding in against(two).new] == [3]


SHARED = """\
events {}
http {
  server {
    listen 80;
    server_name a.example;
%s  }
}
"""
LOCATION = "    location %s { include api.inc; }\n"


def test_a_line_of_a_snippet_is_one_finding_wherever_it_is_included(folder: Path, capsys: Captured) -> None:
    Path("api.inc").write_text('proxy_set_header Authorization "";\nproxy_pass http://127.0.0.1:9000;\n')
    Path("a.conf").write_text(SHARED % (LOCATION % "/m/" + LOCATION % "/n/"))
    assert main(["a.conf", "--write-baseline", "base.json"]) == 0
    assert json.loads(Path("base.json").read_text())["findings"] == [
        {
            "rule": "stripped-authorization",
            "file": "api.inc",
            "directive": 'proxy_set_header Authorization "";',
            "routes": ["a.example location /m/", "a.example location /n/"],
            "count": 1,
        }
    ]
    for routes in (("/a/", "/m/", "/n/"), ("/n/",), ("/n/", "/z/")):
        Path("a.conf").write_text(SHARED % "".join(LOCATION % route for route in routes))
        assert main(["a.conf", "--baseline", "base.json"]) == 0, routes
    Path("a.conf").write_text(SHARED % (LOCATION % "/z/"))
    assert main(["a.conf", "--baseline", "base.json"]) == 1


def test_the_file_is_sorted_and_does_not_name_lines() -> None:
    write(STRIPPED.format("/b") + "route /c\n  gate -\n  to app\n" + STRIPPED.format("/a"))
    text = Path("base.json").read_text()
    entries = json.loads(text)["findings"]
    assert [(entry["rule"], entry["routes"]) for entry in entries] == [
        ("open-gate", ["toy /c"]),
        ("stripped-authorization", ["toy /a"]),
        ("stripped-authorization", ["toy /b"]),
    ]
    assert '"line"' not in text
    write(STRIPPED.format("/a") + STRIPPED.format("/b") + "route /c\n  gate -\n  to app\n")
    assert Path("base.json").read_text() == text


def test_secrets_stay_out(capsys: Captured) -> None:
    Path("a.conf").write_text(
        SHARED % 'location / { auth_basic a; proxy_set_header Authorization "Basic k3y"; return 401; }\n'
        'location ~ ^/token=k3y/ { proxy_set_header Authorization ""; proxy_pass http://127.0.0.1:9; }\n'
    )
    main(["a.conf", "--write-baseline", "base.json"])
    text = Path("base.json").read_text()
    assert "stripped-authorization" in text
    assert "k3y" not in text
    assert main(["a.conf", "--baseline", "base.json"]) == 0


def test_what_is_not_found_any_more_is_a_note(capsys: Captured) -> None:
    write(STRIPPED.format("/a") + STRIPPED.format("/b"))
    (note,) = against(STRIPPED.format("/a")).notes
    assert note.text == (
        "base.json holds stripped-authorization of toy.conf: set Authorization - (toy /b), which is not found any more"
    )
    # Of files that were not read nothing is known.
    assert judge([ToySite("", "other.conf")], Settings(baseline="base.json")).notes == ()


BAD = SHARED % '    location / { proxy_set_header Authorization ""; proxy_pass http://127.0.0.1:9; }\n'
WORSE = BAD.replace("location / {", "location /x/ { return 401; }\n    location / {")


def test_reports_say_what_is_known(capsys: Captured) -> None:
    Path("a.conf").write_text(BAD)
    assert main(["a.conf", "--write-baseline", "base.json"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("1 warning in 1 file (1 fixable with --fix --unsafe-fixes)\n")
    assert err == "audit: base.json holds what is found here today: 1\n"
    assert main(["a.conf", "--baseline", "base.json"]) == 0
    assert capsys.readouterr().out == "no new findings in 1 file (1 known from the baseline)\n"
    Path("a.conf").write_text(WORSE)
    for name in ("text", "concise", "github"):
        assert main(["a.conf", "--baseline", "base.json", "--format", name]) == 1
        out = capsys.readouterr().out
        assert "missing-challenge" in out
        assert "stripped-authorization" not in out
    main(["a.conf", "--baseline", "base.json", "--format", "json"])
    assert [(item["rule"], item["known"]) for item in json.loads(capsys.readouterr().out)["findings"]] == [
        ("missing-challenge", False),
        ("stripped-authorization", True),
    ]

    def states(*more: str) -> list[tuple[str, str | None]]:
        main(["a.conf", "--format", "sarif", *more])
        results = json.loads(capsys.readouterr().out)["runs"][0]["results"]
        return [(item["ruleId"], item.get("baselineState")) for item in results]

    both = ["missing-challenge", "stripped-authorization"]
    assert states() == [(name, None) for name in both]
    assert states("--baseline", "base.json") == list(zip(both, ("new", "unchanged"), strict=True))
    assert states("--baseline", "base.json", "--omit-hidden") == [("missing-challenge", "new")]


def test_silenced_findings_can_be_left_out(capsys: Captured) -> None:
    silenced = BAD.replace("    location /", "    # audit: ignore[stripped-authorization] why\n    location /")
    Path("a.conf").write_text(silenced)
    for more, number in (((), 1), (("--omit-hidden",), 0)):
        main(["a.conf", "--format", "sarif", *more])
        assert len(json.loads(capsys.readouterr().out)["runs"][0]["results"]) == number


def test_a_baseline_is_not_written_of_half_a_tree(capsys: Captured) -> None:
    Path("a.conf").write_text(BAD)
    assert main(["a.conf", "absent.conf", "--write-baseline", "base.json"]) == 3
    assert "base.json is not written" in capsys.readouterr().err
    assert not Path("base.json").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no such baseline"),
        ("{", "is no baseline"),
        ("\xff", "is no baseline"),
        ("[]", "it has no list of findings"),
        ('{"schema": "baseline/9", "findings": []}', "another form than baseline/1"),
        ('{"schema": "baseline/1", "findings": [{"rule": "x"}]}', "finding 1 needs rule, file"),
        (
            '{"schema": "baseline/1", "findings": [{"rule": "x", "file": "y", "directive": "z", "routes": [],'
            ' "count": true}]}',
            "finding 1 needs rule, file",
        ),
        ("[" * 100_000, "is no baseline"),
    ],
)
def test_a_broken_baseline(text: str | None, words: str, capsys: Captured) -> None:
    Path("a.conf").write_text(BAD)
    if text is not None:
        Path("base.json").write_bytes(text.encode("latin-1"))
    assert main(["a.conf", "--baseline", "base.json"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("audit: base.json: ")
    assert words in line


def test_a_folder_is_no_baseline(folder: Path) -> None:
    with pytest.raises(SettingsError, match="directory"):
        baseline.read(str(folder))
