"""What lies around configurations, looked up once for all that are read in one run."""

from __future__ import annotations

import os
from collections.abc import Iterator

from auditor.globs import walk_tree
from auditor.mounts import Group, apache_modules_of, image_versions_of, mounts_of
from auditor.patterns import lazy_re

MAX_TREE = 20_000  # files that are looked at for one with the same ending
_PAGES = lazy_re(r"(?i)(\.htaccess|index\.\w+)$")


class Surroundings:
    """What the Compose files and Dockerfiles of folders say, and the names of the files in trees, as they were when
    they were first asked for: for each of a thousand configurations in one folder it would be listed again."""

    def __init__(self) -> None:
        self._mounts: dict[str, list[Group]] = {}
        self._versions: dict[str, list[str]] = {}
        self._modules: dict[str, list[str]] = {}
        self._trees: dict[str, tuple[dict[str, list[str]], bool]] = {}
        self._pages: dict[str, dict[str, set[str]] | None] = {}
        self._around: dict[str, dict[str, set[str]]] = {}

    def mounts(self, folder: str, top: str) -> list[Group]:
        """The mappings of each service and of each build stage that the folders from `folder` up to `top` describe."""
        groups: list[Group] = []
        for one in _upwards(folder, top):
            if one not in self._mounts:
                self._mounts[one] = mounts_of(one)
            groups.extend(self._mounts[one])
        return groups

    def image_versions(self, folder: str, top: str) -> list[str]:
        """The versions that the tags of nginx images name in the folders from `folder` up to `top`, each once, the
        nearest first."""
        found: dict[str, None] = {}
        for one in _upwards(folder, top):
            if one not in self._versions:
                self._versions[one] = image_versions_of(one)
            found.update(dict.fromkeys(self._versions[one]))
        return list(found)

    def apache_modules(self, folder: str, top: str) -> list[str]:
        """The modules of httpd that the Dockerfiles in the folders from `folder` up to `top` switch on."""
        found: dict[str, None] = {}
        for one in _upwards(folder, top):
            if one not in self._modules:
                self._modules[one] = apache_modules_of(one)
            found.update(dict.fromkeys(self._modules[one]))
        return list(found)

    def files_by_name(self, tree: str) -> tuple[dict[str, list[str]], bool]:
        """The paths of the files below that folder, by their last parts, and whether these are all of them."""
        known = self._trees.get(tree)
        if known is None:
            paths: dict[str, list[str]] = {}
            whole = True
            for count, path in enumerate(walk_tree(tree)):
                if count >= MAX_TREE:
                    whole = False
                    break
                paths.setdefault(os.path.basename(path), []).append(path)
            known = self._trees[tree] = paths, whole
        return known

    def folders_of_pages(self, tree: str) -> dict[str, set[str]] | None:
        """The folders below that one that hold a page for visitors or a .htaccess, by their last parts; None where the
        tree is too large to be looked through."""
        if tree not in self._pages:
            folders: dict[str, set[str]] = {}
            known: dict[str, set[str]] | None = folders
            for count, path in enumerate(walk_tree(tree)):
                if count >= MAX_TREE:
                    known = None
                    break
                folder, file = os.path.split(path)
                if _PAGES.match(file):
                    folders.setdefault(os.path.basename(folder), set()).add(folder)
            self._pages[tree] = known
        return self._pages[tree]

    def folders_around(self, tree: str) -> dict[str, set[str]]:
        """The folders below that one with a .htaccess further down, by their last parts: a document root of which only
        the guarded parts are kept."""
        if tree not in self._around:
            found: dict[str, set[str]] = {}
            for path in self.files_by_name(tree)[0].get(".htaccess", ()):
                for folder in _upwards(os.path.dirname(os.path.dirname(path)), tree):
                    if folder.startswith(tree + os.sep):
                        found.setdefault(os.path.basename(folder), set()).add(folder)
            self._around[tree] = found
        return self._around[tree]


def _upwards(folder: str, top: str) -> Iterator[str]:
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if folder == top or parent == folder:
            return
        folder = parent
