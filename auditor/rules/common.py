"""What rules share: the worlds they suppose, the headers they send, and how they read outcomes."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from auditor.findings import Finding
from auditor.http import Pairs, Request, Response
from auditor.server import OPAQUE, Route, Site
from auditor.source import Place
from auditor.trace import Because, Exchange, Gate, Outcome, Outcomes
from auditor.world import CERTIFICATE, Answer, Question, World

BEARER = ("Authorization", "Bearer audit-probe")
BASIC = ("Authorization", "Basic YXVkaXQ6cHJvYmU=")  # audit:probe
# Documentation addresses (RFC 5737): in no list of a real configuration, so they stand for "anybody".
ANYBODY = "192.0.2.77"
ANYBODY_ELSE = "203.0.113.200"


class Supposed(NamedTuple):
    """A world in which some things are taken for granted; None leaves them open.

    `credentials` are "accepted" or "refused", `auth` is what an auth subrequest's upstream answers, `origin` what every
    other upstream answers, `address` the client's. `certificate` is what TLS finds: "accepted", "refused" (one that the
    client has made itself) or "missing"; as the credentials say where it is None, as who is refused them has none.
    """

    credentials: str | None = None
    auth: Response | None = None
    origin: Response | None = None
    address: str | None = None
    certificate: str | None = None

    def ask(self, question: Question) -> Answer | None:
        if question.kind == "credentials" and question.subject == CERTIFICATE and self.credentials is not None:
            name = self.certificate or ("accepted" if self.credentials == "accepted" else "missing")
            return Answer(name, f"the client's certificate is {name}")
        if question.kind == "credentials" and self.credentials is not None:
            return Answer(self.credentials, f"the credentials are {self.credentials}", self.credentials == "accepted")
        if question.kind == "client-address" and self.address is not None:
            return Answer(self.address, f"the client's address is {self.address}", self.address)
        if question.kind == "exchange":
            response = self.auth if question.detail.startswith("auth") else self.origin
            if response is not None:
                return Answer(str(response.status), f"{question.subject} answers {response.status}", response)
        return None


ADMITTED = Supposed(credentials="accepted")
CHALLENGE: Pairs = (("WWW-Authenticate", 'Bearer realm="audit"'),)
UNAUTHORIZED = Response(401, CHALLENGE)
# Someone without credentials, from an address that no list names; the upstreams answer as they should.
STRANGER = Supposed("refused", UNAUTHORIZED, Response(200), ANYBODY)


class OriginRefuses:
    """A world in which the gates admit and the origin answers 401 with a challenge. What another upstream answers in
    place of that (an error page) stays open."""

    def ask(self, question: Question) -> Answer | None:
        if question.kind == "credentials":
            return ADMITTED.ask(question)
        if question.kind == "exchange" and question.detail.startswith("auth"):
            return Answer("200", f"{question.subject} answers 200", Response(200))
        if question.kind == "exchange" and question.detail.startswith("main"):
            return Answer("401", f"{question.subject} answers 401", UNAUTHORIZED)
        return None


ORIGIN_REFUSES = OriginRefuses()


def strangers(site: Site, request: Request) -> Outcomes:
    """What happens to somebody without credentials. Where one from an address that no list names is turned away for
    that alone, from whatever address: what an address lets in is no user yet."""
    outcomes = site.trace(request, STRANGER)
    for outcome in outcomes:
        if outcome.exchanges or serves(outcome) or outcome.status == 401:
            return outcomes
        if any(gate.result == "refused" and gate.needs == "credentials" for gate in outcome.gates):
            return outcomes
    return site.trace(request, STRANGER._replace(address=None))


def traced(
    site: Site, routes: Iterable[Route], header: tuple[str, str] | None, world: World
) -> Iterator[tuple[Route, Request, Outcome]]:
    """Each outcome of each of the routes, asked with one more header."""
    for route in routes:
        request = route.request if header is None else with_header(route.request, header)
        for outcome in site.trace(request, world):
            yield route, request, outcome


def signed_in(site: Site, routes: Iterable[Route], world: World) -> Iterator[tuple[Route, Request, Outcome]]:
    """Each outcome of each of the routes, asked with a token, and with a password where that may make a difference."""
    asked = list(routes)
    yield from traced(site, asked, BEARER, world)
    yield from traced(site, [route for route in asked if is_told_apart(site, route)], BASIC, world)


def is_told_apart(site: Site, route: Route) -> bool:
    """Whether a token and a password may fare otherwise: a gate looks at them, or a line does."""
    return OPAQUE in route.traits or site.tells_schemes_apart or may_be_asked(site, route)


def by_block(
    routes: Iterable[Route],
    judge: Callable[[Sequence[Route]], Iterator[Finding]],
    harmless: Container[str] = (),
    by_path: bool = False,
) -> Iterator[Finding]:
    """Lets `judge` see the routes of one block after another, and passes over blocks like one that was in order: one
    without findings, or with none but of these severities, which then stand for all blocks alike. Of routes of a block
    that are alike the first stands for all, unless the rule judges by what paths say (`by_path`)."""
    blocks: dict[tuple[str, Place | None], dict[object, list[Route]]] = {}
    for number, route in enumerate(routes):
        alike = blocks.setdefault((route.server, route.handler), {})
        alike.setdefault(number if by_path or route.likeness is None else route.likeness, []).append(route)
    in_order: set[tuple[object, ...]] = set()
    for alike in blocks.values():
        block = [same[0] for same in alike.values()]
        likeness = tuple(route.likeness for route in block)
        if likeness in in_order:
            continue
        silent = True
        for finding in judge(block):
            silent = silent and finding.severity in harmless
            yield finding
            yield from _of_alike(finding, alike.values())
        if silent and None not in likeness:
            in_order.add(likeness)


def _of_alike(finding: Finding, alike: Iterable[Sequence[Route]]) -> Iterator[Finding]:
    """The finding once more for each of the routes for which its own one stands."""
    for routes in alike:
        first = routes[0].request.url
        if any(label.endswith(f" {first}") for label in finding.routes):
            for route in routes[1:]:
                labels = tuple(label.removesuffix(first) + route.request.url for label in finding.routes)
                yield finding._replace(routes=labels, pattern=route.pattern)


def may_be_asked(site: Site, route: Route) -> bool:
    """Whether a gate may ask the route's own request for credentials, whatever is not known. What further gates stand
    behind that one does not show: this only saves asking several worlds where there is none."""
    outcomes = site.trace(route.request)
    return any(
        outcome.action == "unknown"
        or outcome.status == 401  # of a gate in front of an index file nothing else is told
        or any(gate.needs == "credentials" for gate in outcome.gates)
        for outcome in outcomes
    )


def says(site: Site, word: str) -> bool:
    """Whether the word, in lower case, stands anywhere in the configuration: where it does not, there is no need to
    look further."""
    return any(word in source.text.lower() for source in site.files)


def of_kind(site: Site, nginx: str, apache: str) -> str:
    """The text for this kind of server."""
    return apache if site.kind == "apache" else nginx


def with_header(request: Request, header: tuple[str, str]) -> Request:
    """The request with this line in place of those of the same name that it may have had."""
    name = header[0].lower()
    pairs = request.headers
    for key, _ in pairs:
        if key.lower() == name:
            pairs = tuple([pair for pair in pairs if pair[0].lower() != name])
            break
    return request._replace(headers=(*pairs, header))


def deciding(because: Iterable[Because]) -> Place | None:
    """The first place that decided, None where a default of the server did."""
    return next((item.place for item in because if item.place is not None), None)


# The parameter files that the distributions ship pass REMOTE_USER on every PHP site, gate or none: a line there
# says nothing about what the application believes.
_STOCK = ("fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params")


def is_stock(line: Place) -> bool:
    """Whether the line stands in such a file."""
    return line.file.rpartition("/")[2] in _STOCK


# Why a gate that stands there asks nobody.
UNASKED = ("no-user-file", "no-require", "all-granted", "before")


def guards(outcome: Outcome) -> list[Gate]:
    """The gates in the request's way that ask for credentials and can refuse."""
    return [
        gate
        for gate in outcome.gates
        if gate.needs == "credentials" and gate.result != "off" and gate.reason not in UNASKED
    ]


