"""The report of `audit probe --url`: a document (JSON, schema `probe/1`), and the text that is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auditor.findings import ERROR, INFO, WARNING
from auditor.reports.terminal import Terminal, printable
from auditor.secrets import mask
from auditor.source import readable
from auditor.trace import ADDED, CHANGED, FORWARDED, REPLACED, STRIPPED
from probes.compare import is_watched
from probes.remote import MANNERS, Seen, Visit
from probes.reports.masked import masked, masked_lines, without
from probes.verdicts import Verdict

SCHEMA = "probe/1"
MANY = 4  # headers of one fate that the text names

Document = dict[str, Any]


def document(
    visits: Sequence[Visit], verdicts: Sequence[Sequence[Verdict]], notes: Sequence[str], hidden: Iterable[str] = ()
) -> Document:
    """The whole report. Credentials are masked, and the texts `hidden` stand nowhere in it."""
    whole = {
        "schema": SCHEMA,
        "mode": "remote",
        "requests": sum(visit.requests for visit in visits),
        "targets": [_target(visit, list(found)) for visit, found in zip(visits, verdicts, strict=True)],
        "notes": list(notes),
    }
    clean: Document = without(whole, [text for text in hidden if text])
    return clean


def _target(visit: Visit, verdicts: Sequence[Verdict]) -> Document:
    limit = visit.limit
    return {
        "url": mask(visit.url),
        "address": visit.address,
        "requests": visit.requests,
        "error": visit.error or None,
        "stopped": visit.stopped or None,
        "probes": [_probe(seen) for seen in visit.seen],
        "limit": None
        if limit.unknown
        else {"bytes": limit.size, "longer_tried": not limit.most, "refusal": limit.refusal or None},
        "verdicts": [
            {"rule": one.rule, "severity": one.severity, "text": one.text, "probes": list(one.probes)}
            for one in verdicts
        ],
    }


def _probe(seen: Seen) -> Document:
    reply = seen.reply
    return {
        "name": seen.probe,
        "title": seen.title,
        "request": {
            "method": seen.line["method"],
            "url": mask(seen.line["url"]),
            "headers": [masked(name, value) for name, value in seen.line["headers"]],
        },
        "status": seen.status,
        "error": seen.error or None,
        "closed": reply is not None and reply.status is None,
        "headers": [] if reply is None else [masked(n, v) for n, v in reply.headers if is_watched(n)],
        "body_size": 0 if reply is None else len(reply.body),
        "body_of": seen.owner or None,
        "exchanges": None if seen.exchanges is None else len(seen.exchanges),
        "reached": None
        if seen.main is None
        else {
            "listener": seen.main.origin,
            "protocol": seen.main.protocol,
            "method": seen.main.method,
            "target": mask(seen.main.target),
            "headers": [
                {"name": fate.name, "fate": fate.fate, "values": [masked(fate.name, v)[1] for v in fate.values]}
                for fate in seen.fates
            ],
        },
        "prediction": _prediction(seen),
    }


def _prediction(seen: Seen) -> Document | None:
    """The predicted outcome that is nearest to what was seen."""
    if seen.prediction is None and not seen.differences:
        return None
    outcome: Mapping[str, Any] = seen.prediction or {}
    main = [exchange for exchange in outcome.get("exchanges", ()) if exchange["role"] in ("main", "fallback")]
    return {
        "action": outcome.get("action"),
        "status": outcome.get("status"),
        "headers": [{"name": one["name"], "fate": one["fate"]} for one in main[-1]["headers"]] if main else [],
        "lost": [one["name"] for one in main[-1]["lost"]] if main else [],
        "differences": [masked_lines(text) for text in seen.differences],
    }


_STYLE = {ERROR: "error", WARNING: "warning", INFO: "info"}
_FATES = (STRIPPED, REPLACED, CHANGED, FORWARDED, ADDED)


def text(report: Document, terminal: Terminal) -> str:
    """The report for people."""
    lines: list[str] = []
    for target in report["targets"]:
        lines += [*_target_text(target, terminal), ""]
    for note in report["notes"]:
        lines.append(f"note: {printable(note)}")
    lines.append(_tally(report))
    return "\n".join(lines) + "\n"


def _target_text(target: Document, terminal: Terminal) -> list[str]:
    at = f" at {target['address']}" if target["address"] and target["address"] not in target["url"] else ""
    lines = [
        terminal.paint(printable(readable(target["url"])), "bold") + f"{at}, {_count(target['requests'], 'request')}"
    ]
    if target["error"]:
        return [*lines, terminal.paint(f"  cannot be probed: {printable(target['error'])}", "bad")]
    probes = target["probes"]
    outside = all(probe["exchanges"] is None for probe in probes)
    usual = _usual_answer(probes) if outside else _usual_fates(probes)
    rows = [_row(probe, usual) for probe in probes]
    head = (
        "probe",
        "status",
        "prediction" if any(row[2] for row in rows) else "",
        "the answer" if outside else "what reached the origin",
    )
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
    if usual:
        said = "; ".join(f"{name}: {value}" for name, value in usual) if outside else _by_fate(usual)
        lines.append(f"  unless said otherwise: {printable(readable(said))}")
    lines.append("  " + terminal.paint(_aligned(head, widths), "faint"))
    for probe, row in zip(probes, rows, strict=True):
        differs = bool(probe["prediction"] and probe["prediction"]["differences"])
        lines.append("  " + terminal.paint(_aligned(row, widths), "bad" if differs else "plain"))
    for probe in probes:
        lines += _differences(probe, terminal)
    lines.append("")
    for verdict in target["verdicts"]:
        label = terminal.paint(f"{verdict['severity']}[{verdict['rule']}]", _STYLE[verdict["severity"]])
        lines.append(f"{label}: {printable(readable(verdict['text']))}")
    if target["stopped"]:
        lines.append(terminal.paint(f"stopped early: {printable(target['stopped'])}", "bad"))
    return lines


Pairs = list[tuple[str, str]]  # header and fate, or header and value


def _usual_fates(probes: Sequence[Document]) -> Pairs:
    """What most requests have in common: the fates of what every client sends, and what the proxy adds."""
    rows = [[(one["name"], one["fate"]) for one in probe["reached"]["headers"]] for probe in probes if probe["reached"]]
    names = ("host", *(name.lower() for name, _ in MANNERS))
    pairs = dict.fromkeys(pair for row in rows for pair in row if pair[1] == ADDED or pair[0].lower() in names)
    return [pair for pair in pairs if 2 * sum(pair in row for row in rows) > len(rows)]


def _usual_answer(probes: Sequence[Document]) -> Pairs:
    """The header lines that stand in most answers."""
    rows = [_watched(probe) for probe in probes if probe["status"] is not None]
    pairs = dict.fromkeys(pair for row in rows for pair in row)
    return [pair for pair in pairs if 2 * sum(pair in row for row in rows) > len(rows)]


def _row(probe: Document, usual: Pairs) -> tuple[str, str, str, str]:
    status = "closed" if probe["closed"] else "none" if probe["status"] is None else str(probe["status"])
    prediction = probe["prediction"]
    said = "" if prediction is None else "DIFFERS" if prediction["differences"] else "as seen"
    if probe["error"]:
        return probe["title"], status, said, printable(probe["error"])
    if probe["exchanges"] is None:
        parts = [] if probe["closed"] else [f"{probe['body_size']} bytes"]
        own = _watched(probe)
        parts += [f"{name}: {value}" for name, value in own if (name, value) not in usual]
        names = {name.lower() for name, _ in own}
        missing = [] if probe["closed"] else [name for name, _ in usual if name.lower() not in names]
        parts += [f"without {', '.join(missing)}"] if missing else []
        return probe["title"], status, said, printable(readable("; ".join(parts)))
    return probe["title"], status, said, printable(_arrived(probe, usual))


def _watched(probe: Document) -> Pairs:
    return [(name, value) for name, value in probe["headers"] if not name.lower().startswith("x-")]


def _arrived(probe: Document, usual: Pairs) -> str:
    reached = probe["reached"]
    if reached is None:
        return f"nothing: the answer to '{probe['body_of']}' comes again" if probe["body_of"] else "nothing"
    pairs = [(one["name"], one["fate"]) for one in reached["headers"]]
    names = {name.lower() for name, _ in pairs}
    missing = [name for name, _ in usual if name.lower() not in names]
    text = _by_fate([pair for pair in pairs if pair not in usual]) or "nothing but that"
    return text + (f"; without {', '.join(missing)}" if missing else "")


def _by_fate(pairs: Pairs) -> str:
    parts = []
    for fate in _FATES:
        names = [name for name, other in pairs if other == fate]
        if len(names) > MANY:
            names = [*names[: MANY - 1], f"{len(names) - MANY + 1} more"]
        if names:
            parts.append(f"{fate} {', '.join(names)}")
    return "; ".join(parts)


def _differences(probe: Document, terminal: Terminal) -> list[str]:
    prediction = probe["prediction"]
    if prediction is None or not prediction["differences"]:
        return []
    lines = ["", terminal.paint(f"  {printable(probe['title'])}: the server does not do what was predicted", "error")]
    for difference in prediction["differences"]:
        lines += ["    " + printable(readable(line)) for line in difference.split("\n")]
    return lines


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [f"{cell:<{width}}" for cell, width in zip(row[:3], widths, strict=True) if width]
    return "  ".join([*cells, row[3]]).rstrip()


def _tally(report: Document) -> str:
    verdicts = [verdict for target in report["targets"] for verdict in target["verdicts"]]
    counts = [_count(sum(one["severity"] == kind for one in verdicts), kind) for kind in (ERROR, WARNING, INFO)]
    predicted = [p["prediction"] for target in report["targets"] for p in target["probes"] if p["prediction"]]
    parts = [f"{_count(report['requests'], 'request')}: {', '.join(counts)}"]
    if predicted:
        wrong = sum(bool(one["differences"]) for one in predicted)
        parts.append(f"{wrong} of {_count(len(predicted), 'prediction')} differ")
    return "; ".join(parts)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
