"""Edits of a configuration's text: a directive is replaced where it stands, and no line moves.

The server then reads the user's own text, with its own lexer, and what it says about a line is true of the user's line.
"""

from __future__ import annotations

from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.tokens import CLOSE, END, LUA, OPEN, WORD, tokens
from auditor.source import SourceFile


class Span:
    """Where a directive stands: `start` to `head` (behind its `;` or `{`), and to `end`, behind its block if it has
    one."""

    __slots__ = ("end", "head", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.head = self.end = start


def spans(source: SourceFile) -> dict[int, Span]:
    """The spans of all directives of a file, by their first offset. Raises InputError as the lexer does."""
    text = source.text
    found: dict[int, Span] = {}
    opened: list[Span | None] = []
    current: Span | None = None
    for kind, token, _, offset in tokens(source.name, text):
        if kind == WORD:
            if current is None:
                current = found[offset] = Span(offset)
        elif kind in (END, OPEN, LUA):
            behind = offset + 1
            if kind == LUA:  # the token is what stands between the braces
                behind = offset + 1 + len(token) + 1
            if current is not None:
                current.head = current.end = behind
            if kind == OPEN:
                opened.append(current)
            current = None
        elif kind == CLOSE and opened:
            block = opened.pop()
            if block is not None:
                block.end = offset + 1
            current = None
    return found


class Edits:
    """The edits of one file."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self._spans = spans(source)
        self._made: dict[int, tuple[int, str]] = {}  # start: end, text
        self._behind: dict[int, str] = {}

    def replace(self, directive: Directive, text: str) -> None:
        """The directive, its block included, becomes `text` (one line; "" takes it out)."""
        span = self._span(directive)
        if span is not None:
            self._made[span.start] = (span.end, text)

    def replace_opening(self, directive: Directive, text: str) -> None:
        """What stands up to and with the `{` of a block becomes `text`."""
        span = self._span(directive)
        if span is not None:
            self._made[span.start] = (span.head, text)

    def behind_opening(self, directive: Directive, text: str) -> None:
        """`text` (one line) right behind the `{` of a block."""
        span = self._span(directive)
        if span is not None:
            self._behind[span.head] = text

    def _span(self, directive: Directive) -> Span | None:
        return None if directive.offset is None else self._spans.get(directive.offset)

    def text(self) -> str:
        """The file's text with all edits made; edits inside a block that is itself replaced go with it."""
        text, parts, at = self.source.text, [], 0
        changes = [(start, end, new) for start, (end, new) in self._made.items()]
        changes += [(start, start, new) for start, new in self._behind.items()]
        for start, end, new in sorted(changes):
            if start < at:
                continue
            parts += [text[at:start], new, "\n" * (text.count("\n", start, end) - new.count("\n"))]
            at = end
        return "".join([*parts, text[at:]])


_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:$=*,@%+~^?&|()[]<>!")


def quoted(word: str) -> str:
    r"""A decoded word as nginx reads it back (ngx_conf_read_token resolves `\" \' \\ \t \r \n`, others stay)."""
    if word and all(char in _BARE for char in word) and word[0] not in "#}{":
        return word
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\r", "\\r")
    return '"' + text.replace("\n", "\\n") + '"'


def line(name: str, args: list[str] | tuple[str, ...]) -> str:
    """A directive as text."""
    return " ".join([name, *(quoted(arg) for arg in args)]) + ";"
