"""The phases of a request, in nginx's order (https://nginx.org/en/docs/dev/development_guide.html#http_phases)."""

from __future__ import annotations

from typing import NamedTuple

from auditor.regex import RegexError
from auditor.servers.nginx import content, gates, intake, response
from auditor.servers.nginx.config import PASSES, Level, Location, Lookup, Server
from auditor.servers.nginx.headers_more import change_input_headers
from auditor.servers.nginx.paths import NoPath
from auditor.servers.nginx.realip import connection_address, real_address
from auditor.servers.nginx.run import OutHeader, Run, Unpredictable
from auditor.servers.nginx.script import handler_of, has_statements, match, run_block, statements_of
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.uri import escape
from auditor.trace import DECIDES, Because
from auditor.values import literal
from auditor.world import Answer, Question


def handle(run: Run) -> None:
    """The whole way of a client's request."""
    try:
        intake.read(run)
    except intake.Refused as refused:
        line = run.server.line("large_client_header_buffers") if refused.status == 494 else None
        run.step(line, f"{refused.reason}: refused", "the request is read")
        run.shared.action = "answered"
        response.finalize(run, refused.status)
        return
    connection_address(run)
    real_address(run)
    process(run, "server rewrite")
    _afterwards(run)


def _afterwards(run: Run) -> None:
    """Requests that are made once the answer is on its way, which are not followed: post_action, add_before_body."""
    if run.final_level is None:
        return
    line = run.final_level.line("post_action")
    if line is not None and line.args[:1] != ["off"]:
        raise Unpredictable("post_action asks once more", line.place)
    for name in ("add_before_body", "add_after_body"):
        line = run.final_level.line(name)
        if line is not None and line.args[:1] != [""] and run.final_status in (200, None):
            raise Unpredictable(f"{name} asks for more, where the answer is a page", line.place)


def process(run: Run, start: str) -> None:
    """Run the phases from `start` on: "server rewrite" or "location rewrite"."""
    if start == "server rewrite":
        run.valid_location = True
        run.level = run.server
        if has_statements(run.server):
            status = run_block(run, statements_of(run.server))
            if status is not None:
                response.finalize(run, status)
                return
        if not _find_config(run):
            return
    while True:
        level = run.level
        if level.kind != "server" and has_statements(level):
            status = run_block(run, statements_of(level))
            if status is not None:
                response.finalize(run, status)
                return
        change_input_headers(run)
        if not run.uri_changed:
            break
        run.uri_changes -= 1
        if run.uri_changes == 0:
            response.finalize(run, 500)
            return
        run.level = run.server
        if not _find_config(run):
            return
    real_address(run)
    status = gates.access_phase(run)
    if status is not None and status != response.OK:
        response.finalize(run, status)
        return
    try:
        status = content.precontent(run)
        if status is None and run.final_level is None:
            status = content.produce(run)
    except NoPath:
        status = 500
    if status is not None:
        response.finalize(run, status)
    content.send_mirrors(run)


# --- choosing the location


def _find_config(run: Run) -> bool:
    """Choose the location and enter it; False where the request ended here."""
    run.handler = None
    run.uri_changed = False
    found = find_location(run, run.server, run.uri)
    location = found.location if found is not None else None
    if found is None or location is None:
        run.level = run.server
        run.step(run.server.directive, "no location matches", "server")
    else:
        run.level = location
        run.step(location.directive, found.why, location.title)
        if not run.internal and location.internal:
            run.step(location.directive, "internal: 404 for clients", location.title)
            response.finalize(run, 404)
            return False
    enter(run)
    if _too_large(run):
        run.body = run.body._replace(discarded=True)
        response.finalize(run, 413)
        return False
    if found is not None and found.how == "redirect" and location is not None:
        target = escape(location.name) + (f"?{run.args}" if run.args else "")
        because = (Because(DECIDES, location.directive.place if location.directive else None),)
        run.location = OutHeader("Location", literal(target), because)
        run.out = [header for header in run.out if header.name != "Location"] + [run.location]
        run.step(location.directive, f"the slash is missing: 301 to {target}", location.title)
        response.finalize(run, 301)
        return False
    return True


def _too_large(run: Run) -> bool:
    if run.body.length <= 0 or run.body.discarded:
        return False
    line = run.level.line("client_max_body_size")
    limit = intake.size(line.args[0], 1 << 20) if line is not None and line.args else 1 << 20
    return 0 < limit < run.body.length


def may_be_too_large(run: Run) -> bool:
    """Whether a chunked body turns out to be longer than client_max_body_size while it is read."""
    line = run.level.line("client_max_body_size")
    if not run.body.chunked or line is None or not line.args or intake.size(line.args[0], 0) == 0:
        return False
    answer = run.ask(
        Question("variable", "the length of the body"),
        [Answer("fits", "the body is not too large", False), Answer("too large", "the body is too large", True)],
        line.place,
    )
    return bool(answer.value)


def enter(run: Run) -> None:
    """Take over the location's settings: limit_except, and the content handler."""
    level = run.level
    for line in level.own.get("limit_except", ()):
        if not _allowed(run.method, line.args):
            run.level = level = _limited(level, line)
            run.step(line, f"{run.method} is not among the excepted methods")
    handler = handler_of(level)
    if handler is None and level.kind == "limit_except":
        outer = handler_of(level.outer) if level.outer is not None else None
        handler = outer if outer in PASSES else None
    if handler is not None:
        run.handler = handler


