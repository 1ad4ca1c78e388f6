"""Handlers: files, programs and upstreams (config.c: ap_invoke_handler)."""

from __future__ import annotations

import re

from auditor.http import Response
from auditor.patterns import lazy_re
from auditor.servers.apache import conditions, gateway, outgoing, proxy, storage, workers
from auditor.servers.apache.answers import overrides, possible, take_headers
from auditor.servers.apache.config import Directive
from auditor.servers.apache.handlers import is_php
from auditor.servers.apache.options import options_of
from auditor.servers.apache.run import InternalRedirect, Respond, Run, Unpredictable, by_default
from auditor.servers.apache.sending import final, finish, vary
from auditor.servers.apache.storage import MISSING
from auditor.servers.apache.table import Table
from auditor.trace import Exchange
from auditor.values import SERVER, literal, unknown
from auditor.world import Answer, Question

_HTTP = ("http", "https", "ws", "wss", "h2", "h2c")
_FAMILIES = {"fcgi": "fastcgi", "scgi": "scgi", "uwsgi": "uwsgi", "ajp": "ajp"}
_OWN_PAGES = ("server-status", "server-info", "balancer-manager", "ldap-status")
# Drupal names a handler that there is none of, so that no program runs where users put files (SA-2006-006).
_NOBODY = lazy_re(r"Drupal_Security_|This_is_a_Drupal_security_line")
_MODULES = {"cgi-script": "cgid", "wsgi-script": "wsgi"}


def produce(run: Run) -> Run:
    """The handler's answer; the run itself."""
    if run.is_proxy and run.filename is not None:
        proxy.canonicalize(run)  # a rule of a section comes behind the other time
        return _pass_on(run, run.filename.removeprefix("proxy:"), run.proxy_line)
    handler = run.handler
    if _is_dav(run):
        return _dav(run)
    if run.notes.get("trace"):
        run.shared.action = "answered"
        vary(run)
        return final(run, 200)
    if handler is not None and handler.startswith("proxy:"):
        run.proxy_line = run.handler_line
        text = handler.removeprefix("proxy:")
        if not text.startswith("unix:"):
            text += run.filename or ""  # proxy_handler: the file's path, not that of the request
        return _pass_on(run, text, run.handler_line)
    if handler is not None and (
        _NOBODY.match(handler) or (handler in _MODULES and not run.config.modules.has(_MODULES[handler]))
    ):
        run.step(run.handler_line, f"no module is the handler {handler}: what is there is sent as a file")
        handler = "default-handler"  # ap_invoke_handler, AH00151
    if handler in _OWN_PAGES:
        run.step(run.handler_line, "answered by the server itself")
        return finish(run, 200, "answered")
    if handler == "default-handler" and run.is_folder and run.method in ("GET", "HEAD", "POST"):
        raise Respond(404, run.handler_line)  # it serves files only
    if handler in (None, "none", "default-handler", "httpd/unix-directory"):
        return _static(run)
    assert handler is not None
    return _program(run, handler)


# --- files


# What dav_handler() has functions for, OPTIONS aside; GET, HEAD and POST are left to the others (dav_fixups).
_DAV = frozenset(
    (
        *("PUT", "DELETE", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "VERSION-CONTROL"),
        *("CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE", "LABEL", "REPORT", "MKWORKSPACE", "MKACTIVITY"),
        *("BASELINE-CONTROL", "MERGE"),
    )
)


def _is_dav(run: Run) -> bool:
    line = run.layers.last("dav")
    if line is None or not line.args or line.args[0].lower() == "off" or run.main is not None:
        return False
    return run.method not in ("GET", "HEAD", "POST", "TRACE") and run.config.modules.has("dav")


