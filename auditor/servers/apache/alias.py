"""mod_alias: Alias, ScriptAlias, Redirect and their like (mod_alias.c: translate_alias_redir, fixup_redir)."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from auditor.patterns import lazy_re
from auditor.regex import RegexError
from auditor.servers.apache import expr
from auditor.servers.apache.config import Directive, Section
from auditor.servers.apache.pattern import Groups, compile_pattern, substituted
from auditor.servers.apache.run import Respond, Run, Unpredictable
from auditor.servers.apache.urls import authority, escape_text
from auditor.values import CLIENT, EMPTY, Segment, Value, join, literal

_ALIASES = ("alias", "scriptalias", "aliasmatch", "scriptaliasmatch")
_REDIRECTS = ("redirect", "redirectmatch", "redirecttemp", "redirectpermanent")
_WORDS = {"permanent": 301, "temp": 302, "seeother": 303, "gone": 410}
_TO = frozenset((300, 301, 302, 303, 305, 307, 308))  # ap_is_HTTP_REDIRECT
_URL = lazy_re(r"[A-Za-z0-9+.-]+:")


class Redirect(NamedTuple):
    """A Redirect line taken apart. `path` is None where it is for everything in its section; `target` is then an
    expression, "" where the status needs none."""

    status: int
    path: str | None
    target: str
    regex: bool


@lru_cache(maxsize=4096)
def read_redirect(key: str, args: tuple[str, ...], in_section: bool) -> Redirect | None:
    """The meaning of a line with that name and these words; None for one that httpd refuses (add_redirect_internal)."""
    if not args:
        return None
    status, told = (301 if key == "redirectpermanent" else 302), False
    if key in ("redirect", "redirectmatch"):
        word = args[0].lower()
        if word in _WORDS or word[:1].isdigit():
            digits = re.match(r"\d+", word)
            status, told = (int(digits[0]) if digits else _WORDS[word]), True
    regex = key == "redirectmatch"
    rest = args[1:] if told else args
    if in_section and not regex and len(rest) == (1 if status in _TO else 0):
        return Redirect(status, None, rest[0] if rest else "", False)
    if not rest or (status in _TO) is (len(rest) < 2):
        return None
    return Redirect(status, rest[0], rest[1] if len(rest) > 1 else "", regex)


def translate(run: Run) -> bool:
    """Redirect and Alias lines, server-wide and of <Location>. True where one of the latter has named a file; raises
    Respond for the former."""
    if run.uri and not run.uri.startswith("/"):
        return False
    _for_everything(run)
    _by_path(run, run.server.all(*_REDIRECTS), False)
    return _alias_of_location(run) or any(_alias(run, line) for line in _with_two(run.server.all(*_ALIASES)))


def fixup(run: Run) -> None:
    """Redirect lines of sections and .htaccess, the innermost section's first."""
    _for_everything(run)
    for section in reversed(run.layers.sections):
        if section.kind != "server":
            _by_path(run, [line for line in section.directives if line.key in _REDIRECTS], True)


# --- redirects


def _for_everything(run: Run) -> None:
    """A Redirect without a path in a section (try_redirect)."""
    for section in reversed(run.layers.sections):
        if section.kind == "server":
            continue
        for line in reversed(section.directives):
            if line.key not in _REDIRECTS:
                continue
            found = read_redirect(line.key, line.args, True)
            if found is not None and found.path is None:
                _respond(run, line, found.status, _escaped(_string(run, line, found.target)))
                return


def _by_path(run: Run, lines: Iterable[Directive], in_section: bool) -> None:
    """The first line whose path or pattern fits (try_alias_list)."""
    for line in lines:
        found = read_redirect(line.key, line.args, in_section)
        if found is None or found.path is None:
            continue
        if found.regex:
            target = _substituted(run, line, found.path, found.target)
            if target is not None:
                _respond(run, line, found.status, _escaped(target))
        else:
            length = covers(run.uri, found.path)
            if length is not None:
                rest = literal(escape_text(run.uri[length:]), CLIENT)
                _respond(run, line, found.status, join((literal(found.target), rest)))


