"""A real httpd that runs all cases of rewrite_cases.py: one virtual host for each, one server for each main level.

`python -m tests.apache.rewrite_lab` measures them anew and writes rewrite_measured.json, which the unit tests read.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.apache import lab
from tests.apache.rewrite_cases import CASES, FILES, MAPS, Ask, Case

MEASURED = Path(__file__).with_name("rewrite_measured.json")
MODULES = ("alias", "rewrite", "cgi", "mime", "proxy", "proxy_http", "setenvif", "headers", "env", "dir")
# What a CGI gets that does not depend on the rewriting.
_USUAL = frozenset(
    (
        *("PATH", "PWD", "SHLVL", "_", "OLDPWD", "GATEWAY_INTERFACE", "DOCUMENT_ROOT", "REQUEST_SCHEME", "SCRIPT_NAME"),
        *("REQUEST_METHOD", "UNIQUE_ID", "LD_LIBRARY_PATH"),
    )
)


Key = tuple[str, str]  # a case and its request as text
Result = dict[str, Any]


def measure(cases: tuple[Case, ...] = CASES) -> dict[Key, Result]:
    """What the real server does with each request of each case."""
    found: dict[Key, Result] = {}
    for main in dict.fromkeys(case.main for case in cases):
        group = [case for case in cases if case.main == main]
        with running(main, group) as server:
            for case in group:
                for ask in case.requests:
                    found[case.name, ask.label] = server.ask(case, ask)
    return found


class Lab:
    """A running server. `root` is its folder, `port` where it listens, `backend` the port of an origin that tells the
    request line it got."""

    def __init__(self, root: str, port: int | str, backend: int) -> None:
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
        reply = lab.ask(int(self.port), head.removesuffix("\r\n").split("\r\n"))
        result: Result = {"status": reply.status}
        for name, value in reply.headers:
            if name.lower() in ("location", "vary", "set-cookie"):
                result.setdefault(name.lower(), []).append(self.plain(value, case.name))
        body = reply.body.decode("latin-1")
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
    origin = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Origin)
    origin.daemon_threads = True
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    backend = origin.server_address[1]
    text = Lab("@DIR@", "@P1@", backend)  # what the lab fills in
    try:
        files = {**MAPS, **{name: content for case in cases for name, content in _files(text, case).items()}}
        with lab.served(_config(text, main, cases), files, MODULES) as server:
            yield Lab(server.path, server.port, backend)
    finally:
        origin.shutdown()
        origin.server_close()


def _config(text: Lab, main: str, cases: list[Case]) -> str:
    lines = ["AcceptPathInfo On", "LogLevel rewrite:trace8", text.fill(main, "main")]
    lines += [f"<VirtualHost *:{text.port}>", "ServerName default.example", "</VirtualHost>"]
    for case in cases:
        lines += [f"<VirtualHost *:{text.port}>\nServerName {case.name}.example\nDocumentRoot {text.root}/{case.name}"]
        lines += [f"<Directory {text.root}/{case.name}>", "Options +ExecCGI +FollowSymLinks", "AllowOverride All"]
        lines += ["Require all granted", "AddHandler cgi-script .cgi", text.fill(case.directory, case.name)]
        lines += ["</Directory>", text.fill(case.server, case.name), "</VirtualHost>"]
    return "\n".join(lines) + "\n"


def _files(text: Lab, case: Case) -> dict[str, str]:
    files = {}
    for name in FILES:
        script = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nenv:\\n'\nexec env\n"
        files[f"{case.name}/{name}"] = script if name.endswith(".cgi") else f"file:{text.root}/{case.name}/{name}"
    for folder, lines in case.htaccess.items():
        files[f"{case.name}/{folder}/.htaccess"] = text.fill(lines, case.name)
    return files


def stored() -> dict[Key, Result]:
    """What was measured when the expectations were written down."""
    return {(name, label): result for name, label, result in json.loads(MEASURED.read_text())}


if __name__ == "__main__":
    rows = [json.dumps([*key, result]) for key, result in measure().items()]
    MEASURED.write_text("[\n" + ",\n".join(rows) + "\n]\n")
    print(f"{len(rows)} requests measured")
