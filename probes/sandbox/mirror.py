"""The deployed machine's files as the sandboxed server finds them: copies of what is at hand, stand-ins for the rest.

First the predictor is asked with `Collector`, which notes every file that a request may touch; what it answered is then
put on disk, and from there on both the server and `world_of` read the same folder.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import shutil
from collections.abc import Iterable
from typing import Any

from auditor.file_world import FileWorld
from auditor.files import Files
from auditor.globs import to_config
from auditor.passwords import decode_basic
from auditor.servers.nginx.site import NginxSite
from auditor.source import InputError, SourceFile
from auditor.world import Answer, Question, World
from probes.sandbox.tables import CODE_FILES

FILE_TIME = 1_600_000_000  # 2020-09-13: a stand-in's last change
LONGEST_COPY = 1 << 20  # bytes; a longer file is stood in for by an empty one of the same length
USER = "user-of-audit"
# A key of no use (RFC 7517): what checks tokens starts with it and refuses every token.
JWKS = '{"keys": [{"kty": "oct", "kid": "1", "k": "c3RhbmQtaW4"}]}'


class Collector:
    """A world that answers what a sensible deployment would have, and remembers what it was asked.

    A page that a request names, an index file and an error page are there; other unknown files are not.
    """

    def __init__(self, files: Files | None, pages: Iterable[str], folders: Iterable[str]) -> None:
        self.files: dict[str, str] = {}  # path: state
        self.users: set[str] = set()
        self.target = ""  # the path of the request that is being asked about
        self._known = files
        self._pages = {posixpath.basename(page) for page in pages}
        self._folders = {folder.rstrip("/") or "/" for folder in folders}

    def ask(self, question: Question) -> Answer | None:
        if question.kind == "file":
            path = question.subject
            state = self.files.get(path)
            if state is None:
                state = self.files[path] = self._state(path)
            return Answer(state, "", (FILE_TIME, 0) if state == "file" else None)
        if question.kind == "credentials" and question.subject.startswith("/"):
            self.users.add(question.subject)
            return Answer("accepted" if decode_basic(question.detail) else "refused", "")
        return None

    def _state(self, path: str) -> str:
        known = self._known.state(path) or self._known.gap(path) if self._known is not None else None
        if known is not None:
            return known
        name = posixpath.basename(path)
        if path.rstrip("/") in self._folders or path == "/":
            return "directory"
        asked = "." in name and path.endswith(posixpath.basename(self.target) or "\0")
        return "file" if asked or name.startswith("index.") or name in self._pages else "missing"


class Mirror:
    """The folder that stands for the root of the deployed machine's file system."""

    def __init__(self, folder: str, site: Any) -> None:
        self.folder = folder
        self._known: Files | None = site.known_files
        self._unreadable: set[str] = set()
        os.makedirs(folder, exist_ok=True)

    def fill(self, collector: Collector, site: NginxSite, password: str) -> None:
        """Puts on disk what the collector answered, and the user files with one more user."""
        for path, state in collector.files.items():
            if state == "directory":
                self._make(path)
            elif state in ("file", "unreadable"):
                self._file(path)
        users = {each.resolved: each.state for each in site.user_files() if each.resolved is not None}
        for path in collector.users:
            users.setdefault(path, self._known.state(path) if self._known is not None else None)
        for path, there in users.items():
            if there == "directory":
                self._make(path)
            elif there not in ("missing", "no-folder"):
                self._user_file(path, password, there == "unreadable")
        for directive in site.tree.walk():
            if directive.name in ("root", "alias") and directive.args and "$" not in directive.args[0]:
                self._make(site.deployed(directive.args[0]))
            elif directive.name == "auth_jwt_key_file" and directive.args:
                self._write(site.deployed(directive.args[0]), JWKS.encode())
            elif directive.name in CODE_FILES and directive.args:
                self._code(site.deployed(directive.args[-1]))
        self._make(site.deployed("html"))

    def world(self) -> World:
        """What the files in the mirror say."""
        files = FileWorld(Files(SourceFile("nginx.conf", ""), (("/", self.folder),)))
        return Mirrored(files, frozenset(self._unreadable))

    def _here(self, path: str) -> str | None:
        """Where that path is in the mirror; None for one that would leave it, or that something else bars."""
        clean = posixpath.normpath("/" + path).lstrip("/")
        return os.path.join(self.folder, os.fsdecode(clean.encode("latin-1"))) if "\0" not in clean else None

    def _make(self, path: str) -> None:
        here = self._here(path)
        if here is not None:
            with contextlib.suppress(FileExistsError, NotADirectoryError):  # a file of that name is there already
                os.makedirs(here, exist_ok=True)

    def _write(self, path: str, data: bytes) -> str | None:
        path = path.rstrip("/")  # a file asked for as a folder is a file
        here = self._here(path)
        if here is None or os.path.isdir(here):
            return None
        self._make(posixpath.dirname(path))
        try:
            with open(here, "wb") as file:
                file.write(data)
        except (FileExistsError, NotADirectoryError):
            return None
        os.utime(here, (FILE_TIME, FILE_TIME))
        return here

    def _file(self, path: str) -> None:
        local = self._known.local(path, guess=False) if self._known is not None else None
        here = self._write(path, f"{posixpath.basename(path)}\n".encode("latin-1"))
        if here is None or local is None or not os.path.isfile(local):
            return
        try:
            status = os.stat(local)
            if status.st_size == 0:
                os.truncate(here, 0)  # also one of /proc, which says so and might be read for ever
            elif status.st_size <= LONGEST_COPY:
                shutil.copyfile(local, here)
            else:
                os.truncate(here, status.st_size)
            os.utime(here, (status.st_mtime, status.st_mtime))
        except PermissionError:
            os.chmod(here, 0)
            self._unreadable.add(path)

    def _code(self, path: str) -> None:
        """A file of a program, or a folder of such files, and what lies beside it: programs import each other."""
        local = self._known.local(path, guess=False) if self._known is not None else None
        if local is None:
            return
        here, there = (local, path) if os.path.isdir(local) else (os.path.dirname(local), posixpath.dirname(path))
        for name in sorted(os.listdir(here)):
            if name.endswith((".js", ".mjs", ".json")):
                self._file(posixpath.join(there, to_config(name)))

    def _user_file(self, path: str, password: str, unreadable: bool) -> None:
        text = ""
        if self._known is not None and not unreadable:
            try:
                source = self._known.open(path)
            except InputError:
                source = None
            if source is not None:
                text = ("\xef\xbb\xbf" if source.bom else "") + source.text
        if text and not text.endswith("\n"):
            text += "\n"
        here = self._write(path, f"{text}{USER}:{{PLAIN}}{password}\n".encode("latin-1"))
        if here is not None and unreadable:
            os.chmod(here, 0)
            self._unreadable.add(path)


class Mirrored:
    """The world of a mirror: nothing outside of it is there."""

    def __init__(self, files: World, unreadable: frozenset[str]) -> None:
        self._files = files
        self._unreadable = unreadable

    def ask(self, question: Question) -> Answer | None:
        if question.kind in ("file", "credentials") and question.subject in self._unreadable:
            return Answer("unreadable", "the workers cannot read it")
        return self._files.ask(question)
