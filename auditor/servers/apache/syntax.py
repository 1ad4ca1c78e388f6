"""httpd's configuration syntax: text to directives and sections, nothing evaluated yet.

As ap_cfg_getline, ap_getword_conf and ap_build_config_sub of 2.4 have it (manual: "Configuration Files", Syntax).
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from auditor.patterns import lazy_re
from auditor.source import InputError, Place, SourceFile

# One logical line: physical lines that end in a backslash go on in the next one, comments too.
_LINE = lazy_re(r"[ \t\v\f\r]*((?:[^\n\\]|\\\n|\\(?!\n))*)(?:\n|\Z)")
_WORD = lazy_re(r"\S+")
MAX_DEPTH = 100


class Node(NamedTuple):
    """A directive or a section as it stands in the text. `name` is as written, a section's begins with `<`; `key` is it
    in lower case. `rest` is what follows the name, continuation lines joined, a section's closing `>` left out.
    `children` is None for a directive."""

    name: str
    key: str
    rest: str
    place: Place
    children: "tuple[Node, ...] | None" = None


class Line(NamedTuple):
    """A logical line: its text without the blanks around it, the number of its first physical line, and its offsets."""

    text: str
    number: int
    start: int
    stop: int


def lines_of(source: SourceFile) -> Iterator[Line]:
    """The logical lines of a file, comments and empty ones too."""
    text, at, number, end = source.text, 0, 1, len(source.text)
    while at < end:
        if text.find("\\\n", at, (text.find("\n", at) + 1) or end) == -1:  # nearly always one physical line
            stop = text.find("\n", at)
            stop = end if stop == -1 else stop
            raw = text[at:stop]
            stripped = raw.strip()
            start = at + (len(raw) - len(raw.lstrip()))
            yield Line(stripped, number, start, start + len(stripped))
            at, number = stop + 1, number + 1
            continue
        match = _LINE.match(text, at)
        assert match is not None
        whole = match[1]
        joined = whole.replace("\\\n", "").strip()
        yield Line(joined, number, match.start(1), match.start(1) + len(whole.rstrip()))
        number += text.count("\n", at, match.end())
        at = match.end()


def parse(source: SourceFile, via: Place | None = None) -> tuple[Node, ...]:
    """The directives of a file, sections with their contents.

    Raises InputError for a section that is not closed, closed by another name, or written without `>`.
    """
    stack: list[tuple[str, str, str, Place, list[Node]]] = []
    current: list[Node] = []
    counts: dict[tuple[int, str], int] = {}
    code = False  # inside of <Perl>, whose lines are no directives
    for line in lines_of(source):
        text = line.text
        if not text or text[0] == "#" or (code and text.lower() != "</perl>"):
            continue
        word = _WORD.match(text)
        assert word is not None
        name, rest = word[0], text[word.end() :].lstrip()
        if name[0] == "<":
            if name.startswith("</"):
                if not text.endswith(">"):
                    raise InputError(source.name, line.number, f"{text} directive missing closing '>'")
                closing = text[2:-1].strip().lower()
                if not stack:
                    raise InputError(
                        source.name, line.number, f"{text} without matching <{text[2:-1].strip()}> section"
                    )
                opened, key, section_rest, place, before = stack.pop()
                if closing != key[1:]:
                    expected = f"expected </{opened[1:]}>, which line {place.line} opens, but saw {text}"
                    raise InputError(source.name, line.number, expected)
                code = False
                before.append(Node(opened, key, section_rest, place, tuple(current)))
                current = before
                continue
            if not text.endswith(">"):
                raise InputError(source.name, line.number, f"{name} directive missing closing '>'")
            if not rest:
                name = name[:-1]
            else:
                rest = rest[:-1].rstrip()
            if len(stack) >= MAX_DEPTH:
                raise InputError(source.name, line.number, f"more than {MAX_DEPTH} sections inside of each other")
        elif name[0] in "\"'":  # a quoted directive name is legal, if odd
            name, rest = next_word(text)
            if not name:
                raise InputError(source.name, line.number, "Invalid command '': no directive has an empty name")
        key = name.lower()
        nth = counts.get((line.number, name), 0)
        counts[line.number, name] = nth + 1
        place = Place(source, line.number, name, nth, via, line.start, line.stop)
        if key[0] == "<" and text[0] == "<":
            stack.append((name, key, rest, place, current))
            code = key == "<perl"
            current = []
        else:
            current.append(Node(name, key, rest, place))
    if stack:
        name, _, _, place, _ = stack[-1]
        raise InputError(source.name, place.line, f"{name}> was not closed")
    return tuple(current)


def next_word(text: str) -> tuple[str, str]:
    """The first word of an argument text, quotes and their backslashes decoded, and what follows it (ap_getword_conf).

    A quoted word ends at the next quote that no backslash precedes, or with the text. A backslash is dropped before
    another one, and before the quote inside of quotes.
    """
    text = text.lstrip()
    if not text:
        return "", ""
    quote = text[0]
    if quote in "\"'":
        at = 1
        while at < len(text) and text[at] != quote:
            at += 2 if text[at] == "\\" and text[at + 1 : at + 2] in ("\\", quote) else 1
        word = re.sub(rf"\\([\\{quote}])", r"\1", text[1:at])
        return word, text[at + 1 :].lstrip()
    match = _WORD.match(text)
    assert match is not None
    return match[0].replace("\\\\", "\\"), text[match.end() :].lstrip()


def words_of(text: str, resolve: Callable[[str], str] | None = None) -> tuple[str, ...]:
    """All words of an argument text; `resolve` replaces ${NAME} in each, as httpd does behind the decoding."""
    words = []
    while text:
        word, text = next_word(text)
        words.append(resolve(word) if resolve is not None and "${" in word else word)
    return tuple(words)
