"""An httpd configuration that has been read: the predictor behind the interface of auditor.server."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from auditor.files import Files
from auditor.http import Request, is_watched
from auditor.patterns import lazy_re
from auditor.predictor import Predictor
from auditor.server import (
    Area,
    Capture,
    Comment,
    Limit,
    Logged,
    Managed,
    Misplaced,
    Note,
    Route,
    Site,
    Suspect,
    Unfilled,
    Unread,
    UserFile,
    Version,
)
from auditor.servers.apache.build import build
from auditor.servers.apache.config import Config, Section, Server
from auditor.servers.apache.htaccess import Overrides
from auditor.servers.apache.intake import BY_DEFAULT, find_listener
from auditor.servers.apache.layout import access_folders, folder_of_pages
from auditor.servers.apache.load import Item, Loader, read_assumed
from auditor.servers.apache.modules import Modules
from auditor.servers.apache.run import Met, Options, Run, Shared, Unpredictable
from auditor.source import InputError, Place, SourceFile
from auditor.trace import Outcome, Outcomes, Step
from auditor.world import Path, World

if TYPE_CHECKING:
    from auditor.discover import Entry

NEWEST = (2, 4, 71)


class ApacheSite(Predictor):
    """One httpd configuration. `context` is "main", "part" (a virtual host or a snippet) or "htaccess" (a .htaccess
    that is audited alone, under the assumptions that its note names)."""

    kind = "apache"

    def __init__(
        self,
        loader: Loader,
        items: Sequence[Item],
        files: Files | None,
        context: str = "main",
        overrides: Overrides | None = None,
        version: Version = NEWEST,
        removed: frozenset[object] = frozenset(),
        like: ApacheSite | None = None,
    ) -> None:
        super().__init__(files)
        self._loader = loader
        self._items = items
        self._removed = removed
        self.context = context
        self.parts: Sequence[SourceFile] = ()  # the files that are read as one, where these are several
        self.version = version
        before = (like.config, removed - like._removed) if like is not None else (None, frozenset[object]())
        self.config: Config = build(loader, items, removed, *before)
        self.config.files = loader.sources
        # Where all that there is is at hand, DirectoryIndex is what it says, or index.html alone.
        known = loader.modules.known
        self.config.php = not known and any("php" in source.text.lower() for source in loader.sources)
        self._overrides = (
            Overrides(loader, files, _access_file_name(self.config), whole=context == "main")
            if overrides is None
            else overrides.without(removed)
        )
        self._overrides.methods = self.config.methods
        self._routes: Sequence[Route] | None = None
        self._met: dict[Request, Met] | None = None
        self._areas: Sequence[Area] | None = None
        self._served: dict[str, list[tuple[int, str, str, Request]]] | None = None
        self._noted: list[Note] = []
        self.access_folders: tuple[str, ...] = ()  # whose .htaccess is at hand

    @property
    def files(self) -> Sequence[SourceFile]:
        return self._loader.sources

    @property
    def overrides(self) -> Overrides:
        """The .htaccess files that belong to the configuration."""
        return self._overrides

    @property
    def notes(self) -> Sequence[Note]:
        notes = [*self._loader.notes, *self._noted]
        asked = sorted(self._loader.modules.asked)
        if asked and not self._loader.modules.known:
            text = "no LoadModule line is at hand: the modules of Debian's and Red Hat's packages are taken to be there"
            notes.append(Note("assumed", text))
        if self._files is not None:
            notes += [note for note in self._files.notes if note not in notes]
        return notes

    @property
    def errors(self) -> Sequence[InputError]:
        return self._loader.errors

    @property
    def partial(self) -> bool:
        return self.context != "main" and not self.config.hosts

    @property
    def complete(self) -> bool:
        unseen = any(note.kind in ("unread", "template", "unanalysed") for note in self._loader.notes)
        return self.context == "main" and not self._loader.errors and not unseen

    # --- the predictor

    def met(self, request: Request, world: World, unrewritten: bool) -> tuple[Outcomes, Met]:
        """What happens to the request, and what it meets on the way; `unrewritten` as Options has it."""
        if not unrewritten and self._met is not None:
            return self.trace(request, world), self._met.setdefault(request, Met())
        met = Met()
        options = Options(self.version, unrewritten)
        return self._walk(lambda path: self._way(request, path, options, met), world), met

    def _run(self, request: Request, path: Path) -> Outcome:
        # Which sections requests meet is asked while routes are made, and not kept beyond that.
        met = self._met.setdefault(request, Met()) if self._met is not None else None
        return self._way(request, path, Options(self.version), met)

    def _way(self, request: Request, path: Path, options: Options, met: Met | None) -> Outcome:
        from auditor.servers.apache import phases

        listener = find_listener(self.config, request.port)
        if listener is None or (request.tls and not listener.tls):
            why = f"nothing listens on port {request.port}" + (" with TLS" if listener is not None else "")
            return Outcome((), "closed", None, steps=(Step(None, "", why),))
        shared = Shared(self.config, self._overrides, options, path, request, met)
        try:
            run = phases.handle(shared, request)
        except Unpredictable as error:
            shared.steps.append(Step(error.place, "", f"not knowable: {error.reason}"))
            return _outcome(shared, None, "unknown")
        except phases.ExprError as error:  # told when the configuration is read
            shared.steps.append(Step(None, "", f"not knowable: {error}"))
            return _outcome(shared, None, "unknown")
        except RecursionError:
            return _outcome(shared, None, "unknown")
        return _outcome(shared, run, shared.action)

    # --- what rules ask beside traces

    def routes(self) -> Sequence[Route]:
        if self._routes is None:
            from auditor.servers.apache.routes import make_routes

            self._met = {}
            self._routes = make_routes(self)
            self._met = None
        return self._routes

    def areas(self) -> Sequence[Area]:
        if self._areas is None:
            from auditor.servers.apache.areas import make_areas

            self.routes()  # which find the .htaccess files
            self._areas = make_areas(self)
        return self._areas

    def user_files(self) -> Sequence[UserFile]:
        from auditor.servers.apache.areas import make_user_files

        return make_user_files(self)

    def addresses(self, path: str) -> Iterable[Request]:
        from auditor.servers.apache.areas import make_addresses

        return make_addresses(self, path)

    def served(self) -> dict[str, list[tuple[int, str, str, Request]]]:
        """See areas.served_folders."""
        if self._served is None:
            from auditor.servers.apache.areas import served_folders

            self._served = served_folders(self)
        return self._served

    def logged(self) -> Iterable[Logged]:
        from auditor.servers.apache.areas import make_logged

        return make_logged(self)

    def unfilled(self) -> Iterable[Unfilled]:
        from auditor.servers.apache.areas import make_unfilled

        return make_unfilled(self)

    def ways_to_pass(self, request: Request, world: World) -> Sequence[str]:
        from auditor.servers.apache.passing import ways_to_pass

        return ways_to_pass(self, request, world)

    def managed(self) -> Iterable[Managed]:
        if not any("BEGIN" in source.text for source in self.files):
            return ()
        from auditor.servers.apache.managed import make_managed

        return make_managed(self)

    def passwords(self) -> Iterable[tuple[Place, str, str]]:
        from auditor.servers.apache.areas import make_passwords

        return make_passwords(self)

    def handing(self) -> Iterable[Place]:
        from auditor.servers.apache.passing import handing

        return handing(self)

    def unread(self, line: Place) -> Iterable[Unread]:
        return ()  # `complete` says whether there is anything

    def captures(self) -> Iterable[Capture]:
        return ()

    def misplaced(self) -> Iterable[Misplaced]:
        from auditor.servers.apache.misplaced import make_misplaced

        return make_misplaced(self)

    def limits(self) -> Sequence[Limit]:
        return ()

    def suspects(self) -> Iterable[Suspect]:
        from auditor.servers.apache.areas import make_suspects

        return make_suspects(self)

    def without(self, *lines: Place) -> ApacheSite:
        removed = self._removed | frozenset(lines)
        return self._twin(self.version, removed)

    def _twin(self, version: Version, removed: frozenset[object]) -> ApacheSite:
        twin = ApacheSite(self._loader, self._items, self._files, self.context, self._overrides, version, removed, self)
        twin.access_folders, twin.parts = self.access_folders, self.parts
        return twin

    def with_host(self, place: Place | None) -> ApacheSite:
        """A configuration of its own, to be changed, that has of the virtual hosts only the one there."""
        items = [one for one in self._items if one.directive.key != "<virtualhost" or one.directive.place == place]
        return ApacheSite(self._loader, items, self._files, self.context, self._overrides, self.version, self._removed)

    def note(self, note: Note) -> None:
        """Add to the notes."""
        if note not in self._noted:
            self._noted.append(note)

    def comments(self) -> Sequence[Comment]:
        return self._loader.comments

    def versions(self) -> Sequence[Version]:
        return (self.version,)

    def at_version(self, version: Version) -> ApacheSite:
        return self if version == self.version else self._twin(version, self._removed)

    @property
    def position(self) -> tuple[str, Place | None]:
        from auditor.servers.apache.areas import find_position

        self.routes()  # which find the .htaccess files
        place = find_position(self)
        return ("edge" if place is None else "inner"), place

    def servers(self) -> list[Server]:
        """The servers that requests can choose: the virtual hosts, or the main server where there is none."""
        return list(self.config.hosts) or [self.config.main]

    def sections(self) -> Iterable[tuple[Server, Section]]:
        """All sections of all servers, nested ones too, and the .htaccess files that are at hand."""
        tops = [(server, server.section) for server in (self.config.main, *self.config.hosts)]
        tops += [(self.config.main, section) for section in self._overrides.judged()]
        for server, top in tops:
            stack = [top]
            while stack:
                section = stack.pop(0)
                yield server, section
                stack = [*section.sections, *stack]


def _access_file_name(config: Config) -> str:
    line = config.main.last("accessfilename")
    return line.args[0] if line is not None and line.args else ".htaccess"


def _outcome(shared: Shared, run: Run | None, action: str) -> Outcome:
    status, lines = shared.final if shared.final is not None else (None, [])
    if action == "unknown":
        status, lines = None, []
    server = run.server.label if run is not None else ""
    place = shared.handler or (run.server.place if run is not None else None)
    # What an origin says is told where it matters, or where lines of the same name stand beside it.
    named = {line.name.lower() for line in lines if not line.origin or line.because}
    headers = tuple(line for line in lines if is_watched(line.name) or line.name.lower() in named)
    return Outcome(
        (),
        action,
        status,
        tuple(shared.exchanges),
        tuple(shared.gates),
        shared.cache,
        headers,
        tuple(shared.steps),
        place,
        server,
        (),
        tuple(shared.hidden),
        tuple(shared.replaced),
        shared.file if action == "static" else None,
        unnamed=any(step.effect in BY_DEFAULT for step in shared.steps),
    )


def load(entry: Entry, options: Any) -> Site:
    """The site of an entry that auditor.discover found; what is wrong with its files stands in `errors`."""
    site = make_site(entry.source, entry.files, entry.context, parts=entry.parts)
    if entry.note:
        site.note(Note("assumed", entry.note))
    return site


def make_site(
    source: SourceFile,
    files: Files,
    context: str,
    loader: Loader | None = None,
    parts: Sequence[SourceFile] = (),
) -> ApacheSite:
    """The site of a main file, a part of a configuration, or a .htaccess alone; or of `parts` that are read as one, one
    after the other. `loader` may know more than the files do, or note more."""
    loader = Loader(files, Modules()) if loader is None else loader
    if source.path is not None and files.tree is not None:
        for name in files.near.apache_modules(os.path.dirname(os.path.abspath(source.path)), files.tree):
            loader.modules.show(name)
    if context == "htaccess":
        return _alone(loader, source, files)
    if parts:
        from auditor.servers.apache.parts import read_parts

        items = read_parts(loader, parts)
    else:
        items = loader.read_dump(source) if context == "dump" else loader.read(source)
    context = "main" if context == "dump" else context
    if context != "main":
        items = [*read_assumed(loader, _PACKAGES), *items]
    site = ApacheSite(loader, items, files, context)
    site.parts = parts
    folders: dict[str, None] = {}
    for server in (site.config.main, *site.config.hosts):
        line = server.section.last("documentroot")
        if line is not None and line.args:
            root = site.config.path(line.args[0])
            here = folder_of_pages(files, root)
            if here is not None:
                folders.update(dict.fromkeys(access_folders(here, root, site.overrides.name)))
    site.access_folders = tuple(folders)
    return site


# Where a .htaccess that is audited alone is taken to lie.
PAGES = "/var/www/html"
_PAGE = lazy_re(r"(?i)\.(php\d?|html?|cgi|pl|py|wsgi)$")


# What the main file of every package and image says.
_PACKAGES = """<FilesMatch "^\\.ht">
    Require all denied
