"""Findings are made one where they are the same, and keep their fingerprints when lines move."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import judge
from auditor.findings import ERROR, INFO, WARNING, Finding, lower, merge
from auditor.source import Place, SourceFile
from tests.toy import ToySite

SOURCE = SourceFile("a.conf", "one;\ntwo;\ntwo;\n")


def finding(line: int, route: str, severity: str = ERROR) -> Finding:
    return Finding("open-gate", severity, severity, Place(SOURCE, line), routes=(route,))


def test_one_line_and_many_routes() -> None:
    (merged,) = merge([finding(1, "GET http://a/"), finding(1, "GET http://b/"), finding(1, "GET http://a/")])
    assert merged.routes == ("GET http://a/", "GET http://b/")


def test_the_worst_severity_stays() -> None:
    (merged,) = merge([finding(1, "x", WARNING), finding(1, "y", ERROR), finding(1, "z", INFO)])
    assert (merged.severity, merged.message) == (ERROR, ERROR)


def test_sorted_by_place() -> None:
    assert [item.place.line for item in merge([finding(3, "x"), finding(1, "x"), finding(2, "x")])] == [1, 2, 3]


def test_same_text_on_two_lines_differs() -> None:
    first, second = merge([finding(2, "x"), finding(3, "x")])
    assert first.fingerprint != second.fingerprint


def test_fingerprint_does_not_move_with_the_line() -> None:
    text = "route /a\n  set Authorization -\n  to app\n"
    (before,) = judge([ToySite(text)]).findings
    (after,) = judge([ToySite("\n# a comment\n" + text)]).findings
    assert (before.place.line, after.place.line) == (2, 4)
    assert before.fingerprint == after.fingerprint


def test_fingerprint_does_not_move_with_the_folder_that_one_works_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "repository" / "conf").mkdir()

    def fingerprint(folder: str, name: str) -> str:
        monkeypatch.chdir(tmp_path / folder)
        (found,) = judge([ToySite("route /a\n  set Authorization -\n  to app\n", name)]).findings
        return found.fingerprint

    same = {
        fingerprint("repository", "conf/a.conf"),
        fingerprint("repository/conf", "a.conf"),
        fingerprint("repository/conf", "../conf/a.conf"),
        fingerprint("repository", str(tmp_path / "repository/conf/a.conf")),
    }
    assert len(same) == 1
    assert fingerprint("repository", "a.conf") not in same
    assert fingerprint("repository", "../conf/a.conf") not in same  # outside: as it is named


def test_lower() -> None:
    assert [lower(ERROR), lower(WARNING), lower(INFO), lower(ERROR, 2)] == [WARNING, INFO, INFO, INFO]
