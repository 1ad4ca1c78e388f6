"""nginx text to a tree of directives. crossplane cuts the tokens; includes are read in place."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.source import Place, SourceFile


class Directive:
    """A directive: its name, its decoded arguments (nginx's own escapes resolved), and its block, if it has one.

    An `if` keeps its condition's words without the outer parentheses. `via` is the include line through which the
    file was read.
    """

    __slots__ = ("_place", "args", "block", "line", "name", "nth", "source", "via")

    def __init__(
        self,
        name: str,
        args: list[str],
        source: SourceFile,
        line: int,
        nth: int = 0,
        block: list[Directive] | None = None,
        via: Directive | None = None,
    ) -> None:
        self.name = name
        self.args = args
        self.source = source
        self.line = line
        self.nth = nth
        self.block = block
        self.via = via
        self._place: Place | None = None

    @property
    def place(self) -> Place:
        if self._place is None:
            self._place = Place(self.source, self.line, self.name, self.nth, self.via.place if self.via else None)
        return self._place

    def walk(self) -> Iterator[Directive]:
        """This directive and all below it, in the order of the text."""
        yield self
        for child in self.block or ():
            yield from child.walk()

    def __repr__(self) -> str:
        return f"Directive({self.name} {self.args} @{self.source.name}:{self.line})"
