"""Regular expressions as httpd compiles them (ap_pregcomp), and what their groups hold."""

from __future__ import annotations

from auditor.regex import Match, Regex, compile_regex
from auditor.values import CONFIG, EMPTY, SERVER, Segment, Value, literal


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


def groups_of(value: Value, match: Match) -> tuple[Value, ...]:
    """The groups of a match in the value's text, each with the source that it was cut from."""
    return tuple(cut(value, group) for group in match.groups)


def cut(value: Value, part: str) -> Value:
    """A part of the value's text with its sources. Where the part stands more than once, the first place is taken; the
    source of a segment decides, and mostly there is one segment only."""
    text = value.text
    if not part or text is None:
        return EMPTY
    if part == text:
        return value
    start = text.find(part)
    if len(value.segments) == 1 or start == -1:
        return literal(part, sources_of(value))
    end, at = start + len(part), 0
    found: list[Segment] = []
    for segment in value.segments:
        piece = segment.text or ""
        low, high = max(start - at, 0), min(end - at, len(piece))
        if low < high:
            found.append(Segment(segment.source, piece[low:high]))
        at += len(piece)
    return Value(tuple(found))


def substituted(template: str, groups: tuple[Value, ...]) -> Value:
    """The template with $0 to $9 replaced (ap_pregsub): a backslash keeps the character behind it as it is."""
    out: list[Segment] = []
    plain: list[str] = []
    at = 0
    while at < len(template):
        char = template[at]
        follows = template[at + 1 : at + 2]
        if char == "$" and follows.isdigit():
            if plain:
                out.append(Segment(CONFIG, "".join(plain)))
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
        out.append(Segment(CONFIG, "".join(plain)))
    return Value(tuple(out))
