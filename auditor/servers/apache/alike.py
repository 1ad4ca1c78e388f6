"""Which witnesses of a virtual host are alike: every line and section of it sees the same in their paths.

Told from the text alone, so that only one of them need be traced.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable

from auditor.http import Request
from auditor.patterns import lazy_re
from auditor.regex import RegexError, compile_regex
from auditor.servers.apache.config import Section
from auditor.servers.apache.walk import fnmatch, has_wildcards

_PREFIXES = frozenset(("proxypass", "alias", "scriptalias", "wsgiscriptalias", "redirect", "redirecttemp"))
_PREFIXES |= {"redirectpermanent"}
_MATCHES = frozenset(("proxypassmatch", "aliasmatch", "scriptaliasmatch", "wsgiscriptaliasmatch", "redirectmatch"))
_CONDITIONS = frozenset(("setenvif", "setenvifnocase"))
_BY_EXTENSION = frozenset(("addhandler", "addtype", "removehandler", "removetype", "addoutputfilter"))
_PROGRAMS = ("php", "cgi", "pl", "py", "wsgi", "html", "htm", "shtml")
_PATHS = lazy_re(r"REQUEST_(?:URI|FILENAME)|THE_REQUEST|SCRIPT_(?:FILENAME|UR[IL])|PATH_INFO")

Test = Callable[[str], object]


class Alike:
    """Tells the likeness of requests; `sections` are those of the virtual host, each with the path that leads there."""

    def __init__(self, sections: Iterable[tuple[str, Section]]) -> None:
        tests: dict[object, Test] = {}
        self._extensions = set(_PROGRAMS)
        self._queries = False
        for prefix, section in sections:
            if prefix:
                tests[prefix] = _below(prefix)
            if section.kind in ("location", "files", "directory"):
                kind = section.kind
                tests[kind, section.regex, section.pattern] = _of_section(section)
            for line in section.lines():
                for pattern in _patterns(line.key, line.args):
                    relative = prefix if section.kind != "server" and line.key == "rewriterule" else None
                    tests["pattern", relative, pattern] = _search(pattern, relative)
                if line.key in _PREFIXES:
                    for word in line.args:
                        if word.startswith("/"):
                            tests[word] = _below(word.rstrip("/"))
                            break
                if line.key in _BY_EXTENSION:
                    self._extensions.update(word.lstrip(".").lower() for word in line.args)
                self._queries = self._queries or "QUERY_STRING" in line.rest or "THE_REQUEST" in line.rest
                if "expr" in line.rest and _PATHS.search(line.rest):
                    tests["whole"] = str
            if section.kind in ("if", "elseif") and _PATHS.search(section.pattern):
                tests["whole"] = str
        self._tests = list(tests.values())

    def key(self, request: Request) -> object:
        """Equal for requests that are alike."""
        path = request.path
        while "//" in path:
            path = path.replace("//", "/")
        name = path.rpartition("/")[2]
        seen = tuple(test(path) for test in self._tests)
        query = request.target.partition("?")[2] if self._queries else ""
        _, dot, extension = name.rpartition(".")
        kind = extension if extension in self._extensions else dot
        return request.method, request.headers, request.tls, path == "/", not name, kind, query, seen


def _below(prefix: str) -> Test:
    def test(path: str) -> object:
        """False; or what follows is nothing, a slash, or more."""
        return path.startswith(prefix) and min(len(path) - len(prefix), 2)

    return test


def _search(pattern: str, prefix: str | None) -> Test:
    try:
        regex = compile_regex(pattern.removeprefix("!"))
    except RegexError:
        return str

    def test(path: str) -> object:
        if prefix is not None:
            if not path.startswith(prefix + "/"):
                return None
            path = path[len(prefix) + 1 :]
        return regex.search(path) is not None

    return test


def _of_section(section: Section) -> Test:
    pattern = section.pattern
    if section.regex:
        if section.kind == "directory":
            return str
        return _named(_search(pattern, None)) if section.kind == "files" else _search(pattern, None)
    if section.kind == "files":
        return _named(lambda name: fnmatch(pattern, name))
    if has_wildcards(pattern):
        return lambda path: fnmatch(pattern, path)
    return _below(pattern.rstrip("/")) if section.kind == "location" else lambda path: None


def _named(test: Test) -> Test:
    return lambda path: test(posixpath.basename(path))


def _patterns(key: str, args: tuple[str, ...]) -> Iterable[str]:
    """The regular expressions of a line that are about paths."""
    if key in _MATCHES:
        return args[1:2] if key == "redirectmatch" and len(args) > 2 else args[:1]
    if key == "rewriterule":
        return args[:1]
    if key == "rewritecond" and len(args) > 1 and _PATHS.search(args[0]):
        return args[1:2]
    if key in _CONDITIONS and len(args) > 1 and args[0].lower() == "request_uri":
        return args[1:2]
    return ()
