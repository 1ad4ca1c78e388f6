"""The reports, byte for byte where people read them, and by meaning where programs do."""

from __future__ import annotations

import json

from auditor.check import Report, judge
from auditor.findings import INFO, WARNING
from auditor.http import make_request
from auditor.reports.concise import concise
from auditor.reports.findings_json import findings_json
from auditor.reports.routes_text import routes_text, table
from auditor.reports.terminal import Terminal, curl, printable
from auditor.reports.text import text
from auditor.reports.trace_json import trace_json
from auditor.reports.trace_text import trace_text
from tests.toy import ToySite

PLAIN = Terminal()
SITE = ToySite(
    """route /api/
  set Authorization -
  to app
route /staff/
  gate door
  to app
"""
)

TEXT = """\
error[stripped-authorization]: The client's Authorization does not reach app: requests arrive there without credentials.
 --> toy.conf:2:3
  |
2 |   set Authorization -
  |   ^^^^^^^^^^^^^^^^^^^
 ...
3 |   to app
  |   ------ the requests go here
  = route: GET http://toy.example/api/
  = help: Remove the line: without it the client's Authorization is passed on as it came.
  = try: curl -i -H 'Authorization: Bearer audit-probe' http://toy.example/api/

1 error in 1 file (1 info hidden; --show info shows them)
"""


def test_text() -> None:
    assert text(judge([SITE]), PLAIN, WARNING) == TEXT


def test_text_with_infos() -> None:
    shown = text(judge([SITE]), PLAIN, INFO)
    assert "info[leaked-credentials]" in shown
    assert shown.endswith("\n1 error, 1 info in 1 file\n")


def test_text_without_findings() -> None:
    assert text(Report(files=("a", "b")), PLAIN, WARNING) == "no findings in 2 files\n"


def test_colour_changes_nothing_but_colour() -> None:
    import re

    coloured = text(judge([SITE]), Terminal(True), WARNING)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == TEXT


def test_concise() -> None:
    (line,) = concise(judge([SITE]), PLAIN, WARNING).splitlines()
    assert line.startswith("toy.conf:2:3: error[stripped-authorization] The client's Authorization")


def test_json_holds_infos() -> None:
    value = json.loads(findings_json(judge([SITE])))
    assert value["schema"] == "findings/1"
    assert [item["rule"] for item in value["findings"]] == ["stripped-authorization", "leaked-credentials"]
    first = value["findings"][0]
    assert (first["file"], first["line"], first["column"], first["end_line"]) == ("toy.conf", 2, 3, 2)
    assert first["witness"]["url"] == "http://toy.example/api/"
    assert ["Authorization", "Bearer audit-probe"] in first["witness"]["headers"]
    names = "rule severity confidence message kind file line column end_line end_column related routes witness help fix"
    assert set(first) == {*names.split(), "proof", "fingerprint", "known"}
    assert value["files"] == ["toy.conf"]


def test_trace_json() -> None:
    request = make_request("http://toy.example/api/x", headers=[("Authorization", "Bearer t")])
    value = json.loads(json.dumps(trace_json({"url": "asked"}, SITE.trace(request))))
    assert value["schema"] == "trace/1"
    assert value["request"] == {"url": "asked"}
    (outcome,) = value["outcomes"]
    (exchange,) = outcome["exchanges"]
    assert [header["name"] for header in exchange["headers"]] == ["Host"]
    assert exchange["lost"] == [
        {
            "name": "Authorization",
            "because": [{"role": "decides", "file": "toy.conf", "line": 2, "column": 3, "text": "set Authorization -"}],
        }
    ]


def test_trace_text_shows_the_loss_and_masks_credentials() -> None:
    request = make_request("http://toy.example/api/x", headers=[("Authorization", "Bearer sesame")])
    shown = trace_text(request, SITE.trace(request), [], PLAIN)
    assert "  Authorization: -   stripped   toy.conf:2 set Authorization -\n" in shown
    # What most people ask stands above the way.
    assert shown.index("Authorization does not reach app: toy.conf:2 set Authorization -\n") < shown.index("way\n")
    assert "sesame" not in shown
    assert "Bearer ***" in shown
    staff = make_request("http://toy.example/staff/", headers=[("Authorization", "Basic eDp5")])
    assert "Authorization reaches app as it was sent\n" in trace_text(staff, SITE.trace(staff), [], PLAIN)


def test_routes_table() -> None:
    rows = table(SITE, ("Authorization", "Host"))
    assert [(row.route.pattern, row.target, row.fates) for row in rows] == [
        ("/api/", "app", ("stripped", "forwarded")),
        ("/staff/", "app", ("forwarded", "forwarded")),
    ]
    assert routes_text(rows, ("Authorization", "Host"), PLAIN).splitlines()[1].split() == [
        "GET",
        "http://toy.example/api/",
        "app",
        "stripped",
        "forwarded",
    ]


def test_routes_that_may_end_in_several_places() -> None:
    site = ToySite("route /a\n  gate door\n  to app\nroute /b\n  gate door\nroute /c\n  answer 403\n")
    # A wrong password shows the gate, not where requests go; files alone say that there are files.
    assert [row.target for row in table(site, ("Host",))] == ["app", "files", "403"]


def test_control_characters_are_shown_not_obeyed() -> None:
    assert printable("a\x1b[31mb\x9b\u202e") == "a\\x1b[31mb\\x9b\\x202e"
    site = ToySite("route /\x1b[2J\n  set Authorization -\n  to app\x1b]0;x\x07\n")
    assert "\x1b" not in text(judge([site]), PLAIN, INFO)


def test_secrets_are_masked() -> None:
    site = ToySite("route /a\n  set Authorization -   # was: Bearer sesame\n  to app\n")
    for render in (text, concise):
        assert "sesame" not in render(judge([site]), PLAIN, INFO)
    assert "sesame" not in findings_json(judge([site]))


def test_curl() -> None:
    request = make_request("http://a.example:8080/x/../y?a=b'c", "POST", [("X-Empty", ""), ("Accept", "a b")], "1.0")
    assert curl(request) == (
        "curl -i -X POST -0 --path-as-is -H 'X-Empty;' -H 'Accept: a b' 'http://a.example:8080/x/../y?a=b'\\''c'"
    )


def test_curl_keeps_another_host_header() -> None:
    assert curl(make_request("http://127.0.0.1/", headers=[("Host", "a.example")])) == (
        "curl -i -H 'Host: a.example' http://127.0.0.1/"
    )
