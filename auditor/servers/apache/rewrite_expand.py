"""The texts of mod_rewrite with their $1, %1, %{variables} and ${maps} filled in (mod_rewrite.c: do_expand,
lookup_map, escape_backref)."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from auditor.patterns import lazy_re
from auditor.servers.apache.config import Directive
from auditor.servers.apache.rewrite_rules import Rule
from auditor.servers.apache.run import Run
from auditor.servers.apache.urls import escape_text, mapped, part
from auditor.servers.apache.variables import looked_at, lookup
from auditor.values import CLIENT, EMPTY, UNKNOWN, Segment, Value, join, literal, unknown
from auditor.world import Answer, Question

_PLAIN = lazy_re(r"[^\\$%]+")
_RESULT = Answer("not known", "what the map says is not known")


class Context:
    """What expansions refer to: the request, the groups of the rule and of the last condition that matched, and the
    maps. `vary` are the request headers that were looked at."""

    def __init__(self, run: Run, folder: str | None, maps: dict[str, Directive]) -> None:
        self.run = run
        self.folder = folder
        self.maps = maps
        self.path: Value = EMPTY
        self.query: Value | None = None
        self.rule_groups: Sequence[Value] = ()
        self.condition_groups: Sequence[Value] = ()
        self.vary: list[str] = []
        self._subject: tuple[tuple[Value, str, bool], Value] | None = None

    def subject(self, proxied: bool) -> Value:
        """What patterns are matched with: in a folder, what follows it, and PATH_INFO."""
        key = (self.path, self.run.path_info, proxied)
        if self._subject is None or self._subject[0] != key:
            found = self.path
            if self.folder is not None:
                found = join((found, literal(self.run.path_info, CLIENT)))
                if not proxied and (found.text or "").startswith(self.folder):
                    found = part(found, len(self.folder))
            self._subject = key, found
        return self._subject[1]

    def put(self, path: Value, query: Value | None) -> None:
        """The URL as it is now, for the request too: conditions look at it there."""
        self.path, self.query = path, query
        self.run.filename = path.text
        self.run.args = None if query is None else query.text


class Expanded(NamedTuple):
    """A filled-in text; `marked`: its first question mark came out of an expansion, and was not written there."""

    value: Value
    marked: bool


def value_of(context: Context, text: str, rule: Rule | None = None) -> Value:
    """The text with everything filled in."""
    return expand(context, text, rule).value


def expand(context: Context, text: str, rule: Rule | None = None) -> Expanded:
    """The text with everything filled in; `rule` where its B flags escape what back-references bring."""
    out: list[Segment] = []
    marked: bool | None = None
    for kind, inner, value in _parts(text):
        if kind == "%{":
            value = variable(context, inner)
        elif kind == "${":
            value = _map(context, inner, rule)
        elif kind == "$" or kind == "%":
            groups = context.rule_groups if kind == "$" else context.condition_groups
            value = groups[int(inner)] if int(inner) < len(groups) else EMPTY
            if rule is not None and rule.has("B", "BCTLS"):
                value = _escaped(value, rule)
        out += value.segments
        if marked is None and kind != "\\":  # an escaped question mark does not count as written
            for segment in value.segments:
                if segment.text is not None and "?" in segment.text:
                    marked = kind != ""
    return Expanded(Value(tuple(out)), bool(marked))


@lru_cache(maxsize=4096)
def _parts(text: str) -> tuple[tuple[str, str, Value], ...]:
    """The pieces of a text: what is to be filled in by how it begins ("%{", "${", "$", "%") and by its name, else what
    is written ("", or "\\" where a backslash says so)."""
    found: list[tuple[str, str, Value]] = []
    at = 0
    while at < len(text):
        plain = _PLAIN.match(text, at)
        if plain is not None:
            found.append(("", "", literal(plain[0])))
            at = plain.end()
            continue
        char, follows = text[at], text[at + 1 : at + 2]
        if char == "\\":
            found.append((char, "", literal(follows or char)))
            at += 2
        elif follows == "{":
            end = _closing(text, at + 2)
            inner = text[at + 2 : end] if end != -1 else ""
            if end == -1 or (char == "$" and _split(inner, ":") is None):
                found.append(("", "", literal(text[at : at + 2])))
                at += 2
                continue
            found.append((char + "{", inner, EMPTY))
            at = end + 1
        elif follows.isdigit():
            found.append((char, follows, EMPTY))
            at += 2
        else:
            found.append(("", "", literal(char)))
            at += 1
    return tuple(found)


def variable(context: Context, name: str) -> Value:
    """A %{variable}. A request header that is there makes the answer vary by it (lookup_header)."""
    value = lookup(context.run, name)
    header = looked_at(name)
    if header is not None and context.run.headers_in.get(header) is not None:
        context.vary.append(header)
    return value


def _closing(text: str, at: int) -> int:
    depth = 1
    for index in range(at, len(text)):
        if text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
        elif text[index] == "{":
            depth += 1
    return -1


def _split(text: str, char: str) -> tuple[str, str] | None:
    """The text before and behind the first `char` that stands in no inner braces."""
    depth = 1
    for index, found in enumerate(text):
        if found == char and depth == 1:
            return text[:index], text[index + 1 :]
        depth += (found == "{") - (found == "}")
    return None


def _escaped(value: Value, rule: Rule) -> Value:
    """B, BNP, BCTLS and BNE: what a back-reference brings, escaped for a query."""
    only = "".join(rule.flags.get("B", ()))
    spared = "".join(rule.flags.get("BNE", ()))
    controls = rule.has("BCTLS")

    def change(text: str) -> str:
        out = []
        for char in text:
            affected = (char <= " " or char == "\x7f") if controls else not only
            if not (affected or char in only) or char in spared or char == "_" or (char.isascii() and char.isalnum()):
                out.append(char)
            elif char == " " and not rule.has("BNP"):
                out.append("+")
            else:
                out.append(f"%{ord(char):02x}")
        return "".join(out)

    return mapped(value, change)


# --- maps


def _map(context: Context, inner: str, rule: Rule | None) -> Value:
    halves = _split(inner, ":")
    assert halves is not None
    name, rest = halves
    key_text, default = _split(rest, "|") or (rest, "")
    key = value_of(context, key_text, rule)
    found = _look_up(context, name, key)
    if found is None:
        return value_of(context, default, rule) if default else EMPTY
    return found


def _look_up(context: Context, name: str, key: Value) -> Value | None:
    line = context.maps.get(name)
    if line is None:
        return None
    kind, _, target = line.args[1].partition(":")
    kind = kind.lower() if target else "txt"
    if kind == "int":
        change = _INTERNAL.get(target)
        return mapped(key, change) if change is not None else None
    if kind not in ("txt", "rnd") or key.text is None:
        return unknown(UNKNOWN)
    path = context.run.config.path(target or line.args[1])
    source = next((file for file in context.run.config.files if path in (file.path, file.name)), None)
    if source is not None:
        text = find_line(source.text, key.text)
    else:
        answer = context.run.ask(Question("variable", f"${{{name}:{key.text}}}", path), [_RESULT], line.place)
        if answer.name == _RESULT.name:
            return unknown(UNKNOWN)
        text = answer.value
    if text is None:
        return None
    if kind == "rnd" and "|" in text:
        return unknown(UNKNOWN)
    return literal(text)


def find_line(text: str, key: str) -> str | None:
    """The value of a key in a text map: lines that begin with a blank or # do not count (lookup_map_txtfile)."""
    for line in text.split("\n"):
        if line[:1].isspace() or line.startswith("#"):
            continue
        words = line.split(None, 2)
        if len(words) > 1 and words[0] == key:
            return words[1]
    return None


def _unescape(text: str) -> str:
    """ap_unescape_url, which leaves alone what is no escape."""
    return re.sub("%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), text)


def _ascii(change: Callable[[bytes], bytes]) -> Callable[[str], str]:
    return lambda text: change(text.encode("latin-1")).decode("latin-1")


_INTERNAL: dict[str, Callable[[str], str]] = {
    "tolower": _ascii(bytes.lower),
    "toupper": _ascii(bytes.upper),
    "escape": escape_text,
    "unescape": _unescape,
}
