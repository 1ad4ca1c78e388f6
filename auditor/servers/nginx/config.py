"""The effective configuration: blocks as levels that inherit, virtual hosts, and the location tree.

nginx merges each directive of a level with the level outside; nearly all of them follow one rule: a level that has
none takes the outer level's, and a level that has one has only its own (ngx_conf_merge_*). `Level.lines` is that rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from auditor.regex import Regex, compile_regex
from auditor.servers.nginx.syntax import Directive
from auditor.source import SourceFile

# Directives of one name that do not inherit (set per location, ngx_http_core_create_loc_conf and handlers).
HANDLERS = (
    "proxy_pass",
    "fastcgi_pass",
    "uwsgi_pass",
    "scgi_pass",
    "grpc_pass",
    "memcached_pass",
    "stub_status",
    "empty_gif",
    "flv",
    "mp4",
    "perl",
    "js_content",
    "echo",
    "echo_duplicate",
    "echo_exec",
    "echo_location",
    "echo_location_async",
    "echo_subrequest",
    "echo_subrequest_async",
    "echo_sleep",
    "tunnel_pass",
    "content_by_lua_block",
    "content_by_lua_file",
    "content_by_lua",
)
PASSES = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass")


class Level:
    """A block whose directives apply to a request: http, server, location, if, or limit_except."""

    __slots__ = ("_lines", "_memo", "block", "directive", "kind", "name", "outer", "own")

    def __init__(self, kind: str, name: str, directive: Directive | None, outer: Level | None) -> None:
        self.kind = kind
        self.name = name
        self.directive = directive
        self.outer = outer
        self.block: list[Directive] = (directive.block if directive is not None else None) or []
        own: dict[str, list[Directive]] = {}
        for child in self.block:
            if child.name in own:
                own[child.name].append(child)
            else:
                own[child.name] = [child]
        self.own = own
        self._memo: dict[object, object] = {}
        self._lines: dict[str, list[Directive]] = {}

    def lines(self, name: str) -> list[Directive]:
        """The lines of that name that count here: its own, or those of the nearest outer level that has any."""
        known = self._lines.get(name)
        if known is None:
            known = self.own.get(name)
            if known is None:
                known = self.outer.lines(name) if self.outer is not None else []
            self._lines[name] = known
        return known

    def line(self, name: str) -> Directive | None:
        """The one line that counts here."""
        lines = self._lines.get(name)  # most are asked for again and again
        if lines is None:
            lines = self.lines(name)
        return lines[-1] if lines else None

    def flag(self, name: str, default: bool) -> bool:
        """An on/off directive."""
        line = self.line(name)
        return default if line is None or not line.args else line.args[0].lower() == "on"

    def where(self, names: tuple[str, ...]) -> Level | None:
        """The nearest level outwards (this one included) that has a line of one of these names."""
        level: Level | None = self
        while level is not None:
            for name in names:
                if name in level.own:
                    return level
            level = level.outer
        return None

    def memo(self, key: object, make: object) -> object:
        """Something worked out once for this level; `make` is called with the level the first time."""
        try:
            return self._memo[key]
        except KeyError:
            value = make(self)  # type: ignore[operator]
            self._memo[key] = value
            return value

    @property
    def noname(self) -> bool:
        """An if or limit_except block: it shares the location's upstream."""
        return self.kind in ("if", "limit_except")

    @property
    def location(self) -> Location | None:
        """The location that this level is or lies in."""
        level: Level | None = self
        while level is not None and not isinstance(level, Location):
            level = level.outer
        return level

    @property
    def title(self) -> str:
        """How reports name the block: `location /api/`."""
        if self.directive is None:
            return self.kind
        return " ".join([self.kind, *(self.directive.args if self.kind != "if" else ["(...)"])])


class Lookup:
    """The locations of one block, arranged for the search (ngx_http_core_find_static_location)."""

    __slots__ = ("exact", "lengths", "prefix", "regex")

    def __init__(self, locations: list[Location]) -> None:
        self.exact = {loc.name: loc for loc in locations if loc.modifier == "="}
        self.prefix = {loc.name: loc for loc in locations if loc.modifier in ("", "^~")}
        self.lengths = sorted({len(name) for name in self.prefix}, reverse=True)
        self.regex = [loc for loc in locations if loc.modifier in ("~", "~*")]


class Location(Level):
    """A location block. `modifier` is "", "=", "^~", "~", "~*" or "@"."""

    __slots__ = ("_lookup", "_regex", "children", "modifier")

    def __init__(self, directive: Directive, outer: Level) -> None:
        self.modifier, name = _modifier(directive.args)
        super().__init__("location", name, directive, outer)
        self.children = [Location(child, self) for child in self.own.get("location", ())]
        self._lookup: Lookup | None = None
        self._regex: Regex | None = None

    @property
    def lookup(self) -> Lookup:
        if self._lookup is None:
            self._lookup = Lookup(self.children)
        return self._lookup

    @property
    def regex(self) -> Regex:
        """Raises RegexError where the pattern does not compile."""
        if self._regex is None:
            self._regex = compile_regex(self.name, self.modifier == "~*")
        return self._regex

    @property
    def auto_redirect(self) -> bool:
        """A request without the final slash is answered 301 here (ngx_http_proxy_module's manual, proxy_pass)."""
        return self.name.endswith("/") and any(name in self.own for name in PASSES)

    @property
    def internal(self) -> bool:
        level = self.where(("internal",))
        return level is not None and level.kind != "http"


def _modifier(args: list[str]) -> tuple[str, str]:
    if not args:
        return "", ""
    if len(args) > 1:
        return args[0], args[1]
    word = args[0]
    if word.startswith("@"):
        return "@", word
    for modifier in ("~*", "~", "=", "^~"):
        if word.startswith(modifier):
            return modifier, word[len(modifier) :]
    return "", word


