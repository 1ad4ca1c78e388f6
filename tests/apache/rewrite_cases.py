"""The rules and requests of rewrite_cases.txt, on which the real httpd and the predictor are compared."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

# What lies below each DocumentRoot.
FILES = (
    "e.cgi",
    "x.txt",
    "index.html",
    "sub/e.cgi",
    "sub/x.txt",
    "sub/deep/x.txt",
    "other/x.txt",
    "a b.txt",
    "q?m.txt",
)
MAPS = {
    "map.txt": "# comment\nkey value\nup UP other\n indented no\nq a?b\nslash /sub/x.txt\n",
    "rnd.txt": "one only\n",
}


class Ask(NamedTuple):
    """A request: `target` as sent, further headers."""

    target: str
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "GET"

    @property
    def label(self) -> str:
        return " ".join([self.method, self.target, *(f"{name}: {value}" for name, value in self.headers)])


class Case(NamedTuple):
    """Rules, and the requests that are sent to them. `htaccess` has texts by folder."""

    name: str
    requests: tuple[Ask, ...]
    server: str
    directory: str
    htaccess: dict[str, str]
    main: str


def read(text: str) -> tuple[Case, ...]:
    """The cases of a text in the form of rewrite_cases.txt."""
    return tuple(_case(block) for block in text.split("\n=== ")[1:])


def _case(block: str) -> Case:
    name, *parts = block.split("\n--- ")
    texts = dict(part.rstrip("\n").partition("\n")[::2] for part in parts)
    asks = []
    for line in texts["requests"].splitlines():
        target, *headers = line.split(" | ")
        asks.append(Ask(target, tuple((header.split(": ", 1)[0], header.split(": ", 1)[1]) for header in headers)))
    htaccess = {title[8:].strip(): text for title, text in texts.items() if title.startswith("htaccess")}
    return Case(name, tuple(asks), texts.get("server", ""), texts.get("directory", ""), htaccess, texts.get("main", ""))


CASES = read(Path(__file__).with_name("rewrite_cases.txt").read_text())
