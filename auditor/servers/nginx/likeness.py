"""Which blocks are alike: large configurations say the same thing hundreds of times, and asking once is enough."""

from __future__ import annotations

import re

from auditor.http import Request
from auditor.servers.nginx.config import PASSES, Http, Level, Server
from auditor.servers.nginx.maps import is_path_map, marks
from auditor.servers.nginx.syntax import Directive

# What leads to another block of the same server, by the path or by what lies on the disk.
_ELSEWHERE = frozenset(["try_files", "rewrite", "index", "break"])
# What leads to another block of the same server that the line names.
_NAMED = frozenset(["error_page", "mirror", "auth_request", "post_action"])
# What says nothing of how a request is treated, only of names and numbers.
_NAMES = frozenset(
    ["location", "server_name", "access_log", "error_log", "ssl_certificate", "ssl_certificate_key", "expires", "proxy_read_timeout", "proxy_send_timeout", "proxy_connect_timeout", "client_max_body_size"]
)
# Lines in which a variable stands for its text only.
_TEXTS = re.compile(r"(add|proxy_set|grpc_set|more_set_input|more_set)_headers?$|\w+_param$|return$|root$|alias$|proxy_redirect$")
_VARIABLE = re.compile(r"\$\{?(\w+)")
# Variables by which routes that are written alike cannot be told apart.
_OF_THE_CLIENT = re.compile(
    r"(http_(?!host$)|cookie_|arg_|upstream_|sent_http_|ssl_)\w+$"
    r"|(request_method|scheme|remote_addr|remote_user|binary_remote_addr|realip_remote_addr|content_type|content_length"
    r"|server_protocol|request_completion|http2|https|limit_rate|status|time_\w+|msec|request_id|pid|connection)$"
)
_ADDRESS = re.compile(r"[\d.:\[\]]+$")


def likeness(level: Level, server: Server, request: Request | None = None) -> object:
    """The same for all blocks (and witnesses) that are treated alike, None where that cannot be told from the text."""
    text = level.memo("likeness", lambda _: _chain(level, server))
    if text is None or request is None:
        return text
    headers = tuple(pair for pair in request.headers if pair[0] != "Host")
    outer = server.outer
    assert isinstance(outer, Http)
    return (text, marks(outer, request.path), request.method, request.tls, request.target.partition("?")[2], headers)


def alike_at_the_server(server: Server) -> bool:
    """Whether the server's own rewrite directives treat all paths with the same marks alike."""
    http = server.outer
    assert isinstance(http, Http)
    lines = [line for name in ("set", "if", "return", "break") for line in server.own.get(name, ())]
    return "rewrite" not in server.own and all(
        line.name == "break" or _shape(line, http) is not None for line in lines
    )


def _chain(level: Level, server: Server) -> int | None:
    outer = level.outer
    if not isinstance(outer, Http | Level):
        return None
    above: object = "" if isinstance(outer, Http) else outer.memo("likeness", lambda _: _chain(outer, server))
    http = server.outer
    assert isinstance(http, Http)
    if above is None or (isinstance(outer, Http) and not _ELSEWHERE.isdisjoint(http.own)):
        return None
    lines: list[object] = [above, level.kind, getattr(level, "modifier", "")]
    if not _NAMED.isdisjoint(level.own) or (isinstance(outer, Http) and not _NAMED.isdisjoint(http.own)):
        lines.append(id(server))
    for name, group in level.own.items():
        if name in _NAMES:
            continue
        for line in group:
            shape = _shape(line, http)
            if shape is None:
                return None
            lines.append(shape)
    if isinstance(level, Server):
        lines.append(tuple(listen.tls for listen in level.listens))
    elif not any(name in level.own for name in (*PASSES, "return")):
        return None  # files: an index file may lead anywhere
    known: dict[object, int] = http.memo("likenesses", lambda _: {})  # type: ignore[assignment]
    return known.setdefault(tuple(lines), len(known))


def _shape(line: Directive, http: Http) -> object:
    """What the line says, without the names that differ from route to route; None where the path may decide."""
    name = line.name
    if name in _ELSEWHERE or name.endswith(("_by_lua_file", "_by_lua_block")):
        return None
    if name == "listen":
        return name
    args: list[object] = list(line.args)
    if name in PASSES and args:
        if "$" in line.args[0]:
            return None
        args = [_target(line.args[0], http)]
    else:
        for arg in line.args:
            if "$" in arg and not all(_is_the_same(word, name, http) for word in _VARIABLE.findall(arg)):
                return None
    if name == "auth_basic" and args != ["off"]:
        args = []  # the realm is a name
    block: list[object] = []
    for inner in line.block or ():
        shape = _shape(inner, http)
        if shape is None:
            return None
        block.append(shape)
    return (name, *args, *(("{", *block) if line.block is not None else ()))


def _target(url: str, http: Http) -> object:
    """What matters of the address that requests are passed on to: the scheme, the host by name, and whether there is a
    path."""
    scheme, _, rest = url.rpartition("://")
    authority, slash, _ = rest.partition("/")
    group = http.upstreams.get(authority)
    if group is not None:
        return scheme, "", slash, *(_host(line.args[0]) for line in group.block or () if line.name == "server" and line.args)
    return scheme, _host(authority), slash


def _host(authority: str) -> str:
    """The host by name; addresses differ in nothing that matters."""
    host, _, port = authority.rpartition(":")
    host = host or port
    return "" if _ADDRESS.match(host) else host


def _is_the_same(variable: str, directive: str, http: Http, depth: int = 0) -> bool:
    """Whether a variable cannot make routes differ that are written alike."""
    source = http.maps.get(variable)
    if source is not None:
        if source.name == "geo":
            return True
        if is_path_map(source) and not any("$" in arg for entry in source.block or () for arg in entry.args):
            return True  # its marks are part of the likeness
        found = [word for arg in source.args[:-1] for word in _VARIABLE.findall(arg)]
        # An entry's value can be a variable, too.
        for entry in source.block or ():
            found += [word for arg in entry.args if "$" in arg for word in _VARIABLE.findall(arg)]
        return depth < 8 and all(_is_the_same(word, "map", http, depth + 1) for word in found)
    if _TEXTS.match(directive):
        return True
    return _OF_THE_CLIENT.match(variable) is not None
