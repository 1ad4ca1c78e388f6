"""The real httpd of this machine: found with its modules, started as one process from a temporary folder."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from probes.runners.local import Binary, Folder, Refused, Taken
from probes.runners.program import STDERR, Program, Running

PID = "httpd.pid"  # written by the server, when all its sockets are bound
ENDING = 2.0  # seconds for an orderly end, in which it gives back what the system keeps for it beyond its end
PLACES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/local/apache2/modules", "/usr/libexec/apache2")
PROGRAMS = ("/usr/local/apache2/bin/httpd", "/usr/sbin/apache2", "/usr/sbin/httpd")


class Httpd(NamedTuple):
    """A program that is httpd (see Program), and its modules: the files of those that can be loaded, by their names
    (`rewrite`; `php` is that of any version), and the names of those that are built in."""

    program: Program
    modules: Mapping[str, str]
    built_in: frozenset[str]

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def version(self) -> str:
        return self.program.version

    @property
    def build(self) -> str:
        return self.program.build

    @property
    def address(self) -> str:
        return self.program.address

    @property
    def machine(self) -> str:
        return self.program.machine

    @property
    def watched(self) -> bool:
        return self.program.watched

    def room(self) -> tuple[str, str]:
        return self.program.room()

    def start(self, folder: Folder, arguments: Sequence[str], unprivileged: bool) -> Running:
        return self.program.start(folder, arguments, unprivileged)


def modules_of(files: Sequence[str]) -> dict[str, str]:
    """The modules that these files are, by name."""
    found = {}
    for path in sorted(files):
        match = re.fullmatch(r"mod_(\w+)\.so|lib(php)[\d.]*\.so", os.path.basename(path))
        if match:
            found[match[1] or match[2]] = path
    return found


def built_in_of(said: str) -> frozenset[str]:
    """The modules that `httpd -l` lists."""
    return frozenset(re.findall(r"(?m)^ +(?:mod_)?(\w+)\.c$", said))


def httpd(path: str) -> Httpd | None:
    """The httpd at that path, or None where it does not run or its modules are not found."""
    version = _said(path, "-V")
    match = re.search(r"Apache/([\d.]+)", version)
    if match is None:
        return None
    root = re.search(r'HTTPD_ROOT="([^"]*)"', version)
    own = [os.path.join(root[1], "modules")] if root is not None else []
    folder = next((place for place in (*own, *PLACES) if glob.glob(place + "/mod_*.so")), "")
    program = Binary(path, path, match[1], version)
    return Httpd(program, modules_of(glob.glob(folder + "/*.so") if folder else ()), built_in_of(_said(path, "-l")))


def find() -> Httpd | None:
    """The httpd of this machine, if it has one."""
    for name in ("apache2", "httpd", *PROGRAMS[::-1]):
        path = shutil.which(name)
        if path is not None and (found := httpd(path)) is not None:
            return found
    return None


def select(name: str) -> Httpd | None:
    """`system`, or the path of a program."""
    return find() if name == "system" else httpd(name) if os.path.sep in name else None


def contained(program: Any) -> Httpd:
    """The httpd of a container, and its modules. Raises Unavailable."""
    root = re.search(r'HTTPD_ROOT="([^"]*)"', program.build)
    folders = shlex.join([*([f"{root[1]}/modules"] if root is not None else []), *PLACES])
    found = program.said(f"sh -c 'for place in {folders}; do ls -d $place/*.so; done 2>/dev/null; exit 0'")
    return Httpd(program, modules_of(found.split()), built_in_of(program.said(f"{program.command} -l")))


def reaching(folder: Folder, port: int, upstream: str) -> str:
    """A configuration that sends all requests there."""
    program = folder.program
    assert isinstance(program, Httpd)
    wanted = ("mpm_prefork", "unixd", "authz_core", "proxy", "proxy_http")
    lines = [
        f"ServerRoot {folder.path}\nDefaultRuntimeDir {folder.state}\nPidFile {folder.state}/{PID}",
        f"ErrorLog {folder.state}/error.log\nMutex pthread\nServerName localhost",
        *(f"LoadModule {name}_module {program.modules[name]}" for name in wanted if name in program.modules),
        f"Listen {program.address}:{port}\nProxyPass / http://{upstream}/ connectiontimeout=2\n",
    ]
    return "\n".join(lines)


def _said(path: str, option: str) -> str:
    try:
        run = subprocess.run([path, option], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout


class HttpdFolder(Folder):
    """A temporary folder with an httpd in it (see Folder)."""

    def run(self, config: str, prefix: str, patience: float = 10.0, unprivileged: bool = False) -> None:
        """Starts httpd on that main file, which has it write `httpd.pid` and `error.log` into the folder `state`.

        Raises Refused where httpd does not accept the configuration, Taken where a port is in use, TimeoutError where
        it is not ready in `patience` seconds, OSError where this machine cannot run it.
        """
        with self._open():
            for name in (PID, "error.log", STDERR):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.state, name))
            self._process = self.program.start(self, ["-X", "-d", prefix, "-f", config], unprivileged)
        deadline = time.monotonic() + patience
        while not self.read(PID):
            if self._process.poll() is not None:
                raise self._failure()
            if time.monotonic() > deadline:
                raise TimeoutError(f"httpd is not ready after {patience:g} s")
            time.sleep(0.001)

    def _failure(self) -> Exception:
        said = self.read(STDERR) + self.read("error.log")
        if "(98)" in said or "Address already in use" in said:
            return Taken()
        if f"({errno.EMFILE})" in said:
            return OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return Refused(said.strip() or f"no message, {self.ending()}")

    def kill(self) -> None:
        """Ends the server, in order where that takes no time."""
        process = self._process
        if isinstance(process, subprocess.Popen) and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDING)
        super().kill()
