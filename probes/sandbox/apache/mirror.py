"""The deployed machine's files as the sandboxed httpd finds them. Files of programs and pages are never copied: a
configuration can have any of them run, so each is a program of ours."""

from __future__ import annotations

import base64
import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator

from auditor.file_world import FileWorld
from auditor.files import Files
from auditor.servers.apache.config import Directive
from auditor.servers.apache.site import PAGES, ApacheSite
from auditor.source import SourceFile
from auditor.world import World
from probes.sandbox.apache import programs
from probes.sandbox.mirror import Collector, Mirror, Mirrored

_FOLDERS = ("alias", "scriptalias")


class ApacheCollector(Collector):
    """See Collector. Also there: what lies directly in a folder of scripts, but for index files."""

    def __init__(self, files: Files | None, site: ApacheSite) -> None:
        lines = list(all_lines(site))
        pages = [line.args[1] for line in lines if line.key == "errordocument" and len(line.args) > 1]
        self._scripts = set(targets(site, ("scriptalias",)))
        folders = [PAGES, *targets(site, ("documentroot", "alias", "scriptalias"))]
        super().__init__(files, pages, [above for folder in folders for above in _with_those_above(folder)])

    def _state(self, path: str) -> str:
        state = super()._state(path)
        known = self._known is not None and self._known.state(path) is not None
        if not known and posixpath.dirname(path) in self._scripts and state in ("file", "missing"):
            return "missing" if posixpath.basename(path).startswith("index.") else "file"
        return state


def _with_those_above(folder: str) -> Iterator[str]:
    while len(folder) > 1:
        yield folder
        folder = posixpath.dirname(folder)


def all_lines(site: ApacheSite) -> Iterator[Directive]:
    """All directives of a site, those in <RequireAll> and its like, too."""
    for _, section in site.sections():
        waiting = list(section.directives)
        while waiting:
            line = waiting.pop(0)
            yield line
            waiting = [*line.children, *waiting]


def targets(site: ApacheSite, keys: Iterable[str]) -> list[str]:
    """The paths on the deployed machine that lines of these names lead to."""
    found = [line for line in all_lines(site) if line.key in keys and line.args]
    return [site.config.path(line.args[-1]).rstrip("/") for line in found if not {"$", "%"} & set(line.args[-1])]


class ApacheMirror(Mirror):
    """See Mirror. `state` is where programs note what they are given."""

    def __init__(self, folder: str, site: ApacheSite, state: str) -> None:
        super().__init__(folder, site)
        self._state = state
        self._php, self._wsgi = site.config.modules.has("php"), site.config.modules.has("wsgi")
        self._site = site

    def fill_for(self, collector: Collector, user: str, password: str) -> None:
        """Puts on disk what the collector answered, and the user files with one more user."""
        site = self._site
        for path in (site.config.server_root, PAGES, *targets(site, ("documentroot",))):
            self._make(path)
        for path in targets(site, ("wsgiscriptalias",)):
            self._put(path, programs.wsgi_program(self._state))
        for path, state in collector.files.items():
            if state == "directory":
                self._make(path)
            elif state in ("file", "unreadable"):
                self._file(path)
        users = {each.resolved for each in site.user_files() if each.resolved is not None} | collector.users
        for path in sorted(users):
            if self._stands(path):
                digest = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()
                self._put(path, f"{user}:{{SHA}}{digest}\n{self._text(path)}", 0o644)
        groups = {word for line in all_lines(site) if line.key == "require" for word in _groups(line)}
        for path in targets(site, ("authgroupfile",)):
            if self._stands(path):
                own = "".join(f"{group}: {user}\n" for group in sorted(groups))
                self._put(path, self._text(path).rstrip("\n") + "\n" + own, 0o644)
        for line in all_lines(site):
            if line.key == "rewritemap" and len(line.args) > 1:
                kind, colon, path = line.args[1].partition(":")
                if kind.lower() in ("txt", "rnd") or not colon:
                    path = site.config.path(path if colon else line.args[1])
                    self._put(path, self._text(path), 0o644)
            elif line.key.endswith("proxylist") and line.args:
                path = site.config.path(line.args[0])
                self._put(path, self._text(path), 0o644)

    def world(self) -> World:
        return Mirrored(FileWorld(Files(SourceFile("httpd.conf", ""), (("/", self.folder),)), "apache"), frozenset())

    def _stands(self, path: str) -> bool:
        state = self._known.state(path) if self._known is not None else None
        if state == "directory":
            self._make(path)
        return state not in ("missing", "no-folder", "directory", "unreadable")

    def _text(self, path: str) -> str:
        return (self._known.text(path) if self._known is not None else None) or ""

    def _file(self, path: str) -> None:
        self._put(path, programs.program(path, self._state, self._php, self._wsgi))

    def _put(self, path: str, text: str, mode: int = 0o755) -> None:
        here = self._write(path, text.encode("latin-1"))
        if here is not None:
            os.chmod(here, mode)


def _groups(line: Directive) -> tuple[str, ...]:
    return line.args[1:] if line.args and line.args[0].lower() == "group" else ()
