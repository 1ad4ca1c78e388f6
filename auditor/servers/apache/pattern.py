"""Regular expressions as httpd compiles them (ap_pregcomp), and what their groups hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.regex import Match, Regex, RegexError, compile_regex
from auditor.values import CONFIG, SERVER, Segment, Value, join, unknown


def compile_pattern(pattern: str, caseless: bool = False) -> Regex:
    """The compiled pattern; a line break is a character like others (RegexDefaultOptions, since 2.4.30 DOTALL and
    DOLLAR_ENDONLY). Raises RegexError where PCRE2 refuses it."""
    return compile_regex(pattern, caseless, True)


def sources_of(value: Value) -> str:
    """The source that a text made of the value has: the first of its segments that is not the configuration's."""
    for segment in value.segments:
        if segment.source not in (CONFIG, SERVER) and segment.text != "":
            return segment.source
    return value.segments[0].source if value.segments else CONFIG


class Groups(Sequence[Value]):
    """The groups of a match in a value's text, each with the sources that it was cut from; cut when it is asked for,
    which is seldom."""

    __slots__ = ("_match", "_value")

    def __init__(self, value: Value, match: Match) -> None:
        self._value = value
        self._match = match

    def __len__(self) -> int:
        return len(self._match.groups)

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return cut(self._value, *self._match.span(number))


def cut(value: Value, start: int, end: int) -> Value:
    """A part of the value, from one offset of its text to another. Its text must be known."""
    found: list[Segment] = []
    at = 0
    for segment in value.segments:
        piece = segment.text or ""
        low, high = max(start - at, 0), min(end - at, len(piece))
        if low < high:
            found.append(Segment(segment.source, piece[low:high]))
        at += len(piece)
    return Value(tuple(found))


# Patterns that match any text, their one group being all of it: these need not know the text.
ANYTHING = frozenset(("(.*)", "^(.*)$", "^(.*)", "(.*)$"))


def edited(value: Value, regex: Regex, replacement: Value, every: bool) -> Value:
    """The value with the first match replaced, or, `every`, each one that follows, too. The replacement's $0 to $9
    stand for the groups.

    Raises RegexError where the match limit is exceeded, and for a pattern that would be found at one place for ever.
    """
    if value.text is None:
        if regex.pattern not in ANYTHING:
            return unknown(sources_of(value))
        return _filled(replacement, (value, value))
    out: list[Value] = []
    rest = value
    while True:
        text = rest.text or ""
        match = regex.search(text)
        if match is None:
            break
        start, end = match.span(0)
        out += [cut(rest, 0, start), _filled(replacement, Groups(rest, match))]
        rest = cut(rest, end, len(text))
        if not every:
            break
        if not end:
            raise RegexError(f"pattern {regex.pattern!r} matches nothing for ever")
    return join([*out, rest])


def _filled(replacement: Value, groups: Sequence[Value]) -> Value:
    """The replacement's segments, each with its groups filled in."""
    parts = []
    for segment in replacement.segments:
        filled = Value((segment,)) if segment.text is None else substituted(segment.text, groups, segment.source)
        parts.append(filled)
    return join(parts)


def substituted(template: str, groups: Sequence[Value], source: str = CONFIG) -> Value:
    """The template with $0 to $9 replaced (ap_pregsub): a backslash keeps the character behind it as it is."""
    out: list[Segment] = []
    plain: list[str] = []
    at = 0
    while at < len(template):
        char = template[at]
        follows = template[at + 1 : at + 2]
        if char == "$" and follows.isdigit():
            if plain:
                out.append(Segment(source, "".join(plain)))
                plain = []
            if int(follows) < len(groups):
                out.extend(groups[int(follows)].segments)
            at += 2
            continue
        if char == "\\" and follows:
            char = follows
            at += 1
        plain.append(char)
        at += 1
    if plain:
        out.append(Segment(source, "".join(plain)))
    return Value(tuple(out))
