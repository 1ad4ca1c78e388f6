"""Folders: the slash behind their names, their index, and what answers for what is not there (mod_dir.c)."""

from __future__ import annotations

from auditor.servers.apache.config import Directive
from auditor.servers.apache.run import InternalRedirect, Respond, Run, by_default
from auditor.servers.apache.sending import escape
from auditor.servers.apache.storage import FILE, MISSING
from auditor.servers.apache.table import Entry, Table
from auditor.values import CLIENT, Segment, Value, literal


def fixup(run: Run, redirected: bool = False) -> None:
    """DirectorySlash, DirectoryIndex and FallbackResource (mod_dir.c: dir_fixups). Where a rule has found another path
    (`redirected`), only the slash that a directory lacks goes before it; an upstream that a rule has found for a
    directory gives way to its index, too."""
    if run.filename is None:
        return
    if redirected and (not run.is_folder or run.uri.endswith("/")):
        return
    if run.is_folder:
        _directory(run)
        if not run.is_folder:
            return
    if redirected or run.is_proxy:
        return
    if run.handler is None and run.layers.last("fallbackresource") is not None and run.found == MISSING:
        # Of a folder, its index falls back.
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
        url = Value((*authority(run).segments, Segment(CLIENT, escape(run.uri) + "/" + query)))
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
                run.headers_out.replace([*sub.headers_out, *run.headers_out])
                run.errors_out.replace([*sub.errors_out, *run.errors_out])
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
    run.headers_out.replace([*looked_at, *sub.headers_out, *run.headers_out])
    run.errors_out.replace([*sub.errors_out, *run.errors_out])
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
