"""Which requests name a file of the deployed machine: root and alias, turned round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.http import Request
from auditor.servers.nginx.config import Level, Location, Server
from auditor.servers.nginx.uri import escape

if TYPE_CHECKING:
    from auditor.servers.nginx.site import NginxSite


MAX_ADDRESSES = 50  # for one file: many servers may share a folder

Served = dict[str, list[tuple[Request, str]]]  # by folder: a request to a server, and the URI of that folder there


def make_addresses(site: NginxSite, path: str) -> Iterator[Request]:
    """The requests to the servers whose folders hold the file at that (absolute) path, each once."""
    served: Served = site.http.memo("served folders", lambda _: _served(site))  # type: ignore[assignment]
    seen: dict[Request, None] = {}
    folder = path
    while folder:
        for base, prefix in served.get(folder, ()):
            seen[base._replace(target=escape(prefix + path[len(folder) :]))] = None
            if len(seen) >= MAX_ADDRESSES:
                break
        folder = folder.rpartition("/")[0]
    yield from seen


def _served(site: NginxSite) -> Served:
    bases: dict[str, Request] = {}
    for route in site.routes():
        bases.setdefault(route.server, route.request._replace(method="GET", headers=route.request.headers[:1]))
    found: Served = {}
    for server in site.http.servers:
        base = bases.get(server.names[0] or "_")
        for folder, prefix in _folders(site, server) if base is not None else ():
            assert base is not None
            found.setdefault(folder, []).append((base, prefix))
    return found


def _folders(site: NginxSite, server: Server) -> Iterator[tuple[str, str]]:
    """The folders of a server's roots and aliases, without the final slash, with the URI that stands for each."""
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
                yield folder.rstrip("/"), ""
            elif isinstance(level, Location) and level.modifier in ("", "^~", "="):
                # Behind the alias comes what is behind the location's name, with the slash of the one or the other.
                slash = level.name.endswith("/") and folder.endswith("/")
                yield folder.rstrip("/"), level.name.rstrip("/") if slash else level.name
