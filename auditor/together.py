"""Parts of a configuration whose main file is not at hand, read as one where they plainly belong together.

A repository of virtual hosts often holds nothing else: one file each, in the folders that a main file includes. Most of
them stand for themselves. Two that have the same name at different ports, one that uses what another one defines, or
what is said for all virtual hosts in a file of its own, mean what they mean together only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from auditor.belonging import PORTS, RANKS, Belonging, Named, Reading, source_of, top_of
from auditor.globs import repository
from auditor.kinds import may_be_one
from auditor.parts import Facts, tells
from auditor.server import Note
from auditor.source import InputError, SourceFile, read_source
from auditor.templates import has_template_name, looks_like_template

# More files than these are not read as one for what is said for all of them: it would be slower than one by one.
MAX_FILES = 200
# Words in the names of files that are not in use, and of those that are used in one place and not in another.
_UNUSED = re.compile(r"(old|orig|bak|backup|disabled?|unused|maint|maintenance)\d*\Z")
_UNUSED_AT_THE_END = re.compile(r"(off|sample|example|dist|copy|save|template|tmp)\d*\Z")
_PLACE = re.compile(
    r"(dev|devel|development|prod|production|live|stag|stage|staging|stg|test|testing|qa|uat|local|preprod|demo|ci"
    r"|docker|vagrant|new|next|blue|green|v\d+)\Z"
)


_Thing = TypeVar("_Thing", str, tuple[str, str])


class _Part(NamedTuple):
    """A file that may be included with others. `live` says that it surely is: it is switched on."""

    named: Named
    facts: Facts
    order: tuple[int, str]
    places: frozenset[str]
    live: bool
    service: tuple[int, ...]  # which services of Compose files, or stages of Dockerfiles, it is put into


class Together:
    """Finds which parts belong together."""

    def __init__(self, finder: Belonging, options: Reading) -> None:
        self._finder = finder
        self._options = options
        self.notes: list[Note] = []
        self._left: dict[str, dict[str, Named]] = {}  # what no other file includes, in whole repositories

    def merge(self, entries: Sequence[Named], alone: frozenset[str]) -> list[Named]:
        """The entries with those that belong together made one. `alone` are the names of those that are not files."""
        bases: dict[tuple[str, str], list[Named]] = {}
        for named in entries:
            place = None if named.name in alone else self._place(named)
            if place is not None:
                bases.setdefault(place, []).append(named)
        groups: dict[str, Named] = {}
        for (base, kind), here in bases.items():
            pool = self._pool(base, kind, here)
            if len(pool) > 1 and not _has_main(base, kind):
                for group in self._groups(base, kind, pool):
                    groups.update((os.path.realpath(path), group) for path, _ in group.parts)
        if not groups:
            return list(entries)
        merged: dict[int, Named] = {}
        for named in entries:
            one = named
            if named.path is not None and named.name not in alone:
                one = groups.get(os.path.realpath(named.path), named)
            merged.setdefault(id(one), one)
        return list(merged.values())

    def _place(self, named: Named) -> tuple[str, str] | None:
        """The folder around the folder of a part, and the kind; None for what is nothing of the sort."""
        kind = self._options.kind or named.kind
        if named.path is None or named.dump or kind is None:
            return None
        folder, name = os.path.split(os.path.abspath(named.path))
        if kind == "apache" and name == PORTS and not os.path.islink(named.path):
            return folder, kind
        if os.path.basename(folder) not in RANKS or not is_in_use(name, kind, os.path.basename(folder)):
            return None
        return os.path.dirname(folder), kind

    def _pool(self, base: str, kind: str, here: Sequence[Named]) -> dict[str, Named]:
        """The parts around that folder which no other file includes, by their real paths."""
        named = {os.path.realpath(one.path): one for one in here if one.path is not None}
        top = repository(base)
        if any(one.folder is not None and _covers(one.folder, base) for one in here):
            return named
        if top is None:
            return {path: one for path, one in named.items() if one.folder is not None}
        left = self._left_in(top) if _are_several(base) else {}
        return {path: named.get(path, one) for path, one in left.items() if self._place(one) == (base, kind)}

    def _left_in(self, top: str) -> dict[str, Named]:
        if top not in self._left:
            whole = self._finder.whole(top)
            self._left[top] = {os.path.realpath(one.path): one for one in whole if one.path is not None}
        return self._left[top]

    # --- which of them belong together

    def _groups(self, base: str, kind: str, pool: Mapping[str, Named]) -> list[Named]:
        enabled = {word: _enabled(os.path.join(base, f"{word}-enabled")) for word in ("sites", "conf")}
        parts = []
        for real, named in pool.items():
            part = self._part(named, real, kind, enabled)
            if part is not None:
                parts.append(part)
        parts.sort(key=lambda part: part.order)
        doubtful = _alternatives(parts)
        parts = [part for at, part in enumerate(parts) if at not in doubtful]
        groups = []
        for service in dict.fromkeys(part.service for part in parts):
            own = [part for part in parts if part.service == service]
            found, apart = _connected(own)
            if apart:
                text = f"{apart} is not read together with the virtual hosts that it is meant for: there are too many"
                self.notes.append(Note("assumed", text))
            for group, why in found:
                if any(part.facts.hosts or part.facts.uses for part in group if not part.facts.shared):
                    groups.append(_as_one([part.named for part in group], _lead(group), why))
        return groups

    def _part(
        self, named: Named, real: str, kind: str, enabled: Mapping[str, Mapping[str, str] | None]
    ) -> _Part | None:
        path = os.path.abspath(named.path or "")
        folder, name = os.path.split(path)
        folder = os.path.basename(folder)
        live = folder.endswith("-enabled")
        word = folder.removesuffix("-available")
        if folder.endswith("-available") and any(links is not None for links in enabled.values()):
            links = enabled[word] or {}  # those count that are switched on; Git keeps no empty folders
            if real not in links:
                return None
            name, live = links[real], True
        try:
            source = source_of(named)
        except InputError:
            return None
        if has_template_name(name) or looks_like_template(source.text):
            return None
        facts = _facts_of(source, kind)
        if facts is None:
            return None
        top = top_of(source, named.folder)
        groups = self._finder.near.mounts(os.path.dirname(path), top) if top else []
        service = tuple(
            id(group)
            for group in groups
            if any(path == here or path.startswith(here.rstrip("/") + "/") for _, here in group.pairs)
        )
        words = re.split(r"[^a-z0-9]+", name.lower())
        places = frozenset(word for word in words if _PLACE.match(word))
        rank = 0 if name == PORTS and folder not in RANKS else RANKS[folder]
        return _Part(named, facts, (rank, name), places, live, service)


def _facts_of(source: SourceFile, kind: str) -> Facts | None:
    if kind == "apache":
        from auditor.servers.apache.parts import facts_of
    else:
        from auditor.servers.nginx.parts import facts_of
    return facts_of(source)


def is_in_use(name: str, kind: str, folder: str) -> bool:
    """Whether a main file would include a file of that name: Debian's nginx takes whatever lies in sites-enabled, all
    others what ends in .conf."""
    ending = name.endswith(".conf")
    if not ending and not (kind == "nginx" and folder.startswith("sites")):
        return False
    stem = name.lower().removesuffix(".conf")
    if name.startswith(".") or name[-1] in "~#":
        return False
    words = re.split(r"[-_ ]+", stem)  # not at dots: wiki.example.conf is about a host
    ending_word = stem.rpartition(".")[2]
    if _UNUSED_AT_THE_END.match(words[-1]) or (ending_word != "example" and _UNUSED_AT_THE_END.match(ending_word)):
        return False
    return not any(_UNUSED.match(word) for word in (*words, ending_word))


def _covers(folder: str, base: str) -> bool:
    folder = os.path.abspath(folder)
    return base == folder or base.startswith(folder.rstrip(os.sep) + os.sep)


def _are_several(base: str) -> bool:
    """Whether more than one file lies in such folders."""
    count = int(os.path.isfile(os.path.join(base, PORTS)))
    for folder in RANKS:
        try:
            count += len(os.listdir(os.path.join(base, folder)))
        except OSError:
            continue
    return count > 1


def _has_main(base: str, kind: str) -> bool:
    """Whether a main file lies there, or where Red Hat has it: then it says what belongs together."""
    if kind == "apache":
        from auditor.servers.apache.parts import is_main
    else:
        from auditor.files import is_main
    for folder in (base, os.path.join(base, "conf")):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for path in (os.path.join(folder, name) for name in names):
            if not may_be_one(path) or not os.path.isfile(path):
                continue
            try:
                if is_main(read_source(path).text):
                    return True
            except InputError:
                continue
    return False


def _enabled(folder: str) -> dict[str, str] | None:
    """What a folder of links to what is switched on leads to, by real path, with the name of the link; None where there
    is no such folder. A link to the deployed machine's own path leads to the file beside it that is called so."""
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    beside = folder.removesuffix("enabled") + "available"
    found = {}
    for name in sorted(names, reverse=True):
        path = os.path.join(folder, name)
        if os.path.islink(path) and not os.path.exists(path):
            path = os.path.join(beside, os.path.basename(os.readlink(path)))
        found[os.path.realpath(path)] = name
    return found


