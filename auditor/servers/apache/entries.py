"""Which files of a tree are configurations of httpd of their own: main files and parts that no other one includes, and
the topmost .htaccess of what no configuration at hand serves."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from auditor.files import Files
from auditor.servers.apache.config import Directive
from auditor.servers.apache.dump import is_dump, split
from auditor.servers.apache.layout import APACHE, folder_of_pages, is_main
from auditor.servers.apache.load import Item, Loader
from auditor.servers.apache.modules import Modules
from auditor.source import SourceFile
from auditor.surroundings import Surroundings

ACCESS_FILE = ".htaccess"


class Around(NamedTuple):
    """Where further files are looked for: see auditor.files.Files."""

    roots: Sequence[tuple[str, str]]
    top: str | None
    near: Surroundings


class Contents(NamedTuple):
    """The real paths here of all files that a configuration includes, and the folders here whose .htaccess files are
    its own."""

    included: frozenset[str]
    served: tuple[str, ...]


def is_access_file(path: str | None) -> bool:
    """Whether it is called like a .htaccess, or a template of one."""
    return path is not None and os.path.basename(path).startswith(ACCESS_FILE)


def open_files(source: SourceFile, around: Around) -> tuple[str, Files]:
    """What a source is ("main", "part", "htaccess" or "dump"), and where its further files are found. Raises InputError
    for a dump that is none."""
    if is_dump(source.text):
        parts = split(source)
        return "dump", Files(parts[0], around.roots, dump=parts, layout=APACHE, near=around.near)
    files = Files(source, around.roots, around.top, layout=APACHE, near=around.near)
    if is_access_file(source.path or source.name):
        return "htaccess", files
    return "main" if is_main(source.text) else "part", files


def contents(source: SourceFile, around: Around) -> Contents:
    """What belongs to a configuration, read as its own evaluation goes."""
    if is_dump(source.text) or is_access_file(source.path):
        return Contents(frozenset(), ())
    low = source.text.lower()
    if "include" not in low and "documentroot" not in low:
        return Contents(frozenset(), ())
    files = Files(source, around.roots, around.top, layout=APACHE, near=around.near)
    loader = Loader(files, Modules())
    items = loader.read(source)
    included = {os.path.realpath(one.path) for one in loader.sources if one.path is not None and one is not source}
    served = []
    for line in _named(items, "documentroot"):
        root = line.args[0] if line.args else ""
        here = folder_of_pages(files, root if root.startswith("/") else f"{loader.server_root.rstrip('/')}/{root}")
        if here is not None:
            served.append(os.path.realpath(here))
    return Contents(frozenset(included), tuple(dict.fromkeys(served)))


def _named(items: Iterable[Item], key: str) -> Iterator[Directive]:
    for item in items:
        if item.directive.key == key:
            yield item.directive
        yield from _named(item.items or (), key)


def is_served(path: str, folders: Iterable[str]) -> bool:
    """Whether a .htaccess lies in one of the folders or below."""
    folder = os.path.dirname(os.path.realpath(path))
    return any(folder == one or folder.startswith(one.rstrip(os.sep) + os.sep) for one in folders)


def topmost(path: str, top: str) -> str:
    """The .htaccess furthest up, at most in the folder `top`, in whose tree this one lies; itself where there is no
    other."""
    found = path
    folder = os.path.dirname(os.path.realpath(path))
    while folder != top and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
        above = os.path.join(folder, os.path.basename(path))
        if os.path.isfile(above):
            found = os.path.relpath(above)
    return found


def without_lower(paths: Iterable[str]) -> set[str]:
    """Of these .htaccess files those above which there is none of them."""
    folders = {os.path.dirname(os.path.realpath(path)) for path in paths}
    return {path for path in paths if not any(above in folders for above in _above(path))}


def _above(path: str) -> Iterator[str]:
    folder = os.path.dirname(os.path.realpath(path))
    while folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
        yield folder
