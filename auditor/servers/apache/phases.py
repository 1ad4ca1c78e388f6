"""The way of a request through httpd's hooks (server/request.c: ap_process_request_internal;
modules/http/http_request.c)."""

from __future__ import annotations

from auditor.http import Request
from auditor.servers.apache import (
    alias,
    auth,
    authn,
    env,
    handlers,
    headers,
    index,
    intake,
    proxy,
    response,
    rewrite,
    sending,
    storage,
    tls,
    walk,
)
from auditor.servers.apache.config import ASSUMED, Layers
from auditor.servers.apache.expr import ExprError
from auditor.servers.apache.run import InternalRedirect, Respond, Run, Shared, Unpredictable, by_default, decides
from auditor.servers.apache.table import Table
from auditor.source import Place
from auditor.trace import Replaced, Step
from auditor.values import CLIENT, SERVER, literal, unknown

# What a subrequest does not have of a request with a body (strip_headers_request_body).
_OF_BODIES = (
    *("Content-Encoding", "Content-Language", "Content-Length", "Content-Location", "Content-MD5", "Content-Range"),
    *("Content-Type", "Expires", "Last-Modified", "Transfer-Encoding"),
)
MAX_REDIRECTS = 10  # LimitInternalRecursion


def handle(shared: Shared, request: Request) -> Run:
    """The whole way of a client's request; the run that was answered."""
    config = shared.config
    hosts = intake.candidates(config, request, shared.path)
    run = Run(shared, hosts[0] if hosts else config.main)
    try:
        intake.parse_target(run, request.target)
        intake.read_headers(run, request)
        if hosts:
            run.server, why = hosts.choose(run.host)
            run.layers = run.server.base
            shared.steps.append(Step(run.server.place, "", why))
        intake.check_expect(run)
        _post_read(run)
        return serve(run)
    except Respond as end:
        return die(run, end)


def _post_read(run: Run) -> None:
    """post_read_request: mod_remoteip, server-wide SetEnvIf and early RequestHeader lines."""
    modules = run.config.modules
    if modules.has("remoteip") and run.server.last("remoteipheader") is not None:
        from auditor.servers.apache import remoteip

        remoteip.apply(run)
    if modules.has("headers"):
        headers.early(run)
    if modules.has("setenvif"):
        env.match_headers(run, True)


def serve(run: Run) -> Run:
    """Everything behind the reading of the request; the run that was answered in the end."""
    try:
        broken = intake.BAD_ESCAPE.search(run.uri)
        run.uri, fits = intake.normalized(run.uri, run.server.on("mergeslashes", True))
        if broken or not fits:
            raise Respond(400)
        intake.decode(run, run.uri)
        prepare(run)
        return response.produce(run)
    except InternalRedirect as redirect:
        return redirected(run, redirect)
    except Respond as end:
        return die(run, end)


def prepare(run: Run) -> None:
    """Sections, translation, gates and fixups: everything up to the handler."""
    modules = run.config.modules
    walk.location(run)
    walk.conditions(run)
    _translate(run)
    run.layers = run.server.base
    if run.is_proxy:
        proxy.walk(run)
    elif storage.trace(run):
        return
    else:
        storage.look(run)
    walk.location(run)
    walk.conditions(run)
    run.shared.handler = _handler_place(run.layers) or run.shared.handler
    _meets(run)
    if run.main is None and modules.has("setenvif"):
        env.match_headers(run, False)
    auth.check(run)
    handlers.find_handler(run)
    _fixups(run)


def _meets(run: Run) -> None:
    if run.shared.met is not None:
        run.shared.met.sections.update(run.layers.sections)


def _translate(run: Run) -> None:
    modules = run.config.modules
    if modules.has("rewrite") and rewrite.translate(run):
        return
    if modules.has("proxy") and proxy.translate(run):
        return
    if modules.has("alias") and alias.translate(run):
        return
    if modules.has("wsgi") and storage.wsgi(run):
        return
    storage.translate(run)


def _fixups(run: Run) -> None:
    modules = run.config.modules
    redirect: InternalRedirect | None = None
    if run.is_proxy:
        proxy.canonicalize(run)
    if modules.has("rewrite"):
        try:
            rewrite.fixup(run)
        except InternalRedirect as found:
            redirect = found  # followed by the handler: the other modules still have their say
    ssl_first = modules.in_order("ssl", "env")
    if modules.has("ssl") and ssl_first:
        tls.fixup(run)
    if modules.has("env"):
        env.fixup(run)
    if modules.has("ssl") and not ssl_first:
        tls.fixup(run)
    if modules.has("alias"):
        alias.fixup(run)
    if modules.has("auth_basic"):
        authn.fake(run)
    folders_first = modules.in_order("dir", "headers")
    if modules.has("dir") and folders_first:
        index.fixup(run, redirect is not None)
    if modules.has("headers"):
        headers.fixup(run)
    if modules.has("dir") and not folders_first:
        index.fixup(run, redirect is not None)
    if redirect is not None:
        raise redirect


