"""Annotations of GitHub Actions: one line each, whatever stands in names and messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Report, judge
from auditor.cli.main import main
from auditor.findings import ERROR, INFO, WARNING, Finding
from auditor.reports.github import github
from auditor.reports.terminal import Terminal
from auditor.source import InputError, Place, SourceFile
from tests.toy import ToySite

PLAIN = Terminal()


def test_an_annotation() -> None:
    report = judge([ToySite("route /api/\n  set Authorization -\n  to app\n", "conf/a.conf")])
    assert github(report, PLAIN, WARNING) == (
        "::error file=conf/a.conf,line=2,endLine=2,col=3,endColumn=22,title=audit%3A stripped-authorization::"
        "The client's Authorization does not reach app: requests arrive there without credentials.%0A"
        "Remove the line: without it the client's Authorization is passed on as it came.\n"
    )


def test_infos_are_notices_where_they_are_asked_for() -> None:
    report = judge([ToySite("route /\n  gate door\n  to app\n")])
    assert github(report, PLAIN, WARNING) == ""
    assert github(report, PLAIN, INFO).startswith("::notice file=toy.conf,line=3,")


def test_what_would_end_a_property_or_a_line_is_escaped() -> None:
    place = Place(SourceFile("a,b:c%\n.conf", "x\n"), 1)
    report = Report((Finding("open-gate", ERROR, "100%: one\r\n::error::two", place),))
    (line,) = github(report, PLAIN, WARNING).splitlines()
    assert line == (
        "::error file=a%2Cb%3Ac%25\\x0a.conf,line=1,endLine=1,col=1,endColumn=2,title=audit%3A open-gate::"
        "100%25: one\\x0d%0A::error::two"
    )


def test_columns_are_for_annotations_of_one_line() -> None:
    source = SourceFile("a.conf", "\u00eb one\n  two;\n".encode().decode("latin-1"))
    over_two = Report((Finding("open-gate", ERROR, "x", Place(source, 1, "one")),))
    assert "line=1,endLine=2,title" in github(over_two, PLAIN, WARNING)
    in_second = Report((Finding("open-gate", ERROR, "x", Place(source, 2, "two")),))
    assert "line=2,endLine=2,col=3,endColumn=7,title" in github(in_second, PLAIN, WARNING)


def test_an_input_that_cannot_be_read() -> None:
    report = Report(errors=(InputError("a.conf", 3, "no end"), InputError("b.conf", 0, "is a directory")))
    assert github(report, PLAIN, WARNING) == (
        "::error file=a.conf,line=3,title=audit%3A unreadable::no end\n"
        "::error file=b.conf,title=audit%3A unreadable::is a directory\n"
    )


def test_files_are_named_from_the_top_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.conf").write_text("server { listen 80; location / { return 401; } }\n")
    monkeypatch.chdir(tmp_path / "conf")
    main(["a.conf", "--format", "github"])
    assert capsys.readouterr().out.startswith("::warning file=a.conf,line=1,")
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)  # the top of a folder is looked up once
    main(["conf/a.conf", "--format", "github"])
    assert capsys.readouterr().out.startswith("::warning file=conf/a.conf,line=1,")
