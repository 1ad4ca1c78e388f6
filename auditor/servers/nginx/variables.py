"""Variables and the templates that hold them (src/http/ngx_http_variables.c, ngx_http_script.c).

A variable is worked out when it is first used and then kept for the whole request, subrequests included, except for
those that nginx marks as not cacheable ($uri, $args and the like).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from auditor.patterns import lazy_re
from auditor.servers.nginx import maps, paths
from auditor.servers.nginx.run import Run, Unpredictable
from auditor.values import (
    ADDRESS,
    CLIENT,
    CONFIG,
    EMPTY,
    SERVER,
    UNKNOWN,
    USER,
    Segment,
    Value,
    answer_header,
    client_header,
    literal,
    unknown,
)
from auditor.world import Answer, Question


class Var(NamedTuple):
    """A variable in a template; `name` is digits for a capture."""

    name: str


Template = tuple[str | Var, ...]

_VARIABLE = lazy_re(r"\$(?:\{([A-Za-z0-9_]+)\}|([1-9])|([A-Za-z0-9_]+))")


@lru_cache(maxsize=8192)
def parse_template(text: str) -> Template:
    """The text cut into literals and variables."""
    if "$" not in text:
        return (text,) if text else ()
    parts: list[str | Var] = []
    at = 0
    for match in _VARIABLE.finditer(text):
        if match.start() > at:
            parts.append(text[at : match.start()])
        parts.append(Var(match.group(1) or match.group(2) or match.group(3)))
        at = match.end()
    if at < len(text):
        parts.append(text[at:])
    return tuple(parts)


def evaluate(run: Run, text: str) -> Value:
    """The value of a template now."""
    if "$" not in text:
        return literal(text)
    segments: list[Segment] = []
    used = None
    for part in parse_template(text):
        if isinstance(part, Var):
            if part.name.isdigit() and used is None:
                used = run.captures
            segments.extend(variable(run, part.name).segments)
        else:
            segments.append(Segment(CONFIG, part))
    if used is not None and used != run.captures:
        raise Unpredictable(f"a capture is used beside a map that changes the captures: {text}")
    return Value(tuple(segments))


def text_of(run: Run, text: str, what: str) -> str:
    """The text of a template. Raises Unpredictable where a part of it cannot be known."""
    value = evaluate(run, text)
    known = value.text
    if known is None:
        raise Unpredictable(f"{what} depends on what cannot be computed: {text}")
    return known


def variable(run: Run, name: str) -> Value:
    """The value of a variable; one that nothing defines is unknown."""
    if name.isdigit():
        number = int(name)
        return run.captures[number] if number < len(run.captures) else EMPTY
    live = _LIVE.get(name)
    if live is not None:
        return live(run)
    kept = run.variables.get(name)
    if kept is not None:
        return kept
    http = run.shared.http
    if name in http.maps:
        value = maps.value(run, http.maps[name], evaluate)
        if not maps.is_volatile(run, http.maps[name]):
            run.variables[name] = value
        return value
    if name in assigned_names(run):
        return EMPTY  # a variable that `set` or a named group may fill and has not filled yet
    if name.startswith("arg_"):
        return _argument(run, name[4:])
    if name.startswith("upstream_"):
        return _upstream(run, name)
    value = _work_out(run, name)
    if name not in _VOLATILE:
        run.variables[name] = value
    return value


def assign(run: Run, name: str, value: Value) -> None:
    """What `set` and auth_request_set do."""
    if name == "args":
        known = value.text
        if known is None:
            raise Unpredictable("$args is set to what cannot be computed")
        run.args = known
        run.valid_unparsed = False
    else:
        run.variables[name] = value


def _work_out(run: Run, name: str) -> Value:
    make = _PLAIN.get(name)
    if make is not None:
        return make(run)
    if name.startswith("http_"):
        return request_header(run, name[5:])
    if name.startswith("cookie_"):
        return _cookie(run, name[7:])
    if name.startswith("sent_http_"):
        return _sent(run, name[10:])
    if name.startswith("jwt_"):
        return unknown(USER)
    if name.startswith("ssl_client_"):
        from auditor.servers.nginx import certificates  # here: few configurations ask for them

        return certificates.value_of(run, name[11:])
    if name.startswith("ssl_"):
        return EMPTY if not run.shared.request.tls else unknown(SERVER)
    return unknown(UNKNOWN)


def assigned_names(run: Run) -> frozenset[str]:
    """The names that `set`, auth_request_set or a named group define anywhere in the configuration."""
    return assigned_names_of(run.shared.http)


def assigned_names_of(http: object) -> frozenset[str]:
    """As assigned_names, for an http block."""
    return http.memo("assigned names", _assigned_names)  # type: ignore[attr-defined, no-any-return]


_GROUP_NAME = lazy_re(r"\(\?P?[<']([A-Za-z_]\w*)[>']")


def _assigned_names(http: object) -> frozenset[str]:
    names: set[str] = set()
    for top in http.block:  # type: ignore[attr-defined]
        for line in top.walk():
            if line.name in ("set", "auth_request_set", "set_by_lua_block", "auth_jwt_claim_set") and line.args:
                names.add(line.args[0].lstrip("$"))
            elif line.name in ("location", "server_name", "if", "rewrite", "map") or line.name.startswith("~"):
                for arg in (line.name, *line.args):
                    if "(?" in arg:
                        names.update(_GROUP_NAME.findall(arg))
    return frozenset(names)


_USED = lazy_re(r"\$\{?([A-Za-z][A-Za-z0-9_]*)")
_PREFIXES = ("http_", "arg_", "cookie_", "sent_http_", "upstream_", "jwt_", "ssl_", "sent_trailer_")


def opaque_variables(http: object) -> frozenset[str]:
    """The variables that the configuration uses and that nothing here can work out: geo data, other modules."""
    return http.memo("opaque variables", _opaque_variables)  # type: ignore[attr-defined, no-any-return]


def _opaque_variables(http: object) -> frozenset[str]:
    used: set[str] = set()
    for source in http.sources:  # type: ignore[attr-defined]
        used.update(_USED.findall(source.text))
    known = assigned_names_of(http) | set(http.maps)  # type: ignore[attr-defined]
    return frozenset(
        name
        for name in used
        if name not in known and name not in _LIVE and name not in _PLAIN and not name.startswith(_PREFIXES)
    )


# --- the request's headers


def request_header(run: Run, name: str) -> Value:
    """$http_NAME: the client's lines whose name reads `name` with "-" as "_".

    Before 1.23.0 only the first line counts, but for Cookie and X-Forwarded-For; since then all are joined.
    """
    found = [(key, text) for key, text in run.headers if key.lower().replace("-", "_") == name]
    if not found:
        return EMPTY
    if name == "host" or (not run.newer(1, 23) and name not in ("cookie", "x_forwarded_for")):
        found = found[:1]
    separator = "; " if name == "cookie" else ", "
    segments: list[Segment] = []
    for key, text in found:
        if segments:
            segments.append(Segment(SERVER, separator))
        segments.append(Segment(client_header(key), text))
    return Value(tuple(segment for segment in segments if segment.text != ""))


def _cookie(run: Run, name: str) -> Value:
    """$cookie_NAME (ngx_http_parse_multi_header_lines)."""
    low = name.lower()
    for key, line in run.headers:
        if key.lower() != "cookie":
            continue
        at = 0
        while at < len(line):
            if line[at : at + len(low)].lower() == low:
                rest = line[at + len(low) :].lstrip(" ")
                if rest.startswith("="):
                    value = rest[1:].lstrip(" ").partition(";")[0]
                    return literal(value, client_header(key))
            while at < len(line):
                at += 1
                if line[at - 1] in ";,":
                    break
            while at < len(line) and line[at] == " ":
                at += 1
    return EMPTY


def _argument(run: Run, name: str) -> Value:
    """$arg_NAME (ngx_http_arg): the first `name=` at the start or behind "&", case ignored."""
    low = name.lower() + "="
    for piece in run.args.split("&"):
        if piece[: len(low)].lower() == low:
            return literal(piece[len(low) :], CLIENT)
    return EMPTY


def _sent(run: Run, name: str) -> Value:
    for header in run.out:
        if header.name.lower().replace("-", "_") == name:
            return header.value
    return EMPTY if run.answer is None else unknown(answer_header("main", name))


def _upstream(run: Run, name: str) -> Value:
    answer = run.answer
    if name.startswith("upstream_http_"):
        wanted = name[14:]
        if answer is None:
            return EMPTY
        if answer.headers is None:
            return unknown(answer_header(answer.role, wanted))
        values = [text for key, text in answer.headers if key.lower().replace("-", "_") == wanted]
        if not run.newer(1, 23):
            values = values[:1]
        return literal(", ".join(values), answer_header(answer.role, wanted))
    if name.startswith("upstream_cookie_"):
        return EMPTY if answer is None else unknown(answer_header(answer.role, "set_cookie"))
    if name == "upstream_status":
        if answer is None:
            return EMPTY
        if None in run.answer_statuses:
            return unknown(SERVER)
        return literal(" : ".join(str(status) for status in run.answer_statuses), SERVER)
    return EMPTY if answer is None else unknown(SERVER)


# --- the rest


def _host(run: Run) -> Value:
    if run.host:
        return literal(run.host, client_header("Host"))
    return literal(run.server.server_name, SERVER)


def remote_user(run: Run) -> Value:
    """$remote_user: the name in the client's Basic credentials, whether or not a gate has checked them."""
    from auditor.passwords import decode_basic

    header = run.header("authorization")
    credentials = decode_basic(header) if header is not None else None
    if credentials is None:
        return EMPTY
    checked = "auth_basic" in run.main.gated
    return literal(credentials[0], USER if checked else client_header("Authorization"))


