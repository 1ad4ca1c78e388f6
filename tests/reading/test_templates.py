"""Templates: read where what is not filled in allows it, else named in a note, never an error."""

from __future__ import annotations

import pytest

from auditor.servers.nginx.syntax import Directive
from auditor.templates import placeholders

from .conftest import read_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listen {{ port }};", "listen ${_port__};"),
        ("listen {{x}};", "listen ${_x};"),
        ("a {{}};", "a ${_};"),
        ("a {{ item.name | default('x y') }};", "a ${_item_name___default__x_y____};"),
        ("a <%= @port %>;", "a ${_port____};"),
        ("a {{- .Port -}};", "a ${_Port_____};"),
        ("{% if x %}\na;\n{% endif %}", "          \na;\n           "),
        ("{{ if .X }}a;{{ end }}", "           a;         "),
        ("{{- range $x := .Y }}\n{{ end -}}", "                     \n          "),
        ("a; {# comment {{ x }} #} b;", "a;                       b;"),
        ("<% if x -%>\na;", "           \na;"),
        ("a {\n  {{ extra_lines }}\n  b;\n}", "a {\n                   \n  b;\n}"),
        ("a b\n  {{ more }};", "a b\n  ${_more__};"),
        ("a {{ x\n }};", "a     \n   ;"),
    ],
)
def test_placeholders(text: str, expected: str) -> None:
    found = placeholders(text)
    assert found == expected
    assert len(found) == len(text)


JINJA = """\
{# made by hand #}
{% for site in sites %}
server {
    listen {{ site.port }};
    {{ site.extra }}
    location / {
        {% if site.auth %}
        auth_basic "{{ site.realm }}";
        {% endif %}
        proxy_pass http://{{ site.host }}:{{ site.port }};
    }
}
{% endfor %}
"""


@pytest.mark.parametrize("name", ["site.conf.j2", "site.conf"])
def test_template_is_read_with_unknown_values(name: str) -> None:
    tree = read_text(JINJA, name)
    assert not tree.errors
    assert [note.kind for note in tree.notes] == ["template"]
    directives: dict[str, Directive] = {directive.name: directive for directive in tree.walk()}
    assert directives["auth_basic"].args[0].startswith("${_site_realm")
    assert directives["proxy_pass"].args[0].startswith("http://${_site_host")
    # Lines and texts are those of the file itself.
    assert directives["proxy_pass"].line == 10
    assert directives["proxy_pass"].place.text == "proxy_pass http://{{ site.host }}:{{ site.port }};"


def test_variables_of_envsubst_are_variables_anyway() -> None:
    tree = read_text("server { listen ${PORT}; server_name ${NAME}; }\n", "default.conf.template")
    assert not tree.errors
    assert [d.args for d in tree.directives[0].block or []] == [["${PORT}"], ["${NAME}"]]


@pytest.mark.parametrize("name", ["site.conf.j2", "site.conf"])
def test_template_that_does_not_parse_is_a_note(name: str) -> None:
    tree = read_text("server {\n  listen {{ port }};\n{% if a %}\n}\n{% else %}\n}\n{% endif %}\n", name)
    assert not tree.errors
    assert not tree.directives
    (note,) = tree.notes
    assert (note.kind, note.place and note.place.line) == ("template", 6)
    assert "not analysed" in note.text


def test_lua_tables_are_no_template() -> None:
    tree = read_text("location / { content_by_lua_block { t = {{1}, {2}} } }\n")
    assert not tree.notes
    assert [d.args for d in tree.directives[0].block or []] == [[" t = {{1}, {2}} "]]


def test_broken_configuration_is_no_template() -> None:
    assert read_text("server {\n").errors
