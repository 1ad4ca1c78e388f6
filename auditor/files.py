"""Where a path of the deployed machine is found here, and what the files say: the world of files."""

import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from auditor.globs import glob_matches, glob_pattern, has_magic, to_config, to_local
from auditor.patterns import lazy_re
from auditor.server import Note
from auditor.source import InputError, SourceFile, read_source
from auditor.surroundings import Surroundings

# Where packages and images put a configuration: one that is read from there is the machine's own.
OWN_PLACES = (
    "/etc/nginx",
    "/etc/openresty",
    "/opt/homebrew/etc/nginx",
    "/opt/nginx/conf",
    "/usr/local/etc/nginx",
    "/usr/local/nginx/conf",
    "/usr/local/openresty/nginx/conf",
)
# Folders below the configuration's own one that hold parts of it.
PART_FOLDERS = frozenset(
    (
        *("conf.d", "default.d", "http.d", "stream.d", "vhost.d", "vhosts.d", "vhosts", "templates", "servers"),
        *("sites", "sites-available", "sites-enabled", "modules-enabled", "snippets", "locations"),
        *("common", "include", "includes"),
    )
)


class Layout(NamedTuple):
    """How a kind of server lays its configuration out on a machine: the places where packages and images put it, the
    one to assume where nothing tells, and how its main file is told from a part."""

    own_places: tuple[str, ...]
    assumed: str
    is_main: Callable[[str], bool]


_MAIN = lazy_re(r"^[ \t]*(events|http)\s*\{", re.MULTILINE)


def is_main(text: str) -> bool:
    """Whether this looks like a main file: one that has an http or events block."""
    return _MAIN.search(text) is not None


NGINX = Layout(OWN_PLACES, "/etc/nginx", is_main)


