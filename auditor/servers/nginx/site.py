"""An nginx configuration that has been read: the predictor behind the interface of auditor.server."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from auditor.files import Files
from auditor.http import Request, is_watched
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
    Suspect,
    Unfilled,
    Unread,
    UserFile,
    Version,
)
from auditor.servers.nginx import phases
from auditor.servers.nginx.config import Http
from auditor.servers.nginx.intake import BY_DEFAULT, find_port
from auditor.servers.nginx.run import Closed, Options, Run, Shared, Unpredictable
from auditor.servers.nginx.syntax import Directive, Tree, read
from auditor.servers.nginx.upstream import added_names
from auditor.servers.nginx.versions import NEWEST, all_versions
from auditor.source import InputError, Place, SourceFile, read_source
from auditor.trace import Outcome, ResponseHeader, Step
from auditor.world import Path, World

if TYPE_CHECKING:
    from auditor.discover import Entry


def parse_version(text: str | None) -> Version:
    """`1.25.3` or `1.25`; the newest known for None. Raises ValueError for what is no version."""
    if text is None:
        return NEWEST
    parts = text.removeprefix("nginx/").split(".")
    if not 1 <= len(parts) <= 3 or not all(part.isdigit() for part in parts):
        raise ValueError(f"not a version of nginx: {text}")
    return tuple(int(part) for part in parts) + (99,) * (3 - len(parts))


class NginxSite(Predictor):
    """One nginx configuration."""

    kind = "nginx"

    def __init__(
        self,
        tree: Tree,
        files: Files | None,
        version: Version | None = None,
        removed: frozenset[Place] = frozenset(),
    ) -> None:
        super().__init__(files)
        self._tree = tree
        self._removed = removed
        self._settled = version is not None
        self.version = version = version or NEWEST
        directives = tree.directives if not removed else _without(tree.directives, removed)
        self.http = Http(directives, tree.files)
        self.http.judges = lambda path: (
            self.state(path if path.startswith("/") else f"{tree.conf_dir}/{path}") is not None
        )
        self._options = Options(version, tree.conf_dir, tree.conf_dir)
        self._routes: Sequence[Route] | None = None
        self._notes: list[Note] = list(tree.notes)

    @property
    def files(self) -> Sequence[SourceFile]:
        return self._tree.files

    @property
    def tree(self) -> Tree:
        """The configuration as it was read, for what rewrites its text."""
        return self._tree

    @property
    def errors(self) -> Sequence[InputError]:
        """What could not be read or parsed."""
        return self._tree.errors

    @property
    def notes(self) -> Sequence[Note]:
        """Those of the reading, and what has been assumed or left out since then."""
        later = self._files.notes if self._files is not None else []
        return [*self._notes, *(note for note in later if note not in self._notes)]

    @property
    def partial(self) -> bool:
        return self._tree.partial

    @property
    def complete(self) -> bool:
        unseen = any(note.kind in ("unread", "template") for note in self._tree.notes)
        return self._tree.context == "main" and not self._tree.errors and not unseen

    # --- the predictor

    def _run(self, request: Request, path: Path) -> Outcome:
        try:
            port = find_port(self.http, request, path)
        except Unpredictable as error:
            return Outcome((), "unknown", None, steps=(Step(error.place, "", error.reason),))
        if port is None or port.default is None or (request.tls and not port.listen.tls):
            why = f"nothing listens on port {request.port}" + (" with TLS" if port is not None else "")
            return Outcome((), "closed", None, steps=(Step(None, "", why),))
        shared = Shared(self.http, self._options, path, request, port)
        run = Run(shared, port.default)
        try:
            phases.handle(run)
        except Closed:
            return _outcome(run, "closed")
        except Unpredictable as error:
            run.shared.steps.append(Step(error.place, "", f"not knowable: {error.reason}"))
            return _outcome(run, "unknown")
        except RecursionError:
            return _outcome(run, "unknown")
        return _outcome(run, shared.action)

    # --- what rules ask beside traces

    def routes(self) -> Sequence[Route]:
        if self._routes is None:
            from auditor.servers.nginx.routes import make_routes

            self._routes = make_routes(self)
        return self._routes

    def areas(self) -> Sequence[Area]:
        from auditor.servers.nginx.areas import make_areas

        return make_areas(self)

    def user_files(self) -> Sequence[UserFile]:
        from auditor.servers.nginx.areas import make_user_files

        return make_user_files(self)

    def addresses(self, path: str) -> Iterable[Request]:
        from auditor.servers.nginx.published import make_addresses

        return make_addresses(self, path)

    def logged(self) -> Iterable[Logged]:
        from auditor.servers.nginx.logs import make_logged

        return make_logged(self.http)

    def unfilled(self) -> Iterable[Unfilled]:
        from auditor.servers.nginx.unfilled import make_unfilled

        return make_unfilled(self.http)

    def managed(self) -> Iterable[Managed]:
        """No program is known that writes a part of an nginx configuration which users edit, too."""
        return ()

    def passwords(self) -> Iterable[tuple[Place, str, str]]:
        return ()

    def handing(self) -> Iterable[Place]:
        return ()  # programs get it without any line

    def unread(self, line: Place) -> Iterable[Unread]:
        from auditor.servers.nginx.unread import find_unread

        return find_unread(self._tree, line)

    def captures(self) -> Iterable[Capture]:
        from auditor.servers.nginx.captures import make_captures

        return make_captures(self)

    def ways_to_pass(self, request: Request, world: World) -> Sequence[str]:
        """nginx hands programs all headers."""
        return ()

    def misplaced(self) -> Iterable[Misplaced]:
        from auditor.servers.nginx.areas import make_misplaced

        return make_misplaced(self)

    def limits(self) -> Sequence[Limit]:
        from auditor.servers.nginx.areas import make_limits

        return make_limits(self)

    def suspects(self) -> Iterable[Suspect]:
        from auditor.servers.nginx.areas import make_suspects

        return make_suspects(self)

    def without(self, *lines: Place) -> NginxSite:
        return NginxSite(self._tree, self._files, self.version, self._removed | frozenset(lines))

    def note(self, note: Note) -> None:
        """Add to the notes."""
        if note not in self._notes:
            self._notes.append(note)

    def deployed(self, path: str) -> str:
        """A path of the configuration on the deployed machine: relative ones start at the main file's folder."""
        return path if path.startswith("/") else f"{self._options.conf_dir.rstrip('/')}/{path}"

    def comments(self) -> Sequence[Comment]:
        return self._tree.comments

    def versions(self) -> Sequence[Version]:
        return (self.version,) if self._settled else all_versions(self.http)

    def at_version(self, version: Version) -> NginxSite:
        return NginxSite(self._tree, self._files, version, self._removed)

    @property
    def position(self) -> tuple[str, Place | None]:
        from auditor.servers.nginx.position import find_position

        place = find_position(self.http)
        return ("edge" if place is None else "inner"), place


