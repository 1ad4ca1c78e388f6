"""From the items that the loader gives to servers and their sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auditor.servers.apache.arguments import wrong_arguments
from auditor.servers.apache.config import Address, Config, Directive, Limit, Section, Server
from auditor.servers.apache.directives import spec_of
from auditor.servers.apache.load import Item, Loader
from auditor.servers.apache.modules import Modules
from auditor.servers.apache.syntax import words_of

# Section names, and whether their argument is a regular expression.
_SECTIONS = {
    "<directory": ("directory", False),
    "<directorymatch": ("directory", True),
    "<files": ("files", False),
    "<filesmatch": ("files", True),
    "<location": ("location", False),
    "<locationmatch": ("location", True),
    "<proxy": ("proxy", False),
    "<proxymatch": ("proxy", True),
    "<if": ("if", False),
    "<elseif": ("elseif", False),
    "<else": ("else", False),
}
_REQUIRE = frozenset(("<requireall", "<requireany", "<requirenone"))
_CONTAINERS = _REQUIRE | {"<authnprovideralias", "<authzprovideralias"}


def build(
    loader: Loader,
    items: Iterable[Item],
    removed: frozenset[object] = frozenset(),
    like: Config | None = None,
    further: frozenset[object] = frozenset(),
) -> Config:
    """The configuration that the items make; `removed` are places of directives to leave out.

    `like` is a configuration of the same items in which all is removed but what is in `further`: the servers that have
    none of those lines are taken from there, with all that has been found out about them.
    """
    main_items: list[Item] = []
    hosts: list[Item] = []
    for item in items:
        (hosts if item.directive.key == "<virtualhost" else main_items).append(item)
    builder = _Builder(loader, removed)
    touched: set[int] | None = None  # the hosts to build, None for all of them
    if like is not None:
        users = like.memo("users", lambda config: _users(main_items, hosts))
        touched = {index for place in further for index in users.get(place, ())}
    if like is None or touched is None or _MAIN in touched:
        main, touched = Server(builder.section("server", "", False, None, main_items), None, (), None), None
    else:
        main = like.main
    servers = []
    for index, item in enumerate(hosts):
        if like is not None and touched is not None and index not in touched:
            servers.append(like.hosts[index])
            continue
        section = builder.section("server", "", False, item.directive, item.items or ())
        # Without a port, it is that of the main server's ServerName, if there is one (get_addresses).
        addresses = [
            address
            if address.port is not None or word == "*" or word.endswith(":*")
            else address._replace(port=main.name_port)
            for word, address in ((word, parse_address(word)) for word in item.directive.args)
        ]
        servers.append(Server(section, item.directive.place, addresses, main))
    listens: list[tuple[Address, Directive | None, bool]] = []
    for line in main.section.all("listen"):
        if line.args:
            protocol = line.args[1].lower() if len(line.args) > 1 else ""
            listens.append((parse_address(line.args[0], listen=True), line, protocol == "https"))
    return Config(main, servers, listens, loader.modules, loader.server_root)


_MAIN = -1


def _users(main: Sequence[Item], hosts: Sequence[Item]) -> dict[object, set[int]]:
    """Which servers a line is part of, by its place: numbers of hosts, or _MAIN. A file or macro may serve several."""
    users: dict[object, set[int]] = {}
    for index, items in [(_MAIN, main), *((index, host.items or ()) for index, host in enumerate(hosts))]:
        stack = list(items)
        while stack:
            item = stack.pop()
            users.setdefault(item.directive.place, set()).add(index)
            stack.extend(item.items or ())
    return users


def parse_address(text: str, listen: bool = False) -> Address:
    """`host:port`, `[v6]:port`, `*:port`, `_default_`, or for Listen a port alone."""
    if listen and text.isdigit():
        return Address("*", int(text))
    host, colon, port = text.rpartition(":")
    if not colon or (text.startswith("[") and text.endswith("]")):
        host, port = text, ""
    if port and port != "*" and not port.isdigit():
        host, port = text, ""
    host = "*" if host in ("", "_default_", "0.0.0.0") else host.lower()
    return Address(host, int(port) if port.isdigit() else None)


class _Builder:
    def __init__(self, loader: Loader, removed: frozenset[object]) -> None:
        self._loader = loader
        self._removed = removed

    def section(
        self, kind: str, pattern: str, regex: bool, opening: Directive | None, items: Sequence[Item], folder: str = ""
    ) -> Section:
        directives: list[Directive] = []
        sections: list[Section] = []
        inside = kind != "server"
        self._fill(items, directives, sections, None, inside)
        place = opening.place if opening is not None else None
        return Section(kind, pattern, regex, place, directives, sections, folder)

    def _fill(
        self,
        items: Sequence[Item],
        directives: list[Directive],
        sections: list[Section],
        limit: Limit | None,
        inside: bool,
    ) -> None:
        for item in items:
            directive = item.directive
            if directive.place in self._removed:
                continue
            self._check(directive, inside)
            key = directive.key
            if item.items is None:
                if key.startswith("lua"):  # a module that comes with httpd, whose programs are not followed
                    self._loader.unknown(directive)
                directives.append(directive._replace(limit=limit) if limit is not None else directive)
            elif key in ("<limit", "<limitexcept"):
                methods = frozenset(word for word in directive.args)
                inner = Limit(methods, key == "<limitexcept", directive.place)
                self._fill(item.items, directives, sections, inner, inside)
            elif key in _CONTAINERS:
                directives.append(self._container(item, limit))
                if key in _REQUIRE:
                    directives.extend(self._others(item, limit))
            elif key in _SECTIONS:
                kind, regex = _SECTIONS[key]
                words = directive.args
                pattern = directive.rest if kind in ("if", "elseif", "else") else words[0] if words else ""
                if kind in ("if", "elseif"):
                    pattern = words[0] if words and directive.rest[:1] in "\"'" else directive.rest
                elif words and words[0] == "~" and len(words) > 1:
                    regex, pattern = True, words[1]
                sections.append(self.section(kind, pattern, regex, directive, item.items))
            elif key != "<virtualhost":
                self._loader.unknown(directive)

    def _container(self, item: Item, limit: Limit | None) -> Directive:
        return item.directive._replace(children=tuple(self._children(item, limit)), limit=limit)

    def _children(self, item: Item, limit: Limit | None) -> Iterator[Directive]:
        for child in item.items or ():
            directive = child.directive
            if directive.place in self._removed:
                continue
            if child.items is None:
                if directive.key == "require" or item.directive.key not in _REQUIRE:
                    yield directive._replace(limit=limit)
            elif directive.key in ("<limit", "<limitexcept"):
                methods = frozenset(directive.args)
                yield from self._children(child, Limit(methods, directive.key == "<limitexcept", directive.place))
            else:
                yield self._container(child, limit)

    def _others(self, item: Item, limit: Limit | None) -> Iterator[Directive]:
        """What stands in a container and is no Require line: it counts as if it stood around it (add_authz_section)."""
        for child in item.items or ():
            directive = child.directive
            if child.items is not None:
                yield from self._others(child, limit)
            elif directive.key != "require" and directive.place not in self._removed:
                yield directive._replace(limit=limit) if limit is not None else directive

    def _check(self, directive: Directive, inside: bool) -> None:
        """httpd does not start with a directive that stands where it must not."""
        spec = spec_of(directive.key)
        if spec is None:
            if not directive.key.startswith("<"):
                self._loader.unknown(directive)
            return
        if not self._loader.modules.has(spec.module) and self._loader.certain_of_modules:
            message = f"Invalid command '{directive.name}': {spec.module.removesuffix('.c')} is not loaded"
            self._loader.error(directive.place, message)
        wrong = wrong_arguments(directive)
        if wrong is not None and not self._loader.template:
            self._loader.error(directive.place, wrong)
        wanted = "d" if inside else "s"
        if wanted not in spec.contexts and not directive.key.startswith("<"):
            where = "inside of a section" if inside else "outside of <Directory>, <Location>, <Files> and .htaccess"
            self._loader.error(
                directive.place, f"{directive.name} is not allowed {where}: httpd does not start with it"
            )


def htaccess_section(loader: Loader, folder: str, items: Sequence[Item], removed: frozenset[object]) -> Section:
    """The section that a .htaccess makes; contexts and AllowOverride are the caller's to check."""
    quiet = _Quiet(loader, removed)
    return quiet.section("htaccess", folder, False, None, items, folder)


class _Quiet(_Builder):
    def _check(self, directive: Directive, inside: bool) -> None:
        pass


__all__ = ["Modules", "build", "htaccess_section", "parse_address", "words_of"]
