"""Files as they were read, and places in them.

A place is symbolic until it is printed: columns, ends and texts are worked out only for places that a report shows.
"""

from __future__ import annotations

import re
from functools import lru_cache

from auditor.secrets import mask


class SourceFile:
    """A file of the configuration. `name` is what reports print, `text` the latin-1 reading of its bytes (BOM removed,
    CRLF kept out), `path` where it lies on this machine (None for standard input and for the parts of a dump)."""

    __slots__ = ("_starts", "name", "path", "text")

    def __init__(self, name: str, text: str, path: str | None = None) -> None:
        self.name = name
        self.text = text
        self.path = path
        self._starts: list[int] | None = None

    def start_of(self, line: int) -> int:
        """The offset at which that line (from 1) begins."""
        if self._starts is None:
            starts, at = [0], self.text.find("\n")
            while at != -1:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._starts = starts
        return self._starts[min(line, len(self._starts)) - 1] if line > 0 else 0

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column (both from 1) of an offset."""
        line = self.text.count("\n", 0, offset) + 1
        return line, offset - (self.text.rfind("\n", 0, offset) + 1) + 1

    def line_text(self, line: int) -> str:
        """The text of that line (from 1), as people read it (UTF-8 where it is that)."""
        start = self.start_of(line)
        end = self.text.find("\n", start)
        return readable(self.text[start : len(self.text) if end == -1 else end])

    def __repr__(self) -> str:
        return f"SourceFile({self.name!r})"


def readable(text: str) -> str:
    """A latin-1 reading of bytes as people read it: UTF-8 where the bytes are valid UTF-8."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except (UnicodeDecodeError, UnicodeEncodeError):
        return text


class Place:
    """A directive (or another named thing) in a file: the `nth` (from 0) one called `name` on that line.

    `via` is the place of the include line through which this file was read, if any.
    """

    __slots__ = ("line", "name", "nth", "source", "via")

    def __init__(self, source: SourceFile, line: int, name: str = "", nth: int = 0, via: Place | None = None) -> None:
        self.source = source
        self.line = line
        self.name = name
        self.nth = nth
        self.via = via

    @property
    def file(self) -> str:
        return self.source.name

    @property
    def column(self) -> int:
        """Column from 1, counted in characters of the latin-1 reading."""
        return _span(self)[0] - self.source.start_of(self.line) + 1

    @property
    def end(self) -> tuple[int, int]:
        """Line and column just behind the directive (its `;`, or the `{` of a block)."""
        return self.source.position(_span(self)[1])

    @property
    def text(self) -> str:
        """The directive as written, on one line, a block without its body; secrets are masked."""
        start, end = _span(self)
        text = " ".join(readable(self.source.text[start:end]).split())
        return mask(text.removesuffix("{").rstrip())

    @property
    def key(self) -> tuple[str, int, str, int]:
        return (self.source.name, self.line, self.name, self.nth)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Place({self.file}:{self.line} {self.name!r})"


@lru_cache(maxsize=4096)
def _span(place: Place) -> tuple[int, int]:
    """Offsets of the place's first character and of the one behind its last."""
    text = place.source.text
    begin = place.source.start_of(place.line)
    line_end = text.find("\n", begin)
    line_end = len(text) if line_end == -1 else line_end
    start = begin + len(text[begin:line_end]) - len(text[begin:line_end].lstrip())
    if not place.name:
        return start, len(text[:line_end].rstrip()) if start < line_end else start
    pattern = re.compile(r"""(?<![^\s;{}'"])""" + re.escape(place.name) + r"""(?![^\s;{}'"])""")
    for count, match in enumerate(pattern.finditer(text, begin, line_end)):
        start = match.start()
        if count == place.nth:
            break
    return start, _end_of_directive(text, start)


_TOKENS = re.compile(r"""\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\$\{[^}\s]*\}|(?<=\s)\#[^\n]*|[;{}]""", re.DOTALL)


def _end_of_directive(text: str, start: int) -> int:
    for match in _TOKENS.finditer(text, start, min(len(text), start + 20000)):
        token = match.group()
        if token in (";", "{"):
            return match.end()
        if token == "}":
            return match.start()
    end = text.find("\n", start)
    return len(text) if end == -1 else end
