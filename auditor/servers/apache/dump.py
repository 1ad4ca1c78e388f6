"""What `apachectl -t -D DUMP_CONFIG` prints (mod_info.c: mod_info_show_config): the configuration as httpd has read it,
with the file and the line of each directive, and without what is evaluated on the way (Include, Define, LoadModule).
"""

from __future__ import annotations

from collections.abc import Iterable

from auditor.patterns import lazy_re
from auditor.servers.apache.syntax import Node, parse
from auditor.source import InputError, Place, SourceFile

_FILE = "# In file: "
_START = lazy_re(r"(?m)^# In file: \S[^\n]*\n#\s*\d+:$")
_LINE = lazy_re(r"\s*#\s*(\d+):$")
# What other options of apachectl print, which holds no directives.
_LISTINGS = (
    ("apachectl -S", lazy_re(r"(?m)\A(?:[^\n]*\n){0,3}?VirtualHost configuration:$")),
    ("apachectl -M", lazy_re(r"(?m)\A(?:[^\n]*\n){0,3}?(?:Loaded Modules:|\s*core_module \(static\))$")),
    ("apachectl -D DUMP_RUN_CFG", lazy_re(r'\AServerRoot: "')),
)
MAX_LINE = 1_000_000


def is_dump(text: str) -> bool:
    """Whether this is such a dump."""
    return _FILE in text and _START.search(text) is not None


def refuse_listing(source: SourceFile) -> None:
    """Raises InputError for what apachectl prints about a configuration, and is none."""
    for command, pattern in _LISTINGS:
        if pattern.search(source.text):
            message = f"is the output of {command}: give the configuration, or what apachectl -t -D DUMP_CONFIG prints"
            raise InputError(source.name, 1, message)


def split(source: SourceFile) -> list[SourceFile]:
    """The files of a dump, the main file first, named as on the machine that wrote it: what is known of each stands in
    its lines. Raises InputError for a line number that no file has."""
    return list(_read(source)[0].values())


def nodes_of(source: SourceFile, parts: Iterable[SourceFile]) -> tuple[Node, ...]:
    """The directives of a dump, with their places in its parts. Raises InputError as parse does."""
    known = {part.name: part for part in parts}
    _, places = _read(source)
    # What stands above the first file ("Syntax OK") is none of it.
    return tuple(_placed(node, known, places) for node in parse(source) if node.place.line in places)


def _placed(node: Node, parts: dict[str, SourceFile], places: dict[int, tuple[str, int]]) -> Node:
    name, line = places.get(node.place.line, ("", 0))
    part = parts.get(name)
    children = None if node.children is None else tuple(_placed(child, parts, places) for child in node.children)
    if part is None:
        return node._replace(children=children)
    start = part.start_of(line)
    end = part.text.find("\n", start)
    stop = len(part.text) if end == -1 else end
    return node._replace(children=children, place=Place(part, line, node.name, node.place.nth, None, start, stop))


def _read(source: SourceFile) -> tuple[dict[str, SourceFile], dict[int, tuple[str, int]]]:
    """The parts by their names, and for each line of the dump that holds a directive its file and line."""
    texts: dict[str, dict[int, str]] = {}
    places: dict[int, tuple[str, int]] = {}
    file, line = "", 0
    for number, text in enumerate(source.text.split("\n"), 1):
        if text.startswith(_FILE):
            file = text[len(_FILE) :].strip()
            texts.setdefault(file, {})
            continue
        match = _LINE.match(text)
        if match is not None:
            if len(match[1]) > 7 or int(match[1]) > MAX_LINE:
                raise InputError(source.name, number, f"names line {match[1]} of {file}: no configuration is so long")
            line = int(match[1])
        elif line and file:
            places[number] = (file, line)
            texts[file].setdefault(line, text.strip())
            line = 0
    parts = {}
    for name, lines in texts.items():
        rows = [""] * max(lines, default=0)
        for row, text in lines.items():
            if row:
                rows[row - 1] = text
        parts[name] = SourceFile(name, "\n".join(rows) + "\n")
    return parts, places
