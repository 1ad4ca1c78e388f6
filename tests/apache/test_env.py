"""SetEnvIf and SetEnv over servers and sections; single lines are in test_headers.py. Each value here was measured with
`Header always set X-V "[%{V}e]"` on the real httpd."""

from __future__ import annotations

import pytest

from auditor.servers.apache import env
from auditor.servers.apache.config import Server
from auditor.servers.apache.run import Run, Unpredictable
from auditor.values import ADDRESS, Segment, Value, client_header, literal
from tests.apache import lab
from tests.apache.make import make_run, sections_of


def variables(run: Run) -> dict[str, str | None]:
    """The variables as they are looked up."""
    env.match_headers(run, True)
    env.match_headers(run, False)
    env.fixup(run)
    return {entry.name: (run.env.get(entry.name) or entry.value).text for entry in run.env}


def in_host(main: str, host: str) -> Run:
    """A request to a virtual host."""
    run = make_run(main)
    run.server = Server(sections_of(host), None, (), run.config.main)
    run.layers = run.server.base
    return run


_BOTH = {"V": "out", "W": "1"}
SECTIONS: list[tuple[str, dict[str, str]]] = [
    ("SetEnv V main\n<Location />\nUnsetEnv V\n</Location>", {}),
    ("<Location />\nUnsetEnv V\n</Location>\n<Location /file.txt>\nSetEnv V in\n</Location>", {"V": "in"}),
    ("<Location />\nSetEnv V a\n</Location>\n<Location /file.txt>\nUnsetEnv V\nSetEnv W b\n</Location>", {"W": "b"}),
    ("SetEnv V out\n<Location />\nUnsetEnv V\nSetEnv V in\n</Location>", {"V": "in"}),
    ("SetEnv V out\n<Location />\nSetEnv V in\nUnsetEnv V\n</Location>", {}),
    # Two sections of one walk with such lines: an UnsetEnv among them does not reach what stands outside ...
    ("SetEnv V out\n<Location />\nUnsetEnv V\n</Location>\n<Location /file.txt>\nSetEnv W 1\n</Location>", _BOTH),
    ("SetEnv V out\n<Location />\nSetEnv W 1\n</Location>\n<Location /file.txt>\nUnsetEnv V\n</Location>", _BOTH),
    ('SetEnv V out\n<If "true">\nUnsetEnv V\n</If>\n<If "true">\nSetEnv W 1\n</If>', _BOTH),
    ("SetEnv V out\n<Files file.txt>\nUnsetEnv V\n</Files>\n<FilesMatch txt>\nSetEnv W 1\n</FilesMatch>", _BOTH),
    # ... but it does beside a section of another walk, or one without such lines.
    ('SetEnv V out\n<Location />\nUnsetEnv V\n</Location>\n<If "true">\nSetEnv W 1\n</If>', {"W": "1"}),
    ("SetEnv V out\n<Location />\nUnsetEnv V\n</Location>\n<Location /file.txt>\nHeader set X 1\n</Location>", {}),
    # The server's SetEnvIf runs first, wherever it stands.
    (
        "SetEnvIf X-A ^ V=main\n<Location />\nSetEnvIf V main W=loc\nSetEnvIf X-A ^ V=loc\n</Location>\n"
        "SetEnvIf V loc W=srv",
        {"V": "loc", "W": "loc"},
    ),
    ("SetEnvIf X-A ^ V=if\nSetEnv V set", {"V": "if"}),
]
HOSTS: list[tuple[str, str, dict[str, str]]] = [
    ("SetEnv V main", "UnsetEnv V", {}),
    ("SetEnv V main", "SetEnv V host", {"V": "host"}),
    ("SetEnvIf X-A ^ V=main", "SetEnvIf V main W=host", {"V": "main", "W": "host"}),
]


@pytest.mark.parametrize(("text", "expected"), SECTIONS)
def test_sections(text: str, expected: dict[str, str]) -> None:
    assert variables(make_run(text)) == expected


@pytest.mark.parametrize(("main", "host", "expected"), HOSTS)
def test_virtual_hosts(main: str, host: str, expected: dict[str, str]) -> None:
    assert variables(in_host(main, host)) == expected


@pytest.mark.live
def test_the_real_server_says_the_same() -> None:
    texts = [(text, expected) for text, expected in SECTIONS]
    texts += [
        (f"{main}\n<VirtualHost *:@P1@>\nServerName a.example\n{host}\n</VirtualHost>", expected)
        for main, host, expected in HOSTS
    ]
    for text, expected in texts:
        show = '\nHeader always set V "%{V}e"\nHeader always set W "%{W}e"\n'
        with lab.served(text + show, {"www/file.txt": "x"}, ("headers", "setenvif", "env")) as server:
            reply = lab.ask(server.port, ["GET /file.txt HTTP/1.1", "Host: a.example", "X-A: Alpha beta"])
        assert reply.status == 200
        assert {name: value for name, value in reply.headers if name in "VW" and value != "(null)"} == expected, text


def test_both_values_of_a_name_stay_in_the_environment() -> None:
    # mod_env puts its variables behind the others, and takes none of those away (apr_table_overlay).
    run = make_run("SetEnvIf X-A ^ V=if\nSetEnv V set")
    variables(run)
    assert [entry.value.text for entry in run.env.all("V")] == ["if", "set"]


def test_a_variable_made_of_a_header_is_the_clients() -> None:
    # APA-104: SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1; without the header the variable is empty.
    text = 'SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1'
    run = make_run(text, lines=(("Host", "t.example"), ("Authorization", "Bearer tok123")))
    variables(run)
    assert run.env.get("HTTP_AUTHORIZATION") == literal("Bearer tok123", client_header("Authorization"))
    run = make_run(text, lines=(("Host", "t.example"),))
    assert variables(run) == {"HTTP_AUTHORIZATION": ""}


def test_an_unknown_address_is_asked_for() -> None:
    run = make_run("SetEnvIf Remote_Addr ^10\\. INSIDE")
    assert variables(run) == {}
    assert [(asked.question.kind, asked.answer.name) for asked in run.shared.path.when] == [("client-address", "no")]


def test_an_unknown_address_is_copied_without_a_question() -> None:
    run = make_run("SetEnvIf Remote_Addr (.*) CLIENT=$1")
    variables(run)
    assert run.env.get("CLIENT") == Value((Segment(ADDRESS, None),))
    assert not run.shared.path.when


def test_a_group_that_nothing_has_matched_is_not_predicted() -> None:
    # Measured: the same line gives an empty value, or 500, from one start of httpd to the next.
    with pytest.raises(Unpredictable, match="no group has matched"):
        variables(make_run('SetEnvIfExpr "%{HTTP:X-A} =~ /b/" V=[$1]'))


def test_a_kept_value_that_an_expression_has_overwritten_is_not_predicted() -> None:
    # Measured: V is not set for X-N: 10, as it is without the line between.
    text = 'SetEnvIf X-N . A\nSetEnvIfExpr "%{HTTP:X-A} =~ /(b)/" B\nSetEnvIf X-N "[0-9]" V'
    with pytest.raises(Unpredictable, match="has left its own text"):
        variables(make_run(text))