def client_address(run: Run) -> Value:
    address = run.shared.client_address
    return Value((Segment(ADDRESS, address),))


def _forwarded_for(run: Run) -> Value:
    given = request_header(run, "x_forwarded_for")
    address = client_address(run)
    if not any(key.lower() == "x-forwarded-for" for key, _ in run.headers):
        return address
    return Value((*given.segments, Segment(SERVER, ", "), *address.segments))


def _content_length(run: Run) -> Value:
    text = run.header("content-length")
    if text is not None:
        return literal(text, client_header("Content-Length"))
    if run.body.chunked and run.body.length >= 0:
        return literal(str(run.body.length), SERVER)
    if run.body.chunked and run.body.read:
        return unknown(CLIENT)
    return EMPTY


def _realpath_root(run: Run) -> Value:
    """$realpath_root: empty where the folder is not there; links are taken to lead to where they seem to."""
    root = paths.document_root(run, evaluate)
    text = root.text
    if text is None:
        return root
    there = run.ask(Question("file", text.rstrip("/") or "/"), [Answer("directory", f"{text} is a folder")])
    return EMPTY if there.name in ("missing", "no-folder") else root


def _listener_port(run: Run) -> Value:
    return literal(str(run.shared.request.port), SERVER)


def _server_address(run: Run) -> Value:
    return server_address(run)


