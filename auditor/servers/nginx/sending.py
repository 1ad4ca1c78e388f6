"""A request on its way out to an upstream, and the fate of each header on the way."""

from __future__ import annotations

from auditor.servers.nginx.run import Run
from auditor.servers.nginx.syntax import Directive
from auditor.trace import ADDED, CHANGED, FORWARDED, REPLACED, Because, LostHeader, SentHeader, Shadowed
from auditor.values import Value, client_header

PASSES_ALL = "proxy_pass_request_headers on"


class Sending:
    """What an upstream is going to receive. `servers` are host:port pairs, as far as the text tells them."""

    __slots__ = (
        "body",
        "headers",
        "line",
        "lost",
        "method",
        "protocol",
        "servers",
        "shadowed",
        "tls",
        "upstream",
        "uri",
    )

    def __init__(
        self, line: Directive, upstream: str, servers: tuple[str, ...], protocol: str, tls: bool = False
    ) -> None:
        self.line = line
        self.upstream = upstream
        self.servers = servers
        self.protocol = protocol
        self.tls = tls
        self.method = "GET"
        self.uri: str | None = None
        self.body = "none"
        self.headers: list[SentHeader] = []
        self.lost: list[LostHeader] = []
        self.shadowed: list[Shadowed] = []

    def add(self, name: str, value: Value, fate: str, because: tuple[Because, ...]) -> bool:
        """Send this line, unless its value is certainly empty."""
        present = value.present
        if present == "no":
            return False
        self.headers.append(SentHeader(name, value, present, fate, because))
        return True


def fate_of(run: Run, client_name: str, value: Value) -> str:
    """What became of the client's header of that name, given the value that is sent under it."""
    low = client_name.lower()
    given = [text for name, text in run.headers if name.lower() == low]
    if not given:
        return ADDED
    source = client_header(client_name).lower()
    from_client = [s for s in value.segments if s.source.lower() == source and s.text != ""]
    if not from_client:
        return REPLACED
    if value.text == given[0] and len(given) == 1:
        return FORWARDED
    return CHANGED


def body_of(run: Run, passes: bool) -> str:
    """Whether the client's body goes along: an auth subrequest never has it, whatever Content-Length says."""
    if run.body.length <= 0 and not run.body.chunked:
        return "none"
    return "sent" if passes and run.role != "auth" else "dropped"
