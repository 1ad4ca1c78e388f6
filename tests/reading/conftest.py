"""What the reading tests share: files from a dict, trees from a text or a file, and a real server by its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.files import Files
from auditor.servers.nginx.syntax import Tree, read
from auditor.source import SourceFile, read_source
from probes.runners import local


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str | bytes]], Path]:
    """Writes files below the working folder, which is a fresh one."""
    monkeypatch.chdir(tmp_path)

    def write(files: dict[str, str | bytes]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


def read_text(text: str, name: str = "nginx.conf") -> Tree:
    """The tree of a text without files around it."""
    source = SourceFile(name, text)
    return read(source, Files(source))


def read_path(path: str, **options: object) -> Tree:
    """The tree of a file on the disk."""
    source = read_source(path)
    return read(source, Files(source, **options))  # type: ignore[arg-type]


SERVERS = {program.name: program for program in local.find()}


def needs(name: str) -> local.Binary:
    """That real server; skips where it is not there, fails in CI."""
    if name not in SERVERS:
        if os.environ.get("CI"):
            pytest.fail(f"no {name} nginx here")
        pytest.skip(f"no {name} nginx here")
    return SERVERS[name]