def _dav(run: Run) -> Run:
    """The methods of mod_dav. What it answers depends on what lies there, on rights, and on locks."""
    if run.method not in _DAV:
        return _unusual(run)
    run.step(run.layers.last("dav"), "done by mod_dav")
    if run.method not in ("DELETE", "LOCK", "PROPFIND", "PROPPATCH", "UNLOCK"):
        run.headers_out.set("Location", unknown(SERVER), by_default("201 names what was made", "mod/mod_dav.html"))
    return finish(run, None, "static")


def _static(run: Run) -> Run:
    method = run.method
    if not run.is_folder or method not in ("GET", "HEAD"):
        run.shared.body_read = True  # ap_discard_request_body in default_handler
    if run.is_folder:
        if method not in ("GET", "HEAD", "POST"):
            return _unusual(run)
        if method == "POST" or not run.config.modules.has("autoindex"):
            raise Respond(404)  # AH00129: Attempt to serve directory
        if "indexes" in options_of(run.layers):
            run.step(run.layers.last("options"), "the folder is listed")
            return finish(run, 200, "static")
        # The refusal is mod_autoindex's; to the server itself a folder is nothing that it could send.
        raise Respond(403 if run.config.modules.has("autoindex") else 404, run.layers.last("options"))
    if is_php(run) and run.found != MISSING and not run.config.modules.known:
        return _assumed_php(run)  # whatever the method is
    if method not in ("GET", "HEAD", "POST"):
        return _unusual(run)
    if run.found == MISSING:
        raise Respond(404)
    if run.path_info and not run.layers.on("acceptpathinfo"):
        raise Respond(404)
    run.shared.file = run.filename
    return finish(run, conditions.of_file(run), "static")


def _unusual(run: Run) -> Run:
    """default_handler for methods other than GET and POST."""
    if run.method == "OPTIONS":
        return finish(run, 200, "answered")
    if run.method not in run.config.methods:  # to its own handlers, any other one is M_INVALID
        raise Respond(501)
    raise Respond(405)


def _assumed_php(run: Run) -> Run:
    """Where only a part of the configuration is at hand, files of PHP are taken to be run by php-fpm, as the packages
    of today set it up; by mod_php where one of its directives stands outside of <IfModule>."""
    if run.config.modules.has("php"):
        return _gateway(run, "php", "php", (), run.handler_line)
    run.notes["assumed"] = True
    return _gateway(run, "fastcgi", "php (assumed)", (), run.handler_line)


def _program(run: Run, handler: str) -> Run:
    """CGI, WSGI, PHP, and handlers of modules that are not known."""
    aliased = handler == "cgi-script" and run.notes.get("script-alias") and run.layers.last("sethandler") is None
    if aliased and is_php(run) and run.found != MISSING and not run.config.modules.known:
        # The packages' <FilesMatch> with SetHandler is taken to be there, and counts more than ScriptAlias.
        return _assumed_php(run)
    if handler == "cgi-script":
        if "execcgi" not in options_of(run.layers) and not run.notes.get("script-alias"):
            raise Respond(403, run.handler_line)
        if run.found == MISSING:
            raise Respond(404)
        if run.is_folder:
            raise Respond(403, run.handler_line)
        if run.path_info and not run.layers.on("acceptpathinfo", True):
            raise Respond(404, run.layers.last("acceptpathinfo"))
        return _gateway(run, "cgi", run.filename or "cgi", (), run.handler_line)
    if handler == "wsgi-script":
        if run.found == MISSING:
            raise Respond(404)
        return _gateway(run, "wsgi", run.filename or "wsgi", (), run.handler_line)
    if run.found == MISSING:
        raise Respond(404)
    modules = run.config.modules
    if handler in ("application/x-httpd-php", "php-script", "php5-script", "php7-script"):
        if modules.has("php"):
            return _gateway(run, "php", "php", (), run.handler_line)
        if modules.known:
            run.shared.file = run.filename
            return finish(run, 200, "static")
        return _gateway(run, "php", "php", (), run.handler_line)  # no other module knows that handler
    if handler == "fcgid-script":
        return _gateway(run, "fastcgi", run.filename or "fcgid", (), run.handler_line)
    if "php" in handler:  # application/x-httpd-ea-php81 and its like of hosting panels
        run.notes["assumed"] = True
        return _gateway(run, "fastcgi", "php (assumed)", (), run.handler_line)
    raise Unpredictable(
        f"the handler {handler} is not known here", run.handler_line.place if run.handler_line else None
    )