</FilesMatch>
<Directory />
    AllowOverride None
</Directory>
"""


def _alone(loader: Loader, source: SourceFile, files: Files) -> ApacheSite:
    text = "\n".join(
        (
            f'DocumentRoot "{PAGES}"',
            f'<Directory "{PAGES}">',
            "    AllowOverride All",
            "    Options FollowSymLinks Indexes ExecCGI",
            "    Require all granted",
            "</Directory>",
        )
    )
    items = read_assumed(loader, f"{text}\n{_PACKAGES}")
    loader.sources.append(source)
    loader.note(
        "assumed",
        f"{source.name} is audited alone: AllowOverride All, the usual modules, http and https, and DocumentRoot are "
        "assumed",
    )
    site = ApacheSite(loader, items, files, "htaccess")
    site.overrides.put(PAGES, source)
    site.access_folders = (PAGES,)
    if source.path is not None:
        here = os.path.dirname(os.path.abspath(source.path))
        # A folder that holds more than this file is taken to be the whole document root.
        whole = os.path.isdir(here) and any(_PAGE.search(name) for name in os.listdir(here))
        files.adopt(PAGES, here, whole)
        site.access_folders = tuple(dict.fromkeys((PAGES, *access_folders(here, PAGES, os.path.basename(source.path)))))
    return site
