"""The pre-commit hooks: the manifest, the names that it picks, and what the hooks do with a changed snippet."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packaging.readme import ROOT

HOOKS: dict[str, dict[str, Any]] = {
    hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
}


def test_both_hooks_run_the_installed_command() -> None:
    assert set(HOOKS) == {"audit", "audit-tree"}
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    for hook in HOOKS.values():
        assert hook["name"]
        assert hook["language"] == "python"
        assert shlex.split(hook["entry"])[0] in scripts
    assert HOOKS["audit"].get("pass_filenames", True) is True
    assert HOOKS["audit-tree"]["pass_filenames"] is False


@pytest.mark.parametrize(
    "path",
    [
        "nginx.conf",
        "deploy/nginx.conf.j2",
        "site.vhost",
        "web/site.conf",
        "roles/web/templates/site.conf.erb",
        "etc/nginx/sites-available/shop.example",
        "sites-enabled/default",
        "conf.d/app.conf",
        "snippets/proxy-headers",
        "app.nginx",
    ],
)
def test_files_of_nginx_are_picked(path: str) -> None:
    assert re.search(HOOKS["audit"]["files"], path)


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "nginx.md",
        "setup.cfg",
        "src/configuration.py",
        "config.conf.py",
        "conf.d.md",
        "snippets.txt",
        "a/b.toml",
    ],
)
def test_other_files_are_not(path: str) -> None:
    assert not re.search(HOOKS["audit"]["files"], path)


MAIN = (
    "events {}\nhttp {\n  server {\n    listen 80;\n    location / {\n      include snippets/app.conf;\n    }\n  }\n}\n"
)
SNIPPET = "proxy_pass http://127.0.0.1:9000;\nproxy_pass_request_headers off;\n"


def run(hook: str, folder: Path, *changed: str) -> subprocess.CompletedProcess[str]:
    """Runs a hook as pre-commit does: in the top folder, the names of the changed files behind the arguments."""
    manifest = HOOKS[hook]
    words = [*shlex.split(manifest["entry"])[1:], *manifest.get("args", ())]
    names = changed if manifest.get("pass_filenames", True) else ()
    command = [sys.executable, "-m", "auditor", *words, *names]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_a_changed_snippet_is_judged_where_it_is_included(hook: str, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "snippets").mkdir()
    (tmp_path / "nginx.conf").write_text(MAIN)
    (tmp_path / "snippets" / "app.conf").write_text(SNIPPET)
    done = run(hook, tmp_path, "snippets/app.conf")
    assert done.returncode == 1, done.stderr
    assert "snippets/app.conf:2:1 (included at nginx.conf:6)" in done.stdout
    assert "error[stripped-authorization]" in done.stdout

    (tmp_path / "snippets" / "app.conf").write_text(SNIPPET.splitlines()[0] + "\n")
    assert run(hook, tmp_path, "snippets/app.conf").returncode == 0


@pytest.mark.parametrize(
    "text",
    ["bind 127.0.0.1\nport 6379\n", "[www]\nuser = www-data\npm = dynamic\n", "/var/log/x {\n  weekly\n}\n"],
    ids=["redis", "php-fpm", "logrotate"],
)
def test_the_configuration_of_another_program_blocks_no_commit(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.conf").write_text(text)
    (tmp_path / "nginx.conf").write_text(MAIN.replace("include snippets/app.conf", "proxy_pass http://127.0.0.1:9000"))
    done = run("audit", tmp_path, "other.conf", "nginx.conf")
    assert (done.returncode, done.stderr) == (0, "")
    assert "in 1 file" in done.stdout


def test_a_broken_configuration_of_nginx_blocks_it(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(MAIN[:-2])
    assert run("audit", tmp_path, "nginx.conf").returncode == 3


def test_the_hook_of_changed_files_can_fix_them(tmp_path: Path) -> None:
    """`args: [--fix]`; pre-commit itself stops the commit, because a file has changed."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "snippets").mkdir()
    (tmp_path / "nginx.conf").write_text(MAIN)
    snippet = tmp_path / "snippets" / "app.conf"
    snippet.write_text("proxy_pass http://127.0.0.1:9000;\nproxy_pass_header Authorization;\n")
    done = run("audit", tmp_path, "--fix", "snippets/app.conf")
    assert done.returncode == 0, done.stderr
    assert snippet.read_text() == "proxy_pass http://127.0.0.1:9000;\n"
