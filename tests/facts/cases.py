"""Measured facts on nginx as cases: a configuration, requests, and what the real server did with them.

A case file (nginx/*.json) is a list of facts. `config` goes into one server block unless it has server blocks of its
own, `http` stands before it. Each request has:

- `ask`: the request line and the header lines; or `raw`: exact bytes that no line of a requests file can say
- `A`, `B`, ...: what that origin answers, status and header lines (200 without any if not given)
- `status`, `back`: the status and the compared header lines of the answer
- `reached`: what arrived at the origins, each as origin, request line, and header lines (or CGI
  parameters) in order; `body=5` at the end says that so many bytes of body came
- `linked`: those of these that are different with nginx 1.23 and later
- `recent`: those of these that are different with nginx 1.29.7 and later, beyond the default protocol to upstreams
- `unpredicted`: why the trace is not asked; the real server always is

`<a x 9000>` stands for that many letters. `refused` is what nginx says to a configuration that it does not take,
`needs` a word that the server's `-V` must hold. Ports, the folder, the addresses of origins and the version are
placeholders: @P1@, @DIR@, @A@, @APORT@, @VERSION@.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from auditor.http import Pairs
from probes.client import Reply
from probes.compare import Observation, is_watched
from probes.origin import Received
from probes.runners.local import fill
from tests.differential.play import Case, Line
from tests.differential.tree import HTTP_HEAD
from tests.differential.words import FASTCGI_PARAMS

HERE = os.path.dirname(__file__)
LINKED = (1, 23)  # header lines of one name are kept in a list, so that none is lost
RECENT = (1, 29, 7)  # HTTP/1.1 and kept connections to upstreams by default, and more
FILES = {
    "fastcgi_params": FASTCGI_PARAMS + "fastcgi_param  REMOTE_USER        $remote_user;\n",
    "ht/good": "alice:{PLAIN}secret\n",
    "ht/empty": "",
    "ht/dir/.keep": "",
    "rel_ht": "alice:{PLAIN}secret\n",
    "sub/rel_ht": "alice:{PLAIN}secret\n",
    "www/index.html": "INDEX",
    "www/file.txt": "FILE",
    "www/x.html": "XPAGE",
    "www/login.html": "LOGINPAGE",
    "www/admin/img.png": "PNG",
    "www/secret/s.txt": "SECRET",
    "www/ssi.shtml": '[<!--#include virtual="/secret/s.txt" -->]',
}


class Fact:
    """One fact: `name` is its number, `requests` as in the case file."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.name: str = entry["fact"]
        self.refused: str | None = entry.get("refused")
        self.needs: str = entry.get("needs", "")
        self.requests: list[dict[str, Any]] = entry.get("requests", [])
        config, http = "\n".join(entry["config"]), "\n".join(entry.get("http", ()))
        if not config.startswith("server"):
            config = f"server {{\nlisten @P1@ default_server;\nserver_name t.example;\nroot @DIR@/www;\n{config}\n}}"
        self.case = Case(f"{HTTP_HEAD}{http}\n{config}\n}}\n", {**FILES, **entry.get("files", {})}, self._lines())

    def _lines(self) -> list[Line]:
        return [line_of(request) for request in self.requests]

    def __repr__(self) -> str:
        return self.name


def load() -> list[Fact]:
    """All facts, in the order of their numbers."""
    facts = []
    for name in sorted(os.listdir(os.path.join(HERE, "nginx"))):
        with open(os.path.join(HERE, "nginx", name), encoding="utf-8") as file:
            text = re.sub(r"<a x (\d+)>", lambda match: "a" * int(match.group(1)), file.read())
        facts += [Fact(entry) for entry in json.loads(text)]
    return facts


def pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")


def line_of(request: dict[str, Any]) -> Line:
    """The request as a line of a requests file."""
    if "raw" in request:
        return {"url": "http://127.0.0.1:@P1@/", "raw": request["raw"]}
    first, *headers = request["ask"]
    method, target, version = first.split(" ")
    line: Line = {"url": f"http://127.0.0.1:@P1@{target}", "method": method, "client_ip": "127.0.0.1"}
    line["http_version"] = version.removeprefix("HTTP/")
    line["headers"] = [list(pair(text)) for text in headers]
    line["upstream_response"] = {"status": 200, "headers": []}
    line["upstream_responses"] = [
        {"role": "*", "upstream": f"http://@{origin}@", "status": int(request[origin][0]),
         "headers": [list(pair(text)) for text in request[origin][1:]]}
        for origin in ("A", "B") if origin in request
    ]  # fmt: skip
    return line


def expected(fact: Fact, request: dict[str, Any], version: tuple[int, ...]) -> dict[str, Any]:
    """What a server of that version does: status, back, reached."""
    wanted = {key: request.get(key, []) for key in ("status", "back", "reached")}
    if version >= LINKED:
        wanted |= request.get("linked", {})
    if version < RECENT:
        return wanted
    if "proxy_http_version" not in fact.case.config:
        wanted["reached"] = [_modern(entry) for entry in wanted["reached"]]
    return {**wanted, **request.get("recent", {})}


def _modern(entry: list[str]) -> list[str]:
    """The same request by a server whose default towards upstreams is HTTP/1.1 without a Connection line."""
    if not entry[1].endswith(" HTTP/1.0"):
        return entry
    first = entry[1].removesuffix("1.0") + "1.1"
    return [entry[0], first, *(line for line in entry[2:] if line != "Connection: close")]


def observed(seen: Observation, places: dict[str, object]) -> dict[str, Any]:
    """The observation in the words of a case file, placeholders for what differs from run to run."""
    back = [f"{name}: {value}" for name, value in seen.reply.headers if is_watched(name)]
    reached = []
    for entry in seen.exchanges:
        sign = ": " if entry.protocol.startswith("HTTP") else "="
        first = f"{entry.method} {entry.target} {entry.protocol}" if entry.method else entry.protocol
        lines = [f"{name}{sign}{'*' if name == 'REMOTE_PORT' else value}" for name, value in entry.headers]
        if entry.body:
            lines.append(f"body={len(entry.body)}")
        reached.append([entry.origin, first, *lines])
    text = json.dumps({"status": seen.reply.status, "back": back, "reached": reached})
    for name, value in sorted(places.items(), key=lambda item: -len(str(item[1]))):
        text = text.replace(str(value), f"@{name}@")
    result: dict[str, Any] = json.loads(text)
    return result


def imagined(request: dict[str, Any], wanted: dict[str, Any], places: dict[str, object]) -> Observation:
    """The observation that the expectation describes, for a comparison without a server."""
    wanted = json.loads(fill(json.dumps(wanted), places))
    exchanges = []
    for number, (origin, first, *lines) in enumerate(wanted["reached"]):
        body = b"x" * int(lines.pop()[5:]) if lines and lines[-1].startswith("body=") else b""
        cgi = " " not in first
        method, target, protocol = ("", "", first) if cgi else first.split(" ")
        headers: Pairs = tuple((n, v) for n, _, v in (line.partition("=" if cgi else ": ") for line in lines))
        exchanges.append(Received(number, origin, str(places.get(origin, "")), protocol, method, target, headers, body))
    answered = frozenset(pair(text)[0].lower() for origin in ("A", "B") for text in request.get(origin, [""])[1:])
    back = tuple(pair(text) for text in wanted["back"])
    return Observation(Reply(wanted["status"], back), tuple(exchanges), answered)
