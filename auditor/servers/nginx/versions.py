"""The versions of nginx that are told apart, and whether a configuration can notice."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.server import Version
from auditor.servers.nginx.config import Http, Level, Location

OLDEST: Version = (1, 22, 1)
NEWEST: Version = (1, 31, 3)
# Where Run.newer() is asked, between those two.
CHANGES: tuple[Version, ...] = ((1, 23), (1, 29), (1, 29, 3), (1, 29, 7))

# Headers that the default request to an upstream has in one version and not in another.
_DEFAULTS = frozenset({"connection", "proxy-connection", "http_host"})
_LINES = ("proxy_set_header", "grpc_set_header", "fastcgi_param", "uwsgi_param", "scgi_param")


def all_versions(http: Http) -> tuple[Version, ...]:
    """The versions to ask about, oldest first; the newest alone where nothing in the configuration makes rules say
    anything else of another one. Requests that rules send have no header twice, so what became of those is left out,
    and versions that refuse a directive of the configuration are."""
    differs = False
    for level in _levels(http):
        own = level.own
        if "add_header_inherit" in own or any(
            line.name == "add_header_inherit" for block in own.get("if", ()) for line in block.block or ()
        ):
            return (NEWEST,)  # known since 1.29.3; what changed in 1.29.7 is not worth another round
        if "satisfy" in own and any("auth_request" in each.own for each in _levels(http)):
            differs = True
        if _upgrades(level) and level.line("proxy_http_version") is None:
            differs = True
        if level.kind != "location" or "location" in own:
            differs = differs or any(
                line.args and line.args[0].lower() in _DEFAULTS for name in _LINES for line in own.get(name, ())
            )
    return (OLDEST, *CHANGES, NEWEST) if differs else (NEWEST,)


def _upgrades(level: Level) -> bool:
    return any(line.args and line.args[0].lower() == "upgrade" for line in level.own.get("proxy_set_header", ()))


def _levels(http: Http) -> Iterator[Level]:
    yield http
    stack: list[Level] = list(http.servers)
    while stack:
        level = stack.pop()
        yield level
        stack.extend(level.children if isinstance(level, Location) else getattr(level, "children", ()))
