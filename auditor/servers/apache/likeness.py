"""Which routes are alike: a front controller answers a hundred paths, and asking for one is enough.

Routes are alike where their requests meet the same sections and the same rewrite rules with conditions, and where what
happens to them is the same but for paths. What headers, methods and credentials change is the same for these then.
Where that cannot be told, there is no likeness.
"""

import posixpath
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from auditor.http import Request
from auditor.servers.apache.config import Section
from auditor.servers.apache.run import Met
from auditor.servers.apache.seen import ADMITS, BASIC, NOTHING, varied_gate
from auditor.trace import Exchange, Outcome, Outcomes

if TYPE_CHECKING:
    from auditor.servers.apache.site import ApacheSite

_CONDITIONS = frozenset(("if", "elseif", "else"))
_BY_PATH = frozenset(("request_uri", "request_file", "is_subreq"))


class Likeness(NamedTuple):
    """What routes have in common that are alike: how they are asked, and what happens. `plain` is the likeness of the
    request of which this one is a variant."""

    asked: object
    happens: object
    plain: object = None


def likeness_of(site: "ApacheSite", request: Request, plain: object = None) -> Likeness | None:
    """Equal for requests that are alike, None for one that is like no other. To be asked while routes are made.
    `plain` is the likeness of the same request with GET and without headers, where this one is a variant of it: what
    gates and conditions keep it from has been seen then."""
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
    if plain is not None and all(_is_refused(outcome) for way in ways for outcome in way):
        plain = True  # whatever lies behind it
    happens = (frozenset(met.sections), frozenset(met.rules), tuple(tuple(map(_form, way)) for way in ways))
    return Likeness((request.method, request.headers, request.tls, request.port), happens, plain)


def _is_refused(outcome: Outcome) -> bool:
    return any(gate.result == "refused" and gate.needs != "credentials" for gate in outcome.gates)


def _is_shut(ways: Iterable[Outcomes], met: Met) -> bool:
    """Whether a gate refuses that other headers or methods might open: what lies behind it has not been seen."""
    if not any(_is_refused(outcome) for way in ways for outcome in way):
        return False
    return any(varied_gate(section) or any(line.limit for line in section.lines()) for section in met.sections)


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


def _form(outcome: Outcome) -> object:
    """What happens, without paths."""
    return (
        *(outcome.action, outcome.status, outcome.handler, outcome.cache is not None),
        tuple((asked.question.kind, asked.answer.name) for asked in outcome.when),
        tuple((gate.kind, gate.result, gate.reason, gate.needs, gate.because) for gate in outcome.gates),
        tuple(map(_sent, outcome.exchanges)),
        tuple(
            ("location",) if line.name.lower() == "location" else (line.name, line.value, line.because)
            for line in outcome.response_headers
        ),
        tuple((lost.name, lost.because) for lost in outcome.hidden),
        tuple((one.status, one.role, one.line) for one in outcome.replaced),
        posixpath.splitext(outcome.file or "")[1],
    )


def _sent(exchange: Exchange) -> object:
    return (
        *(exchange.role, exchange.protocol, exchange.upstream, exchange.place, exchange.tls, exchange.method),
        tuple((sent.name, sent.fate, sent.because) for sent in exchange.headers),
        tuple((lost.name, lost.because) for lost in exchange.lost),
    )
