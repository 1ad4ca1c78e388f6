"""A real httpd with a few modules, on a loopback port, for the measurements of the tests in this folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MODULES = Path("/usr/lib/apache2/modules")
BINARY = shutil.which("apache2") or shutil.which("httpd") or "/usr/sbin/apache2"

_BASE = """
ServerRoot {folder}
PidFile {folder}/pid
Mutex file:{folder}
DefaultRuntimeDir {folder}
ErrorLog {folder}/error.log
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
{load}
Listen 127.0.0.1:{port}
ServerName t.example
DocumentRoot {folder}/www
User #{uid}
Group #{gid}
"""


class Failed(Exception):
    """The server did not start; says what it printed."""


def installed() -> bool:
    return Path(BINARY).exists() and MODULES.is_dir()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def served(text: str, files: dict[str, str], modules: Sequence[str]) -> Iterator[tuple[int, Path]]:
    """Run httpd with this configuration behind the base; `files` lie below its folder. Gives the port and the folder.
    @PORT@ and @ROOT@ in the texts stand for the port and the folder. Raises Failed where it does not start."""
    folder = Path(tempfile.mkdtemp(prefix="audit-httpd-"))
    folder.chmod(0o755)
    port = free_port()

    def fill(piece: str) -> str:
        return piece.replace("@ROOT@", str(folder)).replace("@PORT@", str(port))

    try:
        (folder / "www").mkdir()
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fill(content), encoding="latin-1")
        load = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in modules)
        uid = os.getuid() or 65534  # httpd refuses to serve as root
        base = _BASE.format(folder=folder, modules=MODULES, port=port, load=load, uid=uid, gid=os.getgid() or 65534)
        (folder / "httpd.conf").write_text(base + fill(text), encoding="latin-1")
        process = subprocess.Popen(
            [BINARY, "-D", "FOREGROUND", "-f", str(folder / "httpd.conf")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", ""), "KNOWN": "from the environment"},
        )
        try:
            _wait(process, port)
            yield port, folder
        finally:
            process.terminate()
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(600):
        if process.poll() is not None:
            assert process.stdout is not None
            raise Failed(process.stdout.read().decode("latin-1") or "see its error log")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failed("no answer")


def ask(port: int, target: str, lines: Sequence[str] = (), method: str = "GET") -> tuple[int, list[tuple[str, str]]]:
    """Send one request with exactly these header lines; gives the status and the answer's header lines. Status 0 where
    the server closes the connection without an answer."""
    head = "\r\n".join((f"{method} {target} HTTP/1.1", *lines, "Connection: close"))
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(f"{head}\r\n\r\n".encode("latin-1"))
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    if not data:
        return 0, []
    top = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in top[1:])]
    return int(top[0].split(" ")[1]), pairs


def quoted(text: str) -> str:
    """A word of httpd's syntax."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
