"""The lines of a configuration that its findings, notes and comments speak of: of thousands of files, all that is
kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter

from auditor.findings import Edit, Finding, Fix, Related
from auditor.server import Comment, Note
from auditor.source import MAX_DIRECTIVE, Place, SourceFile


class Excerpt(SourceFile):
    """Some lines of a file. Whatever asks a place there for its column, end or text gets the answers of the whole file.

    `stretches` are lines that stand together, in their order: the number of the first line, and the offsets at which it
    begins in `text` and in the whole file.
    """

    __slots__ = ("stretches",)

    def __init__(self, name: str, text: str, path: str | None = None, bom: bool = False) -> None:
        super().__init__(name, text, path, bom)
        self.stretches: list[tuple[int, int, int]] = []

    def start_of(self, line: int) -> int:
        first, start, _ = self.stretches[max(bisect_right(self.stretches, line, key=itemgetter(0)) - 1, 0)]
        for _ in range(line - first):
            end = self.text.find("\n", start)
            if end == -1:  # behind the last line, which is then meant
                break
            start = end + 1
        return start

    def position(self, offset: int) -> tuple[int, int]:
        first, start, _ = self.stretches[max(bisect_right(self.stretches, offset, key=itemgetter(1)) - 1, 0)]
        line = first + self.text.count("\n", start, offset)
        return line, offset - (self.text.rfind("\n", 0, offset) + 1) + 1

    def moved(self, offset: int) -> int:
        """Where an offset of the whole file is here."""
        _, here, there = self.stretches[bisect_right(self.stretches, offset, key=itemgetter(2)) - 1]
        return offset - there + here


def excerpted(
    findings: Iterable[Finding], notes: Iterable[Note] = (), comments: Iterable[Comment] = ()
) -> tuple[tuple[Finding, ...], tuple[Note, ...], tuple[Comment, ...]]:
    """Copies of them whose places, edits and comments lie in excerpts."""
    book = _Book()
    findings, notes, comments = tuple(findings), tuple(notes), tuple(comments)
    for _ in ("what is needed", "made of it"):
        copies = tuple(map(book.finding, findings)), tuple(map(book.note, notes)), tuple(map(book.comment, comments))
        book.fill()
    return copies


class _Book:
    """Copies whose excerpts are empty until they are filled; then the same copies are made again."""

    def __init__(self) -> None:
        self._sources: dict[SourceFile, tuple[Excerpt, set[tuple[int, int]]]] = {}
        self._places: dict[int, tuple[Place, Place]] = {}  # by the identity of the old one, which stays alive so
        self._filled = False

    def finding(self, finding: Finding) -> Finding:
        fix = finding.fix
        return finding._replace(
            place=self._place(finding.place),
            related=self._related(finding.related),
            way=self._related(finding.way),
            fix=None if fix is None else Fix(fix.safe, tuple(map(self._edit, fix.edits))),
        )

    def note(self, note: Note) -> Note:
        return note if note.place is None else note._replace(place=self._place(note.place))

    def comment(self, comment: Comment) -> Comment:
        source = comment.source
        begin = source.start_of(comment.line)
        end = source.text.find("\n", begin) + 1 or len(source.text)  # the next line's beginning: it may be deleted
        return comment._replace(source=self._keep(source, begin, end))

    def fill(self) -> None:
        """Gives the excerpts their lines."""
        if self._filled:
            return
        self._filled = True
        for old, (excerpt, spans) in self._sources.items():
            _fill(excerpt, old.text, spans)
        for _, new in self._places.values():
            if new.offset is not None and isinstance(new.source, Excerpt):
                length = None if new.stop is None else new.stop - new.offset
                new.offset = new.source.moved(new.offset)
                new.stop = None if length is None else new.offset + length

    def _related(self, items: tuple[Related, ...]) -> tuple[Related, ...]:
        return tuple(Related(self._place(item.place), item.message) for item in items)

    def _edit(self, edit: Edit) -> Edit:
        excerpt = self._keep(edit.source, edit.start, edit.end)
        if not self._filled:
            return edit
        return Edit(excerpt, excerpt.moved(edit.start), excerpt.moved(edit.end), edit.text)

    def _place(self, place: Place) -> Place:
        known = self._places.get(id(place))
        if known is not None:
            return known[1]
        old = place.source
        begin, end = place.span
        ends = place.name or place.offset is not None  # at its semicolon or brace, and not with the line
        ends = ends and place.stop is None
        if ends and old.text[end - 1 : end] not in (";", "{", "") and old.text[end : end + 1] != "}":
            end = begin + MAX_DIRECTIVE  # no end was found so far
        source = self._keep(old, min(begin, old.start_of(place.line)), end)
        via = None if place.via is None else self._place(place.via)
        new = Place(source, place.line, place.name, place.nth, via, place.offset, place.stop)
        self._places[id(place)] = place, new
        return new

    def _keep(self, source: SourceFile, begin: int, end: int) -> Excerpt:
        if source not in self._sources:
            self._sources[source] = Excerpt(source.name, "", source.path, source.bom), set()
        excerpt, spans = self._sources[source]
        spans.add((begin, end))
        return excerpt


def _fill(excerpt: Excerpt, text: str, spans: set[tuple[int, int]]) -> None:
    """Gives the excerpt the whole lines of these spans."""
    parts: list[str] = []
    at, line, length = 0, 1, 0  # in the whole text behind what is kept, the number of that line, and what is kept
    for begin, end in sorted(spans):
        line_end = text.find("\n", end)
        line_end = len(text) if line_end == -1 else line_end
        if parts and line_end < at:
            continue
        begin = max(text.rfind("\n", 0, begin) + 1, at)
        line += text.count("\n", at, begin)
        excerpt.stretches.append((line, length, begin))
        parts.append(text[begin:line_end] + "\n")
        length += len(parts[-1])
        line += parts[-1].count("\n")
        at = line_end + 1
    excerpt.text = "".join(parts)[:-1]
