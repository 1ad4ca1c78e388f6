"""Stand-ins for the upstreams of a configuration: an origin of ours for each, which keeps the upstream's name.

The server is told the stand-in's address, so that address appears wherever the configuration's own would: in `Host`, in
`$upstream_addr`, in redirects. `Names` puts the configured text back.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from typing import NamedTuple

from auditor.http import Pairs
from probes.client import Reply
from probes.gateways import FastCGI, Scgi, Uwsgi
from probes.origin import Answering, Log, Origin, Received

CATCH_ALL = "(an upstream that was not predicted)"
_PROTOCOLS: dict[str, type[Origin]] = {
    "fastcgi": FastCGI,
    "uwsgi": Uwsgi,
    "suwsgi": Uwsgi,
    "scgi": Scgi,
}
_TLS = ("https", "grpcs", "suwsgi")


class Names:
    """Pairs of a text of the sandbox and the configured text in whose place it stands."""

    def __init__(self) -> None:
        self._configured: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None

    def add(self, here: str, configured: str) -> None:
        """`here` is a text that cannot appear by chance: an address with its port, a folder with a random name."""
        self._configured[here] = configured
        self._pattern = None

    def back(self, text: str) -> str:
        """The text as it would be with the configured names."""
        if self._pattern is None:
            longest = sorted(self._configured, key=len, reverse=True)
            ends = [re.escape(word) + (r"(?!\d)" if word[-1:].isdigit() else "") for word in longest]
            self._pattern = re.compile("|".join(ends) or r"(?!)")
        return self._pattern.sub(lambda found: self._configured[found.group()], text)

    def back_pairs(self, pairs: Pairs) -> Pairs:
        return tuple((name, self.back(value)) for name, value in pairs)

    def back_reply(self, reply: Reply) -> Reply:
        return reply._replace(headers=self.back_pairs(reply.headers))


class Target(NamedTuple):
    """A stand-in: the server it stands for (`app:8080`, `unix:/run/app.sock`), what that is called in headers, and the
    origin that listens for it."""

    server: str
    shown: str
    origin: Origin


class Targets:
    """The stand-ins of one sandbox; each is made when it is first asked for. `certificate` is the path of a PEM file
    with a certificate and its key, asked for when an upstream speaks TLS. They listen on the address `host`, those for
    Unix sockets in `folder`."""

    def __init__(
        self, log: Log, names: Names, certificate: Callable[[], str], answer: Answering, host: str, folder: str
    ) -> None:
        self.log = log
        self.names = names
        self._certificate = certificate
        self._answer = answer
        self._host = host
        self._folder = folder
        self._made: dict[tuple[str, str], Target] = {}
        self._tls: ssl.SSLContext | None = None

    def address(self, kind: str, server: str, shown: str | None = None) -> str:
        """The address of the stand-in for `server` spoken to as `kind` (http, https, fastcgi, ...). `shown` is what the
        configuration's own name for it is in headers, else `server`."""
        key = (kind, f"{server} {shown or server}")
        target = self._made.get(key)
        if target is None:
            made = _PROTOCOLS.get(kind, Origin)
            if kind in ("grpc", "grpcs"):
                from probes.http2 import Http2 as made  # the package h2 is needed here only
            context = self._context(kind) if kind in _TLS else None
            local = self._socket(server)
            origin = made(server, self.log, tls=context, local=local, host=self._host)
            origin.answer = self._answer
            target = self._made[key] = Target(server, shown or server, origin)
            self.names.add(origin.address, shown or server)
        return target.origin.address

    def forward(self, server: str = CATCH_ALL) -> str:
        """The address of the stand-in for all HTTP upstreams, of which requests say themselves whom they are for; or
        for the one that listens on a Unix socket."""
        key = ("forward", server)
        target = self._made.get(key)
        if target is None:
            from probes.forward import Forward

            local = self._socket(server)
            origin = Forward(server, self.log, lambda: self._context("https"), self._host, local)
            origin.answer = self._answer
            target = self._made[key] = Target(server, server, origin)
            self.names.add(origin.address, server)
        return target.origin.address

    def ports(self) -> dict[int, str]:
        """The ports of the stand-ins, and those of the servers that they stand for."""
        found = {}
        for target in self._made.values():
            port = target.server.rpartition(":")[2]
            if target.origin.port and port.isdigit():
                found[target.origin.port] = port
        return found

    def hosts(self) -> dict[str, str]:
        """The addresses of the stand-ins, and what the servers that they stand for are called."""
        return {target.origin.address: target.shown for target in self._made.values()}

    def here(self, text: str) -> str:
        """A text in which URLs lead to the stand-ins of the servers that they name."""
        for (kind, _), target in self._made.items():
            if kind in ("http", "https"):
                pattern = rf"\b{kind}://{re.escape(target.shown)}(?![\w.:-])"
                text = re.sub(pattern, f"{kind}://{target.origin.address}", text)
        return text

    def _socket(self, server: str) -> str | bool:
        return f"{self._folder}/origin{len(self._made)}.sock" if server.startswith("unix:") else False

    def _context(self, kind: str) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(self._certificate())
            self._tls.set_alpn_protocols(["h2", "http/1.1"] if kind == "grpcs" else ["http/1.1"])
        return self._tls

    def back(self, received: Received) -> Received:
        """What arrived, as it would have with the configured names."""
        return received._replace(
            address=received.origin,
            target=self.names.back(received.target),
            headers=self.names.back_pairs(received.headers),
        )

    def close(self) -> None:
        for target in self._made.values():
            target.origin.close()