def _handler_place(layers: Layers) -> Place | None:
    for section in reversed(layers.sections):
        if section.place is not None and section.place.file != ASSUMED:
            return section.place
    return None


def lookup(run: Run, uri: str) -> Run:
    """A subrequest that is looked up only (ap_sub_req_lookup_uri): `status` tells whether it would be answered."""
    path, mark, query = uri.partition("?")
    sub = Run(run.shared, run.server)
    sub.main = run
    sub.method = "GET"
    sub.host = run.host  # without the port: ap_get_server_port() finds none in its URI
    sub.protocol = run.protocol
    sub.uri = path if path.startswith("/") else run.uri.rpartition("/")[0] + "/" + path
    sub.args = query if mark else None
    sub.headers_in = run.headers_in.copy()
    if any(run.headers_in.entry(name) is not None for name in ("Content-Length", "Transfer-Encoding")):
        for name in _OF_BODIES:
            sub.headers_in.unset(name)
    sub.env = run.env.copy()
    sub.unparsed = run.unparsed
    try:
        sub.uri = intake.normalize(sub.uri, run.server.on("mergeslashes", True), False) or sub.uri
        prepare(sub)
    except Respond as end:
        sub.status = end.status
        if end.location is not None and end.line is not None:
            sub.headers_out.set("Location", end.location, decides(end.line))
        elif end.location is not None:
            sub.headers_out.set("Location", end.location)
    except InternalRedirect as redirect:
        sub.notes["redirect"] = redirect  # for who takes the subrequest in the request's place
    return sub


def redirected(run: Run, redirect: InternalRedirect) -> Run:
    """ap_internal_redirect: a new request for another URI, with the old one's environment under REDIRECT_ names."""
    shared = run.shared
    shared.redirects += 1
    if shared.redirects > MAX_REDIRECTS:
        run.step(redirect.line, "more than 10 internal redirects: 500")
        return die(run, Respond(500, redirect.line))
    run.step(redirect.line, f"answered by {redirect.uri} instead (internal redirect)")
    new = Run(shared, run.server)
    new.prev = run
    new.method = run.method
    new.host, new.port = run.host, run.port
    new.protocol = run.protocol
    new.unparsed = redirect.uri
    intake.parse_target(new, redirect.uri)
    new.headers_in = run.headers_in
    new.env = Table()
    for entry in run.env:
        new.env.add(f"REDIRECT_{entry.name}", entry.value, entry.because)
    new.env.set("REDIRECT_STATUS", literal(str(run.status), SERVER), by_default("REDIRECT_STATUS", "custom-error.html"))
    new.errors_out = run.errors_out
    if run.notes.get("redirect-keeps-vary"):
        new.vary = list(run.vary)
    new.status = run.status
    new.user, new.auth_type = None, None
    new.notes = {"redirected-user": run.user, **{key: run.notes[key] for key in run.notes if key == "end"}}
    _post_read(new)
    return serve(new)


def die(run: Run, end: Respond) -> Run:
    """ap_die: the answer that a status gets, an ErrorDocument's or the server's own."""
    status = end.status
    _meets(run)
    first = run
    while run.status != 200 and first.prev is not None and first.prev.status != 200:
        first = first.prev
    if first is not run:
        # The error document itself fails: the first error is answered by the server's own page.
        run.step(end.line, f"the error document cannot be served ({status}): the server's own page for {first.status}")
        return sending.send_error(first, first.status or 500, end)
    run.status = status
    page = sending.error_document(run, status)
    if page is None or page.args[1].startswith('"') or not page.args[1].startswith("/"):
        return sending.send_error(run, status, end, page)
    location = end.location if end.location is not None else run.headers_out.get("Location")
    if location is not None and 300 <= status < 400:  # the page of a redirect has it, too (measured)
        run.errors_out.set("Location", location, decides(end.line) if end.line is not None else ())
    original = run.method
    run.shared.replaced.append(Replaced(status, page.place, page=page.args[1].partition("?")[0]))
    run.env.set("REQUEST_METHOD", literal(original, CLIENT), decides(page))
    if run.notes.get("error-notes"):  # what exactly is wrong, in words
        run.env.set("ERROR_NOTES", unknown(SERVER), decides(page))
    run.method = "GET"
    return redirected(run, InternalRedirect(page.args[1], page))


__all__ = ["ExprError", "Unpredictable", "die", "handle", "lookup", "prepare", "serve"]
