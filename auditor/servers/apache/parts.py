"""Which files here belong to a configuration of httpd: those that it includes, and the .htaccess files of its pages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from auditor.files import Files
from auditor.globs import has_magic, walk_tree
from auditor.servers.apache.layout import MAX_FOLDERS, folder_of_pages
from auditor.source import InputError, SourceFile, read_source

_INCLUDE = r"(?mi)^[ \t]*Include(?:Optional)?[ \t]+(\"[^\"\n]*\"|'[^'\n]*'|\S+)"
_SERVER_ROOT = r"(?mi)^[ \t]*ServerRoot[ \t]+(\"[^\"\n]*\"|\S+)"
_PAGES = r"(?mi)^[ \t]*DocumentRoot[ \t]+(\"[^\"\n]*\"|\S+)"
_ACCESS = ".htaccess"


def parts_of(source: SourceFile, files: Files) -> set[str]:
    """The real paths of the files that belong to the configuration of that file."""
    if source.path is not None and os.path.basename(source.path) == _ACCESS:
        return set(_access_files(os.path.dirname(os.path.abspath(source.path))))
    found: dict[str, None] = {}
    texts = [source.text]
    for text in texts:
        root = re.search(_SERVER_ROOT, text)
        if root is not None:
            files.move(root[1].strip('"').rstrip("/") or "/")
        for match in re.finditer(_INCLUDE, text):
            for local in _named(files, match[1].strip("\"'").replace("${APACHE_CONFDIR}", "/etc/apache2")):
                real = os.path.realpath(local)
                if real not in found:
                    found[real] = None
                    texts.append(_text(real))
    pages: set[str] = set()
    for text in texts:
        for match in re.finditer(_PAGES, text):
            here = folder_of_pages(files, match[1].strip('"'))
            if here is not None:
                pages.update(_access_files(here))
    return set(found) | pages


def _named(files: Files, path: str) -> Iterator[str]:
    """The files here that an Include line names: one, those of a pattern, or all below a folder."""
    if has_magic(path):
        for one in files.glob(path) or ():
            yield from _named(files, one)
        return
    local = files.local(path)
    if local is not None and os.path.isdir(local):
        yield from walk_tree(local)
    elif local is not None:
        yield local


def _text(path: str) -> str:
    try:
        return read_source(path).text
    except InputError:
        return ""


def _access_files(folder: str) -> Iterator[str]:
    for count, path in enumerate(walk_tree(folder)):
        if count >= MAX_FOLDERS:
            return
        if os.path.basename(path) == _ACCESS:
            yield os.path.realpath(path)
