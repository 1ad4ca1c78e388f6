"""Edits of an httpd configuration's text: a line is replaced where it stands, and no line moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auditor.servers.apache.syntax import Line, Node, lines_of
from auditor.source import SourceFile


def closings(source: SourceFile, nodes: Sequence[Node]) -> dict[int, Line]:
    """The closing lines of all sections, by the offsets at which the sections begin: sections close in the order in
    which they are walked, the inner ones first."""
    found: dict[int, Line] = {}
    ends = (line for line in lines_of(source) if line.text.startswith("</"))

    def walk(inside: Iterable[Node]) -> None:
        for node in inside:
            if node.children is not None:
                walk(node.children)
                found[node.place.offset or 0] = next(ends)

    walk(nodes)
    return found


class Edits:
    """The edits of one file."""

    def __init__(self, source: SourceFile, nodes: Sequence[Node]) -> None:
        self.source = source
        self._closings = closings(source, nodes)
        self._made: list[tuple[int, int, str]] = []

    def replace(self, node: Node, text: str) -> None:
        """The directive, or the opening line of a section, becomes `text` (one line; "" takes it out)."""
        start = node.place.offset or 0
        self._made.append((start, node.place.stop or start, text))

    def remove(self, node: Node) -> None:
        """A whole section goes."""
        start = node.place.offset or 0
        self._made.append((start, self._closings[start].stop, ""))

    def text(self) -> str:
        """The file's text with all edits made; edits inside of what is removed go with it."""
        text, parts, at = self.source.text, [], 0
        for start, end, new in sorted(self._made):
            if start < at:
                continue
            parts += [text[at:start], new, "\n" * text.count("\n", start, end)]
            at = end
        return "".join([*parts, text[at:]])


def quoted(word: str) -> str:
    """A decoded word as httpd reads it back (ap_getword_conf)."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def line(name: str, args: Iterable[str]) -> str:
    """A directive as text; a section where the name begins with `<`."""
    text = " ".join([name, *(quoted(arg) for arg in args)])
    return text + ">" if name.startswith("<") else text


def walk(nodes: Sequence[Node], around: tuple[Node, ...] = ()) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """All directives and sections, outer ones first, each with the sections around it."""
    for node in nodes:
        yield node, around
        if node.children is not None:
            yield from walk(node.children, (*around, node))
