"""A real httpd that runs all cases of rewrite_cases.py: one virtual host for each, one server for each main level.

`python -m tests.apache.rewrite_lab` measures them anew and writes rewrite_measured.json, which the unit tests read.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.apache.rewrite_cases import CASES, FILES, MAPS, Ask, Case

MEASURED = Path(__file__).with_name("rewrite_measured.json")
MODULES = Path("/usr/lib/apache2/modules")
LOADED = (
    *("mpm_event", "authz_core", "alias", "rewrite", "cgid", "mime", "proxy", "proxy_http", "setenvif"),
    *("headers", "env", "dir"),
)
# What a CGI gets that does not depend on the rewriting.
_USUAL = frozenset(
    (
        *("PATH", "PWD", "SHLVL", "_", "OLDPWD", "GATEWAY_INTERFACE", "DOCUMENT_ROOT", "REQUEST_SCHEME", "SCRIPT_NAME"),
        *("REQUEST_METHOD", "UNIQUE_ID", "LD_LIBRARY_PATH"),
    )
)


def httpd() -> str | None:
    """The program, where it is installed with the modules that are needed."""
    program = shutil.which("apache2") or shutil.which("httpd")
    return program if program and all((MODULES / f"mod_{name}.so").exists() for name in LOADED) else None


Key = tuple[str, str]  # a case and its request as text
Result = dict[str, Any]


def measure(cases: tuple[Case, ...] = CASES) -> dict[Key, Result]:
    """What the real server does with each request of each case."""
    found: dict[Key, Result] = {}
    for main in dict.fromkeys(case.main for case in cases):
        group = [case for case in cases if case.main == main]
        with running(main, group) as lab:
            for case in group:
                for ask in case.requests:
                    found[case.name, ask.label] = lab.ask(case, ask)
    return found


class Lab:
    """A running server. `root` is its folder, `port` where it listens, `backend` the port of an origin that tells the
    request line it got."""

    def __init__(self, root: Path, port: int, backend: int) -> None:
        self.root, self.port, self.backend = root, port, backend

    def fill(self, text: str, case: str) -> str:
        words = {"{doc}": f"{self.root}/{case}", "{root}": str(self.root), "{port}": str(self.port)}
        words["{backend}"] = str(self.backend)
        for word, value in words.items():
            text = text.replace(word, value)
        return text

    def plain(self, text: str, case: str) -> str:
        text = text.replace(f"{self.root}/{case}", "{doc}").replace(str(self.root), "{root}")
        text = text.replace(f"|{self.port}|", "|{port}|")
        return text.replace(f":{self.port}", ":{port}").replace(f":{self.backend}", ":{backend}")

    def ask(self, case: Case, ask: Ask) -> Result:
        """Status, Location, Vary, Set-Cookie, and what answered: a file, a script's environment, a request line."""
        target = self.fill(ask.target, case.name)
        head = f"{ask.method} {target} HTTP/1.1\r\nHost: {case.name}.example:{self.port}\r\nConnection: close\r\n"
        head += "".join(f"{name}: {self.fill(value, case.name)}\r\n" for name, value in ask.headers)
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            client.sendall((head + "\r\n").encode("latin-1"))
            data = b"".join(iter(lambda: client.recv(65536), b""))
        top, _, body = data.decode("latin-1").partition("\r\n\r\n")
        lines = top.split("\r\n")
        result: Result = {"status": int(lines[0].split()[1])}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            if name.lower() in ("location", "vary", "set-cookie"):
                result.setdefault(name.lower(), []).append(self.plain(value, case.name))
        if "chunked" in top:
            body = _dechunked(body)
        if body.startswith("env:"):
            pairs = (line.partition("=")[::2] for line in self.plain(body, case.name).splitlines()[1:])
            skip = ("SERVER_", "REMOTE_", "HTTP_")
            result["script"] = {
                name: value
                for name, value in pairs
                if name not in _USUAL and (not name.startswith(skip) or name == "HTTP_AUTHORIZATION")
            }
        elif body.startswith(("file:", "origin:")):
            kind, _, what = self.plain(body.strip(), case.name).partition(":")
            result[kind] = what
        return result


