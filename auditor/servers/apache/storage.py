"""Files: DocumentRoot, what lies at a path, mod_dir, and which handler a file gets (core.c, mod_dir.c, mod_mime.c)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import NamedTuple

from auditor.servers.apache import walk
from auditor.servers.apache.config import WALKS, Directive, Layers, Section, Server
from auditor.servers.apache.directives import spec_of
from auditor.servers.apache.intake import normalize
from auditor.servers.apache.run import InternalRedirect, Respond, Run, by_default
from auditor.servers.apache.table import Entry, Table
from auditor.values import CLIENT, Segment, Value, literal
from auditor.world import Answer, Question

ASSUMED_ROOT = "/var/www/html"
FILE, DIRECTORY, MISSING = "file", "directory", "missing"
_STATES = {
    FILE: Answer(FILE, "the file exists"),
    DIRECTORY: Answer(DIRECTORY, "a directory is there"),
    MISSING: Answer(MISSING, "nothing is there"),
}


def is_php(run: Run) -> bool:
    """Whether the file is one of those that the packages of PHP have it run."""
    return run.filename is not None and re.search(r"\.ph(p[345]?|tml)$", run.filename) is not None


def document_root(run: Run) -> str:
    """The DocumentRoot of the virtual host; where no line is at hand, that of most packages."""
    line = run.server.last("documentroot")
    return run.config.path(line.args[0]).rstrip("/") if line is not None and line.args else ASSUMED_ROOT


def trace(run: Run) -> bool:
    """TRACE, which is answered before anything is looked for (ap_send_http_trace); a body is refused."""
    if run.method != "TRACE" or run.main is not None:
        return False
    refuse_trace(run)
    run.notes["trace"] = True
    return True


def refuse_trace(run: Run) -> None:
    """What TraceEnable does not let pass, here or to an upstream (proxy_handler)."""
    if run.method != "TRACE":
        return
    line = run.server.last("traceenable")
    word = line.args[0].lower() if line is not None and line.args else "on"
    if word == "off":
        raise Respond(405, line)
    if run.is_proxy:
        return
    if (run.header("transfer-encoding") or "chunked").lower() != "chunked":
        raise Respond(501, line)  # ap_setup_client_block
    length = run.header("content-length") or "0"
    if word != "extended" and (int(length) > 0 or run.headers_in.get("Transfer-Encoding") is not None):
        raise Respond(413, line)


def translate(run: Run) -> None:
    """core's translate_name: DocumentRoot and the path, which a RewriteRule with PT may have made a URL."""
    if not run.uri.startswith("/") and run.uri != "*":
        raise Respond(400)
    run.filename = document_root(run) + run.uri


def wsgi(run: Run) -> bool:
    """WSGIScriptAlias and WSGIScriptAliasMatch (mod_wsgi)."""
    for line in run.server.all("wsgiscriptalias"):
        if len(line.args) < 2:
            continue
        prefix, target = line.args[0], line.args[1]
        bare = prefix.rstrip("/")
        if run.uri == bare or run.uri.startswith(bare + "/") or prefix == "/":
            rest = run.uri[len(bare) :]
            run.filename = run.config.path(target).rstrip("/")
            if target.endswith("/"):
                run.filename += rest
            else:
                run.path_info = rest
            run.handler, run.handler_line = "wsgi-script", line
            run.notes["wsgi"] = True
            run.step(line, "a WSGI program answers")
            return True
    return False


def state_of(run: Run, path: str, line: Directive | None = None, likely: Sequence[str] = (FILE, MISSING)) -> str:
    """What lies at a path of the deployed machine: the world's answer, else each of the likely ones."""
    if path.endswith("/"):
        likely = (DIRECTORY, MISSING)
        path = path.rstrip("/") or "/"
    place = line.place if line is not None else None
    name = run.ask(Question("file", path), [_STATES[one] for one in likely], place).name
    return name


def look(run: Run) -> None:
    """map_to_storage: which file, what of the path is PATH_INFO, and the sections on the way."""
    assert run.filename is not None
    # Slashes are one here whatever MergeSlashes says, in what becomes PATH_INFO, too (ap_directory_walk).
    path = run.filename = normalize(run.filename, True, False) or run.filename
    if run.notes.get("wsgi"):
        run.found = FILE
        walk.directory(run, walk.folders_of(path, False))
        walk.files(run, posixpath.basename(path))
        return
    root = document_root(run)
    state = _top(run, path, root)
    if state in ("missing", "no-folder"):
        script = _script_above(run, path, root)
        if script is not None:
            run.filename, run.path_info = script, path[len(script) :]
            state = FILE
        else:
            state = MISSING
            _split_missing(run, path, root)
    run.found = FILE if state == "unreadable" else state
    name = run.filename or path
    # Where links are followed, a file is taken for a folder until all is merged: <Directory> may name it.
    whole = state == DIRECTORY or (run.found == FILE and not run.path_info)
    folders = list(walk.folders_of(name, whole))
    if not _walked_before(run, name):
        before = len(run.layers.sections)
        walk.directory(run, _existing(run, folders, state))
        parent = name if run.found == DIRECTORY else posixpath.dirname(name) + "/"
        run.notes["walked"] = Walked(parent, run.server, run.layers.sections[before:])
    if run.found != DIRECTORY:
        walk.files(run, posixpath.basename(name.rstrip("/")))


