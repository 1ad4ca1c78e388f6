"""From paths to configurations."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.check import Options
from auditor.discover import Entry, Found, discover, open_entry
from auditor.kinds import context_of, kind_of
from auditor.servers.nginx.syntax import read
from auditor.source import SourceFile

Write = Callable[[dict[str, str | bytes]], Path]
SITE = "server {\n  listen 80;\n  location / { proxy_pass http://a; }\n}\n"


def names(found: Found) -> list[str]:
    return [entry.name for entry in found.entries]


def first(found: Found) -> Entry:
    return open_entry(found.entries[0], Options(), found.near)


def test_a_file(write: Write) -> None:
    write({"nginx.conf": "events {}\nhttp {}\n"})
    found = discover(["nginx.conf"], Options())
    entry = first(found)
    assert (entry.kind, entry.source.name, entry.context) == ("nginx", "nginx.conf", "main")
    assert (found.errors, found.notes) == ((), ())


def test_what_cannot_be_read_is_an_error_and_the_rest_goes_on(write: Write) -> None:
    write({"a.conf": SITE, "zero.conf": b"\0"})
    found = discover(["gone.conf", "zero.conf", "a.conf"], Options())
    assert [error.file for error in found.errors] == ["gone.conf", "zero.conf"]
    assert names(found) == ["a.conf"]


def test_a_folder(write: Write) -> None:
    write(
        {
            "prod/nginx.conf": "events {}\nhttp { include /etc/nginx/conf.d/*.conf; include mime.types; }\n",
            "prod/conf.d/a.conf": SITE + "include snippets/s.conf;\n",
            "prod/snippets/s.conf": "add_header A b;\n",
            "prod/mime.types": "types { text/html html; }\n",
            "prod/fastcgi_params": "fastcgi_param A b;\n",
            "stage/nginx.conf": "events {}\nhttp { server { listen 80; } }\n",
            "sites-enabled/lonely": SITE,
            "app.vhost": SITE,
            "node_modules/x/nginx.conf": "events {}\n",
            ".git/nginx.conf": "events {}\n",
            "README.md": "```\nserver {\n  listen 80;\n}\n```\n",
            "application.conf": "akka {\n  http {\n    server { port = 80 }\n  }\n}\n",
            "php.inc": "<?php\nreturn $x;\n",
            "my.conf": "[mysqld]\nuser = mysql\n",
            "main.tf": 'resource "x" "y" {\n}\n',
            "blob.conf": b"\0\1\2",
        }
    )
    found = discover(["."], Options())
    assert names(found) == ["app.vhost", "prod/nginx.conf", "sites-enabled/lonely", "stage/nginx.conf"]
    assert (found.errors, found.notes) == ((), ())


def test_named_file_that_another_named_one_includes(write: Write) -> None:
    write({"nginx.conf": "events {}\nhttp { include a.conf; }\n", "a.conf": SITE})
    assert names(discover(["a.conf", "nginx.conf"], Options())) == ["nginx.conf"]


def test_same_file_named_twice_or_found_again(write: Write) -> None:
    write({"conf/nginx.conf": "events {}\n"})
    assert names(discover(["conf", "conf/nginx.conf", "./conf/nginx.conf"], Options())) == ["conf/nginx.conf"]


def test_link_and_its_target_are_one(write: Write) -> None:
    folder = write({"sites-available/a": SITE})
    (folder / "sites-enabled").mkdir()
    (folder / "sites-enabled/a").symlink_to("../sites-available/a")
    assert names(discover(["."], Options())) == ["sites-available/a"]


def test_circle_of_includes_is_reported_not_lost(write: Write) -> None:
    write({"a.conf": "include b.conf;\n" + SITE, "b.conf": "include a.conf;\n" + SITE})
    found = discover(["."], Options())
    assert names(found) == ["a.conf"]
    assert "include without end" in read(first(found).source, first(found).files).errors[0].message


def test_changed_part_is_audited_where_it_is_included(write: Write) -> None:
    write(
        {
            ".git/HEAD": "",
            "deploy/nginx.conf": "events {}\nhttp { include sites/*.conf; }\n",
            "deploy/other.conf": "events {}\nhttp { server { listen 1; } }\n",
            "deploy/sites/a.conf": SITE + "include inner/x.inc;\n",
            "deploy/inner/x.inc": "add_header A b;\n",
            "deploy/free.inc": "add_header A b;\n",
        }
    )
    assert names(discover(["deploy/sites/a.conf"], Options())) == ["deploy/nginx.conf"]
    assert names(discover(["deploy/inner/x.inc", "deploy/sites/a.conf"], Options())) == ["deploy/nginx.conf"]
    assert names(discover(["deploy/free.inc"], Options())) == ["deploy/free.inc"]


@pytest.mark.parametrize(("stdin_name", "shown"), [("-", "-"), ("conf/nginx.conf", "conf/nginx.conf")])
def test_standard_input(write: Write, monkeypatch: pytest.MonkeyPatch, stdin_name: str, shown: str) -> None:
    write({"conf/a.conf": "a;"})
    stdin = io.TextIOWrapper(io.BytesIO(b"events {}\ninclude a.conf;\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    found = discover(["-"], Options(stdin_name=stdin_name))
    assert names(found) == [shown]
    tree = read(first(found).source, first(found).files)
    assert [d.name for d in tree.directives] == (["events"] if shown == "-" else ["events", "a"])


def test_dump(write: Write) -> None:
    write({"dump.txt": "# configuration file /etc/nginx/nginx.conf:\nevents {}\n\n"})
    found = discover(["dump.txt"], Options())
    assert first(found).source.name == "/etc/nginx/nginx.conf"
    assert first(found).files.conf_dir == "/etc/nginx"


def test_kinds_are_told_apart(write: Write) -> None:
    write({".htaccess": "AuthType Basic\n", "site.conf": "<VirtualHost *:80>\n  ServerName a\n</VirtualHost>\n"})
    found = discover(["."], Options())
    assert {entry.kind for entry in found.entries} == {"apache"}
    assert not found.notes


def test_kind_that_was_asked_for_wins(write: Write) -> None:
    write({"x": "RewriteEngine On\n"})
    assert names(discover(["x"], Options(kind="nginx"))) == ["x"]


def test_empty_folder_is_named_in_a_note(write: Write) -> None:
    write({"empty/README": ""})
    found = discover(["empty"], Options())
    assert (found.entries, found.errors) == ((), ())
    assert "empty holds no configuration" in found.notes[0].text


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("user www;\nhttp { server { } }", "main"),
        ("map $a $b { }\nserver { location / { } }", "http"),
        ("limit_req_zone $a zone=b:1m rate=1r/s;", "http"),
        ("listen 80;\nlocation / { proxy_pass http://a; }", "server"),
        ("proxy_set_header A b;", "location"),
        ("", "location"),
    ],
)
def test_context_of_a_part(text: str, context: str) -> None:
    assert context_of(text) == context


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.conf", "<Location />\n  Require valid-user\n</Location>\n", "apache"),
        ("a.conf", "location / {\n  deny all;\n}\n", "nginx"),
        ("a.conf", "ProxyPass / http://a/\n", "apache"),
        ("a.conf", "proxy_pass http://a;\n", "nginx"),
        ("httpd.conf", "Listen 80\n", "apache"),
        ("a.conf", "key = value\n", None),
        ("nginx.conf", "user www;\n", "nginx"),
        ("ports.conf", "# all\nListen 80\n", "apache"),
        ("conf.d/redis.conf", "port 6379\nbind 127.0.0.1\n", None),
        ("conf.d/gzip.conf", "gzip on;\n", "nginx"),
        ("conf-available/a.conf", "RequestHeader unset Authorization\n", "apache"),
        ("conf-available/a.conf", "WSGIPassAuthorization On\nLogFormat \\\n  a b\n", "apache"),
        ("sites-available/a.conf", "Use Site a.example\n", "apache"),
        ("vhosts/macros.conf", "<Macro Site $name>\n</Macro>\n", "apache"),
    ],
)
def test_kind(name: str, text: str, kind: str | None) -> None:
    assert kind_of(SourceFile(name, text)) == kind
