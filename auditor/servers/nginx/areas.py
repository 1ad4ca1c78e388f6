"""What a configuration means to guard, the user files it names, and lines that may have no effect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.server import Area, Limit, Misplaced, Note, Suspect, UserFile
from auditor.servers.nginx.certificates import KIND, is_gate
from auditor.servers.nginx.config import PASSES, Http, Level, Location, Server
from auditor.servers.nginx.likeness import likeness
from auditor.servers.nginx.syntax import Directive
from auditor.source import Place

if TYPE_CHECKING:
    from auditor.servers.nginx.site import NginxSite

_GATES = ("auth_basic", "auth_request", "auth_jwt")
# Variables that hold what the client likes; $host is one of the server's own names as a rule.
_CHOSEN = r"\$\{?(http_(?!host\b)|arg_|cookie_|args\b|query_string\b|uri\b|request_uri\b|document_uri\b)"


def guarded_levels(server: Server) -> list[tuple[Level, Directive]]:
    """The levels of a server that have a gate line of their own, outermost first; for the server itself, also one
    that it inherits."""
    found: list[tuple[Level, Directive]] = []
    for kind in _GATES:
        line = server.line(kind)
        if line is not None and _guards(server, line):
            found.append((server, line))
            break
    stack = list(reversed(server.children))
    while stack:
        location = stack.pop()
        stack.extend(reversed(location.children))
        for kind in _GATES:
            lines = location.own.get(kind)
            if lines and _guards(location, lines[-1]):
                found.append((location, lines[-1]))
                break
        else:
            conditions = [line for line in location.own.get("if", ()) if is_gate(line)]
            found += [(location, line) for line in conditions[:1]]
    return found


def _guards(level: Level, line: Directive) -> bool:
    if not line.args or line.args[0] == "off":
        return False
    return line.name != "auth_basic" or level.line("auth_basic_user_file") is not None


def make_areas(site: NginxSite) -> list[Area]:
    """The guarded parts of all servers."""
    areas: list[Area] = []
    for server in site.http.servers:
        name = server.names[0] or "_"
        for level, line in guarded_levels(server):
            if level.directive is None:
                continue
            if isinstance(level, Location):
                if level.modifier in ("~", "~*", "@"):
                    continue
                kind = KIND if line.name == "if" else line.name
                exact = level.modifier == "="
                areas.append(Area(name, name, level.name, exact, level.directive.place, line.place, kind))
            else:
                areas.append(Area(name, name, "/", False, level.directive.place, line.place, line.name))
    return areas


def make_misplaced(site: NginxSite) -> Iterator[Misplaced]:
    """Conditions on a certificate that no client is asked for: they refuse everybody (measured). A line that several
    servers share is right where one of them asks; what is not at hand may ask, too."""
    found: dict[Place, None] = {}
    asked: set[Place] = set()
    for server in site.http.servers if site.complete else ():
        for _, line in guarded_levels(server):
            if is_gate(line):
                found[line.place] = None
                if server.verifies_clients:
                    asked.add(line.place)
    for place in found:
        if place not in asked:
            what = "This gate refuses everybody: no client is asked for a certificate here."
            yield Misplaced(place, what, "ssl_client_certificate /etc/nginx/ca.pem;\nssl_verify_client optional;")


def make_user_files(site: NginxSite) -> list[UserFile]:
    """Each auth_basic_user_file line once, with the gates of its level."""
    found: dict[Place, UserFile] = {}
    for line, level in _each(site, "auth_basic_user_file"):
        if not line.args or line.place in found:
            continue
        written = line.args[0]
        path = None if "$" in written else written
        resolved = site.deployed(path) if path is not None else None
        gates = tuple(gate.place for gate in level.lines("auth_basic"))
        chosen = path is None and re.search(_CHOSEN, written) is not None
        found[line.place] = UserFile(path, resolved, line.place, gates, site.state(resolved), chosen)
    absent: dict[str, Place] = {}
    for one in found.values():
        if one.resolved is not None and one.state is None and site.text_of(one.resolved) is None:
            absent.setdefault(one.resolved, one.line)
    if absent:
        site.note(
            Note("unchecked", f"not found here, so not checked: {', '.join(absent)}", next(iter(absent.values())))
        )
    return list(found.values())


def make_limits(site: NginxSite) -> list[Limit]:
    """The limits that count at any level, with the line that sets their status."""
    found: dict[Limit, None] = {}
    for level in _levels(site):
        for name in ("limit_req", "limit_conn"):
            limit, line = level.line(name), level.line(f"{name}_status")
            if limit is not None and line is not None and line.args[:1] and line.args[0].isdigit():
                found[Limit(int(line.args[0]), line.place, limit.place)] = None
    return list(found)


def _levels(site: NginxSite) -> list[Level]:
    levels: list[Level] = [site.http]
    for server in site.http.servers:
        levels.append(server)
        levels.extend(_locations(server.children))
    return levels


def _each(site: NginxSite, name: str) -> Iterator[tuple[Directive, Level]]:
    """All lines of that name with the level they stand in."""
    for level in _levels(site):
        for line in level.own.get(name, ()):
            yield line, level
        for kind in ("limit_except", "if"):
            for block in level.own.get(kind, ()):
                for line in block.block or ():
                    if line.name == name:
                        yield line, level


def _locations(children: list[Location]) -> Iterator[Location]:
    for location in children:
        yield location
        yield from _locations(location.children)


# --- lines that may have no effect

# What only requests carry: to hide or pass it in answers does nothing.
_REQUEST_HEADERS = frozenset(
    (
        "authorization",
        "cookie",
        "host",
        "user-agent",
        "accept",
        "x-forwarded-for",
        "x-real-ip",
        "x-api-key",
        "origin",
        "referer",
    )
)
_FAMILIES = {
    "proxy_set_header": "proxy",
    "grpc_set_header": "grpc",
    "fastcgi_param": "fastcgi",
    "uwsgi_param": "uwsgi",
    "scgi_param": "scgi",
}


def make_suspects(site: NginxSite) -> Iterator[Suspect]:
    """Lines that name a request header or a gate and look as if they did nothing."""
    found: dict[Place, Suspect] = {}
    for line, level, why in _suspects(site):
        exchanges = tuple(_exchanges(level, line.name))
        known = found.get(line.place)
        if known is not None:  # a snippet that is read in several places: the line counts in each
            found[line.place] = known._replace(exchanges=(*known.exchanges, *exchanges), likeness=None)
            continue
        server = _server_of(level)
        alike = likeness(level, server) if server is not None else None
        if not exchanges and any(inner.name in PASSES for child in level.block for inner in child.walk()):
            why = f"each block below that sends requests on has {line.name} lines of its own, which displace it"
        found[line.place] = Suspect(
            line.place,
            line.name,
            line.args[0],
            why,
            exchanges=exchanges,
            likeness=None if alike is None else (alike, line.name, *line.args),
        )
    yield from found.values()


def _exchanges(level: Level, name: str) -> Iterator[Place]:
    """The lines that send requests on to which lines of that name at this level apply."""
    for child in level.block:
        if child.name in PASSES:
            yield child.place
        elif child.name in ("if", "limit_except"):
            yield from (line.place for line in child.walk() if line.name in PASSES)
    below: list[Level] = []
    if isinstance(level, Http):
        below += level.servers
    elif isinstance(level, Server | Location):
        below += level.children
    for inner in below:
        if name not in inner.own:
            yield from _exchanges(inner, name)


def _server_of(level: Level) -> Server | None:
    above: Level | None = level
    while above is not None and not isinstance(above, Server):
        above = above.outer
    return above


def _suspects(site: NginxSite) -> Iterator[tuple[Directive, Level, str]]:
    for family in ("proxy", "fastcgi", "uwsgi", "scgi", "grpc"):
        for verb in ("pass", "hide"):
            for line, level in _each(site, f"{family}_{verb}_header"):
                if line.args and line.args[0].lower() in _REQUEST_HEADERS and not _displaces(line, level):
                    yield (
                        line,
                        level,
                        f"{line.name} is about headers of the answer, and {line.args[0]} is one of requests",
                    )
    for line, level in _each(site, "proxy_set_header"):
        if len(line.args) == 2 and _copies(line.args[0], line.args[1]):
            yield line, level, f"the client's {line.args[0]} goes on as it is without it"
    for directive, family in _FAMILIES.items():
        for line, level in _each(site, directive):
            handler = _pass_of(level)
            if line.args and handler is not None and handler != f"{family}_pass":
                yield line, level, f"{directive} is for {family}_pass, and this location has {handler}"


def _displaces(line: Directive, level: Level) -> bool:
    """Whether it keeps lines of its name further out from counting here, because it stands here without another one
    that would do so, too."""
    if any(each.args and each.args[0].lower() not in _REQUEST_HEADERS for each in level.own.get(line.name, ())):
        return False
    above = level.outer
    while above is not None:
        if above.own.get(line.name):
            return True
        above = above.outer
    return False


def _copies(name: str, value: str) -> bool:
    return value.strip("{}").replace("${", "$") == "$http_" + name.lower().replace("-", "_")


def _pass_of(level: Level) -> str | None:
    """The pass directive of a location that has no other block inside."""
    if not isinstance(level, Location) or level.children:
        return None
    return next((name for name in PASSES if name in level.own), None)
