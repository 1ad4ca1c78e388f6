"""Findings of the static audit, put to the real server: each one's witness is asked, in every way that it can end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from auditor import rules
from auditor.findings import Finding, request_json
from auditor.rules.common import BASIC
from auditor.settings import Settings
from auditor.trace import Outcome
from auditor.world import Worlds
from probes.caches import keys_of
from probes.plan import predict, told
from probes.questions import Line, basic

if TYPE_CHECKING:
    from probes.probing import Session
    from probes.sandbox.sandbox import Sandbox

CONFIRMED = "confirmed"
REFUTED = "refuted"
UNTESTED = "untested"
STEERED = frozenset(("exchange",))  # what an outcome may depend on and the origins can bring about


class Proof(NamedTuple):
    """Whether the real server does what a finding rests on. `observed` says what was seen, or why nothing was asked."""

    finding: Finding
    status: str
    observed: str


def witness_line(finding: Finding, client: str) -> Line | None:
    """The finding's witness, from that address; None where the finding has none, or none that can be sent."""
    if finding.witness is None or not finding.witness.port:
        return None
    made = request_json(finding.witness)
    return {**made, "client_ip": client}


def as_user(line: Line, given: str) -> Line:
    """The line with credentials (`name:password`) that the sandbox's user files know, where a rule has made up some and
    supposes them to be right."""
    headers = [[name, basic(given) if (name, value) == BASIC else value] for name, value in line["headers"]]
    return {**line, "headers": headers}


def prove(session: Session, findings: Sequence[Finding], settings: Settings) -> Iterable[Proof]:
    """The proof of each finding, in their order."""
    sandbox = session.sandboxes[0]
    here = {(found.rule, found.place) for found in rules.judge(session.site, settings)}
    for finding in findings:
        line = witness_line(finding, session.program.machine)
        if line is None:
            yield Proof(finding, UNTESTED, "no request shows it")
        elif (finding.rule, finding.place) not in here:
            yield Proof(finding, UNTESTED, "it does not hold for this version of the server, or rests on what it lacks")
        else:
            yield _prove(session, sandbox, finding, as_user(line, session.asker.given))


def _prove(session: Session, sandbox: Sandbox, finding: Finding, line: Line) -> Proof:
    """A rule's judgement follows from what happens to the witness, so it stands where the server does the same."""
    open_, _ = _ways(session, sandbox, line)
    if not any(outcome.exchanges for outcome in open_) and _leads_on(session, finding):
        # On a machine with other files than stand here. One of the other routes may lead on here, too.
        for route in session.site.routes():
            if route.label in finding.routes:
                other = {**line, "method": route.request.method, "url": route.request.url}
                ways, _ = _ways(session, sandbox, other)
                if any(outcome.exchanges for outcome in ways):
                    line, open_ = other, ways
                    break
        else:
            return Proof(finding, UNTESTED, "the files that stand here for the machine's own do not lead there")
    seen: list[str] = []
    for outcome in open_:
        if not all(asked.question.kind in STEERED for asked in outcome.when):
            continue
        asked = {**line, **_answers(outcome)}
        outcomes, predicted = predict(session.site, sandbox.world(asked), asked)
        sandbox.refresh(keys_of(outcomes))
        session.requests += 1
        try:
            observation = sandbox.observe(asked, told(asked, predicted))
        except (TimeoutError, OSError):
            return Proof(finding, UNTESTED, "the server did not answer in time")
        found = session.kit.differences(predicted, observation)
        if found:
            return Proof(finding, REFUTED, "; ".join(found))
        status = observation.reply.status
        text = "the connection is closed" if status is None else f"answered {status}"
        servers = [one.origin for one in observation.exchanges]
        seen.append(text + (f", having asked {', '.join(servers)}" if servers else ", no upstream asked"))
    if not seen:
        return Proof(finding, UNTESTED, "it rests on what cannot be brought about here")
    return Proof(finding, CONFIRMED, "; ".join(dict.fromkeys(seen)))


def _leads_on(session: Session, finding: Finding) -> bool:
    """Whether the finding is about a line that sends requests on, which the witness reaches on a machine with other
    files than the sandbox has."""
    if finding.witness is None:
        return False
    places = {exchange.place for outcome in session.site.trace(finding.witness) for exchange in outcome.exchanges}
    return finding.place in places


def _ways(session: Session, sandbox: Sandbox, line: Line) -> tuple[Sequence[Outcome], Any]:
    """How the request can end, where what the upstreams answer is open."""
    return predict(session.site, Worlds(sandbox.world(line)), line)


def _answers(outcome: Outcome) -> dict[str, Any]:
    """What the upstreams have to answer so that this outcome comes about."""
    answers = [
        {"role": exchange.role, "upstream": exchange.upstream, "status": exchange.status or 200, "headers": []}
        for exchange in outcome.exchanges
    ]
    return {"upstream_responses": answers, "upstream_response": {"status": 200, "headers": []}}
