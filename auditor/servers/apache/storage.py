"""Files: DocumentRoot, and what lies at a path (core.c; server/request.c: ap_directory_walk)."""

import posixpath
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from auditor.servers.apache import walk
from auditor.servers.apache.config import Directive, Section, Server
from auditor.servers.apache.intake import normalize
from auditor.servers.apache.run import Respond, Run
from auditor.world import Answer, Question

ASSUMED_ROOT = "/var/www/html"
FILE, DIRECTORY, MISSING = "file", "directory", "missing"
_STATES = {
    FILE: Answer(FILE, "the file exists"),
    DIRECTORY: Answer(DIRECTORY, "a directory is there"),
    MISSING: Answer(MISSING, "nothing is there"),
}


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
    known = _known(run, path, root)
    if known is None and _may_wait(run, path, root):
        run.found = _put_off(run, path)
        _walk(run, path, walk.folders_of(path, False), posixpath.dirname(path) + "/")
        walk.files(run, posixpath.basename(path))
        return
    state = known or _ask(run, path)
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
    if not _walked_before(run, name):
        parent = name if run.found == DIRECTORY else posixpath.dirname(name) + "/"
        _walk(run, name, walk.folders_of(name, whole), parent)
    if run.found != DIRECTORY:
        walk.files(run, posixpath.basename(name.rstrip("/")))


def _walk(run: Run, name: str, folders: Iterable[str], parent: str) -> None:
    """Adds the sections on the way to that name."""
    before = len(run.layers.sections)
    walk.directory(run, _existing(run, folders))
    run.notes["walked"] = Walked(parent, run.server, run.layers.sections[before:])


def _may_wait(run: Run, path: str, root: str) -> bool:
    """Whether it makes no difference to the walk through the folders if a file is there: nothing above it may be a
    script, or is known to be missing, and no section is about that very path."""
    if run.prev is not None or run.main is not None or path.endswith("/") or not path.startswith(root + "/"):
        return False
    at = len(root)
    while (at := path.find("/", at + 1)) != -1:
        if "." in path[len(root) : at] or run.shared.path.known(Question("file", path[:at])) is not None:
            return False
    return not walk.names(run.server, path)


def _put_off(run: Run, path: str) -> Question:
    """The question whether a file is there, to be asked when something depends on it: a redirect and a refusal do
    not."""
    question = Question("file", path)
    line = run.server.last("documentroot")
    run.shared.path.put_off(question, (_STATES[FILE], _STATES[MISSING]), line.place if line is not None else None)
    return question


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


def _known(run: Run, path: str, root: str) -> str | None:
    """What is known to lie at the path, None where it may be anything."""
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
    return None if _folder_may_exist(run, path, root) else MISSING


def _ask(run: Run, path: str) -> str:
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


def _existing(run: Run, folders: Iterable[str]) -> list[str]:
    """The folders as far as they may exist."""
    kept = []
    for folder in folders:
        known = run.shared.path.known(Question("file", folder))
        if known is not None and known.name in ("missing", "no-folder", FILE) and folder != run.filename:
            break
        kept.append(folder)
    return kept
