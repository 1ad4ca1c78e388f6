"""What goes back to the client (http_protocol.c: ap_send_error_response; http_filters.c: ap_http_header_filter)."""

from __future__ import annotations

import re

from auditor.http import Response
from auditor.servers.apache import cache, expires, headers
from auditor.servers.apache.config import Directive
from auditor.servers.apache.pattern import cut
from auditor.servers.apache.run import Respond, Run, by_default, decides
from auditor.servers.apache.table import Entry, Table
from auditor.trace import Replaced, ResponseHeader
from auditor.values import Value, join, literal

_KEPT = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$-_.+!*'(),:@&=/~")


def escape(path: str) -> str:
    """ap_os_escape_path, as Location headers made from paths have it."""
    return "".join(char if char in _KEPT else f"%{ord(char):02x}" for char in path)


def error_document(run: Run, status: int) -> Directive | None:
    """The ErrorDocument line for a status; a URL for 401 is ignored (AH00113)."""
    found = None
    for line in run.layers.all("errordocument"):
        if len(line.args) > 1 and line.args[0] == str(status):
            found = line
    if found is None or found.args[1].lower() == "default":
        return None
    if status == 401 and re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", found.args[1]):
        return None
    return found


def send_error(run: Run, status: int, end: Respond, page: Directive | None = None) -> Run:
    """ap_send_error_response: the header lines of a normal answer are dropped, those for errors stay, and only `always`
    rules run, on a table of their own."""
    location = end.location if end.location is not None else run.headers_out.get("Location")
    if page is not None and re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", page.args[1]):
        run.shared.replaced.append(Replaced(status, page.place))
        status, location = 302, literal(page.args[1])
        run.step(page, "answered by a redirect to this page")
        end = Respond(302, page)
    if status == 304:  # sent with the lines that are there
        vary(run)
    else:
        run.headers_out, run.errors_out = run.errors_out, Table()
    if location is not None and (300 <= status < 400 or status == 201):
        run.headers_out.set("Location", location, decides(end.line) if end.line is not None else ())
    run.status = status
    expires.apply(run, status, "text/html")
    if run.config.modules.has("headers"):
        headers.output(run, True)
    if run.shared.action == "unknown":
        run.shared.action = "answered"
    run.step(end.line, f"answered {status}")
    return final(run, status)


def finish(run: Run, status: int | None, action: str) -> Run:
    """A normal answer: all Header rules run."""
    run.shared.action = action
    if status is not None and run.status not in (200, None) and action in ("static", "answered"):
        status = run.status
    vary(run)
    expires.apply(run, status, run.content_type if action == "static" else None)
    if run.config.modules.has("headers"):
        run.status = status if status is not None else run.status
        headers.output(run, False)
    _keep(run)
    return final(run, status)


def vary(run: Run) -> None:
    """The request headers that conditions have looked at."""
    for name in run.vary:
        run.headers_out.merge("Vary", literal(name), by_default("conditions look at it", "mod/mod_rewrite.html"))


def final(run: Run, status: int | None) -> Run:
    """What ap_http_header_filter makes of the header lines."""
    table = Table([*run.errors_out, *run.headers_out])
    _each_once(table)
    run.shared.final = (status, [_line(entry) for entry in table])
    return run


def _each_once(table: Table) -> None:
    """Vary as one line in which each name stands once (fixup_vary)."""
    lines = table.all("Vary")
    names: dict[str, Value] = {}
    for entry in lines:
        if entry.value.text is None:
            return
        for name in re.finditer(r"[^,\s]+", entry.value.text):
            names.setdefault(name[0].lower(), cut(entry.value, *name.span()))
    if names:
        because = tuple(dict.fromkeys(one for entry in lines for one in entry.because))
        table.set("Vary", join(names.values(), ","), because)


def _line(entry: Entry) -> ResponseHeader:
    origin = bool(entry.value.segments) and all(
        segment.source.startswith("answer:") for segment in entry.value.segments
    )
    return ResponseHeader(entry.name, entry.value, entry.because, origin)


def _keep(run: Run) -> None:
    """What mod_cache does with the answer of an upstream or a program."""
    response = run.notes.get("to keep")
    line = cache.enabled(run) if isinstance(response, Response) else None
    if line is not None and isinstance(response, Response):
        run.shared.cache = decided = cache.decide(run, line, response)
        run.shared.exchanges[-1] = run.shared.exchanges[-1]._replace(cache=decided)
        cache.tell(run)
