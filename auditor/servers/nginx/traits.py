"""What stands in the way of a location, in the words of auditor.server: a sound, cheap screen for rules."""

from __future__ import annotations

from auditor import server as words
from auditor.servers.nginx.config import PASSES, Http, Level, Server
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.variables import opaque_variables

_GATES = (
    "auth_basic",
    "auth_request",
    "auth_jwt",
    "deny",
    "access_by_lua_block",
    "access_by_lua_file",
    "access_by_lua",
)
_ASKING = ("auth_basic", "auth_request", "auth_jwt", "limit_req_status", "limit_conn_status")
_HEADER_LINES = ("proxy_set_header", "grpc_set_header", "fastcgi_param", "uwsgi_param", "scgi_param")
_MORE_INPUT = ("more_set_input_headers", "more_clear_input_headers")
_SECRETS = ("authorization", "key", "token", "secret", "passw")
_PASS_FLAGS = tuple(f"{family}_pass_request_headers" for family in ("proxy", "fastcgi", "uwsgi", "scgi"))
_CACHES = frozenset(f"{family}_cache" for family in ("proxy", "fastcgi", "uwsgi", "scgi"))
_SHADOWING = (*_HEADER_LINES, "add_header")

# Header names that say nothing of who the client is; any other name may be an identity header to somebody.
_PLAIN_NAMES = frozenset(
    [
        "host",
        "connection",
        "upgrade",
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "transfer-encoding",
        "te",
        "range",
        "if-range",
        "keep-alive",
        "expect",
        "authorization",
        "cookie",
        "referer",
        "user-agent",
        "origin",
        "x-real-ip",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-forwarded-uri",
        "x-forwarded-method",
        "x-forwarded-scheme",
        "x-scheme",
        "x-original-uri",
        "x-original-url",
        "x-original-method",
        "x-request-id",
        "forwarded",
        "proxy",
        "script_filename",
        "query_string",
        "request_method",
        "content_type",
        "content_length",
        "script_name",
        "request_uri",
        "document_uri",
        "document_root",
        "server_protocol",
        "request_scheme",
        "https",
        "gateway_interface",
        "server_software",
        "remote_addr",
        "remote_port",
        "server_addr",
        "server_port",
        "server_name",
        "redirect_status",
        "path_info",
        "path_translated",
        "http_host",
        "http_proxy",
        "http_authorization",
    ]
)


# Directives of modules that may decide what becomes of a request, and that are not followed.
_OPAQUE = frozenset(
    [
        "perl",
        "echo",
        "dav_methods",
        "flv",
        "mp4",
        "random_index",
        "ssi",
        "add_before_body",
        "add_after_body",
        "secure_link",
        "auth_digest",
        "auth_ldap",
        "auth_pam",
        "auth_gssapi",
        "proxy_force_ranges",
        "uwsgi_force_ranges",
        "scgi_force_ranges",
        "fastcgi_force_ranges",
        "memcached_pass",
        "image_filter",
        "xslt_stylesheet",
        "pagespeed",
        "modsecurity",
    ]
)


def is_opaque(name: str) -> bool:
    """Whether a directive hands the request to something that is not followed here."""
    return name in _OPAQUE or "_by_lua" in name or name.startswith("js_")


def traits_of(level: Level, server: Server) -> frozenset[str]:
    """The traits of a location (or of the server itself); with those of the whole server where a request may be
    redirected to another of its locations."""
    chain = _chain_traits(level)
    if words.REDIRECTS in chain:
        chain = chain | server_traits(server)
    if all(_is_loopback(listen.address) for listen in server.listens):
        chain = chain | {words.LOCAL}
    return chain - {words.REDIRECTS}


def _is_loopback(address: str) -> bool:
    return address.startswith(("127.", "unix:")) or address == "[::1]"


def server_traits(server: Server) -> frozenset[str]:
    """The traits of all locations of a server together."""
    return server.memo("traits", lambda _: _all_traits(server))  # type: ignore[return-value]


def _all_traits(server: Server) -> frozenset[str]:
    found = _chain_traits(server)
    stack = list(server.children)
    while stack:
        location = stack.pop()
        found |= _chain_traits(location)
        stack.extend(location.children)
    return found


def _chain_traits(level: Level) -> frozenset[str]:
    return level.memo("chain traits", _work_out)  # type: ignore[return-value]


def _work_out(level: object) -> frozenset[str]:
    assert isinstance(level, Level)
    own = _own_traits(level)
    outer = level.outer
    if outer is None:
        return own | {words.OPAQUE} if isinstance(level, Http) and opaque_variables(level) else own
    above = _chain_traits(outer)
    found = own | above
    if level.kind == "location" and words.UPSTREAM not in own:
        found |= {words.REDIRECTS}  # files: an index file may lead anywhere
    for name in _SHADOWING:
        if _sets(level, name) and outer.where((name,)) is not None:
            found |= {words.SHADOWED}
            break
    return found


def _sets(level: Level, name: str) -> bool:
    """Whether the level, or an if or limit_except block in it, has a line of that name."""
    if name in level.own:
        return True
    return any(
        any(line.name == name for inner in block.walk() for line in (inner,))
        for kind in ("if", "limit_except")
        for block in level.own.get(kind, ())
    )