def server_address(run: Run) -> Value:
    """The address at which the request arrived: the one that the URL names, else that of the listener."""
    host = run.shared.request.host
    if host.replace(".", "").isdigit() or host.startswith("["):
        return literal(host, SERVER)
    address = run.shared.listener.listen.address
    return unknown(SERVER) if address == "*" else literal(address, SERVER)


def _method(run: Run) -> Value:
    return literal(run.main.method, CLIENT)


def _protocol(run: Run) -> Value:
    return literal(f"HTTP/{run.shared.request.http_version}" if run.parsed else "", CLIENT)


def _request_line(run: Run) -> Value:
    if not run.parsed:
        return unknown(CLIENT)
    request = run.shared.request
    return literal(f"{request.method} {request.target} HTTP/{request.http_version}", CLIENT)


def _host_header_port(run: Run) -> Value:
    return literal(run.host_port, client_header("Host"))


def _status(run: Run) -> Value:
    """$status: that of the error page on its way, else that of the answer; 000 before there is one."""
    number = run.err_status or (run.final_status if run.final_level is not None else 0)
    return _UNKNOWN if number is None else literal(f"{number:03}", SERVER)


def _link(run: Run, name: str) -> Value:
    from auditor.servers.nginx import links  # here: few configurations guard links

    return links.secure_link(run) if name == "secure_link" else links.invalid_referer(run)


