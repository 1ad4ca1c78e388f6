"""Which requests name a file of the deployed machine: root and alias, turned round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.http import Request
from auditor.servers.nginx.config import Level, Location, Server
from auditor.servers.nginx.uri import escape

if TYPE_CHECKING:
    from auditor.servers.nginx.site import NginxSite


def make_addresses(site: NginxSite, path: str) -> Iterator[Request]:
    """The requests to all servers whose folders hold the file at that (absolute) path, each once."""
    bases: dict[str, Request] = {}
    for route in site.routes():
        bases.setdefault(route.server, route.request._replace(method="GET", headers=route.request.headers[:1]))
    seen: set[Request] = set()
    for server in site.http.servers:
        base = bases.get(server.names[0] or "_")
        if base is None:
            continue
        for target in _targets(site, server, path):
            request = base._replace(target=escape(target))
            if request not in seen:
                seen.add(request)
                yield request


def _targets(site: NginxSite, server: Server, path: str) -> Iterator[str]:
    """The URIs that lead to it, by each root and alias of the server and of its locations."""
    stack: list[Level] = [server]
    while stack:
        level = stack.pop()
        stack.extend(level.children if isinstance(level, Server | Location) else ())
        for name in ("root", "alias"):
            # The server's own root may be that of the block around it.
            lines = level.lines(name) if level is server else level.own.get(name, [])
            if not lines or not lines[-1].args or "$" in lines[-1].args[0]:
                continue
            folder = site.deployed(lines[-1].args[0])
            if name == "root":
                folder = folder.rstrip("/")
                if path.startswith(folder + "/"):
                    yield path[len(folder) :]
            elif isinstance(level, Location) and level.modifier in ("", "^~", "=") and path.startswith(folder):
                yield level.name + path[len(folder) :]
