"""Authorization that a server keeps from programs of itself (httpd, RFC 3875, 4.1.18): how bad that is, and what to
write."""

from __future__ import annotations

from auditor.findings import ERROR, HIGH, INFO, MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import ADMITTED, deciding, same_upstream, signed_in
from auditor.rules.cors import allows_credentials
from auditor.rules.shapes import is_api
from auditor.server import CORS, Route, Site
from auditor.source import Place
from auditor.trace import DISPLACES, Because, Exchange, SentHeader

_COPY = 'SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1'
_COPIES = {
    "rewriterule": "RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]",
    "proxyfcgisetenvif": 'ProxyFCGISetEnvIf "true" HTTP_AUTHORIZATION "%{req:Authorization}"',
}


class Handed:
    """Where the header does arrive: the lines that hand it on, and the upstreams that get it, by virtual host."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._found: tuple[set[Place | None], set[object]] | None = None
        self._help: dict[tuple[str, Place], str] = {}
        self._idle: list[Place] | None = None

    def idle(self) -> Place | None:
        """The first line that is to hand it on, where it arrives by no line at all; else None: of two lines that say
        the same, one is idle."""
        if self._idle is None:
            self._idle = [] if any(self.found[0]) else list(self._site.handing())
        return self._idle[0] if self._idle else None

    def help(self, route: Route, request: Request, line: Place) -> str:
        """What to write; asked once for a line and a virtual host."""
        key = (route.server, line)
        if key not in self._help:
            ways = self._site.ways_to_pass(request, ADMITTED)
            self._help[key] = "\n".join(ways) or "Hand it on to the program."
        return self._help[key]

    @property
    def found(self) -> tuple[set[Place | None], set[object]]:
        if self._found is None:
            lines: set[Place | None] = set()
            upstreams: set[object] = set()
            for route, _, outcome in signed_in(self._site, self._site.routes(), ADMITTED):
                sent = outcome.main.header("Authorization") if outcome.main is not None else None
                if sent is not None and sent.value.text != "" and outcome.main is not None:
                    lines.add(deciding(sent.because))
                    upstreams.add((route.server, same_upstream(outcome.main)))
            self._found = lines, upstreams
        return self._found


def withheld(
    site: Site,
    route: Route,
    request: Request,
    exchange: Exchange,
    line: Place,
    handed: Handed,
    ending: Because | None = None,
    empty: bool = False,
) -> Finding:
    """The server itself keeps the header from programs, and no line changes that for this request; `ending` is what
    ended the rewriting ahead of the line that would, or what stands in its place further in. `empty`: the
    line makes the variable of something that is not there."""
    displaced = ending is not None and ending.role == DISPLACES
    meant = line != exchange.place
    name = next((sent.name for sent in exchange.headers if is_renamed(sent)), None)
    what = (
        "this line makes its variable of something that is empty."
        if empty
        else "requests arrive there without credentials."
        if name is None
        else f"it arrives under the name {name} only."
    )
    if meant and not displaced:
        severity = ERROR
    elif displaced:  # a folder of another program, perhaps, which is not meant
        severity = ERROR if _expects_credentials(site, route, request) else _by_reach(request, exchange)
    elif (route.server, same_upstream(exchange)) in handed.found[1]:
        severity = INFO  # where it is wanted has been decided
    elif _expects_credentials(site, route, request):
        severity = ERROR
    else:
        severity = _by_reach(request, exchange)
    idle = None if meant else handed.idle()
    if idle is not None and severity == INFO and (route.server, same_upstream(exchange)) not in handed.found[1]:
        severity = WARNING  # somebody wants it to arrive
    return Finding(
        "stripped-authorization",
        severity,
        f"The client's Authorization does not reach {exchange.upstream}: {what}"
        + ("" if meant else " The server withholds it from programs where no line says otherwise.")
        + _ended(displaced if ending else None),
        line,
        confidence=HIGH if meant else MEDIUM,
        related=(*_related_to(ending), *related(exchange, line), *_idle(idle)),
        routes=(route.label,),
        witness=request,
        help=_COPIES.get(line.text.split()[0].lower(), _COPY) if empty else handed.help(route, request, line),
        server=route.server,
        pattern=route.pattern,
    )


def _idle(line: Place | None) -> tuple[Related, ...]:
    return () if line is None else (Related(line, "meant to hand it on, and does so nowhere"),)


def _ended(displaced: bool | None) -> str:
    if displaced is None:
        return ""
    why = "and rules further in stand in its place." if displaced else "and the rewriting ends ahead of it."
    return f" This line would hand it on, {why}"


def _related_to(ending: Because | None) -> tuple[Related, ...]:
    if ending is None or ending.place is None:
        return ()
    return (Related(ending.place, "instead of it" if ending.role == DISPLACES else "the rewriting ends here"),)


def means_to_pass(line: Place | None) -> bool:
    """Whether the line copies the header for the program: it does not get there then."""
    return line is not None and "HTTP_AUTHORIZATION" in line.text


def is_renamed(sent: SentHeader) -> bool:
    return sent.name.endswith("_HTTP_AUTHORIZATION") and bool(sent.value.text)


def _expects_credentials(site: Site, route: Route, request: Request) -> bool:
    """Whether the configuration shows that programs sign in there."""
    if is_api(request.path) or request.host.startswith("api."):
        return True
    return CORS in route.traits and allows_credentials(site, request)


def _by_reach(request: Request, exchange: Exchange) -> str:
    return WARNING if _takes_all(request, exchange) else INFO


def _takes_all(request: Request, exchange: Exchange) -> bool:
    """Whether the program answers for paths that are no file's: an application, not a script among pages."""
    name = request.path.rpartition("/")[2]
    if exchange.protocol == "cgi" and exchange.upstream.rpartition("/")[2] in request.path:
        return False
    # `^/(.*.php)$`, with a dot that stands for any character, is about scripts as well.
    return name != "" and "." not in name and not name.endswith("php")


def related(exchange: Exchange, line: Place) -> tuple[Related, ...]:
    place = exchange.place
    return () if place is None or place == line else (Related(place, "the requests go here"),)
