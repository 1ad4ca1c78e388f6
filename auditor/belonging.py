"""The configurations of a tree, and what belongs to which."""

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from auditor.files import Files, is_main
from auditor.globs import below, has_magic, repository, walk_tree
from auditor.kinds import is_known, kind_of, may_be_one
from auditor.servers.nginx.stock import stock_text
from auditor.source import InputError, SourceFile, read_source, split_dump
from auditor.surroundings import MAX_TREE, Surroundings

if TYPE_CHECKING:
    from auditor.servers.apache.entries import Contents

MAX_CANDIDATE = 4 * 1024 * 1024  # bytes; a longer file in a folder is passed over, unless it is named itself
# How what apachectl prints begins, where it is no configuration.
_LISTINGS = ("VirtualHost configuration:", "Loaded Modules:", "ServerRoot: ", "Compiled in modules:")


class Reading(Protocol):
    """How to read: see auditor.check.Options."""

    @property
    def kind(self) -> str | None: ...
    @property
    def roots(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def stdin_name(self) -> str: ...
    @property
    def known_only(self) -> bool: ...
    @property
    def exclude(self) -> tuple[str, ...]: ...
    @property
    def base(self) -> str: ...


# The folders that main files include as a whole, in the order in which they do.
RANKS = {
    **dict.fromkeys(("conf.d", "http.d"), 1),
    **dict.fromkeys(("conf-enabled", "conf-available"), 2),
    **dict.fromkeys(("vhost", "vhosts", "vhost.d", "vhosts.d", "servers", "sites"), 3),
    **dict.fromkeys(("sites-enabled", "sites-available"), 4),
}
PORTS = "ports.conf"  # Debian's file of Listen lines, beside these folders


def may_be_part(path: str) -> bool:
    """Whether a file lies where main files include all that there is."""
    folder, name = os.path.split(os.path.abspath(path))
    return name == PORTS or os.path.basename(folder) in RANKS


class Named(NamedTuple):
    """A configuration that was found: all that is kept of each of thousands until its turn comes.

    `name` is what reports print, `path` where its main file lies, `folder` the folder that was named, None where the
    file itself was. `kind` is the server's, None where that is not told, `dump` says that it is an `nginx -T` dump,
    `size` counts its characters. `source` is the main file where it cannot be read again, or is the only one. `parts`
    are paths and names where several parts are read as one, in their order, and `note` says so.
    """

    name: str
    path: str | None
    folder: str | None
    kind: str | None
    dump: bool
    size: int
    source: SourceFile | None
    parts: tuple[tuple[str, str], ...] = ()
    note: str = ""


def describe(source: SourceFile, folder: str | None) -> Named:
    """What is kept of a configuration. Raises InputError for what apachectl lists, which is none."""
    dump = split_dump(source) is not None
    kind = "nginx" if dump else kind_of(source)
    if kind is None or kind == "apache":
        _refuse_listing(source)
    return Named(source.name, source.path, folder, kind, dump, len(source.text), None)


def _refuse_listing(source: SourceFile) -> None:
    if source.text.startswith(_LISTINGS):
        from auditor.servers.apache.dump import refuse_listing

        refuse_listing(source)


def source_of(named: Named) -> SourceFile:
    """Its main file. Raises InputError where that cannot be read any more."""
    if named.source is not None:
        return named.source
    assert named.path is not None
    return read_source(named.path, named.name)


def top_of(source: SourceFile, folder: str | None) -> str | None:
    """The folder in which everything that belongs to the entry is looked for: its repository, else the folder that was
    named, else its own."""
    if source.path is None:
        return None
    start = os.path.dirname(os.path.abspath(source.path))
    return repository(start) or (os.path.abspath(folder) if folder else start)


def is_excluded(path: str, options: Reading) -> bool:
    """Whether the settings leave the path out."""
    return bool(options.exclude) and below(options.base, options.exclude, path)


def in_folder(folder: str, options: Reading) -> Iterator[Named]:
    """The configurations below a folder, parts of them among these."""
    for count, path in enumerate(walk_tree(folder, lambda path: is_excluded(path, options))):
        if count >= MAX_TREE:
            return
        parent = os.path.basename(os.path.dirname(os.path.abspath(path)))
        if parent in ("mods-available", "conf-available") and os.path.isdir(_enabled(path)):
            continue  # what counts of them is included from there
        if not may_be_one(path):
            continue
        try:
            if os.path.getsize(path) > MAX_CANDIDATE:
                continue
            source = read_source(path, os.path.normpath(path))
        except (InputError, OSError):
            continue
        if stock_text(path) is not None:  # a package's own file; where it is included, it is read
            continue
        if is_known(source):
            yield describe(source, folder)


def _enabled(path: str) -> str:
    """The folder of what is switched on, beside Debian's folder of what is available."""
    return os.path.dirname(os.path.abspath(path)).removesuffix("available") + "enabled"


class Belonging:
    """What includes what. A text is looked at once and not kept."""

    def __init__(self, options: Reading) -> None:
        self._options = options
        self.near = Surroundings()
        self._all: dict[str, list[Named]] = {}  # the configurations below folders, parts among them
        self._includes: dict[str, list[str]] = {}  # what the files here include, by their paths
        self._mains: dict[str, dict[str, list[Named]]] = {}
        self._apache: dict[str, list[Named]] = {}  # the configurations of httpd in trees, and what belongs to them
        self._including_here: dict[str, dict[str, list[Named]]] = {}  # those that include a file, by its real path
        self._read: dict[str, Contents] = {}

    def including(self, source: SourceFile) -> list[Named]:
        """The main files of the repository in whose configurations this part of one stands."""
        if source.path is None or split_dump(source):
            return []
        real = os.path.realpath(source.path)
        top = repository(os.path.dirname(real))
        if top is None:
            return []
        if kind_of(source) == "apache":
            return self._including_apache(source, real, top)
        if is_main(source.text):
            return []
        if top not in self._mains:
            found: dict[str, list[Named]] = {}
            for named in self._below(top):
                main = source_of(named)
                if is_main(main.text):
                    for path in self._included(main, top):
                        found.setdefault(path, []).append(named)
            self._mains[top] = found
        return self._mains[top].get(real, [])

    def _including_apache(self, source: SourceFile, real: str, top: str) -> list[Named]:
        """The same for httpd; a .htaccess belongs to the configurations that serve its folder, else to the topmost one
        above it."""
        from auditor.servers.apache import entries
        from auditor.servers.apache.dump import is_dump
        from auditor.servers.apache.layout import is_main as is_apache_main

        if is_dump(source.text) or is_apache_main(source.text):
            return []
        access = entries.is_access_file(source.path)
        if top not in self._including_here:
            here = self._including_here[top] = {}
            for named in self._of_apache(top):
                for path in () if entries.is_access_file(named.path) else self._contents(named).included:
                    here.setdefault(path, []).append(named)
        found = [one for one in self._including_here[top].get(real, ()) if os.path.realpath(one.path or "") != real]
        if access:
            others = (one for one in self._of_apache(top) if not entries.is_access_file(one.path))
            found = [one for one in others if entries.is_served(real, self._contents(one).served)]
        if access and not found:
            above = entries.topmost(source.path or "", top)
            return [describe(read_source(above), None)] if above != source.path else []
        inner = {path for named in found for path in self._contents(named).included}
        return [named for named in found if os.path.realpath(named.path or "") not in inner] or found

    def _of_apache(self, top: str) -> list[Named]:
        if top not in self._apache:
            self._apache[top] = [one for one in self._below(top) if one.kind == "apache"]
        return self._apache[top]

    def _contents(self, named: Named) -> "Contents":
        from auditor.servers.apache.entries import Around, contents

        key = os.path.realpath(named.path) if named.path else named.name
        if key not in self._read:
            source = source_of(named)
            self._read[key] = contents(source, Around(self._options.roots, top_of(source, named.folder), self.near))
        return self._read[key]

    def whole(self, top: str) -> list[Named]:
        """The configurations of a whole repository."""
        return self.without_included(self._below(top))

    def _below(self, top: str) -> list[Named]:
        if top not in self._all:
            self._all[top] = list(in_folder(os.path.relpath(top), self._options))
        return self._all[top]

    def in_mains(self, folder: str, inside: Sequence[Named]) -> Iterator[Named]:
        """What lies in a folder that was named; where that is one of parts alone, each main file of the repository that
        includes one in its place."""
        here = os.path.abspath(folder)
        for named in inside:
            mains: list[Named] = []
            if os.path.basename(here) in RANKS and os.path.dirname(os.path.abspath(named.path or "")) == here:
                mains = self.including(source_of(named))
            yield from mains or [named]

    def without_included(self, candidates: Sequence[Named]) -> list[Named]:
        """Each candidate once, without those that another one includes, itself or through other files."""
        if len(candidates) < 2:
            return list(candidates)
        included: set[str] = set()
        own: dict[str, Named] = {}
        for candidate in candidates:
            real = os.path.realpath(candidate.path) if candidate.path else candidate.name
            # The same file by two ways, as sites-enabled links to sites-available: the way that is no link stays.
            if real not in own or os.path.islink(own[real].path or ""):
                own[real] = candidate
        served: set[str] = set()
        for real, candidate in own.items():
            if (self._options.kind or candidate.kind) == "apache":
                try:
                    contents = self._contents(candidate)
                except InputError:
                    continue
                included |= contents.included - {real}
                served.update(contents.served)
            elif not candidate.dump:
                try:
                    source = source_of(candidate)
                except InputError:  # gone since, as its turn will tell
                    continue
                included |= self._included(source, top_of(source, candidate.folder)) - {real}
        left = [candidate for real, candidate in own.items() if real not in included]
        left = _without_access_files(left, served)
        # Files that only include each other in a circle: one of them stays, and reading it tells of the circle.
        return left or list(own.values())[:1]

    def _included(self, source: SourceFile, top: str | None) -> set[str]:
        """The real paths here of the files that the include lines of this text name, and of those that these
        include."""
        found: set[str] = set()
        todo = [_includes(source.text)]
        if not todo[0]:
            return found
        files = Files(source, self._options.roots, top, near=self.near)
        while todo:
            for path in todo.pop():
                for one in (files.glob(path) or []) if has_magic(path) else [path]:
                    local = files.local(one)
                    if local is None or os.path.realpath(local) in found:
                        continue
                    found.add(os.path.realpath(local))
                    todo.append(self._includes_of(local))
        return found

    def _includes_of(self, path: str) -> list[str]:
        if path not in self._includes:
            try:
                self._includes[path] = _includes(read_source(path).text)
            except InputError:
                self._includes[path] = []
        return self._includes[path]


def _without_access_files(candidates: Sequence[Named], served: set[str]) -> list[Named]:
    """Without the .htaccess files that are read with a configuration that serves them, or with one further up."""
    paths = [one.path for one in candidates if one.path is not None and os.path.basename(one.path) == ".htaccess"]
    if not paths:
        return list(candidates)
    from auditor.servers.apache.entries import is_served, without_lower

    own = without_lower([path for path in paths if not is_served(path, served)])
    return [one for one in candidates if one.path not in paths or one.path in own]


_INCLUDE = r"""(?m)(?:^|[;{}])[ \t]*include\s+("[^"\n]*"|'[^'\n]*'|[^\s;]+)\s*;"""


def _includes(text: str) -> list[str]:
    """The paths and patterns that the include lines of a text name, each once."""
    return list(dict.fromkeys(match[1].strip("\"'") for match in re.finditer(_INCLUDE, text)))
