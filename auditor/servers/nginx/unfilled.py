"""Headers made of a client certificate that the server never asks for."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.patterns import lazy_re
from auditor.server import Unfilled
from auditor.servers.nginx.config import Http, Level
from auditor.servers.nginx.syntax import Directive
from auditor.source import Place

_LINES = ("proxy_set_header", "grpc_set_header", "fastcgi_param", "uwsgi_param", "scgi_param")
# $ssl_client_verify says NONE where there is no certificate.
_CERTIFICATE = lazy_re(r"\$\{?(ssl_client_(?!verify\b)\w+)\}?")


def make_unfilled(http: Http) -> Iterator[Unfilled]:
    """The lines that are nothing but a variable of the client's certificate, where no server to which they apply asks
    for one (ssl_verify_client)."""
    found: dict[Place, tuple[Directive, str]] = {}
    filled: set[Place] = set()
    for server in http.servers:
        for line, name in _lines(server):
            if server.verifies_clients:
                filled.add(line.place)
            found.setdefault(line.place, (line, name))
    for place, (line, name) in found.items():
        if place not in filled:
            why = "no client is asked for a certificate here"
            instead = "ssl_client_certificate /etc/nginx/ca.pem;\nssl_verify_client on;"
            yield Unfilled(place, line.args[0], f"${name}", why, instead)


def _lines(level: Level) -> Iterator[tuple[Directive, str]]:
    """Such lines of a server and of its locations, and those of http that count there."""
    levels: list[Level] = [level]
    while levels:
        here = levels.pop()
        levels.extend(getattr(here, "children", ()))
        for directive in _LINES:
            for line in here.lines(directive) if here is level else here.own.get(directive, ()):
                match = _CERTIFICATE.fullmatch(line.args[1]) if len(line.args) > 1 else None
                if match is not None:
                    yield line, match[1]