class Walked(NamedTuple):
    """What a walk through folders has come to: its last folder, and the sections found."""

    folder: str
    server: Server
    sections: tuple[Section, ...]


def _walked_before(run: Run, name: str) -> bool:
    """A request made of one in the same folder takes over the sections found for that one (ap_directory_walk,
    "familiar")."""
    before = run.prev or run.main
    known = before.notes.get("walked") if before is not None else None
    if not isinstance(known, Walked) or run.path_info or run.found not in (FILE, DIRECTORY):
        return False
    folder = posixpath.dirname(name) + "/" if run.found == FILE else name.rstrip("/") + "/"
    if known.folder != folder or known.server is not run.server:
        return False
    run.notes["walked"], run.notes["walk reused"] = known, True
    run.layers = run.layers.with_sections(known.sections)
    return True


def _top(run: Run, path: str, root: str) -> str:
    if path.rstrip("/") == root:
        return DIRECTORY
    known = run.shared.path.known(Question("file", path.rstrip("/") or "/"))
    if known is not None:
        return (
            DIRECTORY
            if known.name == DIRECTORY
            else MISSING
            if path.endswith("/") and known.name == FILE
            else known.name
        )
    if not _folder_may_exist(run, path, root):
        return MISSING
    # What a <Directory> is written for is taken to be one.
    bare = path.rstrip("/")
    named = any(not one.regex and one.pattern.rstrip("/") == bare for one in run.server.sections("directory"))
    return state_of(run, path, run.server.last("documentroot"), (DIRECTORY if named else FILE, MISSING))


def _folder_may_exist(run: Run, path: str, root: str) -> bool:
    folder = posixpath.dirname(path.rstrip("/"))
    while len(folder) > max(len(root), 1):  # of DocumentRoot / nothing is left
        known = run.shared.path.known(Question("file", folder))
        if known is not None:
            return known.name == DIRECTORY
        folder = posixpath.dirname(folder)
    return True


def _script_above(run: Run, path: str, root: str) -> str | None:
    """A file on the way to the path, behind which the rest is PATH_INFO."""
    at = len(root)
    while True:
        at = path.find("/", at + 1)
        if at == -1:
            return None
        head = path[:at]
        if "." not in posixpath.basename(head):
            known = run.shared.path.known(Question("file", head))
            if known is not None and known.name == FILE:
                return head
            continue
        if state_of(run, head) in (FILE, "unreadable"):
            return head


def _split_missing(run: Run, path: str, root: str) -> None:
    """Where a folder on the way is missing, the path ends with it, and the rest is PATH_INFO (ap_directory_walk)."""
    at = len(root)
    while (at := path.find("/", at + 1)) != -1:
        known = run.shared.path.known(Question("file", path[:at]))
        if known is None:
            return
        if known.name != DIRECTORY:
            run.filename, run.path_info = path[:at], path[at:]
            return


def _existing(run: Run, folders: Sequence[str], state: str) -> list[str]:
    """The folders as far as they may exist."""
    kept = []
    for folder in folders:
        known = run.shared.path.known(Question("file", folder))
        if known is not None and known.name in ("missing", "no-folder", FILE) and folder != run.filename:
            break
        kept.append(folder)
    return kept


# --- handlers


def options_of(layers: Layers) -> frozenset[str]:
    """The Options that count (core.c: set_options; FollowSymLinks is the default since 2.3.11)."""
    found: frozenset[str] = layers.memo("options", _options_of)
    return found


_ALL = frozenset(("indexes", "includes", "followsymlinks", "execcgi"))  # OPT_ALL


