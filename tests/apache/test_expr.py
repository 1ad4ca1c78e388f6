"""httpd's expressions against what the real server makes of them (expressions.json), and what the values remember."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.servers.apache import variables
from auditor.servers.apache.env import fixup as env_fixup
from auditor.servers.apache.env import match_headers
from auditor.servers.apache.expr import ExprError, compile_condition, compile_string, holds, string
from auditor.servers.apache.run import Run
from auditor.values import ADDRESS, USER, client_header, literal
from auditor.world import Answer, Known, Question
from tests.apache import expressions, random_expressions
from tests.apache.make import make_run

TABLE = expressions.rows()
FILES = {"/etc": "directory", "/etc/passwd": "file"}
WORLD = Known({Question("file", path): Answer(name, "") for path, name in FILES.items()})


def run_of(number: int) -> Run:
    """The request of the table."""
    text = f'DocumentRoot {expressions.ROOT}/www\nSetEnv SE set\nSetEnvIf X-A "(.*)" FROM_A=$1'
    run = make_run(text, f"{expressions.uri_of(number)}?{expressions.QUERY}", world=WORLD)
    run.shared.client_address = "127.0.0.1"
    run.filename = f"{expressions.ROOT}/www{run.uri}"
    run.found = "file"
    match_headers(run, True)
    env_fixup(run)
    return run


def predicted(number: int, kind: str, text: str) -> list[Any]:
    """The row that the evaluator gives."""
    run = run_of(number)
    result: Any = "error"
    try:
        if kind == "condition":
            result = holds(run, compile_condition(text, restricted=True), None)
        else:
            value = string(run, compile_string(text, restricted=True), None).text
            result = None if value is None else value.strip(" \t")  # as a client reads a header's value
    except ExprError:
        pass
    assert not run.shared.path.when, "something was asked that the request tells"
    return [kind, text, result, list(dict.fromkeys(run.vary))]


@pytest.mark.parametrize(
    ("number", "row"), list(enumerate(TABLE)), ids=lambda it: it[1][:60] if isinstance(it, list) else ""
)
def test_result_is_what_was_measured(number: int, row: list[Any]) -> None:
    assert predicted(number, row[0], row[1]) == row


@pytest.mark.live
def test_the_table_is_what_the_real_server_says() -> None:
    assert expressions.measure(TABLE) == TABLE


@pytest.mark.live
@pytest.mark.parametrize("seed", [1, 2])
def test_random_expressions(seed: int) -> None:
    measured = expressions.measure(random_expressions.table(seed, 300))
    found = [predicted(number, row[0], row[1]) for number, row in enumerate(measured)]
    for row in measured:
        row[2] = row[2].strip() if isinstance(row[2], str) else row[2]
    assert [pair for pair in zip(found, measured, strict=True) if pair[0] != pair[1]] == []


def test_a_value_remembers_the_header_that_it_is_made_of() -> None:
    value = string(run_of(0), compile_string("user-%{tolower:%{HTTP:X-A}}"), None)
    assert value.text == "user-alpha beta"
    assert value.sources == ("config", client_header("X-A"))


def test_a_hash_of_a_header_is_the_clients() -> None:
    # md5 of "10", as md5sum prints it.
    value = string(run_of(0), compile_string("%{md5:%{HTTP:X-N}}"), None)
    assert (value.text, value.sources) == ("d3d9446802a44259755d38e6d163e820", (client_header("X-N"),))


def test_captures_of_a_condition_stay_for_its_caller() -> None:
    run = run_of(0)
    assert holds(run, compile_condition("%{HTTP:X-A} =~ /(A)l(.*)/ && %{HTTP:X-N} =~ /1/"), None)
    assert run.captures == ("Alpha beta", "A", "pha beta")
    assert holds(run, compile_condition("true"), None)
    assert not run.captures


def test_verified_user_is_the_users() -> None:
    # APA-018: expr=%{REMOTE_USER} is the verified name, and empty where nobody has been asked.
    run = make_run()
    assert string(run, compile_string("%{REMOTE_USER}"), None).text == ""
    run.user = literal("alice", USER)
    assert string(run, compile_string("%{REMOTE_USER}"), None).sources == (USER,)


def test_an_unknown_address_goes_both_ways() -> None:
    run = make_run()
    assert string(run, compile_string("%{REMOTE_ADDR}"), None).sources == (ADDRESS,)
    assert not holds(run, compile_condition("-R '10.0.0.0/8'"), None)
    assert [(asked.question.kind, asked.answer.name) for asked in run.shared.path.when] == [("client-address", "no")]


def test_what_the_server_has_no_file_for_is_asked() -> None:
    run = make_run()
    assert not holds(run, compile_condition("-f '/srv/maintenance'"), None)
    assert run.shared.path.when[0].question == Question("file", "/srv/maintenance")


def test_an_address_is_never_empty() -> None:
    run = make_run()
    assert holds(run, compile_condition("%{REMOTE_ADDR} != ''"), None)
    assert not run.shared.path.when


def test_a_message_says_what_is_wrong() -> None:
    with pytest.raises(ExprError, match="variable 'HTTP_X_API_KEY' does not exist"):
        compile_condition("%{HTTP_X_API_KEY} == 'x'")
    with pytest.raises(ExprError, match="unary operator -q does not exist"):
        compile_condition("-q 'x'")


def test_the_servers_own_port_where_the_client_names_none() -> None:
    # Measured with `Header set X "expr=%{SERVER_PORT} %{SERVER_NAME}"`, Listen 41221, Host: a.example: 80 a.example.
    run = make_run("ServerName t.example", lines=(("Host", "a.example"),))
    run.host = "a.example"
    assert variables.lookup(run, "SERVER_PORT").text == "80"
    assert variables.lookup(run, "SERVER_NAME").text == "a.example"
    assert variables.lookup(run, "SERVER_NAME").sources == (client_header("Host"),)
