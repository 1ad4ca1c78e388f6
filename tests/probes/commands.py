"""Runs `audit probe` as a user does, as a process of its own, and looks for what it leaves behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds: what hangs fails the test instead of holding it
NOBODY = 65534
# Answers -V like nginx and hangs when it is to start; where it does, a file is there.
HANGING = """#!/bin/sh
if [ "$1" = -V ]; then echo "nginx version: nginx/1.31.3" >&2; exit; fi
: >started
exec sleep 600
"""


class Place:
    """A folder for one test: `temporary` is the TMPDIR of the commands that run, `folder` holds their configurations.
    Everybody may enter, since a superuser's server runs as nobody."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="safety-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)
        self.elsewhere = Path(tempfile.mkdtemp(prefix="elsewhere-", dir="/tmp"))  # where no configuration lies

    def write(self, name: str, text: str | bytes, mode: int = 0o644) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
        path.chmod(mode)
        return path

    def http(self, text: str, name: str = "nginx.conf") -> Path:
        """A main file with this in its http block."""
        return self.write(name, f"events {{}}\nhttp {{\n{text}\n}}\n")

    def start(
        self,
        *args: object,
        patch: str = "",
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        **options: object,
    ) -> subprocess.Popen[str]:
        """Starts `audit probe ARGS`; `patch` is Python that runs first, `wrapper` a command that runs the command."""
        every = {**self.environment(), **(environment or {})}
        settings: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        }
        command = [*wrapper, *self.command(*args, patch=patch)]
        started: subprocess.Popen[str] = subprocess.Popen(command, env=every, text=True, **settings)
        return started

    def command(self, *args: object, patch: str = "") -> list[str]:
        code = f"import sys\n{patch}\nfrom auditor.cli.main import run\nrun()"
        return [sys.executable, "-c", code, "probe", *map(str, args)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(self.temporary)}

    def run(self, *args: object, clean: bool = True, **options: object) -> Done:
        """Runs `audit probe ARGS` to its end, which must leave nothing behind if `clean`."""
        process = self.start(*args, **options)  # type: ignore[arg-type]
        return self.end(process, clean)

    def end(self, process: subprocess.Popen[str], clean: bool = True) -> Done:
        """Waits for the end of a command that was started."""
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        if clean:
            self.assert_clean()
        return Done(process.returncode, out or "", err or "")

    def wait_for(self, pattern: str) -> Path:
        """The first file of that pattern in TMPDIR that holds something or is named `started`, once it is there."""
        found: list[Path] = []

        def there() -> bool:
            found[:] = [path for path in self.temporary.glob(pattern) if path.name == "started" or path.stat().st_size]
            return bool(found)

        until(there)
        return found[0]

    def processes(self) -> list[str]:
        """The processes that were started from, or work in, this place's TMPDIR: as a listening port or an open file
        needs a process, none of those is left where this is empty."""
        mark = str(self.temporary).encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / "cmdline").read_bytes()
                works = os.readlink(entry / "cwd").encode()
                if mark in works or (mark in command and b"-c\0import sys" not in command):
                    found.append(command.replace(b"\0", b" ").decode("latin-1"))
            except OSError:
                continue
        return found

    def assert_clean(self) -> None:
        """No process and no file is left; what a watcher does takes a moment."""
        until(lambda: not self.processes() and not os.listdir(self.temporary), 10.0)
        processes, files = self.processes(), [str(path) for path in self.temporary.rglob("*")]
        assert not processes and not files, f"left behind: {processes} {files}"

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.elsewhere, ignore_errors=True)


class Done:
    """How a command ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"status {self.status}\n{self.out}\n{self.err}"

    def assert_fails(self, status: int, *words: str) -> None:
        """It ended with that status and one plain sentence that holds these words, and no report."""
        assert self.status == status, self
        assert self.out == "", self
        assert "Traceback" not in self.err, self
        assert len(self.err.strip().splitlines()) == 1, self
        for word in words:
            assert word in self.err, self

    def assert_probed(self) -> None:
        """It ended with a report in which everything is as predicted."""
        assert self.status in (0, 1), self
        assert self.err == "", self
        assert " as predicted, 0 not" in self.out, self
        assert "no answer" not in self.out.rpartition("\n\n")[2], self


def can(*command: str) -> bool:
    """Whether that command works on this machine."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def needs(works: bool, reason: str) -> pytest.MarkDecorator:
    """Skips a test with the reason where the machine lacks something; in CI, where it must not, the test fails."""
    return pytest.mark.skipif(not works and not os.environ.get("CI"), reason=reason)


needs_namespaces = needs(
    os.geteuid() == 0 and can("unshare", "--mount", "--net", "ip", "link"),
    "needs a superuser who may unshare, and the package iproute2",
)
needs_superuser = needs(os.geteuid() == 0, "only a superuser's server has another account")


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Waits until the condition holds, or the patience is at its end."""
    end = time.monotonic() + patience
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