def _options_of(layers: Layers) -> frozenset[str]:
    found: set[str] = {"followsymlinks"}
    added: set[str] = set()
    removed: set[str] = set()
    for section in layers.sections:  # merge_core_dir_configs: what was taken away stays so where a section says nothing
        if section.kind == "htaccess" and not _is_cores(section):
            continue
        own: set[str] | None = None
        plus: set[str] = set()
        minus: set[str] = set()
        for line in section.all("options"):
            if any(word[:1] not in "+-" for word in line.args):
                own = set()
            for word in line.args:
                low = word.lower().lstrip("+-")
                names = set(_ALL) if low == "all" else set() if low == "none" else {low}
                if word.startswith("-"):
                    plus, minus, own = plus - names, minus | names, own - names if own is not None else None
                elif word.startswith("+"):
                    plus, minus, own = plus | names, minus - names, own | names if own is not None else None
                else:
                    own = (own or set()) | names
        if own is not None:
            found, added, removed = own, plus, minus
        else:
            added, removed = (added - minus) | plus, (removed - plus) | minus
            found = (found - removed) | added
    return frozenset(found)


def _is_cores(section: Section) -> bool:
    """Whether a .htaccess has anything of the core's, which otherwise has no part in it that would be merged."""
    specs = [spec_of("<limit" if line.limit is not None else line.key) for line in section.directives]
    return bool(section.sections) or any(spec is not None and spec.module == "core.c" for spec in specs)


def find_handler(run: Run) -> None:
    """mod_mime and SetHandler: what is to produce the answer (type_checker)."""
    run.notes["typed"] = True
    if run.is_proxy:
        return
    line = run.layers.last("sethandler")
    if line is not None and line.args and line.args[0].lower() != "none":
        run.handler, run.handler_line = line.args[0], line
        return
    if run.found not in (FILE, MISSING) or run.filename is None:
        return
    name = posixpath.basename(run.filename)
    extensions = [part.lower() for part in name.split(".")[1:]]
    forced = run.layers.last("forcetype")
    if run.config.modules.has("mime"):
        _by_extension(run, extensions)
    if forced is not None and forced.args and forced.args[0].lower() != "none":
        run.content_type = forced.args[0]
    if run.handler is None and run.content_type in _PHP_TYPES:
        run.handler = run.content_type


class Mapping(NamedTuple):
    """What a section says of extensions: (handler or type, extension)."""

    removed: list[tuple[str, str]]
    added: dict[tuple[str, str], tuple[str, Directive]]


def _mappings(layers: Layers) -> list[list[Mapping]]:
    """The sections that say anything, by walks: those of one are merged with each other first."""
    found: list[list[Mapping]] = []
    last = ""
    for section in layers.sections:
        mapping = Mapping([], {})
        for key in ("addhandler", "addtype", "removehandler", "removetype"):
            kind = "handler" if key.endswith("handler") else "type"
            for line in section.all(key):
                if key.startswith("remove"):
                    mapping.removed.extend((kind, word.lstrip(".").lower()) for word in line.args)
                else:
                    for word in line.args[1:]:
                        mapping.added[kind, word.lstrip(".").lower()] = (line.args[0], line)
        if not mapping.removed and not mapping.added:
            continue
        kind = WALKS.get(section.kind, section.kind)
        if kind != last or kind == "server":
            found.append([])
        last = kind
        found[-1].append(mapping)
    return found


_PHP_TYPES = ("application/x-httpd-php", "application/x-httpd-php-source")


def _by_extension(run: Run, extensions: Sequence[str]) -> None:
    handlers: dict[str, tuple[str, Directive]] = {}
    types: dict[str, tuple[str, Directive]] = {}
    for walk_of in run.layers.memo("mime", _mappings):
        # What is taken away by one of several sections is so among themselves only (merge_mime_dir_configs).
        own: dict[tuple[str, str], tuple[str, Directive]] = {}
        for section in walk_of:
            for kind, extension in section.removed:
                own.pop((kind, extension), None)
                if len(walk_of) == 1:
                    (handlers if kind == "handler" else types).pop(extension, None)
            own |= section.added
        for (kind, extension), found in own.items():
            (handlers if kind == "handler" else types)[extension] = found
    for extension in extensions:
        handler = handlers.get(extension)
        if handler is not None and run.notes.get("script-alias") is None:
            run.handler, run.handler_line = handler
        kind_of = types.get(extension)
        if kind_of is not None:
            run.content_type, run.handler_line = kind_of[0], run.handler_line or kind_of[1]


# --- mod_dir


def fixup(run: Run, redirected: bool = False) -> None:
    """DirectorySlash, DirectoryIndex and FallbackResource (mod_dir.c: dir_fixups). Where a rule has found another path
    (`redirected`), only the slash that a directory lacks goes before it; an upstream that a rule has found for a
    directory gives way to its index, too."""
    if run.filename is None:
        return
    if redirected and (run.found != DIRECTORY or run.uri.endswith("/")):
        return
    if run.found == DIRECTORY:
        _directory(run)
        if run.found != DIRECTORY:
            return
    if redirected or run.is_proxy:
        return
    if run.found == MISSING and run.handler is None:  # of a folder, its index falls back
        _fallback(run)


