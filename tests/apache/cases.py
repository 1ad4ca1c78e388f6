"""Measured facts on httpd as cases: a configuration, requests, and what the real server did with them.

A case file (facts/*.json) is a list of facts as in tests/facts/cases.py, with these further keys:

- `config` stands at server level, after what every case has (`text` below)
- `override`: what AllowOverride says of the document root, "None" if not given; `.htaccess` files stand in `files`
- `modules`: those that are loaded beyond the usual ones, `without`: usual ones that are not
- `modes`: the access rights of files, in octal
- `php-fpm`: the configuration names @FPM@, the address of a real php-fpm

In `reached`, CGI, WSGI and PHP are the scripts of tests/apache/lab.py; PHP shows what authenticates only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from typing import Any

from probes.compare import Observation
from tests.apache.compare import VOLATILE
from tests.apache.lab import HEAD, MODULES
from tests.differential.play import Case
from tests.facts import cases
from tests.facts.cases import line_of

HERE = os.path.join(os.path.dirname(__file__), "facts")
SECRET = "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/"
ROOT = """DocumentRoot @DIR@/www
AddHandler cgi-script .cgi
<Directory @DIR@/www>
    Options FollowSymLinks ExecCGI
    AllowOverride @OVERRIDE@
    Require all granted
</Directory>
"""
FILES = {
    "ht/good": f"alice:{SECRET}\n",
    "ht/empty": "",
    "ht/dir/.keep": "",
    "rel_ht": f"alice:{SECRET}\n",
    "www/index.html": "INDEX",
    "www/file.txt": "FILE",
    "www/login.html": "LOGINPAGE",
    "www/secret/s.txt": "SECRET",
    "www/open/o.txt": "OPEN",
    "www/oth/o.txt": "OTHER",
    "www/bob/o.txt": "BOB",
    "www/i.shtml": '[<!--#include virtual="/secret/s.txt" -->]',
    "www/.htpasswd": f"alice:{SECRET}\n",
    "www/pw.txt": f"alice:{SECRET}\n",
}


class Fact:
    """One fact: `name` is its number, `requests` as in the case file."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.name: str = entry["fact"]
        self.refused: str | None = entry.get("refused")
        self.requests: list[dict[str, Any]] = entry.get("requests", [])
        self.modules = [name for name in MODULES if name not in entry.get("without", ())] + entry.get("modules", [])
        self.fpm: bool = entry.get("php-fpm", False)
        self.modes = {name: int(mode, 8) for name, mode in entry.get("modes", {}).items()}
        config = "@LOAD@" + HEAD + ROOT.replace("@OVERRIDE@", entry.get("override", "None"))
        config += "\n".join(entry["config"]) + "\n"
        files = {name: _text(text) for name, text in entry.get("files", {}).items()}
        self.case = Case(config, {**FILES, **files}, [line_of(request) for request in self.requests])

    def __repr__(self) -> str:
        return self.name


def _text(lines: str | Iterable[str]) -> str:
    return lines if isinstance(lines, str) else "".join(line + "\n" for line in lines)


def load() -> list[Fact]:
    """All facts, in the order of their numbers."""
    facts = []
    for name in sorted(os.listdir(HERE)):
        with open(os.path.join(HERE, name), encoding="utf-8") as file:
            text = re.sub(r"<a x (\d+)>", lambda match: "a" * int(match.group(1)), file.read())
        facts += [Fact(entry) for entry in json.loads(text)]
    return facts


def observed(seen: Observation, places: dict[str, object]) -> dict[str, Any]:
    """The observation in the words of a case file."""
    exchanges = []
    for entry in seen.exchanges:
        headers = tuple((name, "*" if name in VOLATILE else value) for name, value in entry.headers)
        exchanges.append(entry if entry.protocol.startswith("HTTP") else entry._replace(headers=headers))
    return cases.observed(seen._replace(exchanges=tuple(exchanges)), places)


def expected(request: dict[str, Any]) -> dict[str, Any]:
    """What the server does: status, back, reached."""
    return {key: request.get(key, []) for key in ("status", "back", "reached")}
