"""Which routes are alike: large configurations say the same thing hundreds of times, and asking once is enough.

The likeness of a route is a canonical form of the blocks that it goes through: their lines without what only names
something (the location's own path, hosts, realms, files), with variables that the block itself sets in the order in
which it sets them, together with what conditions on the path make of the witness. Where that cannot be told, there is
none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from auditor.http import Request
from auditor.patterns import lazy_re
from auditor.regex import RegexError, compile_regex
from auditor.servers.nginx.config import PASSES, Http, Level, Location, Server
from auditor.servers.nginx.maps import is_path_map, marks
from auditor.servers.nginx.paths import root_level
from auditor.servers.nginx.phases import find_location
from auditor.servers.nginx.run import Unpredictable
from auditor.servers.nginx.syntax import Directive

# What says nothing of how a request is treated, only of names and numbers. root and alias: see _files.
_NAMES = frozenset(
    (
        "location",
        "server_name",
        "root",
        "alias",
        "expires",
        "access_log",
        "error_log",
        "ssl_certificate",
        "ssl_certificate_key",
        "ssl_trusted_certificate",
        "proxy_read_timeout",
        "proxy_send_timeout",
        "proxy_connect_timeout",
        "fastcgi_read_timeout",
        "client_max_body_size",
    )
)
# Lines whose first arguments name other blocks of the same server.
_LEADING = frozenset(["error_page", "mirror", "auth_request", "post_action", "try_files"])
# Lines in which a variable stands for its text only.
_TEXTS = lazy_re(
    r"(add|proxy_set|grpc_set|more_set_input|more_set)_headers?$|\w+_param$|return$|proxy_redirect$|rewrite$"
)
_VARIABLE = lazy_re(r"\$\{?(\w+)")
# Variables by which routes that are written alike cannot be told apart.
_OF_THE_CLIENT = lazy_re(
    r"(http_(?!host$)|cookie_|arg_|upstream_|sent_http_|ssl_)\w+$|\d$"
    r"|(request_method|scheme|remote_addr|remote_user|binary_remote_addr|realip_remote_addr|content_type|content_length"
    r"|server_protocol|request_completion|http2|https|limit_rate|status|time_\w+|msec|request_id|pid|connection)$"
)
_REDIRECTS = ("301", "302", "303", "307", "308")
_ADDRESS = lazy_re(r"[\d.:\[\]]+$")

Mark = Callable[[str], object]


class _Unlike(Exception):
    """Something that cannot be compared."""


class Form:
    """The canonical form of a level with all around it: a number that equal forms share, and what looks at the path;
    `marks` counts for the levels inside, too, `files` for a level that answers with files."""

    __slots__ = ("files", "marks", "number")

    def __init__(self, number: int, path_marks: tuple[Mark, ...], files: Mark | None) -> None:
        self.number = number
        self.marks = path_marks
        self.files = files

    def seen(self, path: str) -> tuple[object, ...]:
        """What the marks make of a path. Raises _Unlike."""
        found = [mark(path) for mark in self.marks]
        if self.files is not None:
            found.append(self.files(path))
        return (self.number, *found)


def likeness(level: Level, server: Server, request: Request | None = None) -> object:
    """The same for all blocks (and witnesses) that are treated alike, None where that cannot be told from the text."""
    form = _form(level, server)
    if form is None or request is None:
        return form.number if form is not None else None
    headers = tuple(pair for pair in request.headers if pair[0] != "Host")
    path = request.path
    try:
        seen = form.seen(path)
    except (_Unlike, Unpredictable, RecursionError):
        return None
    query = request.target.partition("?")[2]
    return (seen, marks(_http(server), path), request.method, request.tls, query, headers)


def rewrites(server: Server) -> object:
    """The canonical form of the server's own rewrite directives, if they treat all paths with the same marks alike;
    else None."""
    if "rewrite" in server.own:
        return None
    renamed: dict[str, str] = {}
    try:
        lines = [line for line in server.block if line.name in ("set", "if", "return", "break")]
        return tuple("break" if line.name == "break" else _shape(line, server, server, renamed, []) for line in lines)
    except _Unlike:
        return None


def _http(server: Server) -> Http:
    assert isinstance(server.outer, Http)
    return server.outer


def _form(level: Level, server: Server) -> Form | None:
    if "likeness" not in level._memo:
        level._memo["likeness"] = None  # a block that leads to itself
        with contextlib.suppress(_Unlike, Unpredictable):
            level._memo["likeness"] = _make_form(level, server)
    form = level._memo["likeness"]
    assert form is None or isinstance(form, Form)
    return form


def _make_form(level: Level, server: Server) -> Form:
    http = _http(server)
    parts: list[object] = [level.kind, getattr(level, "modifier", ""), level.name.endswith("/")]
    path_marks: list[Mark] = []
    if isinstance(level.outer, Http):
        _lines(http, server, parts, path_marks)
    elif level.outer is not None:
        above = _form(level.outer, server)
        if above is None:
            raise _Unlike
        parts.append(above.number)
        path_marks.extend(above.marks)
    _lines(level, server, parts, path_marks)
    if isinstance(level, Server):
        parts.append(tuple(listen.tls for listen in level.listens))
    files = None
    if "return" not in level.own and not any(name in level.own for name in PASSES):
        files = _files(level, server)
    known: dict[object, int] = http.memo("likenesses", lambda _: {})  # type: ignore[assignment]
    return Form(known.setdefault(tuple(parts), len(known)), tuple(path_marks), files)


_IN_HTTP = frozenset(("server", "upstream", "map", "geo", "split_clients", "types", "log_format", "include"))


def _lines(level: Level, server: Server, parts: list[object], path_marks: list[Mark]) -> None:
    """The shapes of a level's lines, in the order of the text."""
    renamed: dict[str, str] = {}
    for line in level.block:
        if line.name not in _NAMES and not (level.kind == "http" and line.name in _IN_HTTP):
            parts.append(_shape(line, level, server, renamed, path_marks))


