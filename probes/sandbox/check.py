"""The sealed configuration, read once more before it is started: nothing in it may lead out of the sandbox."""

from __future__ import annotations

import re
from collections.abc import Iterable

from auditor.servers.nginx.site import NginxSite
from probes.sandbox import tables
from probes.sandbox.seal import Plan, Sealed
from probes.sandbox.upstreams import NOWHERE


class Unsafe(Exception):
    """The sealed configuration still names something outside; the server is not started."""


def check_sealed(site: NginxSite, sealed: Sealed, plan: Plan) -> None:
    """Reads the sealed configuration again. Raises Unsafe for a line that would reach or listen outside of it."""
    groups = set(site.http.upstreams)
    for directive in site.tree.walk():
        name, args = directive.name, directive.args
        bad = False
        if name in tables.PASSES and args:
            text = args[0].partition("://")[2] if "://" in args[0] else args[0]
            server = re.split(r"[/?]", text)[0] if not text.startswith("unix:") else text.rpartition(":/")[0] or text
            fixed = server.partition("$audit_to_")
            bad = not (
                not server  # the server refuses that
                or server in groups
                or server in sealed.addresses
                or text in sealed.addresses
                or (fixed[1] and not fixed[0])
                or ("$" in text and re.match(rf"\d+\.{re.escape(NOWHERE)}(?:[/?$]|\Z)", text))
                or any(server.startswith(address + "$") for address in (*sealed.addresses, *groups))
            )
        elif name == "server" and directive.block is None and args:
            bad = args[0] not in sealed.addresses
        elif name == "listen":
            bad = not args[0].startswith((f"{plan.address}:", f"unix:{plan.state}/"))
        elif name in ("resolver", "load_module", "stream", "mail", "ssl_stapling", "js_fetch_trusted_certificate"):
            bad = True
        elif name in ("access_log", "error_log"):
            bad = args[:1] != ["off"] and not (args and args[0].startswith(plan.state + "/"))
        elif name in tables.TABLES:
            bad = any(_climbs(entry.args) for entry in directive.block or ())
        elif name in tables.SERVED:
            bad = _climbs(args[1:] if name == "rewrite" else args)
        if bad:
            raise Unsafe(f"{directive.place.text} in {directive.place.file}:{directive.line}")


def _climbs(words: Iterable[str]) -> bool:
    """Whether one of these paths goes up: the server joins it to its root as it is, which may lead anywhere."""
    return any(".." in word.split("/") for word in words)
