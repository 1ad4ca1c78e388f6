"""The effective configuration: servers, their sections, and what applies to one request.

httpd merges sections module by module. Here the sections that apply to a request are kept as a row, `Layers`, and each
module asks it for what it would have merged: the last line of a name, or all of them in order (manual: "Configuration
Sections", How the sections are merged).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from auditor.server import is_absolute
from auditor.servers.apache.modules import Modules
from auditor.source import Place, SourceFile

ASSUMED = "(assumed)"  # the name of text that stands for what is not at hand
METHODS = frozenset(
    (
        *("GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PROPPATCH"),
        *("MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "VERSION-CONTROL", "CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE"),
        *("LABEL", "REPORT", "MKWORKSPACE", "MKACTIVITY", "BASELINE-CONTROL", "MERGE", "BREW", "WHEN"),
    )
)


class Limit(NamedTuple):
    """A <Limit> or <LimitExcept> around a directive. Method names keep their case (RFC 9110, 9.1)."""

    methods: frozenset[str]
    excepts: bool
    place: Place

    def covers(self, method: str) -> bool:
        """Whether it is about that method; HEAD counts as GET (manual: <Limit>)."""
        method = "GET" if method == "HEAD" else method
        return (method in self.methods) != self.excepts


class Directive(NamedTuple):
    """A directive that counts. `key` is its name in lower case, `args` are its words with quotes and ${} resolved,
    `rest` its arguments as one text (${} resolved). `children` are those of a <RequireAll> and its like."""

    name: str
    key: str
    args: tuple[str, ...]
    rest: str
    place: Place
    children: "tuple[Directive, ...]" = ()
    limit: Limit | None = None


class Section:
    """A section and the directives that stand directly in it.

    `kind` is server, directory, files, location, proxy, if, elseif, else, or htaccess; `pattern` its argument; `regex`
    whether that is a regular expression (DirectoryMatch, `Directory ~`). `place` is None for the level of a server.
    `sections` are those inside, in order. `folder` is that of a .htaccess. `fault` is why a .htaccess answers every
    request with status 500.
    """

    def __init__(
        self,
        kind: str,
        pattern: str,
        regex: bool,
        place: Place | None,
        directives: Sequence[Directive],
        sections: "Sequence[Section]" = (),
        folder: str = "",
        fault: Directive | None = None,
    ) -> None:
        self.kind = kind
        self.pattern = pattern
        self.regex = regex
        self.place = place
        self.directives = tuple(directives)
        self.sections = tuple(sections)
        self.folder = folder
        self.fault = fault
        self._by: dict[str, list[Directive]] | None = None

    def all(self, key: str) -> Sequence[Directive]:
        """The directives of that name (lower case) in this section, in order."""
        if self._by is None:
            self._by = {}
            for directive in self.directives:
                self._by.setdefault(directive.key, []).append(directive)
        return self._by.get(key, ())

    def last(self, key: str) -> Directive | None:
        found = self.all(key)
        return found[-1] if found else None

    def lines(self) -> Iterator[Directive]:
        """All directives of this section, also those inside of <RequireAll> and its like."""
        return _with_children(self.directives)

    def add(self, line: Directive) -> None:
        """One more directive, behind the others."""
        self.directives = (*self.directives, line)
        self._by = None

    def __repr__(self) -> str:
        return f"Section({self.kind} {self.pattern!r})"


def _with_children(directives: Iterable[Directive]) -> Iterator[Directive]:
    for directive in directives:
        yield directive
        if directive.children:
            yield from _with_children(directive.children)


# The walk that finds a kind of section, where it is not named like it.
WALKS = {"htaccess": "directory", "proxy": "directory", "elseif": "if", "else": "if"}


class Layers:
    """The sections that apply to a request, in the order in which httpd merges them: what a later one says counts."""

    __slots__ = ("_further", "_last", "_memo", "sections")

    def __init__(self, sections: tuple[Section, ...]) -> None:
        self.sections = sections
        self._memo: dict[Any, Any] = {}
        self._last: dict[str, Directive | None] = {}
        self._further: dict[tuple[Section, ...], Layers] = {}

    def with_sections(self, sections: Iterable[Section]) -> "Layers":
        """These layers with more on top: the same object for the same sections, so that what modules made of them is
        found again by the next request."""
        more = tuple(sections)
        if not more:
            return self
        found = self._further.get(more)
        if found is None:
            found = self._further[more] = Layers(self.sections + more)
        return found

    def last(self, key: str) -> Directive | None:
        """The line of that name that counts, where a later one takes the place of an earlier one."""
        if key not in self._last:
            found = (section.last(key) for section in reversed(self.sections))
            self._last[key] = next((line for line in found if line is not None), None)
        return self._last[key]

    def all(self, *keys: str) -> Sequence[Directive]:
        """All lines of these names, in order, where they add up."""
        found = self._memo.get(keys)
        if found is None:
            if len(keys) == 1:
                found = [directive for section in self.sections for directive in section.all(keys[0])]
            else:
                wanted = frozenset(keys)
                found = [one for section in self.sections for one in section.directives if one.key in wanted]
            self._memo[keys] = found
        return found

    def memo(self, key: object, make: "Callable[[Layers], Any]") -> Any:
        """What a module makes of these sections, made once."""
        if key not in self._memo:
            self._memo[key] = make(self)
        return self._memo[key]

    def on(self, key: str, default: bool = False) -> bool:
        """The value of a directive that is On or Off."""
        found = self.last(key)
        return default if found is None or not found.args else found.args[0].lower() == "on"


class Address(NamedTuple):
    """An address of a <VirtualHost> or a Listen line: host ("*" or "_default_" for any), port (None: any)."""

    host: str
    port: int | None


class Server:
    """The main server or a virtual host. `section` holds the directives that stand directly in it; `main` is None
    for the main server. `name` is ServerName in lower case, `spelled` as it is written ("" where none is
    known); `named` tells whether the server says it itself; `aliases` are the ServerAlias patterns.
    """

    def __init__(
        self, section: Section, place: Place | None, addresses: Sequence[Address], main: "Server | None"
    ) -> None:
        self.section = section
        self.place = place
        self.addresses = tuple(addresses)
        self.main = main
        line = section.last("servername")
        text = line.args[0] if line is not None and line.args else ""
        self.scheme, _, authority = text.rpartition("://")
        host, colon, port = authority.partition(":") if not authority.startswith("[") else (authority, "", "")
        self.name = host.lower()
        self.named = bool(host)
        self.spelled = host
        self.name_port = int(port) if colon and port.isdigit() else None
        if main is not None and not host:
            # Without a name of its own, a virtual host for any address has the main server's; the port is that of its
            # first address (vhost.c: ap_fini_vhost_config, ap_parse_vhost_addrs).
            if any(address.host == "*" for address in self.addresses):
                self.name, self.spelled = main.name, main.spelled
            self.name_port = self.addresses[0].port if self.addresses and self.addresses[0].port else main.name_port
        self.aliases = tuple(alias.lower() for line in section.all("serveralias") for alias in line.args)
        self.base = Layers((main.section, section) if main is not None else (section,))
        self._memo: dict[Any, Any] = {}

    @property
    def label(self) -> str:
        return (self.name if self.named else "") or (str(self.addresses[0].host) if self.addresses else "")

    def memo(self, key: Any, make: "Callable[[Server], Any]") -> Any:
        """What a module makes of this server, made once."""
        if key not in self._memo:
            self._memo[key] = make(self)
        return self._memo[key]

    def all(self, *keys: str) -> Sequence[Directive]:
        """Server-wide lines of these names as most modules merge them: the virtual host's own, then the main
        server's."""
        found: Sequence[Directive] | None = self._memo.get(keys)
        if found is None:
            found = self._memo[keys] = [*self._own(keys), *(self.main._own(keys) if self.main is not None else ())]
        return found

    def _own(self, keys: tuple[str, ...]) -> Sequence[Directive]:
        if len(keys) == 1:
            return self.section.all(keys[0])
        if not any(self.section.all(key) for key in keys):
            return ()
        wanted = frozenset(keys)
        return [one for one in self.section.directives if one.key in wanted]

    def last(self, key: str) -> Directive | None:
        """The server-wide line that counts: the virtual host's last one, else the main server's."""
        return self.base.last(key)

    def on(self, key: str, default: bool = False) -> bool:
        return self.base.on(key, default)

    def sections(self, *kinds: str) -> Sequence[Section]:
        """The sections of these kinds in the order in which httpd merges them: the main server's first."""
        key = ("sections", kinds)
        found: Sequence[Section] | None = self._memo.get(key)
        if found is None:
            own = [section for section in self.section.sections if section.kind in kinds]
            found = self._memo[key] = [*(self.main.sections(*kinds) if self.main is not None else ()), *own]
        return found