def _dechunked(body: str) -> str:
    out = ""
    while body:
        size, _, rest = body.partition("\r\n")
        length = int(size or "0", 16)
        if not length:
            break
        out, body = out + rest[:length], rest[length + 2 :]
    return out


class _Origin(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline().decode("latin-1").strip()
        while self.rfile.readline().strip():
            pass
        body = f"origin:{line}"
        self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode("latin-1"))


@contextlib.contextmanager
def running(main: str, cases: list[Case]) -> Iterator[Lab]:
    """The server, started with these cases as virtual hosts, and stopped at the end."""
    program = httpd()
    assert program is not None
    root = Path(tempfile.mkdtemp(prefix="rewrite-lab-"))
    root.chmod(0o755)
    origin = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Origin)
    origin.daemon_threads = True
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lab = Lab(root, port, origin.server_address[1])
    process = None
    try:
        (root / "httpd.conf").write_text(_config(lab, main, cases))
        for name, text in MAPS.items():
            (root / name).write_text(text)
        for case in cases:
            _files(lab, case)
        process = subprocess.Popen(
            [program, "-f", str(root / "httpd.conf"), "-DFOREGROUND"], stderr=subprocess.PIPE, start_new_session=True
        )
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None:
                assert process.stderr is not None
                raise RuntimeError(process.stderr.read().decode("latin-1"))
            time.sleep(0.05)
        yield lab
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        origin.shutdown()
        origin.server_close()
        if not os.environ.get("KEEP_LAB"):
            shutil.rmtree(root, ignore_errors=True)


def _config(lab: Lab, main: str, cases: list[Case]) -> str:
    lines = [f"ServerRoot {lab.root}", f"PidFile {lab.root}/pid", f"ErrorLog {lab.root}/error.log"]
    lines += [f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED]
    lines += [
        f"Listen 127.0.0.1:{lab.port}",
        f"ScriptSock {lab.root}/cgid",
        "AcceptPathInfo On",
        "LogLevel rewrite:trace8",
    ]
    lines += [
        f"Mutex file:{lab.root}",
        f"DefaultRuntimeDir {lab.root}",
        "TypesConfig /dev/null",
        "ServerName main.example",
    ]
    if os.getuid() == 0:
        lines += ["User www-data", "Group www-data"]
    lines += [lab.fill(main, "main"), f"<VirtualHost *:{lab.port}>", "ServerName default.example", "</VirtualHost>"]
    for case in cases:
        lines += [f"<VirtualHost *:{lab.port}>\nServerName {case.name}.example\nDocumentRoot {lab.root}/{case.name}"]
        lines += [f"<Directory {lab.root}/{case.name}>", "Options +ExecCGI +FollowSymLinks", "AllowOverride All"]
        lines += [
            "Require all granted",
            "AddHandler cgi-script .cgi",
            lab.fill(case.directory, case.name),
            "</Directory>",
        ]
        lines += [lab.fill(case.server, case.name), "</VirtualHost>"]
    return "\n".join(lines) + "\n"


def _files(lab: Lab, case: Case) -> None:
    for name in FILES:
        path = lab.root / case.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".cgi"):
            path.write_text("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nenv:\\n'\nexec env\n")
            path.chmod(0o755)
        else:
            path.write_text(f"file:{path}")
    for folder, text in case.htaccess.items():
        (lab.root / case.name / folder / ".htaccess").write_text(lab.fill(text, case.name))


def stored() -> dict[Key, Result]:
    """What was measured when the expectations were written down."""
    return {(name, label): result for name, label, result in json.loads(MEASURED.read_text())}


if __name__ == "__main__":
    rows = [json.dumps([*key, result]) for key, result in measure().items()]
    MEASURED.write_text("[\n" + ",\n".join(rows) + "\n]\n")
    print(f"{len(rows)} requests measured")
