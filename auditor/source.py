"""Files as they were read, and places in them.

A place is symbolic until it is printed: columns, ends and texts are worked out only for places that a report shows.
"""

from __future__ import annotations

import os
import re
import stat
import sys

from auditor.secrets import mask

MAX_BYTES = 32 * 1024 * 1024
MAX_DIRECTIVE = 20_000  # characters in which the end of a directive is looked for
_BOM = b"\xef\xbb\xbf"
# What `nginx -T` writes above each file (ngx_conf_file and nginx.c: "# configuration file NAME:").
_DUMP_HEADER = r"(?m)^# configuration file (\S[^\n]*):$"


# What is read in place of files, by their real paths ("-" for standard input): fixes that are not written yet.
stand_ins: dict[str, bytes] = {}


class InputError(Exception):
    """Something that could not be read or parsed: the run ends with exit status 3.

    `line` is 0 where the whole file is meant.
    """

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")
        self.file = file
        self.line = line
        self.message = message

    def __reduce__(self) -> tuple[type[InputError], tuple[str, int, str]]:
        return InputError, (self.file, self.line, self.message)  # for pickle, which would give the whole text as `file`


class InputErrors(InputError):
    """Several of them in one file; as an InputError, it is the first."""

    def __init__(self, errors: list[InputError]) -> None:
        super().__init__(errors[0].file, errors[0].line, errors[0].message)
        self.errors = errors


class SourceFile:
    """A file of the configuration. `name` is what reports print, `text` the latin-1 reading of its bytes (BOM removed,
    CRLF kept out), `path` where it lies on this machine (None for standard input and for the parts of a dump)."""

    __slots__ = ("_starts", "bom", "name", "path", "spans", "text")

    def __init__(self, name: str, text: str, path: str | None = None, bom: bool = False) -> None:
        self.name = name
        self.text = text
        self.path = path
        self.bom = bom  # whether a byte order mark was removed: servers do not remove it
        self._starts: list[int] | None = None
        self.spans: dict[tuple[int, str, int, int | None], tuple[int, int]] = {}  # of its places (Place.span)

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

    def character(self, line: int, column: int) -> int:
        """That column (from 1, in bytes) of the line in characters as people read them (see `readable`)."""
        start = self.start_of(line)
        before, end = self.text[start : start + column - 1], self.text.find("\n", start)
        if before.isascii() or len(self.line_text(line)) == (len(self.text) if end == -1 else end) - start:
            return column  # ASCII, or no UTF-8
        return len(before.encode("latin-1").decode("utf-8", "ignore")) + 1

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


def read_source(path: str, name: str | None = None) -> SourceFile:
    """The file at `path` of this machine, called `name` (else `path`) in reports.

    Raises InputError for what is missing, unreadable, no regular file, too long, or no text.
    """
    name = path if name is None else name
    try:
        status = os.stat(path)
        mode = status.st_mode
        if stat.S_ISDIR(mode):
            raise InputError(name, 0, "is a directory")
        # A named pipe would wait for a writer for ever; one that the shell opened for us (`<(nginx -T)`) has one.
        if not stat.S_ISREG(mode) and not path.startswith(("/dev/fd/", "/dev/stdin", "/proc/self/fd/")):
            raise InputError(name, 0, "is not a regular file")
        data = stand_ins.get(os.path.realpath(path)) if stand_ins else None
        if data is None:
            with open(path, "rb") as file:
                # Told how much to read, Python asks for that much memory first.
                small = stat.S_ISREG(mode) and status.st_size <= MAX_BYTES
                data = file.read() if small else file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(name, 0, getattr(error, "strerror", None) or str(error)) from None
    return source_of(data, name, path)


def standard_input(name: str) -> SourceFile:
    """What standard input holds. Raises InputError as source_of does."""
    data = stand_ins.get("-")
    return source_of(sys.stdin.buffer.read(MAX_BYTES + 1) if data is None else data, name)


def source_of(data: bytes, name: str, path: str | None = None) -> SourceFile:
    """The bytes of a configuration as a SourceFile.

    Raises InputError for more than MAX_BYTES and for NUL bytes (UTF-16, or no text at all).
    """
    if len(data) > MAX_BYTES:
        raise InputError(name, 0, f"is longer than {MAX_BYTES // 1024 // 1024} MiB")
    nul = data.find(b"\0")
    if nul != -1:
        encoding = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "not a text file"
        raise InputError(name, data.count(b"\n", 0, nul) + 1, f"holds a NUL byte ({encoding})")
    bom = data.startswith(_BOM)
    if bom:
        data = data[len(_BOM) :]
    if b"\r\n" in data:
        data = data.replace(b"\r\n", b"\n")
    return SourceFile(name, data.decode("latin-1"), path, bom)