def _named_methods(server: Server) -> frozenset[str]:
    """Those of a server's <Limit> and <LimitExcept> sections."""
    found: set[str] = set()
    stack = [server.section]
    while stack:
        section = stack.pop()
        stack.extend(section.sections)
        for line in section.directives:
            if line.limit is not None:
                found |= line.limit.methods
    return frozenset(found)


class Config:
    """A whole configuration, read. `server_root` is the folder that relative paths start from; `files` are those that
    were read; `php` says that pages of PHP are to be expected, though perhaps nothing says who runs them."""

    def __init__(
        self,
        main: Server,
        hosts: Sequence[Server],
        listens: Sequence[tuple[Address, Directive | None, bool]],
        modules: Modules,
        server_root: str,
    ) -> None:
        self.main = main
        self.hosts = tuple(hosts)
        self.listens = tuple(listens)  # address, its line, whether it speaks TLS
        self.modules = modules
        self.server_root = server_root
        self.files: list[SourceFile] = []
        self.php = False
        self._memo: dict[Any, Any] = {}

    def memo(self, key: Any, make: "Callable[[Config], Any]") -> Any:
        """What somebody makes of this configuration, made once."""
        if key not in self._memo:
            self._memo[key] = make(self)
        return self._memo[key]

    @cached_property
    def methods(self) -> frozenset[str]:
        """The methods that the server knows: its own, and those that <Limit> names (ap_method_register)."""
        return METHODS.union(*(server.memo("methods", _named_methods) for server in (self.main, *self.hosts)))

    def path(self, path: str) -> str:
        """A path of the configuration on the deployed machine: relative ones start in ServerRoot."""
        return path if is_absolute(path) else f"{self.server_root.rstrip('/')}/{path}"