_UNKNOWN = unknown(SERVER)

# Worked out at each use: they change with the request's way.
_LIVE: dict[str, Callable[[Run], Value]] = {
    "uri": lambda run: literal(run.uri, CLIENT),
    "document_uri": lambda run: literal(run.uri, CLIENT),
    "args": lambda run: literal(run.args, CLIENT),
    "query_string": lambda run: literal(run.args, CLIENT),
    "is_args": lambda run: literal("?" if run.args else ""),
    "document_root": lambda run: paths.document_root(run, evaluate),
    "realpath_root": _realpath_root,
    "request_filename": lambda run: literal(paths.filename(run, evaluate), CLIENT),
    "fastcgi_script_name": lambda run: literal(paths.script_name(run, evaluate)[0], CLIENT),
    "fastcgi_path_info": lambda run: literal(paths.script_name(run, evaluate)[1], CLIENT),
    "proxy_host": lambda run: literal(run.proxy_host[0]) if run.proxy_host else run.scratch.get("proxy_host", EMPTY),
    "proxy_port": lambda run: literal(run.proxy_host[1]) if run.proxy_host else EMPTY,
    "status": lambda run: _status(run),
    "request_method": _method,
    "content_length": _content_length,
    "request_completion": lambda run: EMPTY,
}

_VOLATILE = {"request_time", "msec", "time_iso8601", "request_length"}

# Worked out once.
_PLAIN: dict[str, Callable[[Run], Value]] = {
    "request_uri": lambda run: literal(run.unparsed, CLIENT),
    "request": _request_line,
    "scheme": lambda run: literal(run.shared.request.scheme, SERVER),
    "https": lambda run: literal("on" if run.shared.request.tls else "", SERVER),
    "host": _host,
    "server_name": lambda run: literal(run.server.server_name, CONFIG),
    "server_port": _listener_port,
    "request_port": _host_header_port,
    "server_addr": _server_address,
    "server_protocol": _protocol,
    "remote_addr": client_address,
    "binary_remote_addr": lambda run: unknown(ADDRESS),
    "realip_remote_addr": lambda run: run.main.scratch.get("realip_remote_addr") or client_address(run),
    "realip_remote_port": lambda run: unknown(SERVER),
    "remote_port": lambda run: unknown(SERVER),
    "remote_user": remote_user,
    "proxy_add_x_forwarded_for": _forwarded_for,
    "content_type": lambda run: request_header(run, "content_type"),
    "nginx_version": lambda run: literal(".".join(map(str, run.shared.options.version)), SERVER),
    "limit_rate": lambda run: literal("0", SERVER),
    "proxy_protocol_addr": lambda run: unknown(ADDRESS) if run.shared.listener.listen.proxy_protocol else EMPTY,
    "proxy_protocol_port": lambda run: unknown(SERVER) if run.shared.listener.listen.proxy_protocol else EMPTY,
    "http2": lambda run: EMPTY,
    "http3": lambda run: EMPTY,
    "gzip_ratio": lambda run: EMPTY,
    "request_body_file": lambda run: EMPTY,
    "pipe": lambda run: literal(".", SERVER),
    "invalid_referer": lambda run: _link(run, "invalid_referer"),
    "secure_link": lambda run: _link(run, "secure_link"),
    # Filled when $secure_link is worked out.
    "secure_link_expires": lambda run: EMPTY,
}
for _name in (
    "hostname",
    "pid",
    "connection",
    "connection_requests",
    "connection_time",
    "request_id",
    "request_time",
    "request_length",
    "request_body",
    "msec",
    "time_iso8601",
    "time_local",
    "bytes_sent",
    "body_bytes_sent",
    "tcpinfo_rtt",
    "nginx_pid",
):
    _PLAIN[_name] = lambda run: _UNKNOWN
