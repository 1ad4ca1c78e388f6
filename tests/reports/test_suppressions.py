"""Comments that silence findings, on a server kind that is not nginx."""

from __future__ import annotations

from auditor.check import Report, judge
from auditor.findings import WARNING
from auditor.settings import Settings
from tests.toy import ToySite

STRIPPED = "route /a\n  set Authorization -{}\n  to app\n"


def report(text: str) -> Report:
    return judge([ToySite(text)])


def rules(text: str) -> list[tuple[str, int]]:
    return [(finding.rule, finding.place.line) for finding in report(text).findings]


def test_without_a_comment() -> None:
    assert rules(STRIPPED.format("")) == [("stripped-authorization", 2)]


def test_at_the_end_of_the_line() -> None:
    text = STRIPPED.format("  # audit: ignore[stripped-authorization] sessions are used")
    assert rules(text) == []
    (silenced,) = report(text).suppressed
    assert (silenced.finding.rule, silenced.reason, silenced.comment.line) == (
        "stripped-authorization",
        "sessions are used",
        2,
    )


def test_on_the_line_above() -> None:
    assert rules("route /a\n  # audit: ignore[stripped-authorization] why\n  set Authorization -\n  to app\n") == []


def test_of_the_whole_file() -> None:
    text = "# audit: ignore-file[stripped-authorization] no application here wants it\n"
    assert rules(text + STRIPPED.format("") + "route /b\n  set Authorization -\n  to app\n") == []


def test_several_rules_in_one_comment() -> None:
    text = STRIPPED.format("  # audit: ignore[stripped-authorization, open-gate] why")
    assert rules(text) == [("unused-suppression", 2)]


def test_of_another_line() -> None:
    text = "# audit: ignore[stripped-authorization] too far up\nroute /a\n  set Authorization -\n  to app\n"
    assert rules(text) == [("unused-suppression", 1), ("stripped-authorization", 3)]


def test_without_a_reason_it_silences_nothing() -> None:
    assert rules(STRIPPED.format("  # audit: ignore[stripped-authorization]")) == [
        ("stripped-authorization", 2),
        ("suppression-without-reason", 2),
    ]


def test_of_an_unknown_rule() -> None:
    (finding,) = report("route /a  # audit: ignore[stripped-autorization] why\n").findings
    assert finding.rule == "unused-suppression"
    assert finding.severity == WARNING
    assert "stripped-authorization" in finding.help


def test_that_cannot_be_read() -> None:
    assert rules("route /a  # audit: ignore stripped-authorization why\n") == [("unused-suppression", 1)]


def test_of_a_file_that_is_read_twice() -> None:
    text = STRIPPED.format("  # audit: ignore[stripped-authorization] why")
    found = judge([ToySite(text), ToySite(text)])
    assert found.findings == ()
    assert len(found.suppressed) == 1


def test_of_a_rule_that_is_off() -> None:
    text = STRIPPED.format("  # audit: ignore[stripped-authorization] why")
    assert judge([ToySite(text)], Settings(severities=(("stripped-authorization", "off"),))).findings == ()


def test_severities_of_findings_about_comments() -> None:
    settings = Settings(severities=(("unused-suppression", "info"),))
    (finding,) = judge([ToySite("route /a  # audit: ignore[open-gate] why\n")], settings).findings
    assert finding.severity == "info"
    assert judge([ToySite("route /a  # audit: ignore[open-gate]\n")], settings).fails("warning")


def test_the_twin_of_a_silenced_finding_keeps_its_fingerprint() -> None:
    text = "route /a\n{}  gate -\n  gate -\n  to app\n"
    first, second = report(text.format("")).findings
    silenced = report(text.format("  # audit: ignore[open-gate] the door is elsewhere\n"))
    assert [item.fingerprint for item in silenced.findings] == [second.fingerprint]
    assert [item.finding.fingerprint for item in silenced.suppressed] == [first.fingerprint]
