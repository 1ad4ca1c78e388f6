"""Which sections apply to a request, and in which order (server/request.c: ap_location_walk, ap_directory_walk,
ap_file_walk, ap_if_walk; mod_proxy.c: proxy_walk)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from auditor.regex import RegexError, compile_regex
from auditor.servers.apache.config import Layers, Section, Server
from auditor.servers.apache.run import Respond, Run, Unpredictable
from auditor.values import CLIENT, literal


@lru_cache(maxsize=2048)
def _fnmatch_pattern(pattern: str) -> re.Pattern[str]:
    out = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            end = pattern.find("]", at + 2)
            if end == -1:
                out.append(re.escape(char))
            else:
                inner = pattern[at + 1 : end].replace("\\", "\\\\")
                out.append("[" + ("^" + inner[1:] if inner[:1] in ("!", "^") else inner) + "]")
                at = end
        elif char == "\\" and at + 1 < len(pattern):
            at += 1
            out.append(re.escape(pattern[at]))
        else:
            out.append(re.escape(char))
        at += 1
    return re.compile("".join(out), re.DOTALL)


def has_wildcards(pattern: str) -> bool:
    """apr_fnmatch_test."""
    return any(char in pattern for char in "*?[")


def fnmatch(pattern: str, text: str) -> bool:
    """apr_fnmatch with APR_FNM_PATHNAME: no wildcard matches a slash."""
    return _fnmatch_pattern(pattern).fullmatch(text) is not None


def _regex(run: Run, section: Section, subject: str) -> bool:
    try:
        found = compile_regex(section.pattern).search(subject)
    except RegexError as error:
        raise Unpredictable(str(error), section.place) from error
    if found is None:
        return False
    for name, text in found.names.items():
        run.env.set(f"MATCH_{name.upper()}", literal(text, CLIENT))
    return True


def location(run: Run) -> None:
    """Adds the <Location> sections that match, in the order of the configuration, main server first."""
    found = [section for section in run.server.sections("location") if _location_matches(run, section)]
    run.layers = run.layers.with_sections(found)


def _location_matches(run: Run, section: Section) -> bool:
    pattern = section.pattern
    uri = run.uri
    if section.regex:
        return _regex(run, section, uri)
    if "//" in uri:
        uri = re.sub("/{2,}", "/", uri)
    if has_wildcards(pattern):
        return fnmatch(pattern, uri)
    if not uri.startswith(pattern):
        return False
    return pattern.endswith("/") or not pattern or uri[len(pattern) : len(pattern) + 1] in ("", "/")


def proxy(run: Run, url: str) -> None:
    """Adds the <Proxy> sections for an upstream's URL, which take the place of <Directory>."""
    found = []
    for section in run.server.sections("proxy"):
        pattern = section.pattern
        if section.regex:
            matches = _regex(run, section, url)
        elif has_wildcards(pattern):
            # The pattern ends in a wildcard as a rule, and there `*` reaches over slashes (apr_fnmatch without
            # PATHNAME).
            matches = _loose(pattern).fullmatch(url) is not None
        else:
            matches = url.startswith(pattern)
        if matches:
            found.append(section)
    run.layers = run.layers.with_sections(found)


@lru_cache(maxsize=512)
def _loose(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern), re.DOTALL)


def ordered_directories(server: Server) -> tuple[list[Section], list[Section]]:
    """The <Directory> sections from the shortest path to the longest, and those with regular expressions, in order."""
    plain: list[tuple[int, Section]] = []
    regexes: list[Section] = []
    for section in server.sections("directory"):
        if section.regex:
            regexes.append(section)
        else:
            plain.append((_components(section.pattern), section))
    plain.sort(key=lambda pair: pair[0])
    return [section for _, section in plain], regexes


def _components(path: str) -> int:
    return path.rstrip("/").count("/")


def folders_of(path: str, is_folder: bool) -> Iterator[str]:
    """The folders on the way to a path, the top first; the path itself too where it is one."""
    yield "/"
    parts = [part for part in path.split("/") if part]
    for count in range(1, len(parts) + (1 if is_folder else 0)):
        yield "/" + "/".join(parts[:count])


def directory(run: Run, folders: Iterable[str]) -> None:
    """Adds the <Directory> sections and the .htaccess of each folder on the way, then <DirectoryMatch>, which is asked
    of the whole path.

    Raises Respond(500) for a .htaccess that httpd cannot use.
    """
    plain, regexes = ordered_directories(run.server)
    layers = run.layers
    for folder in folders:
        for section in plain:
            if _directory_matches(section, folder):
                layers = layers.with_sections((section,))
        own = run.shared.overrides.section(folder, layers)
        if own is not None:
            layers = layers.with_sections((own,))
            if own.fault is not None:
                run.step(own.fault, "refused: httpd answers every request to this folder with 500")
                raise Respond(500, own.fault)
    matched = [section for section in regexes if _regex(run, section, run.filename or "/")]
    run.layers = layers.with_sections(matched)


def _directory_matches(section: Section, folder: str) -> bool:
    pattern = section.pattern.rstrip("/") or "/"
    if has_wildcards(pattern):
        return fnmatch(pattern, folder)
    return pattern == folder


def files(run: Run, name: str) -> None:
    """Adds the <Files> sections for a file's name: those of the server, of <Directory> and .htaccess, in that order."""
    found = []
    for section in _nested(run.layers, ("files",), run.server):
        if section.regex:
            matches = _regex(run, section, name)
        elif has_wildcards(section.pattern):
            matches = fnmatch(section.pattern, name)
        else:
            matches = section.pattern == name
        if matches:
            found.append(section)
    run.layers = run.layers.with_sections(found)


def conditions(run: Run) -> None:
    """Adds the <If>, <ElseIf> and <Else> sections whose conditions hold."""
    if not any(section.sections for section in run.layers.sections):
        return
    from auditor.servers.apache import expr

    taken = False
    found: list[Section] = []
    for section in _nested(run.layers, ("if", "elseif", "else"), run.server):
        if section.kind == "if":
            taken = False
        if taken:
            continue
        if section.kind != "else":
            assert section.place is not None
            if not expr.holds(run, expr.compile_condition(section.pattern), section.place):
                continue
        taken = True
        found.append(section)
    run.layers = run.layers.with_sections(found)
    if found:
        inner = [one for section in found for one in section.sections if one.kind == "if"]
        for section in inner:
            assert section.place is not None
            if expr.holds(run, expr.compile_condition(section.pattern), section.place):
                run.layers = run.layers.with_sections((section,))


def _nested(layers: Layers, kinds: Sequence[str], server: Server) -> list[Section]:
    return [inner for section in layers.sections for inner in section.sections if inner.kind in kinds]
