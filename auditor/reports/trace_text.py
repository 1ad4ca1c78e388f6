"""A trace for people: the request's way, the headers as the origin gets them with their fate, the answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auditor.http import Request
from auditor.reports.terminal import Terminal, printable
from auditor.reports.trace_json import step_text
from auditor.secrets import mask, mask_sentence
from auditor.server import Note
from auditor.source import Place, readable
from auditor.trace import FORWARDED, STRIPPED, Because, Exchange, Outcome, Outcomes
from auditor.values import Value

# Values of these are credentials even without a scheme in front of them.
SECRET = ("authorization", "proxy-authorization", "cookie", "x-api-key", "set-cookie")


def trace_text(request: Request, outcomes: Outcomes, notes: Sequence[Note], terminal: Terminal) -> str:
    """The whole answer; credentials are masked."""
    lines = [terminal.paint(printable(f"{request.method} {mask_sentence(readable(request.url))}"), "bold")]
    lines += [f"  {printable(credential(name, value))}" for name, value in request.headers]
    for number, outcome in enumerate(outcomes, 1):
        lines.append("")
        if len(outcomes) > 1:
            lines.append(terminal.paint(f"outcome {number} of {len(outcomes)}", "bold"))
        for asked in outcome.when:
            lines.append(f"  when {printable(asked.answer.text)}{_at(asked.place)}")
        lines += _outcome(request, outcome, terminal)
    if notes:
        lines += ["", "notes", *(f"  {printable(mask_sentence(note.text))}{_at(note.place)}" for note in notes)]
    return "\n".join(lines) + "\n"


def _outcome(request: Request, outcome: Outcome, terminal: Terminal) -> list[str]:
    lines = _credentials(request, outcome, terminal)
    lines.append(terminal.paint("way", "bold"))
    lines += _columns(
        [(_where(step.place), mask(readable(step_text(step))), mask_sentence(step.effect)) for step in outcome.steps]
    )
    if outcome.gates:
        lines.append(terminal.paint("gates", "bold"))
        lines += _columns(
            [
                (
                    _where(_first(gate.because)),
                    f"{gate.kind} {gate.realm or ''}".strip(),
                    _result(gate.result, gate.reason),
                )
                for gate in outcome.gates
            ]
        )
    for exchange in outcome.exchanges:
        lines += _exchange(exchange, terminal)
    lines.append(terminal.paint("answer", "bold"))
    status = str(outcome.status) if outcome.status is not None else "as the origin decides"
    lines.append(f"  {status} ({outcome.action})")
    lines += _columns(
        [
            (credential(header.name, header.value.text), "", _blame(header.because))
            for header in outcome.response_headers
        ]
    )
    if outcome.cache is not None:
        key = _shown(outcome.cache.key)
        lines.append(f"  cache {outcome.cache.zone}: stored: {outcome.cache.store}; key {printable(key)}")
    return lines


def _credentials(request: Request, outcome: Outcome, terminal: Terminal) -> list[str]:
    """One line on what most people ask: whether the credentials that were sent arrive, and which line decides that."""
    main = outcome.main
    if main is None or not any(name.lower() == "authorization" for name, _ in request.headers):
        return []
    sent, loss = main.header("Authorization"), main.loss("Authorization")
    because = sent.because if sent is not None else loss.because if loss is not None else ()
    if sent is None:
        words, style = f"Authorization does not reach {main.upstream}", "bad"
    elif sent.fate == FORWARDED:
        words, style = f"Authorization reaches {main.upstream} as it was sent", "good"
    else:
        words, style = f"{main.upstream} gets another Authorization ({sent.fate})", "bad"
    return [terminal.paint(printable(words + (f": {_blame(because)}" if because else "")), style)]


def _result(result: str, reason: str) -> str:
    return f"{result} ({reason})" if reason else result


def _exchange(exchange: Exchange, terminal: Terminal) -> list[str]:
    servers = f" ({', '.join(exchange.servers)})" if exchange.servers else ""
    head = f"{exchange.role} request to {mask_sentence(exchange.upstream)}{servers}{_at(exchange.place)}"
    uri = "?" if exchange.uri is None else mask_sentence(readable(exchange.uri))
    lines = [
        terminal.paint(printable(head), "bold"),
        f"  {printable(f'{exchange.method} {uri} {exchange.protocol}')}, body: {exchange.body}",
    ]
    rows = []
    for sent in exchange.headers:
        fate = sent.fate if sent.present == "yes" else f"{sent.fate}, perhaps absent"
        rows.append((credential(sent.name, sent.value.text), fate, _blame(sent.because), sent.fate))
    # What is lost stands with the rest, because it is what people look for.
    rows += [(f"{lost.name}: -", STRIPPED, _blame(lost.because), STRIPPED) for lost in exchange.lost]
    widths = [max((len(printable(row[column])) for row in rows), default=0) for column in (0, 1)]
    for header, fate, blame, kind in rows:
        text = f"{printable(header):<{min(widths[0], 60)}}  {fate:<{widths[1]}}  {printable(blame)}".rstrip()
        style = {STRIPPED: "bad", FORWARDED: "good"}.get(kind, "plain")
        lines.append(f"  {terminal.paint(text, style)}")
    return lines


def _columns(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    shown = [tuple(printable(cell) for cell in row) for row in rows]
    widths = [min(60, max((len(row[column]) for row in shown), default=0)) for column in (0, 1)]
    return [f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip() for row in shown]


def credential(name: str, value: str | None) -> str:
    """`Name: value` with a credential in it masked: the scheme stays, as in `Bearer ***`."""
    if value is None:
        return f"{name}: ?"
    bare = name.lower().replace("_", "-").removeprefix("http-")
    if bare in SECRET and value:
        scheme, space, rest = value.partition(" ")
        return f"{name}: {scheme} ***" if space and rest and "authorization" in bare else f"{name}: ***"
    return mask(f"{name}: {readable(value)}").rstrip()  # the name may say that it is one: X-Auth-Token


def _shown(value: Value) -> str:
    return "".join("?" if segment.text is None else mask(readable(segment.text)) for segment in value.segments)


def _blame(because: tuple[Because, ...]) -> str:
    """The line that decides, and in parentheses the blocks or lines that it has come through."""
    if not because:
        return ""
    further = ", ".join(_reason(item) for item in because[1:])
    return _reason(because[0]) + (f" (inherited: {further})" if further else "")


def _reason(item: Because) -> str:
    return f"default: {item.default}" if item.place is None else f"{_where(item.place)} {item.place.text.rstrip(';')}"


def _first(because: tuple[Because, ...]) -> Place | None:
    return next((item.place for item in because if item.place is not None), None)


def _where(place: Place | None) -> str:
    return "" if place is None else f"{place.file}:{place.line}"


def _at(place: Place | None) -> str:
    return "" if place is None else f" [{printable(_where(place))}]"
