"""The way of a finding's witness: the steps that lead to the line which the finding blames."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.findings import Finding, Related
from auditor.secrets import mask
from auditor.server import Site
from auditor.source import Place
from auditor.trace import Because, Outcome


def way_of(site: Site, finding: Finding) -> tuple[Related, ...]:
    """The steps of the outcome that most of the finding's places decide, the finding's own line last if it is no step.
    Nothing where there is no witness, or where no outcome has to do with these places."""
    if finding.witness is None:
        return ()
    blamed = {finding.place, *(item.place for item in finding.related)}
    best: Outcome | None = None
    most = 0
    for outcome in site.trace(finding.witness):
        places = set(_places(outcome))
        shared = len(blamed & places) + (len(blamed) if finding.place in places else 0)
        if shared > most:
            best, most = outcome, shared
    if best is None:
        return ()
    steps = [
        Related(step.place, f"{mask(step.text) or step.place.text}: {step.effect}")
        for step in best.steps
        if step.place is not None
    ]
    if all(step.place != finding.place for step in steps):
        steps.append(Related(finding.place, finding.message))
    return tuple(steps)


def _places(outcome: Outcome) -> Iterator[Place]:
    """Each place that decided something about the outcome."""
    for step in outcome.steps:
        if step.place is not None:
            yield step.place
    if outcome.handler is not None:
        yield outcome.handler
    for because in _reasons(outcome):
        if because.place is not None:
            yield because.place
    for exchange in outcome.exchanges:
        if exchange.place is not None:
            yield exchange.place


def _reasons(outcome: Outcome) -> Iterator[Because]:
    for gate in outcome.gates:
        yield from gate.because
    for exchange in outcome.exchanges:
        for sent in exchange.headers:
            yield from sent.because
        for lost in exchange.lost:
            yield from lost.because
    for header in outcome.response_headers:
        yield from header.because
    if outcome.cache is not None:
        yield from outcome.cache.because