def _alternatives(parts: Sequence[_Part]) -> set[int]:
    """Those that cannot be meant to run together, by their places in the row: the server would refuse one of them, or
    they are the same virtual host twice. What is switched on is not meant to be anything else than it is."""
    doubtful: set[int] = set()
    for members in _by(part.facts.once for part in parts).values():
        if len(members) > 1:
            doubtful.update(members)
    for members in _by(part.facts.hosts for part in parts).values():
        if len(members) > 1 and not all(parts[at].live for at in members):
            doubtful.update(members)
    for members in _by({name for name, _ in part.facts.hosts if tells(name)} for part in parts).values():
        if len({parts[at].places for at in members}) > 1 and not all(parts[at].live for at in members):
            doubtful.update(members)
    return doubtful


def _by(rows: Iterable[Iterable[_Thing]]) -> dict[_Thing, list[int]]:
    """Which members of a row have each thing."""
    found: dict[_Thing, list[int]] = {}
    for at, things in enumerate(rows):
        for thing in sorted(things):
            found.setdefault(thing, []).append(at)
    return found


def _connected(parts: Sequence[_Part]) -> tuple[list[tuple[list[_Part], str]], str]:
    """Those that belong together, in their order, each group with the reason; and the file that is not read with all
    the others because these are too many."""
    shared = [part for part in parts if part.facts.shared]
    if shared:
        groups = _linked(parts, shared[0].named.name)
        if all(len(group) <= MAX_FILES for group, _ in groups):
            return groups, ""
    groups = _linked([part for part in parts if not part.facts.shared])
    return [one for one in groups if len(one[0]) <= MAX_FILES], shared[0].named.name if shared else ""


