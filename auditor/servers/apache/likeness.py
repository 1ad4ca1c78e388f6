"""Which routes are alike: a front controller answers a hundred paths, and asking for one is enough.

Routes are alike where their requests meet the same sections and the same rewrite rules with conditions, and where what
happens to them is the same but for paths. What headers, methods and credentials change is the same for these then.
Where that cannot be told, there is no likeness.
"""

import posixpath
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from auditor.http import Request
from auditor.servers.apache.config import Section
from auditor.servers.apache.run import Met
from auditor.servers.apache.seen import ADMITS, BASIC, NOTHING, varied_gate
from auditor.trace import Exchange, Gate, Outcome, Outcomes

if TYPE_CHECKING:
    from auditor.servers.apache.site import ApacheSite

_CONDITIONS = frozenset(("if", "elseif", "else"))
_BY_PATH = frozenset(("request_uri", "request_file", "is_subreq"))


class Likeness:
    """What routes have in common that are alike: they have the same one. `happens` is what happens; `coarse` is that as
    far as methods and headers may change it: which files there are does not count."""

    __slots__ = ("coarse", "happens")

    def __init__(self, happens: object, coarse: object) -> None:
        self.happens = happens
        self.coarse = coarse


class Likenesses:
    """Those of the routes of a site."""

    def __init__(self, site: "ApacheSite") -> None:
        self._site = site
        self._known: dict[object, Likeness] = {}

    def of(self, request: Request, plain: Likeness | None = None) -> Likeness | None:
        """That of a request, None for one that is like no other. To be asked while routes are made. `plain` is the
        likeness of the same request with GET and without headers, where this one is a variant of it: what gates and
        conditions keep it from has been seen then."""
        found = _compared(self._site, request, plain)
        if found is None:
            return None
        key, likeness = found
        return self._known.setdefault(key, likeness)


def _compared(site: "ApacheSite", request: Request, plain: Likeness | None) -> tuple[object, Likeness] | None:
    outcomes, met = site.met(request, NOTHING, False)
    ways = [outcomes]
    if any(gate.needs == "credentials" for outcome in outcomes for gate in outcome.gates):
        admitted, further = site.met(request.with_headers(BASIC), ADMITS, False)
        ways.append(admitted)
        met = met.with_more(further)
    if not all(map(_is_told, ways)) or any(map(_looks_at_paths, met.sections)):
        return None
    if plain is None and (any(met.rules.values()) or _is_shut(ways, met)):
        return None
    # Whatever lies behind a refusal.
    refused = plain is not None and all(_is_refused(outcome) for way in ways for outcome in way)
    own = {name.lower().replace("-", "_") for name, _ in request.headers[1:]}
    happens = (
        *(frozenset(met.sections), frozenset(met.rules)),
        tuple(tuple(_form(outcome, own) for outcome in way) for way in ways),
    )
    coarse = (*happens[:2], frozenset(_coarse(outcome) for way in ways for outcome in way))
    asked = (request.method, request.headers, request.tls, request.port, refused or plain)
    return (asked, happens), Likeness(happens, coarse)


def _is_refused(outcome: Outcome) -> bool:
    return any(map(_refuses, outcome.gates))


def _is_shut(ways: Iterable[Outcomes], met: Met) -> bool:
    """Whether a gate refuses that other headers or methods might open: what lies behind it has not been seen."""
    refusing = {gate.because for way in ways for outcome in way for gate in outcome.gates if _refuses(gate)}
    for because in refusing:
        lines = {item.place for item in because}
        own = [section for section in met.sections if any(line.place in lines for line in section.lines())]
        for section in own or met.sections:
            if varied_gate(section) or any(line.limit for line in section.lines()):
                return True
    return False


def _refuses(gate: Gate) -> bool:
    return gate.result == "refused" and gate.needs != "credentials"


def _is_told(outcomes: Outcomes) -> bool:
    return all(outcome.action != "unknown" for outcome in outcomes)


def _looks_at_paths(section: Section) -> bool:
    """Whether lines decide by the path in ways that are not followed here."""
    if any(inner.kind in _CONDITIONS for inner in section.sections):
        return True
    if section.all("setenvifexpr"):
        return True
    lines = (*section.all("setenvif"), *section.all("setenvifnocase"))
    return any(line.args[:1] and line.args[0].lower() in _BY_PATH for line in lines)


def _form(outcome: Outcome, own: Container[str]) -> object:
    """What happens, without paths, and without the variant's own headers, by their own names."""
    return (
        *(outcome.action, outcome.status, outcome.handler, outcome.cache is not None),
        tuple((asked.question.kind, asked.answer.name) for asked in outcome.when),
        tuple((gate.kind, gate.result, gate.reason, gate.needs, gate.because) for gate in outcome.gates),
        tuple(_sent(exchange, own) for exchange in outcome.exchanges),
        tuple(
            ("location",) if line.name.lower() == "location" else (line.name, line.value, line.because)
            for line in outcome.response_headers
            if line.name.lower() != "vary"  # names what conditions have looked at, where it is there
        ),
        tuple((lost.name, lost.because) for lost in outcome.hidden),
        tuple((one.status, one.role, one.line) for one in outcome.replaced),
        posixpath.splitext(outcome.file or "")[1],
    )


def _coarse(outcome: Outcome) -> object:
    gates = frozenset((gate.kind, gate.result, gate.reason, gate.because) for gate in outcome.gates)
    return outcome.action, gates, tuple((exchange.upstream, exchange.place) for exchange in outcome.exchanges)


def _sent(exchange: Exchange, own: Container[str]) -> object:
    return (
        *(exchange.role, exchange.protocol, exchange.upstream, exchange.place, exchange.tls, exchange.method),
        tuple(
            (sent.name, sent.fate, sent.because)
            for sent in exchange.headers
            if sent.name.lower().replace("-", "_").removeprefix("http_") not in own
        ),
        tuple((lost.name, lost.because) for lost in exchange.lost),
    )