def _gateway(run: Run, kind: str, upstream: str, servers: tuple[str, ...], line: Directive | None) -> Run:
    raw = run.notes.get("proxy-nocanon") or workers.keeps_slashes(run)
    if kind == "uwsgi" and raw and re.search("(?i)%(2f|00)", run.filename or ""):
        raise Respond(500, line)  # ap_unescape_url refuses it
    if kind in ("scgi", "uwsgi"):  # ap_setup_client_block, REQUEST_CHUNKED_ERROR
        if (coding := run.header("transfer-encoding")) is not None:
            raise Respond(411 if coding.lower() == "chunked" else 501, line)
        if not (run.header("content-length") or "0").isdigit():
            raise Respond(400, line)
    elif run.shared.body_broken:
        raise Respond(400, line)
    sent, lost = gateway.variables(run, kind)
    protocol = {"wsgi": "cgi", "php": "cgi"}.get(kind, kind)
    role = _role(run)
    number = sum(1 for exchange in run.shared.exchanges if exchange.role == role)
    question = Question("exchange", upstream, f"{role}:{number}")
    place = line.place if line is not None else None
    answer = run.ask(question, possible(run, upstream), place)
    response = answer.value if isinstance(answer.value, Response) else None
    run.shared.exchanges.append(
        Exchange(
            role,
            upstream,
            servers,
            protocol,
            run.method,
            run.first.unparsed,
            _body(run),
            tuple(sent),
            tuple(lost),
            place,
            False,
            response.status if response is not None else None,
        )
    )
    run.step(line, f"sent to {upstream}")
    if run.shared.body_broken and _body(run) == "sent":  # read last, and only where one is announced
        raise Respond(400, line)
    if response is None:
        raise Respond(503)
    action = "cgi" if protocol == "cgi" else "proxied"
    if kind == "uwsgi":  # its answer's lines are put behind those that are there
        vary(run)
        run.vary = []
    take_headers(run, response, kind)
    run.notes["to keep"] = response
    if response.status is None and response.headers == () and not _known(answer):
        return finish(run, None, action)
    status = response.status
    location = run.headers_out.get("Location")
    if kind in ("cgi", "scgi") and status in (200, None) and location is not None:
        text = location.text or ""
        if text.startswith("/"):  # a path: answered from here (RFC 3875, 6.2.2; scgi_request_status, cgi_handler)
            run.method = "GET"
            run.headers_in.unset("Content-Length", by_default("the program has read the body"))
            raise InternalRedirect(text, line)
        if kind == "cgi" and run.status == 200:  # a URL, whoever has said it
            run.step(line, "Location makes it a redirect")
            run.shared.action = action
            raise Respond(302, line)
    if run.method in ("GET", "HEAD") and status == 200 and kind in ("cgi", "fastcgi", "scgi"):
        condition = conditions.of_answer(run, response)
        if (kind == "fastcgi" and condition != 200) or (kind == "cgi" and condition == 304):  # no error to these
            return finish(run, condition, action)
        if condition != 200:
            raise Respond(condition)
    # FastCGI answers in the place of another request for itself (mod_proxy_fcgi.c: dispatch, ap_is_initial_req).
    replaces = servers and (kind == "uwsgi" or (kind == "fastcgi" and run.prev is None))
    override = run.layers.last("proxyerroroverride") if replaces else None
    if override is not None and status is not None and overrides(override, status):
        run.step(override, f"the upstream's {status} is replaced")
        run.shared.action = action
        run.headers_out = Table()
        raise Respond(status, override)
    told = kind == "uwsgi" or (status == 200 and conditions.is_told(response))
    if run.status != 200 and status in (200, None) and not told:
        status = run.status  # the page of an error that sets no status of its own keeps the error's
    return finish(run, status, action)


