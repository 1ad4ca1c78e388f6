"""Which user files are judged where the configuration is not on the machine that it is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.check import Options, Report, check

Write = Callable[[dict[str, str | bytes]], Path]
MAIN = """\
events {}
http {
    server {
        listen 8080;
        location / {
            auth_basic "Area";
            auth_basic_user_file /etc/nginx/auth/users;
            proxy_set_header Authorization "";
            proxy_pass http://127.0.0.1:9000;
        }
    }
}
"""
COMPOSE = """\
services:
  proxy:
    image: nginx
    volumes:
      - ./web/nginx.conf:/etc/nginx/nginx.conf:ro
      - type: bind
        source: ./secrets
        target: /etc/nginx/auth
"""
DOCKERFILE = "FROM nginx\nCOPY web/nginx.conf /etc/nginx/\nCOPY secrets/users /etc/nginx/auth/users\n"
BROKEN = "alice:secret\n"
USER_FILES = ("missing-user-file", "unreadable-user-file", "malformed-user-file")


def report(*roots: tuple[str, str]) -> Report:
    return check(["."], Options(roots=roots))


def said(found: Report) -> list[tuple[str, str]]:
    return [(finding.severity, finding.rule) for finding in found.findings if finding.rule in USER_FILES]


@pytest.mark.parametrize("said_by", [{"compose.yaml": COMPOSE}, {"Dockerfile": DOCKERFILE}], ids=["compose", "docker"])
def test_a_mount_or_a_copy_tells_where_it_lies(said_by: dict[str, str | bytes], write: Write) -> None:
    write({"web/nginx.conf": MAIN, "secrets/users": BROKEN, ".git/HEAD": "", **said_by})
    found = report()
    assert said(found) == [("warning", "malformed-user-file")]
    assert any("as a Compose file or Dockerfile says" in note.text for note in found.notes)


def test_a_folder_in_the_place_of_the_file(write: Write) -> None:
    write({"compose.yaml": COMPOSE, "web/nginx.conf": MAIN, "secrets/users/.keep": "", ".git/HEAD": ""})
    assert said(report()) == [("error", "unreadable-user-file")]


def test_below_a_root_that_was_named_it_is_missing(write: Write) -> None:
    write({"nginx.conf": MAIN})
    assert said(report(("/etc/nginx", "."))) == [("error", "missing-user-file")]


def test_a_file_that_ends_alike_is_looked_at(write: Write) -> None:
    write({"web/nginx.conf": MAIN, "roles/proxy/files/auth/users": BROKEN, ".git/HEAD": ""})
    found = report()
    assert said(found) == [("warning", "malformed-user-file")]
    assert any("which ends alike" in note.text for note in found.notes)


@pytest.mark.parametrize("text", ["", "\n", "$ANSIBLE_VAULT;1.1;AES256\n6162\n", "{{ users }}\n"])
def test_what_waits_for_its_secrets_is_not_judged(text: str, write: Write) -> None:
    write({"web/nginx.conf": MAIN, "roles/proxy/files/auth/users": text, ".git/HEAD": ""})
    assert said(report()) == []


def test_what_is_not_found_is_said_once_and_is_no_finding(write: Write) -> None:
    again = '        location /a { auth_basic "A"; auth_basic_user_file /etc/nginx/auth/users; }\n    }\n}\n'
    write({"nginx.conf": MAIN.removesuffix("    }\n}\n") + again})
    found = report()
    assert said(found) == []
    assert [note.text for note in found.notes] == ["not found here, so not checked: /etc/nginx/auth/users"]
