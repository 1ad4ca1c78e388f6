"""Whether another proxy stands in front of this server: what the configuration itself tells of it."""

from __future__ import annotations

from auditor.servers.nginx.config import Http, Server
from auditor.servers.nginx.syntax import Directive
from auditor.source import Place

# Only a proxy in front can be believed about these.
_TOLD = ("$http_x_forwarded_proto", "$http_x_forwarded_for", "$http_x_forwarded_ssl", "$http_x_forwarded_port")


def find_position(http: Http) -> Place | None:
    """The line that shows that another proxy stands in front, None where nothing does."""
    for level in (http, *http.servers):
        for line in level.own.get("set_real_ip_from", ()):
            if line.args and _is_near(line.args[0]):
                return line.place
    for name in ("map", "geo"):
        for line in http.own.get(name, ()):
            if any(arg in _TOLD for arg in line.args[:-1]):
                return line.place
    for server in http.servers:
        for line in server.own.get("listen", ()):
            if "proxy_protocol" in line.args:
                return line.place
        told = _told(server)
        if told is not None:
            return told.place
    for line in http.own.get("proxy_set_header", ()):
        if line.args[1:2] == ["$http_x_forwarded_proto"]:
            return line.place
    return None


def _is_near(address: str) -> bool:
    """Whether a proxy at that address is one's own: a network of content delivery, with public addresses, passes on
    what clients send."""
    if ":" not in address and not address.replace(".", "").replace("/", "").isdigit():
        return True  # a name, or unix:
    if address.startswith("unix:"):
        return True
    from ipaddress import ip_network

    try:
        return ip_network(address, strict=False).is_private and not address.endswith("/0")
    except ValueError:
        return False


def _told(server: Server) -> Directive | None:
    """An `if` that judges by what the proxy in front says, or a line that passes the scheme on as it came. (To pass the
    client's address on as it came is what one does by mistake, too.)"""
    stack = list(server.block)
    while stack:
        line = stack.pop()
        if line.name == "if" and line.args[:1] and line.args[0] in _TOLD:
            return line
        if line.name == "proxy_set_header" and line.args[1:2] == ["$http_x_forwarded_proto"]:
            return line
        stack.extend(line.block or ())
    return None