class Files:
    """The files of one configuration, by their paths on the deployed machine, which are latin-1 readings of bytes.

    `conf_dir` is the main file's folder there, `notes` what had to be inferred. A path is looked for in this order:
    `roots` (pairs of a path there and a folder here, longest first); the mounts and copies that Compose files and
    Dockerfiles between the main file and `tree` describe; the folder of the main file; a file below `tree` with the
    same ending. A configuration that is read from its own place (/etc/nginx) is looked for on this machine only, one
    from a dump in the dump only. `near` is what the configurations of one run share.
    """

    def __init__(
        self,
        entry: SourceFile,
        roots: Sequence[tuple[str, str]] = (),
        tree: str | None = None,
        dump: Sequence[SourceFile] = (),
        layout: Layout = NGINX,
        near: Surroundings | None = None,
    ) -> None:
        self._layout = layout
        self.near = near or Surroundings()
        self.notes: list[Note] = []
        self._states: dict[str, str | None] = {}
        self._gaps: dict[str, str | None] = {}
        self._cache: dict[str, SourceFile] = {}
        self._dump = {source.name: source for source in dump}
        self._relative_names = not entry.name.startswith("/")
        pairs = [(to_config(_clean(there)), os.path.abspath(here)) for there, here in roots]
        self._roots = sorted(pairs, key=lambda pair: -len(pair[0]))
        self._mounts: list[tuple[str, str]] = []  # of a service or image that the entry belongs to
        self._others: list[tuple[str, str]] = []  # of the others near it, which come after its own folder
        self._adopted: list[tuple[str, str, str]] = []  # what move and adopt have found, and why
        self._templates: set[str] = set()  # the files here that an image fills in with variables of its environment,
        self._environment: dict[str, str] = {}  # and those that are known
        self._bases: list[str] = []
        self._whole: list[str] = []  # folders of pages here that hold all that the deployed machine has
        self._tree: str | None = None
        self.home: str | None = None  # the folder here in which the entry lies
        self.own = False
        # Whether the configuration itself names the folder in which it lies, so that this machine is the one it is for.
        self._in_place = False
        # Whether conf_dir rests on the entry's own content and place, so that a missing relative include is an error.
        self.certain = True
        if self._dump:
            self.conf_dir = posixpath.dirname(entry.name)
            return
        if entry.path is None:
            self.conf_dir = layout.assumed
            self.certain = False
            return
        path = os.path.abspath(entry.path)
        folder = os.path.dirname(path)
        self._cache[path] = entry
        self.home = folder
        self._tree = os.path.abspath(tree) if tree else folder
        self._in_place = _names_place(entry.text, folder)
        main = layout.is_main(entry.text)
        self.certain = main
        deployed = self._deployed(path, main)
        self.conf_dir = posixpath.dirname(deployed) if deployed else layout.assumed
        self._bases = [folder]
        if not main and posixpath.basename(self.conf_dir) in PART_FOLDERS:
            self.conf_dir = posixpath.dirname(self.conf_dir)
        if not main and os.path.basename(folder) in PART_FOLDERS:
            self._bases.insert(0, os.path.dirname(folder))

    def _deployed(self, path: str, main: bool) -> str | None:
        """Where the entry lies on the deployed machine, if that can be told."""
        for there, here in self._roots:
            if _below(path, here):
                return there.rstrip("/") + to_config(path[len(here.rstrip("/")) :])
        if any(_below(path, place) for place in self._layout.own_places):
            self.own = True
            return to_config(path)
        if self._in_place:
            return to_config(path)
        groups = self.near.mounts(os.path.dirname(path), self._tree or "/")
        for group in groups:
            for there, here in group.pairs:
                if _below(path, here) or path == here:
                    self._mounts = sorted(group.pairs, key=lambda pair: -len(pair[0]))
                    self._templates, self._environment = group.templates, group.environment
                    return there + to_config(path[len(here) :])
        # No line names the entry: what all the others say without contradiction may still help.
        targets: dict[str, set[str]] = {}
        for group in groups:
            for there, here in group.pairs:
                targets.setdefault(there, set()).add(here)
        pairs = [(there, heres.pop()) for there, heres in targets.items() if len(heres) == 1]
        self._others = sorted(pairs, key=lambda pair: -len(pair[0]))
        return None

    def move(self, folder: str) -> None:
        """From here on, relative paths start in that folder of the deployed machine (httpd's ServerRoot). Where the
        main file lies in a folder `conf` below it, what is here above that folder is taken to be it."""
        if folder == self.conf_dir or self._dump:
            self.conf_dir = folder
            return
        if self._bases and not self.own:
            here = self._bases[-1]
            name = os.path.basename(here)
            if name == "conf" and posixpath.basename(folder) != "conf":
                self._bases = [os.path.dirname(here)]
            self._adopted.append((f"{folder.rstrip('/')}/conf", here, "the main file's folder"))
        self.conf_dir = folder

    @property
    def tree(self) -> str | None:
        """The folder in which everything that belongs to the configuration is looked for."""
        return self._tree if not self.own and not self._in_place else None

    def settled(self, path: str) -> bool:
        """Whether a root that was named, or the machine itself, says for certain where the path lies."""
        there = _clean(self.absolute(path))
        return any(sure for _, sure, _ in self._candidates(there))

    def adopt(self, there: str, here: str, whole: bool) -> None:
        """From here on, that folder of the deployed machine is looked for in this one of ours; `whole` says that what
        is missing there is missing on the machine, too."""
        here = os.path.abspath(here)
        self._adopted.append((there, here, "a folder of pages in this tree"))
        self._states.clear()
        self._gaps.clear()
        if whole:
            self._whole.append(here)

    def absolute(self, path: str) -> str:
        """The path as the server completes it: relative ones start in the main file's folder (nginx) or in
        ServerRoot."""
        return path if path.startswith("/") else posixpath.join(self.conf_dir, path)

    def open(self, path: str) -> SourceFile | None:
        """The file at that path of the deployed machine (relative: in conf_dir), or None where it is not found here.

        Raises InputError where it is found and cannot be read.
        """
        if self._dump:
            return self._dump.get(self.absolute(path)) or self._dump.get(_clean(self.absolute(path)))
        local = self.local(path)
        if local is None:
            return None
        source = self._cache.get(local)
        if source is None:
            source = self._cache[local] = read_source(local, self._name(local))
        return source

    def text(self, path: str) -> str | None:
        """What the file at that path says, a byte order mark included (in a user file it hides the first user); None
        where it is not found here or cannot be read."""
        try:
            source = self.open(path)
        except InputError:
            return None
        if source is None:
            return None
        return "\xef\xbb\xbf" + source.text if source.bom else source.text

    def fills(self, source: SourceFile) -> dict[str, str] | None:
        """The variables that an image fills in when it makes a configuration of this template, as far as they are known
        here; None for what is no such template."""
        path = os.path.abspath(source.path) if source.path is not None else None
        return self._environment if path in self._templates else None

    def _name(self, local: str) -> str:
        return os.path.relpath(local) if self._relative_names else local

    def local(self, path: str, guess: bool = True) -> str | None:
        """Where that path of the deployed machine lies on this one, if something lies there; `guess` allows a file that
        only ends alike."""
        if self._dump:
            return None
        there = _clean(self.absolute(path))
        for here, _, why in self._candidates(there):
            found = self._follow(here)
            if found is not None:
                if why and path.startswith("/"):
                    self._say(why)
                return found
        if guess and not self.own and not self._in_place:
            here_or_none = self._same_ending(there)
            if here_or_none is not None:
                self._say(f"{there} is taken to be {self._name(here_or_none)}, which ends alike")
                return here_or_none
        return None

    def leads_away(self, path: str) -> bool:
        """Whether a link lies there that names an absolute path of the deployed machine."""
        links = (here for here, _, _ in self._candidates(_clean(self.absolute(path))) if os.path.islink(here))
        return any(os.readlink(link).startswith("/") for link in links)

    def _follow(self, local: str) -> str | None:
        """`local` where something is there. A link to an absolute path that is not here is looked for like it."""
        if os.path.exists(local):
            return local
        if not self.own and os.path.islink(local):
            target = os.readlink(local)
            if target.startswith("/") and not os.path.islink(target):
                return self.local(target)
        return None

    def _candidates(self, there: str) -> Iterator[tuple[str, bool, str]]:
        """Places here, whether what is missing there is missing on the deployed machine, and what is inferred."""
        for prefix, here in self._roots:
            if there == prefix or _below(there, prefix):
                yield here + to_local(there[len(prefix.rstrip("/")) :]), True, ""
                return
        if self.own or self._in_place:
            yield to_local(there), True, ""
            return
        yield from self._mounted(there, self._mounts)
        if there == self.conf_dir or _below(there, self.conf_dir):
            for base in self._bases:
                why = f"{self.conf_dir} is taken to be {self._name(base)}, the configuration's own folder"
                yield base + to_local(there[len(self.conf_dir.rstrip("/")) :]), False, why
        yield from self._mounted(there, self._others)
        for prefix, here, what in self._adopted:
            if there == prefix or _below(there, prefix):
                why = f"{prefix} is taken to be {self._name(here)}, {what}"
                yield here + to_local(there[len(prefix.rstrip("/")) :]), False, why

    def _mounted(self, there: str, mounts: Sequence[tuple[str, str]]) -> Iterator[tuple[str, bool, str]]:
        for prefix, here in mounts:
            if there == prefix or _below(there, prefix):
                why = f"{prefix} is taken to be {self._name(here)}, as a Compose file or Dockerfile says"
                yield here + to_local(there[len(prefix.rstrip("/")) :]), False, why

    def _say(self, text: str) -> None:
        note = Note("assumed", text)
        if note not in self.notes:
            self.notes.append(note)

    def _same_ending(self, there: str) -> str | None:
        """The one file below the tree that shares most of the path's end: its name and its folder's name at least."""
        if posixpath.basename(there) == ".htaccess":
            return None  # a name that every site has
        if self._tree is None:
            return None
        by_name, whole = self.near.files_by_name(self._tree)
        if not whole:
            self._say(f"{self._tree} holds too many files to look for all of them")
        best: list[str] = []
        most = 2
        wanted = to_local(there).split("/")[::-1]
        for local in by_name.get(wanted[0], ()):
            shared = 0
            for ours, theirs in zip(local.split("/")[::-1], wanted, strict=False):
                if ours != theirs or not ours:
                    break
                shared += 1
            if shared > most:
                best, most = [local], shared
            elif shared == most:
                best.append(local)
        return best[0] if len(best) == 1 and os.path.exists(best[0]) else None

    def glob(self, pattern: str) -> list[str] | None:
        """The paths of the deployed machine that match, in the order of glob(3), relative where the pattern is; None
        where that cannot be known here.

        As nginx has it: `*`, `?` and `[...]`, none of which matches a slash, or a dot at the beginning of a name.
        """
        if not pattern.startswith("/"):
            found = self.glob(self.absolute(pattern))
            start = len(self.conf_dir.rstrip("/")) + 1
            # A folder that a main file names relative to itself need not exist, and then nothing is included.
            return [path[start:] for path in found] if found is not None else [] if self.certain else None
        parts = pattern.split("/")
        fixed = next((at for at, part in enumerate(parts) if has_magic(part)), len(parts))
        base = _clean("/".join(parts[:fixed]) or "/")
        matcher = glob_pattern(parts[fixed:])
        prefix = base.rstrip("/") + "/"
        if self._dump:
            return sorted(name for name in self._dump if name.startswith(prefix) and matcher.match(name, len(prefix)))
        known = False
        names = {there for there, _ in self._mounts if there.startswith(prefix) and matcher.match(there, len(prefix))}
        for here, sure, _ in self._candidates(base):
            if os.path.isdir(here):
                names.update(prefix + name for name in glob_matches(here, parts[fixed:]))
                known = True
                break
            known = known or sure
        return sorted(names) if known or names else None

    def gap(self, path: str) -> str | None:
        """ "missing" for what is not in a folder of pages that is at hand: a document root beside the configuration is
        taken to be whole, as no store of secrets is. None where no such folder is known."""
        known = self._gaps.get(path, "")
        if known == "":
            known = self._gaps[path] = self._gap(path)
        return known

    def _gap(self, path: str) -> str | None:
        for here, _, _ in self._candidates(_clean(self.absolute(path))):
            folder = os.path.dirname(here)
            while folder not in self._bases and len(folder) > 1:
                if os.path.isdir(folder):
                    inside = any(folder == base or _below(folder, base) for base in self._whole)
                    return "missing" if inside or any(_below(folder, base) for base in self._bases) else None
                folder = os.path.dirname(folder)
        return None

    def facts(self, path: str) -> tuple[int, int] | None:
        """Time of the last change (seconds since 1970) and size (bytes) of the file there, if it can be looked at."""
        for here, _, _ in self._candidates(_clean(self.absolute(path))):
            try:
                status = os.stat(here)
            except (OSError, ValueError):
                continue
            return int(status.st_mtime), status.st_size
        return None

    def state(self, path: str) -> str | None:
        """What is there: "file", "directory", "missing", "no-folder" (a part of the path is a file), "unreadable" (for
        the worker processes), or None where that cannot be judged here.

        "missing" is said only below a root that was named and of a configuration in its own place: a repository seldom
        holds the secrets that the deployed machine has.
        """
        known = self._states.get(path, "")
        if known == "":
            known = self._states[path] = self._state(_clean(self.absolute(path)))
        return known

    def _state(self, there: str) -> str | None:
        if self._dump:
            return "file" if there in self._dump else None
        for here, sure, _ in self._candidates(there):
            try:
                status = os.stat(here)
            except (FileNotFoundError, NotADirectoryError) as error:
                if sure:
                    return "missing" if isinstance(error, FileNotFoundError) else "no-folder"
                continue
            except (OSError, ValueError):
                return None
            if stat.S_ISDIR(status.st_mode):
                return "directory"
            return "unreadable" if self.own and not _worker_may_read(here) else "file"
        return None


def _names_place(text: str, folder: str) -> bool:
    """Whether the text names a path in this folder, or in the one above it (unless that is at the top)."""
    above = os.path.dirname(folder)
    places = [folder, above] if above.count("/") >= 2 else [folder]
    return any(place.count("/") >= 1 and f"{place}/" in text for place in places if place != "/")


def _clean(path: str) -> str:
    clean = posixpath.normpath(path)
    return clean[1:] if clean.startswith("//") else clean


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _worker_may_read(path: str) -> bool:
    """Whether a process that is neither root nor in root's group may: what only root may read, the workers may not.

    A file of another owner or group is taken to be theirs.
    """
    needed = 0o4
    while True:
        status = os.stat(path)
        mode = status.st_mode
        theirs = (status.st_uid != 0 and mode & needed << 6) or (status.st_gid != 0 and mode & needed << 3)
        if not mode & needed and not theirs:
            return False
        parent = posixpath.dirname(path)
        if parent == path:
            return True
        path, needed = parent, 0o1
