"""Outcomes as the JSON object `trace/1`: a public interface, so nothing here may change without a new number."""

from __future__ import annotations

from typing import Any

from auditor.source import Place
from auditor.trace import Because, Exchange, Outcome, Outcomes, Step

SCHEMA = "trace/1"


def trace_json(asked: Any, outcomes: Outcomes) -> dict[str, Any]:
    """The whole object; `asked` is the request as it was asked."""
    return {"schema": SCHEMA, "request": asked, "outcomes": [outcome_json(outcome) for outcome in outcomes]}


def error_json(message: str) -> dict[str, Any]:
    """What stands in the place of a request that cannot be read."""
    return {"schema": SCHEMA, "error": message}


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """One way that the request can end. Values are true, not masked: they are the answer that is asked for."""
    cache = outcome.cache
    return {
        "when": [
            {
                "question": asked.question.kind,
                "place": None if asked.place is None else place_json(asked.place),
                "answer": asked.answer.name,
                "text": asked.answer.text,
            }
            for asked in outcome.when
        ],
        "action": outcome.action,
        "status": outcome.status,
        "exchanges": [_exchange(exchange) for exchange in outcome.exchanges],
        "gates": [
            {
                "kind": gate.kind,
                "scheme": gate.scheme,
                "realm": gate.realm,
                "result": gate.result,
                "because": because_json(gate.because),
            }
            for gate in outcome.gates
        ],
        "cache": None
        if cache is None
        else {
            "zone": cache.zone,
            "key": cache.key.text,
            "store": cache.store,
            "because": because_json(cache.because),
        },
        "response_headers": [
            {"name": header.name, "value": header.value.text, "because": because_json(header.because)}
            for header in outcome.response_headers
        ],
        "steps": [
            {**_place_or_nothing(step.place), "text": step_text(step), "effect": step.effect} for step in outcome.steps
        ],
    }


def step_text(step: Step) -> str:
    """What stands at the step: the line's own text where the predictor gives no shorter one."""
    return step.text if step.text or step.place is None else step.place.text


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        "role": exchange.role,
        "upstream": exchange.upstream,
        "servers": list(exchange.servers),
        "protocol": exchange.protocol,
        "method": exchange.method,
        "uri": exchange.uri,
        "body": exchange.body,
        "headers": [
            {
                "name": sent.name,
                "value": sent.value.text,
                "present": sent.present,
                "fate": sent.fate,
                "from": list(sent.value.sources),
                "because": because_json(sent.because),
            }
            for sent in exchange.headers
        ],
        "lost": [{"name": lost.name, "because": because_json(lost.because)} for lost in exchange.lost],
    }


def place_json(place: Place) -> dict[str, Any]:
    """A place; its text is masked, because it is what stands in the configuration."""
    return {"file": place.file, "line": place.line, "column": place.column, "text": place.text}


def _place_or_nothing(place: Place | None) -> dict[str, Any]:
    if place is None:
        return {"file": None, "line": None, "column": None}
    return {"file": place.file, "line": place.line, "column": place.column}


def because_json(because: tuple[Because, ...]) -> list[dict[str, Any]]:
    """The blame: places with a role, or defaults of the server with their manual page."""
    return [
        {"default": item.default, "see": item.see}
        if item.place is None
        else {"role": item.role, **place_json(item.place)}
        for item in because
    ]