def _directory(run: Run) -> None:
    if not run.uri.endswith("/"):
        line = run.layers.last("directoryslash")
        if line is not None and line.args and line.args[0].lower() == "off":
            return
        if run.method not in ("GET", "HEAD") and run.has_variable("redirect-carefully"):
            return
        from auditor.servers.apache.urls import authority

        query = f"?{run.args}" if run.args is not None else ""
        url = Value((*authority(run).segments, Segment(CLIENT, _escaped(run.uri) + "/" + query)))
        run.step(line, "a directory without its slash: redirected")
        raise Respond(301, line, url)
    names = index_names(run)
    failed: Respond | None = None
    for at, (name, line) in enumerate(names, 1):
        from auditor.servers.apache.phases import lookup

        target = name if name.startswith("/") else run.uri + name
        sub = lookup(run, target + (f"?{run.args}" if run.args is not None else ""))
        if sub.status == 200 and _answers(sub):
            run.step(line, f"the directory's index: {target}")
            adopt(run, sub)
            run.notes["index"] = True
            return
        if sub.status not in (200, 404, None):
            failed = Respond(sub.status)
            if 300 <= sub.status < 400 or (sub.status in (401, 406) and at == len(names)):
                run.headers_out.entries = [*sub.headers_out, *run.headers_out]
                run.errors_out.entries = [*sub.errors_out, *run.errors_out]
                break  # the others are not looked at
    if failed is not None:
        raise failed


def index_names(run: Run) -> list[tuple[str, Directive | None]]:
    """The names of DirectoryIndex that count. Where nobody says, that is index.html; beside a part of a configuration,
    a package's line with index.php is taken to stand elsewhere."""
    names: list[tuple[str, Directive | None]] = []
    for section in run.layers.sections:
        own = section.all("directoryindex")
        if own:
            names = [(word, line) for line in own for word in line.args]
    if any(name.lower() == "disabled" for name, _ in names) and len(names) == 1:
        return []
    if names:
        return names
    default: list[tuple[str, Directive | None]] = [("index.html", None)]
    return [*default, ("index.php", None)] if run.config.php else default


def adopt(run: Run, sub: Run) -> None:
    """ap_internal_fast_redirect: the request goes on as the subrequest that was looked up."""
    run.uri = sub.uri
    run.args = sub.args
    run.filename = sub.filename
    run.path_info = sub.path_info
    run.found = sub.found
    run.handler, run.handler_line = sub.handler, sub.handler_line
    run.content_type = sub.content_type
    run.is_proxy, run.proxy_line = sub.is_proxy, sub.proxy_line
    run.layers = sub.layers
    run.env = Table([*sub.env, *run.env])  # where one is looked up, the first counts; to programs, the last
    why = by_default("conditions look at it", "mod/core.html")
    looked_at = [Entry("Vary", literal(name), why) for name in sub.vary]
    run.headers_out.entries = [*looked_at, *sub.headers_out, *run.headers_out]
    run.errors_out.entries = [*sub.errors_out, *run.errors_out]
    redirect = sub.notes.get("redirect")
    if isinstance(redirect, InternalRedirect):
        if sub.notes.get("redirect-keeps-vary"):
            run.notes["redirect-keeps-vary"] = True
            run.vary = [*sub.vary, *run.vary]
        raise redirect


def _answers(sub: Run) -> bool:
    """Whether the request that was looked up is a file, or goes to an upstream and nothing else handles it."""
    handler = sub.layers.last("sethandler")
    return sub.found == FILE or (sub.is_proxy and (handler is None or handler.args[:1] == ("none",)))


def _fallback(run: Run) -> None:
    line = run.layers.last("fallbackresource")
    if line is None or not line.args or line.args[0].lower() == "disabled":
        return
    from auditor.servers.apache.phases import lookup

    target = line.args[0]
    depth, above = 0, run.main
    while above is not None:
        depth, above = depth + 1, above.main
    if run.uri == target or depth > 10:  # it asks for itself until LimitInternalRecursion ends that
        raise Respond(500, line)
    sub = lookup(run, target + (f"?{run.args}" if run.args is not None else ""))
    if sub.status == 200 and _answers(sub):
        run.step(line, f"nothing is there: {target} answers")
        adopt(run, sub)
    elif sub.status not in (200, None):
        raise Respond(sub.status or 500, line)


def _escaped(path: str) -> str:
    from auditor.servers.apache.response import escape

    return escape(path)
