"""Header, RequestHeader, SetEnvIf and SetEnv against what the real server makes of them (lines.json)."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.servers.apache import env, headers
from auditor.servers.apache.run import Run, Unpredictable
from auditor.trace import Because
from auditor.values import SERVER, USER, Segment, Value, client_header, literal
from tests.apache import lines
from tests.apache.make import make_run

TABLE = lines.rows()


def send(run: Run, error: bool = False) -> list[list[str | None]]:
    """The request's way through the three modules, and the header lines of its answer."""
    headers.early(run)
    env.match_headers(run, True)
    env.match_headers(run, False)
    env.fixup(run)
    headers.fixup(run)
    if run.vary:
        run.headers_out.merge("Vary", literal(", ".join(run.vary)))
        run.vary.clear()
    headers.output(run, error)
    return [[entry.name, entry.value.text] for entry in (*run.errors_out, *run.headers_out)]


def comparable(pairs: list[Any]) -> list[Any]:
    """The header lines as a client reads them. Vary is written without blanks by httpd (fix_vary), and where it stands
    among the others is of no account."""
    found = [[name, (value or "").strip()] for name, value in pairs if name != "Vary"]
    vary = [part for name, value in pairs if name == "Vary" for part in (value or "").replace(",", " ").split()]
    return [*found, list(dict.fromkeys(vary))]


@pytest.mark.parametrize("number", range(len(TABLE)), ids=[row[0][:60].replace("\n", " ; ") for row in TABLE])
def test_result_is_what_was_measured(number: int) -> None:
    text, status, seen = TABLE[number]
    run = make_run(f"<Directory />\n{text}{lines.SHOW}</Directory>", f"/{number}{lines.TARGET}")
    run.shared.client_address = "127.0.0.1"
    if status != 200:
        with pytest.raises(Unpredictable):
            send(run)
        return
    assert comparable(send(run)) == comparable(seen)


@pytest.mark.live
def test_the_table_is_what_the_real_server_says() -> None:
    assert lines.measure(TABLE) == TABLE


def test_an_error_of_the_servers_own_gets_the_always_lines_only() -> None:
    # Measured: with RewriteRule ^ - [F] behind these lines the 403 has X-S only.
    run = make_run("Header set X-R v\nHeader always set X-S v")
    assert send(run, error=True) == [["X-S", "v"]]


def test_early_lines_count_in_the_server_only_and_before_setenvif() -> None:
    # Measured: `early` in <Location> does nothing; %{V}e reads (null) though SetEnvIf sets V for the same request.
    run = make_run(
        'SetEnvIf X-A ^ V\nRequestHeader set X-New "%{V}e" early\n'
        "<Location />\nRequestHeader set X-New inside early\n</Location>"
    )
    send(run)
    assert run.header("X-New") == "(null)"


def test_sections_add_to_the_server() -> None:
    # APA-007: the server's lines come first, then the Location's. Measured for append: "v, loc".
    run = make_run("RequestHeader append X-New v\n<Location />\nRequestHeader append X-New loc\n</Location>")
    send(run)
    assert run.header("X-New") == "v, loc"


def test_what_takes_a_header_away_is_blamed() -> None:
    run = make_run("RequestHeader unset Cookie")
    send(run)
    assert run.header("Cookie") is None
    (because,) = run.headers_in.gone["cookie"]
    assert isinstance(because, Because) and because.place is not None and because.place.line == 1


def test_a_null_text_is_the_configurations() -> None:
    # APA-018: without mod_ssl %{REMOTE_USER}s is the literal (null) even for a verified user; expr= is the name.
    run = make_run(
        "RequestHeader set X-U %{REMOTE_USER}s\nRequestHeader set X-UE %{REMOTE_USER}e\n"
        "RequestHeader set X-UX expr=%{REMOTE_USER}"
    )
    run.user = literal("alice", USER)
    send(run)
    assert [run.header(name) for name in ("X-U", "X-UE", "X-UX")] == ["(null)", "(null)", "alice"]
    assert run.headers_in.get("X-UX") == literal("alice", USER)


def test_with_mod_ssl_the_verified_user_is_found() -> None:
    # APA-030
    run = make_run("RequestHeader set X-U %{REMOTE_USER}s", modules=("headers", "ssl", "setenvif", "env"))
    send(run)
    assert run.header("X-U") == "(null)"
    run.user = literal("alice", USER)
    send(run)
    assert run.headers_in.get("X-U") == literal("alice", USER)


def test_an_edited_header_is_still_the_clients() -> None:
    # APA-006: edit Authorization "^Bearer (.*)" "Token $1" of Bearer tok123 gives Token tok123.
    run = make_run(
        'RequestHeader edit Authorization "^Bearer (.*)" "Token $1"',
        lines=(("Host", "t.example"), ("Authorization", "Bearer tok123")),
    )
    send(run)
    value = run.headers_in.get("Authorization")
    assert value is not None and value.text == "Token tok123"
    assert value.sources == ("config", client_header("Authorization"))


def test_a_worker_number_is_known_by_its_letter_only() -> None:
    # Measured: %D gives D=43, %t t=1795315417765564, %l l=3.91/4.02/3.01, %i i=98, %b b=1.
    run = make_run('Header set X-R "%D"')
    send(run)
    assert run.headers_out.get("X-R") == Value((Segment("config", "D="), Segment(SERVER, None)))


def test_an_unknown_header_is_edited_whatever_it_is() -> None:
    run = make_run('Header edit Set-Cookie ^(.*)$ "$1; Secure"')
    run.headers_out.add("Set-Cookie", Value((Segment("answer:main:set-cookie", None),)))
    send(run)
    value = run.headers_out.get("Set-Cookie")
    assert value is not None and value.segments[-1] == Segment("config", "; Secure")
    assert value.segments[0] == Segment("answer:main:set-cookie", None)
