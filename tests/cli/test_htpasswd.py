"""The command `audit htpasswd`: what it tells of a user file, and what it keeps to itself."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.cli.main import main
from tests.reading.test_passwords import GOOD

SHA, SSHA, APR1, BCRYPT = (GOOD[name][0] for name in ("SHA", "SSHA", "apr1", "bcrypt 2y"))
MIXED = f"# staff\nalice:{SHA}\nbob:{SSHA}\n{APR1}\nalice:{SHA}\n  dave:{APR1}\nerin:!{APR1}\ngr\xc3\xbcn:{BCRYPT}\n"
TOLD = """\
line 2: alice ({SHA}): weak: quickly found by trying
line 3: bob ({SSHA}): nginx: good; apache: cannot be checked: nobody can log in with it
line 4: (no name): has no colon: it is no entry
line 5: alice ({SHA}): repeats a user: only the first entry counts
line 6:   dave (MD5 (apr1)): nginx: cannot be checked: nobody can log in with it; apache: good
line 7: erin: locked
line 8: grün (bcrypt): good
"""

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mixed").write_bytes(MIXED.encode("latin-1"))
    (tmp_path / "good").write_text(f"alice:{APR1}\nbob:{SHA}\n")
    (tmp_path / "nginx").write_text(f"alice:{SSHA}\n")
    (tmp_path / "empty").write_text("# nobody\n")
    (tmp_path / "nameless").write_text(f":{SHA}\n")
    (tmp_path / "plain").write_text("alice:{PLAIN}secret\n")
    (tmp_path / "binary").write_bytes(b"a\0b")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_the_file_holds(capsys: Captured) -> None:
    assert main(["htpasswd", "mixed"]) == 1
    assert capsys.readouterr().out == TOLD


def test_as_json(capsys: Captured) -> None:
    assert main(["htpasswd", "nginx", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "schema": "htpasswd/1",
        "file": "nginx",
        "usable": False,
        "entries": [
            {"line": 1, "user": "alice", "scheme": "{SSHA}", "verdicts": {"nginx": "good", "apache": "unusable"}}
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["good"], 0),
        (["nginx", "--server", "nginx"], 0),
        (["nginx", "--server", "apache"], 1),
        (["plain", "--server", "nginx"], 1),
        (["nameless", "--server", "apache"], 1),
        (["empty"], 1),
        (["absent"], 3),
        (["."], 3),
        (["binary"], 3),
        ([], 2),
        (["good", "--password-stdin"], 2),
        (["good", "--user", "alice", "--password", "secret"], 2),
        (["good", "--server", "lighttpd"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_exit_status(arguments: list[str], status: int) -> None:
    assert main(["htpasswd", *arguments]) == status


@pytest.mark.parametrize(
    ("file", "user", "typed", "status", "told"),
    [
        ("good", "alice", b"secret\n", 0, "nginx: accepted\napache: accepted\n"),
        ("good", "alice", b"secret\r\nmore", 0, "nginx: accepted\napache: accepted\n"),
        ("good", "alice", b"secret ", 1, "nginx: refused\napache: refused\n"),
        ("good", "alice", b"", 1, "nginx: refused\napache: refused\n"),
        ("good", "carol", b"secret", 1, "nginx: no such user\napache: no such user\n"),
        ("nginx", "alice", b"secret", 1, "nginx: accepted\napache: refused\n"),
        ("mixed", "dave", b"secret", 1, "nginx: no such user\napache: accepted\n"),
    ],
)
def test_password_from_standard_input(file: str, user: str, typed: bytes, status: int, told: str) -> None:
    run = audit(file, "--user", user, "--password-stdin", typed=typed)
    assert (run.returncode, run.stdout.decode(), run.stderr.decode()) == (status, told, "")


def test_password_from_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda prompt, stream: "secret")
    assert main(["htpasswd", "good", "--user", "alice", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"] == {"nginx": "accepted", "apache": "accepted"}


def test_without_a_terminal_nothing_is_read() -> None:
    run = audit("good", "--user", "alice", typed=b"secret\n")
    assert run.returncode == 2
    assert b"--password-stdin" in run.stderr


def test_no_secret_is_shown(capsys: Captured) -> None:
    for file in ("mixed", "plain", "good"):
        main(["htpasswd", file])
        main(["htpasswd", file, "--format", "json"])
    out = "".join(capsys.readouterr())
    secrets = [stored.rpartition("$" if "$" in stored else "}")[2] for stored in (SHA, SSHA, APR1, BCRYPT)]
    assert [secret for secret in [*secrets, "secret"] if secret in out] == []


def audit(*arguments: str, typed: bytes) -> subprocess.CompletedProcess[bytes]:
    """The command in a session of its own: it has no terminal."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "auditor", "htpasswd", *arguments]
    return subprocess.run(command, input=typed, capture_output=True, env=environment, start_new_session=True)