def _limited(outer: Level, line: Directive) -> Level:
    """The level of a limit_except block."""
    return outer.memo(("limit_except", id(line)), lambda _: Level("limit_except", "", line, outer))  # type: ignore[return-value]


def _allowed(method: str, excepted: list[str]) -> bool:
    """Methods named in limit_except pass it; GET includes HEAD (NGX-224)."""
    names = {name.upper() for name in excepted}
    return method in names or (method == "HEAD" and "GET" in names)


class Found(NamedTuple):
    """A location, why it was chosen, and how: "final" (exact or regular expression), "prefix", or "redirect"."""

    location: Location
    why: str
    how: str


def find_location(run: Run | None, server: Server, uri: str) -> Found | None:
    """The location for a URI (ngx_http_core_find_location). Without a run no captures are kept."""
    return _find(run, server.lookup, uri)


def _find(run: Run | None, lookup: Lookup, uri: str) -> Found | None:
    best = _find_static(lookup, uri)
    if best is not None and best.how == "prefix":
        inner = _find(run, best.location.lookup, uri) if best.location.children else None
        if inner is not None and inner.how != "prefix":
            return inner
        no_regex = best.location.modifier == "^~"
        best = inner or best
        if no_regex:
            return best
    elif best is not None:
        return best
    for location in lookup.regex:
        if _matches(run, location, uri):
            inner = _find(run, location.lookup, uri) if location.children else None
            if inner is not None:
                return inner._replace(how="final")
            return Found(location, "chosen: first matching regular expression", "final")
    return best


def _find_static(lookup: Lookup, uri: str) -> Found | None:
    """Exact, then the longest prefix; one that differs by a final slash only redirects to it."""
    exact = lookup.exact.get(uri)
    if exact is not None:
        return Found(exact, "chosen: exact match", "final")
    prefix = lookup.prefix.get(uri)
    if prefix is not None:
        return Found(prefix, "chosen: longest prefix", "prefix")
    slashed = uri + "/"
    exact, prefix = lookup.exact.get(slashed), lookup.prefix.get(slashed)
    if (exact is not None and exact.auto_redirect) or (prefix is not None and prefix.auto_redirect):
        target = exact or prefix
        assert target is not None
        return Found(target, "chosen: the same path with a slash", "redirect")
    for length in lookup.lengths:
        if length < len(uri):
            prefix = lookup.prefix.get(uri[:length])
            if prefix is not None:
                return Found(prefix, "chosen: longest prefix", "prefix")
    return None


def _matches(run: Run | None, location: Location, uri: str) -> bool:
    try:
        if run is None:
            return location.regex.search(uri) is not None
        kept = run.captures
        if match(run, location.regex, uri):
            return True
    except RegexError as error:
        raise Unpredictable(str(error), location.directive.place if location.directive else None) from error
    run.captures = kept
    return False


# --- redirects inside the server


def internal_redirect(run: Run, uri: str, args: str) -> None:
    """Serve another URI instead (ngx_http_internal_redirect)."""
    run.uri_changes -= 1
    if run.uri_changes == 0:
        response.finalize(run, 500)
        return
    run.uri, run.args = uri, args
    run.internal = True
    run.valid_unparsed = False
    run.add_uri_to_alias = False
    _forget_contexts(run)
    run.step(None, f"internal redirect to {uri}" + (f"?{args}" if args else ""), "internal redirect")
    process(run, "server rewrite")


def named_location(run: Run, name: str, line: Directive) -> None:
    """Go to a named location with the URI as it is (ngx_http_named_location)."""
    run.uri_changes -= 1
    if run.uri_changes == 0 or not run.uri:
        response.finalize(run, 500)
        return
    location = run.server.named.get(name)
    if location is None:
        run.step(line, f"there is no location {name}: 500")
        response.finalize(run, 500)
        return
    run.internal = True
    run.handler = None
    run.uri_changed = False
    run.level = location
    _forget_contexts(run)
    run.step(location.directive, "chosen: named location", location.title)
    enter(run)
    process(run, "location rewrite")


def _forget_contexts(run: Run) -> None:
    """Modules forget what they did for the request: auth_request and mirror start afresh."""
    run.asked = False
    run.mirrored = False
    run.proxy_host = None


def subrequest(parent: Run, uri: str, role: str, args: str = "", method: str = "GET") -> Run:
    """A subrequest: the parent's headers, no access phase (ngx_http_subrequest)."""
    run = Run(parent.shared, parent.server)
    run.main = parent.main
    run.role = role
    run.method = method
    run.uri, run.args = uri, args
    run.parsed = parent.parsed
    run.unparsed = parent.unparsed
    run.valid_unparsed = False
    run.internal = True
    run.headers = parent.headers
    run.host = parent.host
    run.host_port = parent.host_port
    run.body = parent.body
    run.variables = parent.variables
    run.gated = parent.gated
    run.odd = parent.odd
    process(run, "server rewrite")
    return run