def _linked(parts: Sequence[_Part], shared: str = "") -> list[tuple[list[_Part], str]]:
    """Those that have something in common; all of them, where a file that is called so is meant for all."""
    heads = list(range(len(parts)))
    reasons: dict[int, str] = {}

    def head(at: int) -> int:
        while heads[at] != at:
            heads[at] = at = heads[heads[at]]
        return at

    def join(members: Iterable[int], why: str) -> None:
        first, *others = (head(at) for at in members)
        for other in others:
            if other != first:
                heads[other] = first
                reasons.setdefault(first, reasons.get(other, why))

    if shared:
        join(range(len(parts)), f"{shared} is meant for the virtual hosts of other files")
    for name, members in _by({name for name, _ in part.facts.hosts if tells(name)} for part in parts).items():
        if len(members) > 1:
            join(members, f"{name} stands in two of them")
    users = _by(part.facts.uses for part in parts)
    for name, members in _by(part.facts.defines for part in parts).items():
        if name in users:
            join([*members, *users[name]], f"one uses what another one defines ({name})")
    found: dict[int, list[_Part]] = {}
    for at, part in enumerate(parts):
        found.setdefault(head(at), []).append(part)
    return [(group, reasons[at]) for at, group in found.items() if len(group) > 1]


def _lead(group: Sequence[_Part]) -> Named:
    """The file that stands for all: the first one with a virtual host."""
    return next((part.named for part in group if not part.facts.shared), group[0].named)


def _as_one(members: Sequence[Named], lead: Named, why: str) -> Named:
    names = [_alike(one.name, lead.name) for one in members]
    said = ", ".join(names) if len(names) < 5 else f"{len(names)} files, {names[0]} to {names[-1]},"
    note = f"{said} are read as one configuration, in this order, as a main file would include them: {why}"
    paths = tuple((one.path or "", name) for one, name in zip(members, names, strict=True))
    size = sum(one.size for one in members)
    at = members.index(lead)
    return lead._replace(name=names[at], size=size, source=None, parts=paths, note=note)


def _alike(name: str, other: str) -> str:
    """The name of a file as another one is named: from the root, or from the folder that one works in."""
    if os.path.isabs(name) == os.path.isabs(other):
        return name
    return os.path.relpath(name) if os.path.isabs(name) else os.path.abspath(name)