class Listen(NamedTuple):
    """A listen line. `address` is "*" for all; port 0 for a Unix socket, whose path is then the address."""

    address: str
    port: int
    tls: bool
    default: bool
    http2: bool
    proxy_protocol: bool


class Server(Level):
    """A virtual host."""

    __slots__ = ("_lookup", "children", "listens", "named", "names")

    def __init__(self, directive: Directive, outer: Level) -> None:
        super().__init__("server", "", directive, outer)
        locations = [Location(child, self) for child in self.own.get("location", ())]
        self.children = locations
        self.named = {loc.name: loc for loc in locations if loc.modifier == "@"}
        self._lookup: Lookup | None = None
        ssl_on = self.flag("ssl", False)
        self.listens = [
            listen for line in self.own.get("listen", ()) for listen in parse_listen(line.args, ssl_on)
        ] or [Listen("*", 80, ssl_on, False, False, False)]
        self.names = [
            name if name.startswith("~") else name.lower()
            for line in self.own.get("server_name", ())
            for name in line.args
        ] or [""]

    @property
    def lookup(self) -> Lookup:
        if self._lookup is None:
            self._lookup = Lookup(self.children)
        return self._lookup

    @property
    def verifies_clients(self) -> bool:
        """Whether TLS clients are asked for a certificate."""
        line = self.line("ssl_verify_client")
        return line is not None and line.args[:1] != ["off"]

    @property
    def server_name(self) -> str:
        """$server_name: the first name, without the dot of `.example.com`."""
        return self.names[0].removeprefix(".")


_OPTIONS_WITH_TLS = {"ssl", "quic"}


def parse_listen(args: list[str], ssl_on: bool = False) -> list[Listen]:
    """The listeners of one listen line; a port range gives several."""
    if not args:
        return []
    options = set(args[1:])
    tls = ssl_on or bool(options & _OPTIONS_WITH_TLS)
    default = "default_server" in options or "default" in options
    rest = (tls, default, "http2" in options, "proxy_protocol" in options)
    where = args[0]
    if where.startswith("unix:"):
        return [Listen(where, 0, *rest)]
    if where.startswith("["):
        address, _, port = where.partition("]")
        address, port = address + "]", port.lstrip(":")
    elif ":" in where:
        address, _, port = where.rpartition(":")
    elif where.isdigit() or ("-" in where and where.replace("-", "").isdigit()):
        address, port = "*", where
    else:
        address, port = where, ""
    if address in ("0.0.0.0", "[::]", ""):
        address = "*"
    if address == "localhost":
        address = "127.0.0.1"
    low, dash, high = (port or "80").partition("-")
    try:
        ports = range(int(low), int(high if dash else low) + 1)
    except ValueError:
        return []
    return [Listen(address, number, *rest) for number in ports]


class Port:
    """All servers that listen at one address and port, arranged for the choice by name."""

    __slots__ = ("default", "exact", "head", "listen", "regex", "servers", "tail")

    def __init__(self, listen: Listen) -> None:
        self.listen = listen
        self.servers: list[Server] = []
        self.default: Server | None = None
        self.exact: dict[str, Server] = {}
        self.head: dict[str, Server] = {}  # ".example.com" for *.example.com
        self.tail: dict[str, Server] = {}  # "mail." for mail.*
        self.regex: list[tuple[str, Server]] = []

    def add(self, server: Server, listen: Listen) -> None:
        if listen.default or self.default is None:
            self.default = server
        self.listen = self.listen._replace(
            tls=self.listen.tls or listen.tls, proxy_protocol=self.listen.proxy_protocol or listen.proxy_protocol
        )
        if server in self.servers:
            return
        self.servers.append(server)
        for name in server.names:
            if name.startswith("~"):
                self.regex.append((name[1:], server))
            elif name.startswith("*."):
                self.head.setdefault(name[1:], server)
            elif name.startswith("."):
                self.exact.setdefault(name[1:], server)
                self.head.setdefault(name, server)
            elif name.endswith(".*"):
                self.tail.setdefault(name[:-1], server)
            else:
                self.exact.setdefault(name, server)


class Http(Level):
    """The http block, with all that hangs on it: ports, upstream groups, maps."""

    __slots__ = ("judges", "maps", "ports", "servers", "sources", "upstreams")

    def __init__(self, directives: list[Directive], sources: Sequence[SourceFile] = ()) -> None:
        blocks = [line for line in directives if line.name == "http"]
        super().__init__("http", "", None, None)
        self.directive = blocks[0] if blocks else None
        self.block = [line for block in blocks for line in block.block or ()]
        for child in self.block:
            self.own.setdefault(child.name, []).append(child)
        self.sources = sources
        self.judges: Callable[[str], bool] = lambda path: False  # whether a folder of the deployed machine is at hand
        self.servers = [Server(line, self) for line in self.own.get("server", ())]
        self.upstreams = {line.args[0]: line for line in self.own.get("upstream", ()) if line.args}
        self.maps: dict[str, Directive] = {}
        for name in ("map", "geo", "split_clients", "geoip2"):
            for line in self.own.get(name, ()):
                if line.args:
                    self.maps[line.args[-1].lstrip("$")] = line
        ports: dict[tuple[str, int], Port] = {}
        for server in self.servers:
            for listen in server.listens:
                key = (listen.address, listen.port)
                if key not in ports:
                    ports[key] = Port(listen)
                ports[key].add(server, listen)
        self.ports = ports

    def upstream_servers(self, name: str) -> tuple[str, ...]:
        """The addresses of an upstream group, as written."""
        group = self.upstreams.get(name)
        return tuple(
            line.args[0] for line in (group.block if group else None) or () if line.name == "server" and line.args
        )
