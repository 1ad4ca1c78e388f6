"""Lines that nginx refuses for their number of arguments: a missing semicolon must not pass for a longer line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from auditor.servers.nginx.arguments import ARGUMENTS
from probes.runners import local

from .conftest import read_text


def refused_here(text: str) -> bool:
    return any("invalid number" in error.message for error in read_text(text).errors)


@pytest.mark.live
@pytest.mark.parametrize("name", ARGUMENTS)
def test_counts_are_those_of_the_server(nginx: local.Binary, tmp_path: Path, name: str) -> None:
    for count in range(5):
        text = f"events {{}}\nhttp {{ server {{ listen 127.0.0.1:1; location / {{ {name}{' a' * count}; }} }} }}\n"
        path = tmp_path / "nginx.conf"
        path.write_text(text)
        command = [nginx.path, "-t", "-p", str(tmp_path), "-c", str(path), "-e", str(tmp_path / "log")]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused_here(text) is ("invalid number of arguments" in run.stderr), (count, run.stderr)


@pytest.mark.live
@pytest.mark.parametrize("line", ["location /;", "if ($uri);", "limit_except GET;", "proxy_pass http://a { }"])
def test_blocks_are_those_of_the_server(nginx: local.Binary, tmp_path: Path, line: str) -> None:
    text = f"events {{}}\nhttp {{ server {{ listen 127.0.0.1:1; location / {{ {line} }} }} }}\n"
    path = tmp_path / "nginx.conf"
    path.write_text(text)
    command = [nginx.path, "-t", "-p", str(tmp_path), "-c", str(path), "-e", str(tmp_path / "log")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    (error,) = read_text(text).errors
    assert error.message in run.stderr


def test_missing_semicolon_is_named_with_its_line() -> None:
    text = "location / {\n  proxy_set_header Host $host\n  proxy_pass http://a;\n}\n"
    (error,) = read_text(text).errors
    assert error.line == 2
    assert 'is a ";" missing?' in error.message


def test_lines_of_a_table_are_no_directives() -> None:
    tree = read_text("map $a $b { root 1 2; location x; }\ngeo $c { set 1; }\n")
    assert not tree.errors


def test_templates_may_insert_several_words() -> None:
    assert not read_text("add_header {{ both }};\n", "a.j2").errors
    assert not read_text("add_header ${BOTH};\n", "a.template").errors
    assert read_text("add_header ${BOTH};\n", "a.conf").errors