def _outcome(run: Run, action: str) -> Outcome:
    shared = run.shared
    final = run.final_headers or []
    named = added_names(run.shared.http)
    headers = tuple(
        ResponseHeader(h.name, h.value, h.because, h.origin)
        for h in final
        if not h.origin or is_watched(h.name) or h.name.lower() in named
    )
    level = run.final_level or run.level
    location = level.location
    handler = location.directive if location is not None else level.directive
    shadowed: tuple[Any, ...] = ()
    if run.final_level is not None and named:
        from auditor.servers.nginx.response import shadowed_headers

        shadowed = shadowed_headers(run, run.final_level)
    status = run.final_status if action not in ("closed", "unknown") else None
    return Outcome(
        (),
        action,
        status,
        tuple(shared.exchanges),
        tuple(shared.gates),
        shared.cache,
        headers if action != "closed" else (),
        tuple(shared.steps),
        handler.place if handler is not None else None,
        # As routes have it; a part of a configuration has no server block, and nothing is said of the one around it.
        run.server.names[0] or ("_" if "listen" in run.server.own else ""),
        shadowed,
        tuple(shared.hidden),
        tuple(shared.replaced),
        shared.file,
        tuple(shared.withheld),
        any(step.effect == BY_DEFAULT for step in shared.steps),
    )


def _without(directives: list[Directive], removed: frozenset[Place]) -> list[Directive]:
    """The tree without some lines."""
    names = {place.name for place in removed}
    kept: list[Directive] = []
    for line in directives:
        if line.name in names and line.place in removed:
            continue
        if line.block:
            block = _without(line.block, removed)
            if len(block) != len(line.block) or any(new is not old for new, old in zip(block, line.block, strict=True)):
                line = Directive(line.name, line.args, line.source, line.line, line.nth, block, line.via)
        kept.append(line)
    return kept


def load(entry: Entry, options: Any) -> NginxSite:
    """The site of an entry that auditor.discover found; what is wrong with its files stands in `errors`.

    Raises InputError for what is no version of nginx.
    """
    notes: list[Note] = []
    text = options.version if options.version != "auto" else _version_of_image(entry, notes)
    try:
        version = parse_version(text) if text is not None else None
    except ValueError as error:
        raise InputError(entry.source.name, 0, str(error)) from error
    tree = read(entry.source, entry.files, entry.parts)
    if entry.note:
        tree.notes.append(Note("assumed", entry.note))
    tree.notes.extend(notes)
    if not tree.whole:  # half a file says things that the whole does not
        tree.directives = []
    return NginxSite(_in_context(tree, entry.context), entry.files, version)


def _version_of_image(entry: Entry, notes: list[Note]) -> str | None:
    """The version of the image that the tree runs this configuration in; None where its files name none, or several."""
    from auditor.globs import repository

    source = entry.source
    found = []
    if source.path is not None:
        folder = os.path.dirname(os.path.abspath(source.path))
        found = entry.files.near.image_versions(folder, repository(folder) or folder)
    if len(found) == 1:
        notes.append(Note("assumed", f"{source.name}: nginx {found[0]}, as the tag of an image in this tree says"))
        return found[0]
    why = f"several ({', '.join(found)})" if found else "none"
    notes.append(Note("assumed", f"{source.name}: the images of this tree name {why} of nginx's versions"))
    return None


def _in_context(tree: Tree, context: str) -> Tree:
    """A part of a configuration gets the blocks around it that it is meant for."""
    if context in ("main", ""):
        return tree
    tree.context = context
    source = tree.files[0]
    tree.partial = context != "http"
    body = tree.directives
    for name, args in (("location", ["/"]), ("server", []), ("http", [])):
        if context == "http" and name != "http":
            continue
        if context == "server" and name == "location":
            continue
        body = [Directive(name, list(args), source, 1, 0, body)]
    tree.directives = body
    return tree


def load_file(path: str, roots: tuple[tuple[str, str], ...] = (), version: str | None = None) -> NginxSite:
    """The configuration whose main file lies at `path`. Raises InputError where it cannot be read or parsed."""
    source = read_source(path)
    files = Files(source, roots)
    tree = read(source, files)
    if tree.errors:
        raise tree.errors[0]
    return NginxSite(tree, files, parse_version(version) if version is not None else None)
