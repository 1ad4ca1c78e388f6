"""The variables that expressions and mod_rewrite share (request_var_fn in util_expr_eval.c, lookup_variable in
mod_rewrite.c)."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from auditor.servers.apache.run import Run
from auditor.values import (
    ADDRESS,
    CLIENT,
    CONFIG,
    EMPTY,
    SERVER,
    USER,
    Segment,
    Value,
    answer_header,
    client_header,
    literal,
    unknown,
)

# The variables that are a request header. Looking at one of them makes the answer vary by it.
HEADERS = {
    "HTTP_USER_AGENT": "User-Agent",
    "HTTP_PROXY_CONNECTION": "Proxy-Connection",
    "HTTP_REFERER": "Referer",
    "HTTP_COOKIE": "Cookie",
    "HTTP_FORWARDED": "Forwarded",
    "HTTP_HOST": "Host",
    "HTTP_ACCEPT": "Accept",
}

# What the environment of the server's own process mostly has. Other names are taken to be absent.
_PROCESS = ("PATH", "HOME", "LANG", "PWD", "TZ", "USER", "SHELL", "HOSTNAME")


def lookup(run: Run, name: str) -> Value:
    """The value of a variable (the text inside of %{}), case ignored; empty where there is none of that name.

    Forms: NAME, HTTP:Header, ENV:NAME, SSL:NAME, LA-U:NAME and LA-F:NAME (what a later phase would find).
    """
    kind, colon, argument = name.partition(":")
    if colon:
        kind = kind.upper()
        if not argument:
            return EMPTY
        if kind == "HTTP":
            return request_header(run, argument)
        if kind == "ENV":
            return environment(run, argument)
        if kind == "SSL":
            return ssl(run, argument)
        if kind in ("LA-U", "LA-F"):
            return _ahead(run, argument)
        return EMPTY
    upper = name.upper()
    header = HEADERS.get(upper)
    if header is not None:
        return request_header(run, header)
    make = _MAKE.get(upper)
    if make is not None:
        return make(run)
    if upper.startswith("TIME"):
        return unknown(SERVER)
    if upper.startswith("SSL_"):
        return ssl(run, upper)
    return EMPTY


def is_variable(name: str) -> bool:
    """Whether an expression may name that variable (in upper case). SERVER_ADDR is mod_rewrite's alone."""
    if name.startswith(("SSL_", "TIME_", "H2_")) or name in ("TIME", "H2PUSH", "REQUEST_LOG_ID", "CONN_LOG_ID"):
        return True
    return (name in _MAKE or name in HEADERS) and name != "SERVER_ADDR"


def looked_at(name: str) -> str | None:
    """The request header that a variable reads and that the answer varies by; Host is none of them."""
    kind, colon, argument = name.partition(":")
    if colon and kind.upper() == "HTTP":
        header: str | None = argument
    else:
        header = HEADERS.get(name.upper())
    return None if header is None or header.lower() == "host" else header


def request_header(run: Run, name: str) -> Value:
    """A request header, as it is now."""
    value = run.headers_in.get(name)
    return EMPTY if value is None else value


def response_header(run: Run, name: str) -> Value:
    """A header of the answer so far: that of a good answer, else that of any."""
    value = run.headers_out.get(name) or run.errors_out.get(name)
    if value is not None:
        return value
    if run.status is None:
        return unknown(answer_header("main", name))
    return unknown(SERVER) if run.found == "file" and name.lower() in ("etag", "last-modified") else EMPTY


def note(run: Run, name: str) -> Value | None:
    """A note that `Header note` left; names ignore case."""
    found = run.notes.get(f"note {name.lower()}")
    return found if isinstance(found, Value) else None


def environment(run: Run, name: str) -> Value:
    """A note, a variable of the request, or one of the server's process, whichever is first."""
    value = note(run, name) or run.variable(name)
    if value is not None:
        return value
    return unknown(SERVER) if name in _PROCESS or name.startswith("APACHE_") else EMPTY


def ssl(run: Run, name: str) -> Value:
    """A variable as mod_ssl looks it up (ssl_var_lookup): its own, and some of the request's."""
    upper = name.upper()
    if not run.config.modules.has("ssl"):
        return EMPTY
    if not upper.startswith("SSL_"):
        return lookup(run, name) if is_variable(upper) or upper.startswith(("ENV:", "HTTP:")) else EMPTY
    if not run.shared.request.tls:
        return unknown(SERVER) if upper.startswith("SSL_VERSION_") else EMPTY
    if not upper.startswith("SSL_CLIENT_"):
        return unknown(SERVER)
    line = run.layers.last("sslverifyclient") or run.server.last("sslverifyclient")
    if line is not None and line.args and line.args[0].lower() != "none":
        return unknown(USER)  # what a certificate says has been checked, or is empty
    return literal("NONE", SERVER) if upper == "SSL_CLIENT_VERIFY" else EMPTY


def client_address(run: Run) -> Value:
    """The client's address."""
    return Value((Segment(ADDRESS, run.shared.client_address),))


def _ahead(run: Run, name: str) -> Value:
    """LA-U: and LA-F:. A subrequest that would look ahead of itself again finds nothing (subreq_ok)."""
    if run.main is not None and run.main.uri == run.uri:
        return EMPTY
    phases = importlib.import_module("auditor.servers.apache.phases")  # by name: phases needs this module
    found: Value = lookup(phases.lookup(run, run.uri), name)
    return found


def _canonical(run: Run) -> str:
    line = run.layers.last("usecanonicalname")
    return line.args[0].lower() if line is not None and line.args else "off"


