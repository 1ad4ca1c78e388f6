"""mod_alias against what the real httpd did (rewrite_measured.json)."""

from __future__ import annotations

import pytest

from auditor.servers.apache import alias
from auditor.servers.apache.run import Respond
from tests.apache import rewrite_lab
from tests.apache.rewrite_cases import CASES, Ask, Case
from tests.apache.rewrite_way import answer, compared, prepared, send

MEASURED = rewrite_lab.stored()
PAIRS = [(case, ask) for case in CASES for ask in case.requests if case.name.startswith("a-")]


@pytest.mark.parametrize(("case", "ask"), PAIRS, ids=lambda one: one.name if isinstance(one, Case) else one.label)
def test_prediction_is_what_was_measured(case: Case, ask: Ask) -> None:
    assert compared(send(case, ask), case.name) == compared(MEASURED[case.name, ask.label])


def test_a_redirect_tells_what_the_client_has_in_it() -> None:
    case = Case("s-own", (), "Redirect permanent /old https://x.example/new", "", {}, "")
    with pytest.raises(Respond) as end:
        answer(case, Ask("/old/a%20b?c"))
    assert end.value.status == 301 and end.value.line is not None and end.value.line.name == "Redirect"
    assert end.value.location is not None
    assert [tuple(segment) for segment in end.value.location.segments] == [
        ("config", "https://x.example/new"),
        ("client", "/a%20b"),
        ("config", "?"),
        ("client", "c"),
    ]


def test_a_redirect_to_an_own_path_has_the_name_that_the_client_used() -> None:
    with pytest.raises(Respond) as end:
        answer(Case("s-own", (), "Redirect /old /new", "", {}, ""), Ask("/old"))
    assert end.value.location is not None and end.value.location.text == "http://s-own.example:8080/new"
    assert "client:Host" in end.value.location.sources


def test_what_is_not_known_stays_in_a_redirect() -> None:
    rules = "<Location /r>\nRedirect 302 https://x.example/a b/%{REMOTE_ADDR}?c d\n</Location>"
    with pytest.raises(Respond) as end:
        answer(Case("s-own", (), rules.replace("https", '"https').replace("c d", 'c d"'), "", {}, ""), Ask("/r"))
    assert end.value.location is not None
    assert [tuple(segment) for segment in end.value.location.segments] == [
        ("config", "https://x.example/a%20b/"),
        ("address", None),
        ("config", "?c d"),
    ]


def test_a_script_alias_names_its_handler_and_line() -> None:
    run = prepared(Case("s-own", (), "ScriptAlias /cgi {doc}", "", {}, ""), Ask("/cgi/e.cgi"))
    assert run.handler == "cgi-script" and run.handler_line is not None and run.handler_line.name == "ScriptAlias"
    assert run.notes["context prefix"] == "/cgi"


@pytest.mark.parametrize(
    ("uri", "path", "length"),
    [("/a/b", "/a", 2), ("/ab", "/a", None), ("/a", "/a/", None), ("//a//b", "/a/", 5), ("/a", "/a", 2), ("/", "/", 1)],
)
def test_how_much_a_path_covers(uri: str, path: str, length: int | None) -> None:
    assert alias.covers(uri, path) == length
