"""Which sections apply to a request, and in which order (server/request.c: ap_location_walk, ap_directory_walk,
ap_file_walk, ap_if_walk; mod_proxy.c: proxy_walk)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from auditor.patterns import lazy_re
from auditor.regex import RegexError, compile_regex
from auditor.servers.apache.config import Layers, Section, Server
from auditor.servers.apache.htaccess import Overrides
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


_WILDCARD = lazy_re(r"(?:[^*?\\[]|\\.|\[(?!.*\]))*(?:[*?]|\[(?=.*\]))", re.DOTALL)


def has_wildcards(pattern: str) -> bool:
    """apr_fnmatch_test: what a backslash quotes is no wildcard, nor is a bracket that is not closed."""
    return _WILDCARD.match(pattern) is not None


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
    index: _Locations = run.server.memo("locations", _Locations)
    if index.sections:
        run.layers = run.layers.with_sections(index.matching(run))


class _Locations:
    """The <Location> sections of a server. Those that are plain prefixes are found by the request's path."""

    def __init__(self, server: Server) -> None:
        self.sections = server.sections("location")
        self._plain: dict[str, list[int]] = {}
        self._patterns: list[int] = []
        for at, section in enumerate(self.sections):
            if section.regex or has_wildcards(section.pattern):
                self._patterns.append(at)
            else:
                self._plain.setdefault(section.pattern, []).append(at)

    def matching(self, run: Run) -> list[Section]:
        uri = re.sub("/{2,}", "/", run.uri) if "//" in run.uri else run.uri
        found = list(self._patterns)
        if self._plain:
            prefixes = {"", uri}
            at = uri.find("/")
            while at != -1:
                prefixes.update((uri[:at], uri[: at + 1]))
                at = uri.find("/", at + 1)
            for prefix in prefixes:
                found += self._plain.get(prefix, ())
        found.sort()
        patterns = frozenset(self._patterns) if self._patterns else ()
        return [
            self.sections[at] for at in found if at not in patterns or _location_matches(run, self.sections[at], uri)
        ]


def _location_matches(run: Run, section: Section, uri: str) -> bool:
    return _regex(run, section, run.uri) if section.regex else fnmatch(section.pattern, uri)


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


class _Directories:
    """The <Directory> sections of a server, from the shortest path to the longest, those of one folder found by it;
    `regexes` are those with regular expressions, from the one with the fewest slashes to the one with the most
    (core_reorder_directories, measured)."""

    def __init__(self, server: Server) -> None:
        sections = server.sections("directory")
        self.regexes = sorted((one for one in sections if one.regex), key=lambda section: section.pattern.count("/"))
        self._plain = sorted(
            (section for section in sections if not section.regex), key=lambda section: _components(section.pattern)
        )
        self._folders: dict[str, list[int]] = {}
        self._patterns: list[int] = []
        for at, section in enumerate(self._plain):
            pattern = section.pattern.rstrip("/") or "/"
            if has_wildcards(pattern):
                self._patterns.append(at)
            else:
                self._folders.setdefault(pattern, []).append(at)

    def of(self, folder: str) -> list[Section]:
        """Those of a folder."""
        found = self._folders.get(folder, [])
        if self._patterns:
            found = sorted(
                [*found, *(at for at in self._patterns if fnmatch(self._plain[at].pattern.rstrip("/"), folder))]
            )
        return [self._plain[at] for at in found]


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
    sections: _Directories = run.server.memo("directories", _Directories)
    way = (run.layers, tuple(folders))
    layers = run.shared.overrides.merged.get(way)
    if layers is None:
        layers = run.layers
        for folder in way[1]:
            for section in sections.of(folder):
                layers = layers.with_sections((section,))
            own = run.shared.overrides.section(folder, layers)
            if own is not None:
                layers = layers.with_sections((own,))
                if own.fault is not None:
                    run.step(own.fault, "refused: httpd answers every request to this folder with 500")
                    raise Respond(500, own.fault)
        run.shared.overrides.merged[way] = layers
    matched = [section for section in sections.regexes if _regex(run, section, run.filename or "/")]
    run.layers = layers.with_sections(matched)


def names(server: Server, folder: str) -> bool:
    """Whether a <Directory> section is about that very path."""
    sections: _Directories = server.memo("directories", _Directories)
    return bool(sections.of(folder) or sections.regexes)


def visit(server: Server, overrides: Overrides, folder: str) -> None:
    """Have the .htaccess files on the way to a folder judged, also where no request gets there: what is handed on to an
    upstream passes them by."""
    sections: _Directories = server.memo("directories", _Directories)
    layers = server.base
    for one in folders_of(folder, True):
        layers = layers.with_sections(sections.of(one))
        own = overrides.section(one, layers)
        if own is not None:
            layers = layers.with_sections((own,))


def files(run: Run, name: str) -> None:
    """Adds the <Files> sections for a file's name: those of the server, of <Directory> and .htaccess, in that order."""
    found = []
    for section in _nested(run.layers, ("files",)):
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
    nested = _nested(run.layers, ("if", "elseif", "else"))
    if not nested:
        return
    from auditor.servers.apache import expr

    taken = False
    found: list[Section] = []
    for section in nested:
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


def _nested(layers: Layers, kinds: tuple[str, ...]) -> Sequence[Section]:
    found: Sequence[Section] = layers.memo(
        kinds,
        lambda layers: [inner for section in layers.sections for inner in section.sections if inner.kind in kinds],
    )
    return found
