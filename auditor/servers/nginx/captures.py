"""auth_request_set where it does nothing, and variables of the auth service's answer used without it or before it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.patterns import lazy_re
from auditor.server import Capture
from auditor.servers.nginx.config import Level, Location, Server
from auditor.servers.nginx.phases import find_location
from auditor.servers.nginx.run import Unpredictable
from auditor.servers.nginx.syntax import Directive
from auditor.source import Place

if TYPE_CHECKING:
    from auditor.servers.nginx.site import NginxSite

# Lines that are worked out before the main upstream has answered.
_BEFORE = ("proxy_set_header", "grpc_set_header", "fastcgi_param", "uwsgi_param", "scgi_param", "set", "if")
_REWRITES = ("set", "if", "rewrite")
_ANSWER = lazy_re(r"\$\{?(upstream_http_\w+)")


def make_captures(site: NginxSite) -> Iterator[Capture]:
    """The captures of all servers that are in vain."""
    vain = _unused(site)
    unused = {line.args[0] for line in vain}
    for server in site.http.servers:
        levels = list(_levels(server))
        services = _services(server, levels)
        asking = [level for level in levels if _asks(level) and level not in services]
        right = {line.args[0] for level in asking for line in level.lines("auth_request_set") if line.args}
        for level in levels:
            if level not in asking:
                # What is taken over where it counts, too, is only repeated here, and does no harm.
                lines = [line for line in level.own.get("auth_request_set", ()) if line.args]
                lines = [line for line in lines if line.args[0] not in right and line.args[0] not in unused]
                if lines:
                    names = tuple(dict.fromkeys(line.args[0] for line in lines))
                    yield Capture(lines[0].place, names, "misplaced", tuple(line.place for line in lines[1:]))
                continue
            for name in _BEFORE:
                for line in level.own.get(name, ()):
                    found = next((match for arg in line.args for match in _ANSWER.findall(arg)), None)
                    if found is not None:
                        yield Capture(line.place, (f"${found}",), "uncaptured")
            yield from _early(level)
    for line in vain:
        yield Capture(line.place, (line.args[0],), "unused")


def _early(level: Level) -> Iterator[Capture]:
    """Lines of the rewrite module that use what this very level takes over: they run before the service is asked
    (measured: `set` gets nothing, and `if ($user = "")` holds for everybody). A named location is entered with what the
    request has found out before."""
    if level.kind == "location" and isinstance(level, Location) and (level.internal or level.modifier == "@"):
        return
    taken = {line.args[0] for line in level.own.get("auth_request_set", ()) if line.args}
    for name in _REWRITES:
        for line in level.own.get(name, ()) if taken else ():
            used = line.args[1:] if name == "set" else line.args
            found = next((one for one in taken if any(_uses(arg, one) for arg in used)), None)
            if found is not None:
                yield Capture(line.place, (found,), "early")


def _uses(text: str, variable: str) -> bool:
    return re.search(rf"\$\{{?{re.escape(variable.lstrip('$'))}(?!\w)", text) is not None


def _levels(level: Level) -> Iterator[Level]:
    yield level
    for child in level.children if isinstance(level, Server | Location) else ():
        yield from _levels(child)


def _asks(level: Level) -> bool:
    line = level.line("auth_request")
    return line is not None and line.args[:1] not in ([], ["off"])


def _services(server: Server, levels: list[Level]) -> set[Level]:
    """The exact locations and the internal ones in which auth subrequests end: these ask no service in their turn."""
    found: set[Level] = set()
    for level in levels:
        line = level.line("auth_request")
        if line is None or not line.args or not line.args[0].startswith("/") or "$" in line.args[0]:
            continue
        try:
            place = find_location(None, server, line.args[0].partition("?")[0])
        except Unpredictable:
            continue
        location = place.location if place is not None else None
        if location is not None and (location.internal or location.modifier == "="):
            found.add(location)
    return found


def _unused(site: NginxSite) -> list[Directive]:
    """The first line of each variable that is taken over and named nowhere else."""
    lines = [
        line for top in site.http.block for line in top.walk() if line.name == "auth_request_set" and len(line.args) > 1
    ]
    # Comments and programs count as use: it is only knowledge.
    uses = Counter(word for source in site.http.sources for word in re.findall(r"\w+", source.text)) if lines else {}
    places: dict[str, dict[Place, Directive]] = {}
    for line in lines:
        places.setdefault(line.args[0], {}).setdefault(line.place, line)
    return [next(iter(named.values())) for name, named in places.items() if uses.get(name.lstrip("$"), 0) <= len(named)]
