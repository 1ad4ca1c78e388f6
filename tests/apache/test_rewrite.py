"""mod_rewrite and mod_alias against what the real httpd did (rewrite_measured.json), and anew where it is installed."""

from __future__ import annotations

import pytest

from auditor.servers.apache import rewrite
from auditor.servers.apache.rewrite_rules import split_arguments
from auditor.servers.apache.run import Respond, Unpredictable
from auditor.values import USER, literal
from auditor.world import Question
from tests.apache import rewrite_lab
from tests.apache.rewrite_cases import CASES, Ask, Case
from tests.apache.rewrite_way import answer, compared, go, prepared, send, walked

MEASURED = rewrite_lab.stored()
PAIRS = [(case, ask) for case in CASES for ask in case.requests]
OURS = [(case, ask) for case, ask in PAIRS if not case.name.startswith("a-")]


@pytest.mark.parametrize(("case", "ask"), OURS, ids=lambda one: one.name if isinstance(one, Case) else one.label)
def test_prediction_is_what_was_measured(case: Case, ask: Ask) -> None:
    assert compared(send(case, ask), case.name) == compared(MEASURED[case.name, ask.label])


@pytest.mark.live
def test_the_real_server_does_so_still() -> None:
    now = rewrite_lab.measure()
    assert {key: compared(result) for key, result in now.items()} == {key: compared(MEASURED[key]) for key in now}
    for case, ask in PAIRS:
        assert compared(send(case, ask), case.name) == compared(now[case.name, ask.label]), (
            case.name,
            ask.label,
        )


# --- where values come from, and what is not known


def one(text: str, target: str = "/a", headers: dict[str, str] | None = None, **more: str) -> tuple[Case, Ask]:
    """A case of server-wide rules (or of a .htaccess), and its request."""
    htaccess = {"": more["htaccess"]} if "htaccess" in more else {}
    return Case("s-own", (), text, "", htaccess, ""), Ask(target, tuple((headers or {}).items()))


def test_a_variable_keeps_the_header_that_it_is_made_of() -> None:
    rules = (
        "RewriteEngine On\nRewriteCond %{HTTP:X-A}-%{HTTP:X-B} ^(.*)-(.*)$\nRewriteRule ^/(.*) - [E=V:x$1%2%{HTTP:X-A}]"
    )
    run, _ = go(*one(rules, "/p", {"X-A": "one", "X-B": "two"}))
    entry = run.env.entry("V")
    assert entry is not None
    assert [tuple(segment) for segment in entry.value.segments] == [
        ("config", "x"),
        ("client", "p"),
        ("client:X-B", "two"),
        ("client:X-A", "one"),
    ]
    assert [why.place.line for why in entry.because if why.place is not None] == [10]


def test_a_location_keeps_what_the_client_has_in_it() -> None:
    rules = "RewriteEngine On\nRewriteRule ^/(.*) https://%{HTTP_HOST}/new/$1?k=v [R=301,QSA]"
    case, ask = one(rules, "/a%20b?c")
    with pytest.raises(Respond) as end:
        answer(case, ask)
    assert end.value.status == 301 and end.value.location is not None and end.value.line is not None
    assert end.value.location.text == "https://s-own.example:8080/new/a%20b?k=v&c"
    assert end.value.location.sources == ("config", "client:Host", "client")


def test_a_redirect_with_an_unknown_part_is_sent_all_the_same() -> None:
    case, ask = one("RewriteEngine On\nRewriteRule ^ https://x.example/%{REMOTE_ADDR} [R=307]")
    with pytest.raises(Respond) as end:
        answer(case, ask)
    assert end.value.status == 307 and end.value.location is not None
    assert end.value.location.text is None and "address" in end.value.location.sources


def test_a_path_with_an_unknown_part_is_unpredictable() -> None:
    with pytest.raises(Unpredictable):
        answer(*one("RewriteEngine On\nRewriteRule ^ /%{REMOTE_ADDR}"))


@pytest.mark.parametrize("condition", ["%{REMOTE_ADDR} ^10\\.", "%{REMOTE_ADDR} =10.0.0.1", "%{REMOTE_ADDR} !^10\\."])
def test_a_condition_on_what_is_not_known_goes_both_ways(condition: str) -> None:
    case, ask = one(f"RewriteEngine On\nRewriteCond {condition}\nRewriteRule ^ - [F]")
    ends = walked(case, ask)
    assert [status for status, _ in ends] == [403, 404]
    assert all(asked[0].question.kind == "variable" for _, asked in ends)


def test_a_pattern_that_any_address_fits_asks_nothing() -> None:
    case, ask = one("RewriteEngine On\nRewriteCond %{REMOTE_ADDR} ^(.+)$\nRewriteRule ^ - [F,E=A:%1]")
    assert walked(case, ask) == [(403, ())]


def test_a_file_is_asked_for_once() -> None:
    rules = "RewriteEngine On\nRewriteCond /data%{REQUEST_URI} -f [OR]\nRewriteCond /data/$0 -d\nRewriteRule ^/a - [F]"
    ends = walked(*one(rules))
    assert [status for status, _ in ends] == [404, 403, 403]
    assert {asked.question for _, when in ends for asked in when} == {Question("file", "/data/a")}


def test_what_a_program_says_is_not_known() -> None:
    rules = "RewriteEngine On\nRewriteMap m prg:/bin/x\nRewriteCond ${m:$0|NO} =NO\nRewriteRule ^/a - [F]"
    assert [status for status, _ in walked(*one(rules))] == [403, 404]


def test_older_servers_take_the_question_mark_of_a_client() -> None:
    case, ask = one("RewriteEngine On\nRewriteRule ^/s/(.*) /$1", "/s/e.cgi%3fb")
    case = case._replace(name="s-plain")
    assert send(case, ask)["status"] == 403
    assert send(case, ask, (2, 4, 59))["script"]["QUERY_STRING"] == "b"


def test_a_user_is_a_user_in_a_variable() -> None:
    case, ask = one("", "/e.cgi", htaccess="RewriteEngine On\nRewriteRule ^ - [E=U:%{REMOTE_USER}]")
    run = prepared(case, ask)
    run.user = literal("alice", USER)
    rewrite.fixup(run)
    value = run.env.get("U")
    assert value is not None and value.sources == (USER,)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ('"a b" c', ["a b", "c"]),
        ("a\\ b c [L]", ["a\\ b", "c", "[L]"]),
        ('\'a\' "b" "[E=x: y]"', ["a", "b", "[E=x: y]"]),
        ("a", ["a"]),
    ],
)
def test_arguments(rest: str, words: list[str]) -> None:
    assert split_arguments(rest) == words