def split_dump(source: SourceFile) -> list[SourceFile] | None:
    """The files of an `nginx -T` dump, the main file first, named as on the machine that wrote it; None if it is none.

    What the server says on standard error ("nginx: ... syntax is ok") may stand above the first file. Lines are
    counted within each file.
    """
    if "# configuration file " not in source.text:
        return None
    first = re.search(_DUMP_HEADER, source.text)
    if first is None:
        return None
    for line in source.text[: first.start()].splitlines():
        if line.strip() and not line.startswith(("nginx:", "20")):  # error log lines begin with the date
            return None
    headers = list(re.finditer(_DUMP_HEADER, source.text))
    parts: dict[str, SourceFile] = {}
    for at, header in enumerate(headers):
        end = headers[at + 1].start() if at + 1 < len(headers) else len(source.text)
        # One line feed ends the header, another one is added behind the file's own text.
        text = source.text[header.end() + 1 : end].removesuffix("\n")
        parts.setdefault(header[1], SourceFile(header[1], text))
    return list(parts.values())


class Place:
    """A directive (or another named thing) in a file: the `nth` (from 0) one called `name` on that line.

    `via` is the place of the include line through which this file was read, if any. `offset` is where the directive
    begins in the text, where the reader knows it; without it the line is searched for the name. `stop` is the offset
    behind its last character; without it, nginx's syntax tells the end.
    """

    __slots__ = ("line", "name", "nth", "offset", "source", "stop", "via")

    def __init__(
        self,
        source: SourceFile,
        line: int,
        name: str = "",
        nth: int = 0,
        via: Place | None = None,
        offset: int | None = None,
        stop: int | None = None,
    ) -> None:
        self.source = source
        self.line = line
        self.name = name
        self.nth = nth
        self.via = via
        self.offset = offset
        self.stop = stop

    @property
    def file(self) -> str:
        return self.source.name

    @property
    def span(self) -> tuple[int, int]:
        """Offsets in the source's text of the first character and of the one behind the last (see `end`)."""
        # Remembered by the source itself: places are equal where the names of their files are, and two files can be
        # called alike; and what is remembered goes with the file.
        spans = self.source.spans
        if self.stop is not None and self.offset is not None:
            return self.offset, self.stop
        key = (self.line, self.name, self.nth, self.offset)
        span = spans.get(key)
        if span is None:
            span = spans[key] = _find_span(self.source, *key)
        return span

    @property
    def column(self) -> int:
        """Column from 1, counted in characters of the latin-1 reading."""
        return self.span[0] - self.source.start_of(self.line) + 1

    @property
    def end(self) -> tuple[int, int]:
        """Line and column just behind the directive (its `;`, or the `{` of a block)."""
        return self.source.position(self.span[1])

    @property
    def shown(self) -> tuple[int, int, int]:
        """Column, last line and last column of the place as editors count: in characters of UTF-8 where a line is
        that."""
        end_line, end_column = self.end
        source = self.source
        return source.character(self.line, self.column), end_line, source.character(end_line, end_column)

    @property
    def text(self) -> str:
        """The directive as written, on one line, a block without its body; secrets are masked."""
        start, end = self.span
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


def _find_span(source: SourceFile, line: int, name: str, nth: int, offset: int | None) -> tuple[int, int]:
    text = source.text
    if offset is not None:
        return offset, _end_of_directive(text, offset)
    begin = source.start_of(line)
    line_end = text.find("\n", begin)
    line_end = len(text) if line_end == -1 else line_end
    start = begin + len(text[begin:line_end]) - len(text[begin:line_end].lstrip())
    if not name:
        return start, len(text[:line_end].rstrip()) if start < line_end else start
    pattern = re.compile(r"""(?<![^\s;{}'"])""" + re.escape(name) + r"""(?![^\s;{}'"])""")
    for count, match in enumerate(pattern.finditer(text, begin, line_end)):
        start = match.start()
        if count == nth:
            break
    return start, _end_of_directive(text, start)


_TOKENS = r"""(?s)\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\$\{[^}\s]*\}|\{\{[^\n]*?\}\}|(?<=\s)\#[^\n]*|[;{}]"""


def _end_of_directive(text: str, start: int) -> int:
    for match in re.compile(_TOKENS).finditer(text, start, min(len(text), start + MAX_DIRECTIVE)):
        token = match.group()
        if token in (";", "{"):
            return match.end()
        if token == "}":
            return match.start()
    end = text.find("\n", start)
    return len(text) if end == -1 else end