def _own_traits(level: Level) -> frozenset[str]:
    found: set[str] = set()
    lines = [line for name, group in level.own.items() if name not in ("location", "server") for line in group]
    for line in lines:
        if line.name in ("if", "limit_except"):
            lines_in = [inner for child in line.block or () for inner in child.walk()]
            for inner in lines_in:
                _add(found, inner.name, inner.args)
                if _reads_authorization(inner):
                    found.add(words.AUTHORIZATION)
            if line.name == "if":
                if "OPTIONS" in " ".join(line.args).upper():
                    found.add(words.CORS)
                if {"add_header"} & {inner.name for inner in lines_in} and level.where(("add_header",)) is not None:
                    found.add(words.SHADOWED)
            elif any(inner.name in _HEADER_LINES for inner in lines_in):
                found.add(words.SHADOWED)
        _add(found, line.name, line.args)
        if _reads_authorization(line):
            found.add(words.AUTHORIZATION)
        if any("cookie" in arg.lower() for inner in line.walk() for arg in inner.args):
            found.add(words.CHALLENGE)
    for name in ("proxy_set_header", "grpc_set_header"):
        names = [line.args[0].lower() for line in level.own.get(name, ()) if line.args]
        if len(names) != len(set(names)):
            found.add(words.REPEATED)
    return frozenset(found)


def _is_about_refusals(name: str, args: list[str]) -> bool:
    if name in ("error_page", "limit_req_status", "limit_conn_status"):
        return "401" in args
    if name in ("add_header", "more_set_headers", "more_clear_headers") or name.endswith("_hide_header"):
        return any(arg.lower().startswith("www-auth") or "*" in arg for arg in args)
    return False


def _forbids(name: str, args: list[str]) -> bool:
    if name == "error_page":
        return "401" in args or "403" in args
    if name == "try_files":
        return args[-1:] in (["=403"], ["=407"])
    return name == "return" and bool({"403", "407"} & set(args))


def _reads_authorization(line: Directive) -> bool:
    """Whether a condition, a map, a value or a gate for tokens looks at the client's Authorization."""
    if line.name == "auth_jwt" or any("http_authorization" in arg for arg in line.args):
        return True
    return line.name == "map" and any("http_authorization" in arg for entry in line.block or () for arg in entry.args)


def _add(found: set[str], name: str, args: list[str]) -> None:
    # A user file may be malformed, or lie among pages, without a gate.
    if name in _GATES or name == "auth_basic_user_file" or (name == "if" and any("ssl_client_" in arg for arg in args)):
        found.add(words.GATE)
    if (
        name == "limit_except"
        or (name == "if" and args[:1] == ["$request_method"])
        or (name in ("auth_basic", "auth_request") and any("$" in arg for arg in args))
    ):
        found.add(words.METHODS)
    if name == "log_format" and any("$" in arg and "_" in arg for arg in args):
        found.add(words.LOGGED)
    if name == "large_client_header_buffers":
        found.add(words.LIMITS)
    if name == "auth_jwt":
        found.add(words.JWT)
    if name == "set_real_ip_from":
        found.add(words.CLIENT_ADDRESS)
    if name in ("auth_request", "auth_request_set"):
        found.add(words.SUBREQUEST)
    if is_opaque(name):
        found.add(words.OPAQUE)
    if name in _ASKING or ("401" in args and name in ("return", "error_page", "try_files")) or "=401" in args:
        found.add(words.CHALLENGE)
    if _is_about_refusals(name, args):
        found.add(words.REFUSAL)
    if _forbids(name, args):
        found.add(words.FORBIDS)
    if name in _CACHES and args[:1] != ["off"]:
        found.add(words.CACHE)
    if name in PASSES:
        found.add(words.UPSTREAM)
        if name in ("fastcgi_pass", "scgi_pass"):
            found.add(words.PROXY_VARIABLE)
    elif name in _HEADER_LINES and args:
        found.add(words.REQUEST_HEADERS)
        header = args[0].lower()
        value = args[1] if len(args) > 1 else ""
        if "forwarded_for" in header.replace("-", "_") or "real_ip" in header.replace("-", "_"):
            found.add(words.CLIENT_ADDRESS)
        if header == "upgrade" or (header == "connection" and ("upgrade" in value.lower() or "$" in value)):
            found.add(words.UPGRADE)
        if header in ("cookie", "http_cookie"):
            found.add(words.LOSES)
        if "authorization" in header:
            found.add(words.AUTHORIZATION)
        if value and not value.startswith("$http_") and any(word in header for word in _SECRETS):
            found.add(words.SECRET)
        if header not in _PLAIN_NAMES or "remote_user" in value or "ssl_" in value:
            found.add(words.IDENTITY)
    elif name in _MORE_INPUT:
        found.update((words.REQUEST_HEADERS, words.AUTHORIZATION, words.IDENTITY, words.SECRET, words.LOSES))
    elif name in _PASS_FLAGS and args[:1] == ["off"]:
        found.add(words.AUTHORIZATION)
    elif name in ("add_header", "more_set_headers"):
        about_cors = set(words.cors_traits(" ".join(args)))
        found |= about_cors
        if about_cors and any("_" in arg or "$" in arg for arg in args[1:]):
            found.add(words.LOSES)
    elif name in ("try_files", "error_page", "mirror", "auth_request", "index") or (
        name == "rewrite" and "break" not in args
    ):
        found.add(words.REDIRECTS)
