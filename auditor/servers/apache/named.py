"""What the text of a configuration names: paths, files and headers that its patterns and conditions ask for."""

from __future__ import annotations

from collections.abc import Iterable

from auditor.patterns import lazy_re
from auditor.regex import RegexError
from auditor.samples import samples
from auditor.servers.apache.config import Section
from auditor.servers.apache.pattern import compile_pattern

PROBE = "audit-probe"

# What an expression compares the path with: =~ m#^/api/#, == '/api/', -strmatch '/api/*' (manual: "Expressions in
# Apache HTTP Server").
_PATHS = lazy_re(
    r"%\{(?:REQUEST_URI|THE_REQUEST)\}\"?\s*"
    r"(?:[=!]~\s*\"?(?:m(?P<mark>[^\w\s])(?P<marked>.+?)(?P=mark)|/(?P<regex>(?:\\.|[^/\\])+)/)"
    r"|(?:==?|!=|-eq|-ne|-f?n?strmatch)\s*['\"](?P<text>/[^'\"]*)['\"])"
)
_HEADERS = lazy_re(r"(?:%\{HTTP:([\w-]+)\}|req(?:_novary)?\(\s*['\"]([\w-]+)['\"]\s*\))\s*==\s*['\"]([^'\"]+)['\"]")


def paths_of_pattern(pattern: str) -> list[str]:
    """Paths that a regular expression finds, also one that is about a whole request line (`^GET /path`). A folder is a
    place of its own: what lies in it stands first."""
    found = []
    for text in (*samples(pattern, False), *samples(pattern, False, "/x")):
        path = text if text.startswith("/") else text.partition(" ")[2].partition(" ")[0]
        if path.startswith("/"):
            found.append(path)
    below = [path + PROBE for path in found if path.endswith("/") and _finds(pattern, path + PROBE)]
    return list(dict.fromkeys((*below, *found)))


def paths_left_out(pattern: str) -> list[str]:
    """Paths that a pattern leaves out by name: /api/x for `^/(?!api/)`."""
    if "(?!" not in pattern:
        return []
    found = samples(pattern.replace("(?!", "(?:", 1), False)
    return [f"{path.rstrip('/')}/{PROBE}" for path in found if path.startswith("/") and "//" not in path]


def paths_of_condition(word: str) -> list[str]:
    """Paths that meet the pattern of a RewriteCond or SetEnvIf about the path; for one with `!`, those that do not."""
    pattern = word.removeprefix("!")
    if pattern.startswith("="):
        return [pattern[1:].strip("\"'")]
    return [] if pattern.startswith(("<", ">", "-")) else paths_of_pattern(pattern)


def paths_of_expression(text: str) -> list[str]:
    """The paths that an expression looks for."""
    found: list[str] = []
    for match in _PATHS.finditer(text):
        plain = match["text"]
        pattern = match["marked"] or (match["regex"] or "").replace("\\/", "/")
        found += [_without_wildcards(plain)] if plain else paths_of_pattern(pattern)
    return found


def headers_of_expression(text: str) -> Iterable[tuple[str, str]]:
    """The headers that an expression compares, each with the text that it wants."""
    return [(match[1] or match[2], match[3]) for match in _HEADERS.finditer(text)]


def files_of(section: Section) -> list[str]:
    """Names of files that a <Files> section is about."""
    if not section.regex:
        return [file_name(_without_wildcards(section.pattern))]
    names = []
    for text in samples(section.pattern, False):
        for name in (file_name(text), text, f"{text}{PROBE}"):
            if name not in (".", "..") and _finds(section.pattern, name):
                names.append(name)
                break
    return names


def file_name(text: str) -> str:
    """A file name made of a sample: something before an extension that stands alone."""
    return f"{PROBE}{text}" if text.startswith(".") and not text.startswith(".ht") else text.lstrip("/")


def _finds(pattern: str, text: str) -> bool:
    try:
        return compile_pattern(pattern).search(text) is not None
    except RegexError:
        return False


def _without_wildcards(text: str) -> str:
    return text.replace("*", "x").replace("?", "x")