def _respond(run: Run, line: Directive, status: int, target: Value) -> None:
    run.step(line, f"answers {status}")
    if status not in _TO:
        raise Respond(status, line)
    text = target.text
    first = text if text is not None else (target.segments[0].text or "x:")
    if first.startswith("/"):
        if not run.layers.on("redirectrelative"):
            target = join((authority(run), target))
    elif not _URL.match(first):
        raise Respond(500, line)
    if run.args is not None and "?" not in (text or ""):
        target = join((target, literal("?"), literal(run.args, CLIENT)))
    raise Respond(status, line, target)


def _escaped(target: Value) -> Value:
    """Escaped, but for what follows the first `?` or `#`."""
    out: list[Segment] = []
    path = True
    for segment in target.segments:
        if segment.text is None or not path:
            out.append(segment)
            continue
        mark = re.search("[?#]", segment.text)
        end = len(segment.text) if mark is None else mark.start()
        path = mark is None
        out.append(Segment(segment.source, escape_text(segment.text[:end]) + segment.text[end:]))
    return Value(tuple(out))


def _substituted(run: Run, line: Directive, pattern: str, target: str) -> Value | None:
    """The target with the groups of the pattern filled in; None where it does not match."""
    subject = literal(run.uri, CLIENT)
    try:
        match = compile_pattern(pattern).search(run.uri)
    except RegexError as error:
        raise Unpredictable(str(error), line.place) from error
    return None if match is None else substituted(target, Groups(subject, match))


def _string(run: Run, line: Directive, text: str) -> Value:
    if not text:
        return EMPTY
    try:
        return expr.string(run, expr.compile_string(text), line.place)
    except expr.ExprError as error:
        raise Unpredictable(str(error), line.place) from error


# --- aliases


def covers(uri: str, path: str) -> int | None:
    """How much of the URI a path covers: whole segments, slashes in a row counting as one; None where it does not
    (alias_matches)."""
    at = index = 0
    while index < len(path):
        if path[index] == "/":
            if uri[at : at + 1] != "/":
                return None
            while path[index : index + 1] == "/":
                index += 1
            while uri[at : at + 1] == "/":
                at += 1
        else:
            if uri[at : at + 1] != path[index]:
                return None
            index, at = index + 1, at + 1
    if not path.endswith("/") and uri[at : at + 1] not in ("", "/"):
        return None
    return at or None


def _with_two(lines: Iterable[Directive]) -> Iterable[Directive]:
    return (line for line in lines if len(line.args) == 2)


def _alias_of_location(run: Run) -> bool:
    """An Alias with one argument in a <Location> (try_alias)."""
    found: tuple[Section, Directive] | None = None
    for section in run.layers.sections:
        for line in section.directives:
            if line.key in ("alias", "scriptalias") and len(line.args) == 1 and section.kind != "server":
                found = section, line
    if found is None:
        return False
    section, line = found
    path = _string(run, line, line.args[0]).text
    if path is None:
        raise Unpredictable("where an Alias leads is not known", line.place)
    if run.layers.on("aliaspreservepath") and not section.regex:
        path += run.uri[len(section.pattern.rstrip("/")) :]
    _take(run, line, path)
    return True


def _alias(run: Run, line: Directive) -> bool:
    path, target = line.args
    if line.key.endswith("match"):
        value = _substituted(run, line, path, target)
        if value is None:
            return False
        _take(run, line, value.text or "")
        return True
    length = covers(run.uri, path)
    if length is None:
        return False
    run.notes["context prefix"], run.notes["context document root"] = path, target
    _take(run, line, target + run.uri[length:])
    return True


def _take(run: Run, line: Directive, path: str) -> None:
    run.filename = run.config.path(path)
    if line.key.startswith("script"):
        run.handler, run.handler_line = "cgi-script", line
        run.notes["script-alias"] = True
    run.step(line, f"the path is {run.filename}")