def names_hosts(outcome: Outcome) -> bool:
    """Whether a gate lets in single addresses only: a proxy in front that it names, and no people."""
    from ipaddress import ip_address

    for gate in outcome.gates:
        if gate.kind != "access" or gate.result != "passed":
            continue
        words = [word for item in gate.because if item.place is not None for word in item.place.text.split()[1:]]
        hosts = [word.rstrip(";") for word in words if word.lower() not in ("ip", "local", "from")]
        try:
            if words and all(ip_address(host) for host in hosts):
                return True
        except ValueError:  # a network, or something else than an address
            continue
    return False


def serves(outcome: Outcome) -> bool:
    """Whether the client gets content: an upstream's, a file's, a program's, or a body of the configuration. Redirects,
    refusals, errors and empty answers give nothing away."""
    if outcome.status is not None and not (200 <= outcome.status < 300 and outcome.status not in (204, 205)):
        return False
    return outcome.action in ("proxied", "static", "cgi", "answered")


def host_of(server: str) -> str | None:
    """The host of an upstream's server ("app:80", "[::1]:80"); None for a socket file."""
    if server.startswith("unix:"):
        return None
    host = server.rpartition(":")[0] if ":" in server and not server.endswith("]") else server
    return host.strip("[]").lower() or server.lower()


def same_upstream(exchange: Exchange) -> tuple[str, ...]:
    """What two exchanges have in common that go to the same origin: its servers. Where a program chooses the server,
    only the same line is sure to lead to the same origin."""
    if exchange.servers or exchange.place is None:
        return tuple(sorted(exchange.servers)) or (exchange.upstream.rpartition("://")[2],)
    return exchange.place.file, str(exchange.place.line)