def _server_name(run: Run) -> Value:
    """ap_get_server_name: the client's word, but for UseCanonicalName On."""
    canonical = _canonical(run)
    if canonical == "dns":
        return unknown(SERVER)
    if canonical == "off" and run.host:
        return literal(run.host, client_header("Host"))
    return literal(run.server.spelled, CONFIG) if run.server.spelled else unknown(SERVER)


def _server_port(run: Run) -> Value:
    """ap_get_server_port: the port that the client named, that of ServerName, else the scheme's. What Listen and
    <VirtualHost> say does not count, but for UseCanonicalPhysicalPort."""
    canonical = _canonical(run) == "on"
    if not canonical and run.port is not None:
        return literal(str(run.port), client_header("Host"))
    physical = run.layers.on("usecanonicalphysicalport")
    if run.server.name_port is not None and (canonical or not physical):
        return literal(str(run.server.name_port))
    if physical:
        return literal(str(run.shared.request.port), SERVER)
    return literal("443" if _scheme(run).text == "https" else "80", SERVER)


def _server_address(run: Run) -> Value:
    host = run.shared.request.host
    return literal(host, SERVER) if host.replace(".", "").isdigit() or host.startswith("[") else unknown(SERVER)


def _content_type(run: Run) -> Value:
    """What a file's extension or a program says: mime.types is not read."""
    if run.content_type:
        return literal(run.content_type, SERVER)
    return unknown(SERVER) if run.notes.get("typed") else EMPTY


def _document_root(run: Run) -> Value:
    line = run.server.last("documentroot")
    return literal(run.config.path(line.args[0])) if line is not None and line.args else unknown(SERVER)


def _context_root(run: Run) -> Value:
    found = run.notes.get("context document root")
    return literal(found) if isinstance(found, str) else _document_root(run)


def _context_prefix(run: Run) -> Value:
    found = run.notes.get("context prefix")
    return literal(found) if isinstance(found, str) else EMPTY


def _remote_host(run: Run) -> Value:
    line = run.layers.last("hostnamelookups")
    looks_up = line is not None and bool(line.args) and line.args[0].lower() != "off"
    return unknown(ADDRESS) if looks_up else client_address(run)


def _admin(run: Run) -> Value:
    line = run.server.last("serveradmin")
    return literal(line.args[0]) if line is not None and line.args else literal("[no address given]", SERVER)


def _request_line(run: Run) -> Value:
    request = run.shared.request
    version = "" if request.http_version == "0.9" else f" HTTP/{request.http_version}"
    return literal(f"{request.method} {request.target}{version}", CLIENT)


def _scheme(run: Run) -> Value:
    return literal(run.server.scheme or run.shared.request.scheme, SERVER)


def _ipv6(run: Run) -> Value:
    address = run.shared.client_address
    return unknown(SERVER) if address is None else literal("on" if ":" in address else "off", SERVER)


def _document_uri(run: Run) -> Value:
    return run.env.get("DOCUMENT_URI") or literal(run.uri, CLIENT)


def _file_owner(run: Run) -> Value:
    return unknown(SERVER) if run.found in ("file", "directory") else EMPTY


_MAKE: dict[str, Callable[[Run], Value]] = {
    "REQUEST_METHOD": lambda run: literal(run.method, CLIENT),
    "REQUEST_SCHEME": _scheme,
    "REQUEST_URI": lambda run: literal(run.uri, CLIENT),
    "REQUEST_FILENAME": lambda run: literal(run.filename or "", CLIENT),
    "SCRIPT_FILENAME": lambda run: literal(run.filename or "", CLIENT),
    "REMOTE_ADDR": client_address,
    "CONN_REMOTE_ADDR": client_address,
    "REMOTE_HOST": _remote_host,
    "REMOTE_PORT": lambda run: unknown(SERVER),
    "REMOTE_USER": lambda run: run.user or EMPTY,
    "REMOTE_IDENT": lambda run: EMPTY,
    "AUTH_TYPE": lambda run: literal(run.auth_type or "", SERVER),
    "SERVER_ADMIN": _admin,
    "SERVER_NAME": _server_name,
    "SERVER_PORT": _server_port,
    "SERVER_ADDR": _server_address,
    "SERVER_PROTOCOL": lambda run: literal(run.protocol, CLIENT),
    "SERVER_SOFTWARE": lambda run: unknown(SERVER),
    "API_VERSION": lambda run: unknown(SERVER),
    "PATH_INFO": lambda run: literal(run.path_info, CLIENT),
    "QUERY_STRING": lambda run: literal(run.args or "", CLIENT),
    "IS_SUBREQ": lambda run: literal("true" if run.main is not None else "false", SERVER),
    "DOCUMENT_ROOT": _document_root,
    "THE_REQUEST": _request_line,
    "CONTENT_TYPE": lambda run: _content_type(run),
    "HANDLER": lambda run: literal(run.handler or "", SERVER),
    "REQUEST_STATUS": lambda run: unknown(SERVER) if run.status is None else literal(str(run.status), SERVER),
    "DOCUMENT_URI": _document_uri,
    "SCRIPT_USER": _file_owner,
    "SCRIPT_GROUP": _file_owner,
    "LAST_MODIFIED": lambda run: unknown(SERVER),
    "CONTEXT_PREFIX": _context_prefix,
    "CONTEXT_DOCUMENT_ROOT": _context_root,
    "HTTPS": lambda run: literal("on" if run.shared.request.tls else "off", SERVER),
    "HTTP2": lambda run: literal("on" if run.shared.request.http_version.startswith("2") else "off", SERVER),
    "IPV6": _ipv6,
}
