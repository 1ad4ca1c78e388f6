"""The real pre-commit runs the hooks in a small repository, on what a commit changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.readme import ROOT

MAIN = """\
events {}
http {
    server {
        listen 80;
        location / {
            include snippets/app.conf;
        }
    }
}
"""
SNIPPET = "proxy_pass http://127.0.0.1:9000;\n"
DEFECT = SNIPPET + "proxy_pass_request_headers off;\n"
TEMPLATE = "server {{\n    listen {{{{ port }}}};\n    location / {{\n        {}\n    }}\n}}\n"

Commit = Callable[..., tuple[int, str]]


@pytest.fixture(scope="session")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository with the manifest as it is, but that nothing is installed: `audit` is this one (what an installed
    one does, test_wheel tells). And what its latest commit is called."""
    folder = tmp_path_factory.mktemp("hooks")
    manifest = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    assert manifest.count("language: python") == manifest.count("- id:")
    (folder / ".pre-commit-hooks.yaml").write_text(manifest.replace("language: python", "language: system"))
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "hooks")
    return folder, git(folder, "rev-parse", "HEAD").strip()


def git(folder: Path, *words: str) -> str:
    """What git says."""
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@a.example", "-c", "commit.gpgsign=false", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def commit(hooks: tuple[Path, str], tmp_path: Path) -> Commit:
    """Writes and deletes (None) files in a repository that has a configuration in order, and runs a hook on that as a
    commit would: its exit status and what it prints."""
    folder, programs = tmp_path / "work", tmp_path / "bin"
    programs.mkdir()
    program = programs / "audit"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m auditor "$@"\n')
    program.chmod(0o755)
    folder.mkdir()
    git(folder, "init", "-q")
    files = {"nginx.conf": MAIN, "snippets/app.conf": SNIPPET, "README.md": "", "redis.conf": "port 6379\n"}
    write(folder, files)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "in order")

    def run(hook: str, changes: dict[str, str | None]) -> tuple[int, str]:
        write(folder, changes)
        wanted = f"repos:\n- repo: {hooks[0]}\n  rev: {hooks[1]}\n  hooks:\n  - id: {hook}\n"
        (folder / ".pre-commit-config.yaml").write_text(wanted)
        git(folder, "add", "-A")
        environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PRE_COMMIT_HOME": str(tmp_path / "cache"),
            "NO_COLOR": "1",
        }
        command = [sys.executable, "-m", "pre_commit", "run", "--color", "never", "--verbose"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def write(folder: Path, files: dict[str, str] | dict[str, str | None]) -> None:
    for name, text in files.items():
        path = folder / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


@pytest.mark.parametrize("hook", ["audit", "audit-tree"])
def test_a_changed_snippet_is_judged_where_it_is_included(hook: str, commit: Commit) -> None:
    status, said = commit(hook, {"snippets/app.conf": DEFECT})
    assert status == 1
    assert "error[stripped-authorization]" in said
    assert "snippets/app.conf:2:1 (included at nginx.conf:6)" in said


@pytest.mark.parametrize("hook", ["audit", "audit-tree"])
def test_what_is_in_order_passes(hook: str, commit: Commit) -> None:
    status, said = commit(hook, {"snippets/app.conf": "# the application\n" + SNIPPET})
    assert (status, "Passed" in said) == (0, True), said


def test_a_deleted_include_is_told_by_the_whole_tree(commit: Commit) -> None:
    """No file of nginx is left among the changed ones: the other hook is not even run."""
    status, said = commit("audit", {"snippets/app.conf": None})
    assert (status, "Skipped" in said) == (0, True), said
    status, said = commit("audit-tree", {})
    assert status == 1
    assert "nginx.conf:6: include snippets/app.conf: not found" in said


def test_a_deleted_include_is_told_beside_a_changed_file(commit: Commit) -> None:
    status, said = commit("audit", {"snippets/app.conf": None, "nginx.conf": "# changed\n" + MAIN})
    assert status == 1
    assert "nginx.conf:7: include snippets/app.conf: not found" in said


@pytest.mark.parametrize("hook", ["audit", "audit-tree"])
def test_a_template(hook: str, commit: Commit) -> None:
    name = "roles/web/templates/site.conf.j2"
    status, said = commit(hook, {name: TEMPLATE.format("proxy_pass http://{{ app }};\n        {{ more }}")})
    assert status == 0, said
    status, said = commit(hook, {name: TEMPLATE.format(DEFECT)})
    assert status == 1
    assert f"{name}:5:1" in said


@pytest.mark.parametrize("hook", ["audit", "audit-tree"])
def test_what_can_be_read_only_when_it_is_filled_in_blocks_nothing(hook: str, commit: Commit) -> None:
    status, said = commit(
        hook, {"templates/site.conf.j2": "server { {{ opening }}\n{% for x in y %}\nlocation {{ x }}\n"}
    )
    assert status == 0, said


def test_a_commit_of_other_things_is_not_held_up(commit: Commit) -> None:
    status, said = commit("audit", {"README.md": "more\n", "redis.conf": "port 6380\n"})
    assert status == 0, said