def _known(answer: Answer) -> bool:
    return answer.name != "answers"


def _role(run: Run) -> str:
    """What asks is the request itself, or the page of an error."""
    error = run.status != 200 and run.prev is not None
    return "fallback" if error or any(one.role == "main" for one in run.shared.exchanges) else "main"


def _body(run: Run) -> str:
    if run.shared.body_read:
        return "none"
    length = run.header("content-length")
    chunked = run.headers_in.get("Transfer-Encoding") is not None
    return "sent" if chunked or (length is not None and length != "0") else "none"


# --- upstreams


def _pass_on(run: Run, text: str, line: Directive | None) -> Run:
    storage.refuse_trace(run)
    target = workers.target_of(run, text)
    scheme = target.url.scheme
    if scheme == "fcgi" and not run.is_proxy and "?" in (run.filename or ""):  # proxy_fcgi_canon
        raise Respond(403, line)
    if not target.worker:  # ap_proxy_pre_request, for what no line has made a worker of
        run.env.set("proxy-nokeepalive", literal("1", SERVER), by_default("no worker for this URL", workers.PAGE))
    if scheme in _FAMILIES and scheme != "ajp":
        if not run.config.modules.has(f"proxy_{scheme}"):
            raise Respond(500, line)
        return _gateway(run, _FAMILIES[scheme], target.upstream, target.servers, line)
    if scheme not in _HTTP:
        raise Unpredictable(f"{scheme}:// upstreams are not predicted", line.place if line is not None else None)
    return _http(run, target, line)


def _http(run: Run, target: workers.Target, line: Directive | None) -> Run:
    if run.shared.body_broken:
        raise Respond(400, line)
    if (run.header("transfer-encoding") or "chunked").lower() != "chunked":
        raise Respond(500, line)  # ap_proxy_http_prefetch
    sent, lost, version = outgoing.headers_of(run, target)
    role = _role(run)
    number = sum(1 for exchange in run.shared.exchanges if exchange.role == role)
    place = line.place if line is not None else None
    answer = run.ask(Question("exchange", target.upstream, f"{role}:{number}"), possible(run, target.upstream), place)
    response = answer.value if isinstance(answer.value, Response) else None
    uri = outgoing.request_target(run, target)
    run.shared.exchanges.append(
        Exchange(
            role,
            target.upstream,
            target.servers,
            version,
            run.method,
            uri,
            _body(run),
            tuple(sent),
            tuple(lost),
            place,
            target.url.scheme in ("https", "wss"),
            response.status if response is not None else None,
        )
    )
    run.step(line, f"sent to {target.upstream}")
    if response is None:
        raise Respond(503)
    # Those of the answer take the place of all that were there, but for cookies (ap_proxy_http_process_response).
    run.headers_out, run.vary = Table(run.headers_out.all("Set-Cookie")), []
    take_headers(run, response, "http")
    run.notes["to keep"] = response
    status = response.status
    if status is None:
        return finish(run, None, "proxied")
    override = run.layers.last("proxyerroroverride")
    replaces = override is not None and override.args[:1] != () and override.args[0].lower() == "on"
    if override is not None and replaces and overrides(override, status):
        run.status = 200  # so that it counts as the first error (ap_proxy_http_process_response)
        run.step(override, f"the upstream's {status} is replaced")
        kept = Table([entry for entry in run.headers_out if entry.name.lower() == "www-authenticate"][:1])
        run.headers_out = Table()
        if status == 401:
            run.errors_out.extend(kept)
        run.shared.action = "proxied"
        raise Respond(status, override)
    return finish(run, status, "proxied")