def _shape(line: Directive, level: Level, server: Server, renamed: dict[str, str], path_marks: list[Mark]) -> object:
    """What the line says, without the names that differ from route to route. Raises _Unlike."""
    name, args = line.name, line.args
    http = _http(server)
    if "_by_lua" in name or (name in ("index", "break") and level.kind != "location"):
        raise _Unlike
    if name == "listen":
        return name
    if name == "auth_basic" and args != ["off"] and not any("$" in arg for arg in args):
        return name  # the realm is a name
    if name == "auth_basic_user_file" and not any("$" in arg for arg in args):
        return name
    if name in PASSES and args:
        return (name, _target(args[0], http))
    if name in ("set", "auth_request_set") and args:
        renamed.setdefault(args[0].lstrip("$"), f"\0{len(renamed)}")
    if name == "rewrite" and len(args) >= 2:
        _rewrite(line, path_marks)
        args = ["", *args[2:]]
    said: list[object] = [*_leads(line, server)] if name in _LEADING else [*args]
    if name == "try_files":
        return (name, *said)
    if name == "return" and args[0] in _REDIRECTS:
        return (name, args[0])  # where to is a name
    shown = [_canonical(arg, name, level, http, renamed) if isinstance(arg, str) else arg for arg in said]
    block = [_shape(inner, level, server, renamed, path_marks) for inner in line.block or ()]
    return (name, *shown, *(("{", *block) if line.block is not None else ()))


def _canonical(arg: str, directive: str, level: Level, http: Http, renamed: dict[str, str]) -> str:
    own = level.name.strip("/") if isinstance(level, Location) and level.modifier in ("", "=", "^~") else ""
    if len(own) > 1 and own in arg:
        arg = arg.replace(own, "\0self")
    if "$" not in arg:
        return arg
    for variable in _VARIABLE.findall(arg):
        if variable not in renamed and not _is_the_same(variable, directive, http):
            raise _Unlike
    return _VARIABLE.sub(lambda match: "$" + renamed.get(match.group(1), match.group(1)), arg)


def _rewrite(line: Directive, path_marks: list[Mark]) -> None:
    """A rewrite that stays in its block: all that matters is whether it takes place."""
    pattern, replacement, flag = line.args[0], line.args[1], line.args[2] if len(line.args) > 2 else ""
    if flag != "break" or replacement.startswith(("http://", "https://", "$scheme")):
        raise _Unlike

    def mark(path: str) -> object:
        try:
            return compile_regex(pattern).search(path) is not None
        except RegexError as error:
            raise _Unlike from error

    path_marks.append(mark)


def _leads(line: Directive, server: Server) -> list[object]:
    """The arguments, with the form of the block that each target leads to."""
    found: list[object] = []
    for at, arg in enumerate(line.args):
        last = at == len(line.args) - 1
        target = arg if line.name != "try_files" or last else ""
        if target.startswith("@"):
            found.append(_number(server.named.get(target), server, ""))
        elif target.startswith("/"):
            path = target.partition("?")[0]
            if "$" in path:
                raise _Unlike
            place = find_location(None, server, path)
            found.append((_number(place.location, server, path), place.how) if place is not None else "server")
        elif line.name == "try_files" and not last and "$" in arg:
            found.append(arg if all(name in ("uri", "document_uri") for name in _VARIABLE.findall(arg)) else _raise())
        else:
            found.append(arg)
    return found


def _raise() -> object:
    raise _Unlike


def _number(location: Location | None, server: Server, path: str) -> object:
    """The form of a location that is asked for a path by another block."""
    if location is None:
        return "none"
    form = _form(location, server)
    if form is None:
        raise _Unlike
    return form.seen(path)


def _files(level: Level, server: Server) -> Mark:
    """Files answer: alike where nothing is known of any, and where an index file is answered by the same block."""
    http = _http(server)
    root = root_level(level)
    if root is not None and ("$" in root[1] or http.judges(root[1])):
        raise _Unlike
    names = [name for line in level.lines("index") for name in line.args] or ["index.html"]

    def mark(path: str) -> object:
        found: list[object] = [path.endswith("/")]
        for name in names:
            target = name if name.startswith("/") else path.rpartition("/")[0] + "/" + name
            place = find_location(None, server, target)
            if place is None or place.location is level:
                found.append("here")
            else:
                found.append(_number(place.location, server, target))
        return tuple(found)

    return mark


def _target(url: str, http: Http) -> object:
    """What matters of the address that requests are passed on to: the scheme, the host by name, and whether there is a
    path."""
    scheme, _, rest = url.rpartition("://")
    authority, slash, tail = rest.partition("/")
    if "$" in authority or any(not name.isdigit() for name in _VARIABLE.findall(tail)):
        raise _Unlike
    group = http.upstreams.get(authority)
    if group is not None:
        block = group.block or ()
        return scheme, "", slash, *(_host(line.args[0]) for line in block if line.name == "server" and line.args)
    return scheme, _host(authority), slash, "$" in tail


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
