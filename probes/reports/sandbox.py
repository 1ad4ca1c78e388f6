"""The report of `audit probe CONFIG`: a document (JSON, schema `probe/1`), and the table that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.findings import INFO, finding_json
from auditor.reports.terminal import Terminal, printable
from auditor.server import Note
from auditor.source import readable
from auditor.trace import ADDED, CHANGED, FORWARDED, REPLACED, STRIPPED
from probes.compare import is_watched
from probes.limits import Limit
from probes.probing import AGREES, DIFFERS, FAILED, Cell, Probed, Row
from probes.proofs import Proof
from probes.reports.masked import masked, masked_lines, secrets_of, without

SCHEMA = "probe/1"
Document = dict[str, Any]

# The table's columns: a title, and the probes that it stands for.
COLUMNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("none", ("no-credentials",)),
    ("bearer", ("bearer",)),
    ("basic", ("basic",)),
    ("wrong", ("wrong-basic",)),
    ("pre", ("preflight",)),
    ("cors", ("cross-origin",)),
    ("spoof", ("spoofed", "spoofed-underscores", "spoofed-lower", "spoofed-upper")),
    ("hop", ("hop-by-hop",)),
    ("lower", ("lower-case",)),
    ("fwd", ("forwarding",)),
    ("401", ("origin-401",)),
    ("403", ("origin-403",)),
    ("again", ("repeat-other",)),
)
LEGEND = """\
none: no credentials. bearer, wrong: made-up ones. basic: right ones. pre, cors: a preflight, and a request from another
origin. spoof: identity headers of the client's, in four spellings. hop: Connection: Authorization. lower: the scheme in
lower case. fwd: X-Forwarded-* of the client's. 401, 403: the origin's answer. again: once more, where a cache stands.
A: Authorization reaches the origin as sent; ~ changed or replaced; + added; - the request arrives without it. I: a
claimed identity reaches the origin. C: a cache answers. A status alone: the proxy answers by itself.
""".splitlines()


def document(
    probed: Probed, proofs: Sequence[Proof], notes: Sequence[Note] = (), hidden: Sequence[str] = ()
) -> Document:
    """The whole report; `notes` are those of the static audit. Credentials are masked, and the texts `hidden` stand
    nowhere in it."""
    whole = {
        "schema": SCHEMA,
        "mode": "sandbox",
        "server": probed.server,
        "client": probed.client,
        "requests": probed.requests,
        "identity_headers": list(probed.identities),
        "routes": [_row(row) for row in probed.rows],
        "limits": [_limit(limit) for limit in probed.limits],
        "findings": [_proof(proof, probed.server) for proof in proofs],
        "taken_out": [
            {"file": one.place.file, "line": one.place.line, "text": one.place.text, "why": one.why}
            for one in probed.taken
        ],
        "notes": [
            *(f"{note.place.file}:{note.place.line}: {note.text}" if note.place else note.text for note in notes)
        ],
    }
    asked = {secret for row in probed.rows for secret in secrets_of(row.route.request)}
    clean: Document = without(whole, [*(text for text in hidden if text), *sorted(asked, key=len, reverse=True)])
    return clean


def _note(note: Note) -> str:
    return note.text if note.place is None else f"{note.place.file}:{note.place.line}: {note.text}"


def _row(row: Row) -> Document:
    place = row.route.handler
    return {
        "route": row.route.label,
        "server": row.route.server,
        "pattern": row.route.pattern,
        "file": None if place is None else place.file,
        "line": None if place is None else place.line,
        "upstream": _upstream(row),
        "probes": [_cell(cell) for cell in row.cells],
        "predicted_only": list(row.elsewhere),
    }


def _upstream(row: Row) -> str | None:
    """Where the route's requests go, as predicted."""
    outcomes = (outcome for cell in row.cells for outcome in cell.predicted)
    return next((outcome["upstream"] for outcome in outcomes if outcome["upstream"] is not None), None)


def _cell(cell: Cell) -> Document:
    return {
        "name": cell.probe,
        "title": cell.title,
        "request": {
            "method": cell.line["method"],
            "url": cell.line["url"],
            "headers": [masked(name, value) for name, value in cell.line["headers"]],
        },
        "verdict": cell.verdict,
        "predicted": list(cell.predicted),
        "observed": _observed(cell),
        "differences": [masked_lines(text) for text in cell.differences],
    }


def _observed(cell: Cell) -> Document | None:
    if cell.seen is None:
        return None
    reply = cell.seen.reply
    return {
        "status": reply.status,
        "headers": [masked(name, value) for name, value in reply.headers if is_watched(name)],
        "from_cache": cell.hit,
        "reached": cell.reached,
        "exchanges": [
            {
                "server": one.origin,
                "protocol": one.protocol,
                "method": one.method,
                "target": one.target,
                "headers": [masked(name, value) for name, value in one.headers],
                "body_size": one.size,
            }
            for one in cell.seen.exchanges
        ],
        "fates": [{"name": fate.name, "fate": fate.fate} for fate in cell.fates],
    }


def _limit(limit: Limit) -> Document:
    return {
        "listener": limit.listener,
        "url": limit.url,
        "bytes": limit.observed,
        "refusal": limit.refusal,
        "verdict": AGREES if limit.agrees else DIFFERS,
    }


def _proof(proof: Proof, server: str) -> Document:
    tested = {"status": proof.status, "server": server, "observed": masked_lines(proof.observed)}
    return {**finding_json(proof.finding), "proof": tested}


# --- for people


def text(report: Document, terminal: Terminal, seconds: float = 0.0, verbose: bool = False) -> str:
    """The report for people. `verbose` adds what reached the origin, probe by probe."""
    took = f", {seconds:.1f} s" if seconds else ""
    routes, requests = _count(len(report["routes"]), "route"), _count(report["requests"], "request")
    lines = [terminal.paint(f"{report['server']}: {routes}, {requests}{took}", "bold"), ""]
    lines += _table(report, terminal, verbose)
    lines += _differing(report, terminal)
    lines += _limits(report["limits"], terminal)
    lines += _predicted_only(report, terminal)
    shown = [finding for finding in report["findings"] if verbose or finding["severity"] != INFO]
    lines += _findings(shown, terminal)
    lines += _taken(report["taken_out"], terminal)
    if verbose:
        lines += [f"note: {printable(readable(note))}" for note in report["notes"]]
    elif report["notes"]:
        lines.append(f"{_count(len(report['notes']), 'note')} (--show info)")
    lines.append(_tally(report, verbose))
    return "\n".join(lines) + "\n"


def _table(report: Document, terminal: Terminal, verbose: bool) -> list[str]:
    routes = report["routes"]
    identities = {name.lower() for name in report["identity_headers"]}
    shown = [
        (title, names)
        for title, names in COLUMNS
        if any(probe["name"] in names for route in routes for probe in route["probes"])
    ]
    rows = []
    for route in routes:
        probes = {probe["name"]: probe for probe in route["probes"]}
        rows.append([_mark([probes[name] for name in names if name in probes], identities) for _, names in shown])
    widths = [max([len(title), *(len(row[at][0]) for row in rows)]) for at, (title, _) in enumerate(shown)]
    head = " ".join(f"{title:<{width}}" for (title, _), width in zip(shown, widths, strict=True))
    lines = ["  " + terminal.paint(head.rstrip(), "faint")] if routes else []
    for route, row in zip(routes, rows, strict=True):
        goes = f" -> {route['upstream']}" if route["upstream"] else ""
        lines.append(terminal.paint(printable(readable(route["route"])), "bold") + printable(readable(goes)))
        cells = [terminal.paint(f"{mark:<{width}}", style) for (mark, style), width in zip(row, widths, strict=True)]
        lines.append("  " + " ".join(cells).rstrip())
        if verbose:
            lines += [f"    {line}" for probe in route["probes"] for line in _details(probe)]
    lines += ["", *(terminal.paint(line, "faint") for line in LEGEND), ""] if routes else []
    return lines


_ORDER = (DIFFERS, FAILED)


def _mark(probes: Sequence[Document], identities: set[str]) -> tuple[str, str]:
    """A cell of the table, and its style; of several probes the worst."""
    if not probes:
        return "", "plain"
    bad = next((probe for verdict in _ORDER for probe in probes if probe["verdict"] == verdict), None)
    if bad is not None:
        return f"{_status(bad)}!", "error"
    probe = max(probes, key=lambda one: _fate(one, identities) == "I")
    fate = _fate(probe, identities)
    style = "faint" if probe["verdict"] != AGREES else "warning" if fate == "I" and identities else "plain"
    return f"{_status(probe)} {fate}".rstrip(), style


def _status(probe: Document) -> str:
    observed = probe["observed"]
    return "none" if observed is None else "shut" if observed["status"] is None else str(observed["status"])


def _fate(probe: Document, identities: set[str]) -> str:
    """What became of the header that the probe is about. Of claimed identities those count that the configuration
    itself sets, any where it sets none."""
    observed = probe["observed"]
    if observed is None:
        return ""
    if observed["from_cache"]:
        return "C"
    if not observed["reached"]:
        return ""
    fates = {fate["name"].lower().replace("_", "-"): fate["fate"] for fate in observed["fates"]}
    if probe["name"].startswith("spoofed"):
        sent = {name.lower().replace("_", "-") for name, _ in probe["request"]["headers"]} - {"host", "authorization"}
        return "I" if any(fates.get(name) in (FORWARDED, CHANGED) for name in sent & (identities or sent)) else "-"
    fate = fates.get("authorization") or fates.get("http-authorization")
    return {FORWARDED: "A", CHANGED: "~", REPLACED: "~", ADDED: "+"}.get(fate or STRIPPED, "-")


def _details(probe: Document) -> list[str]:
    observed = probe["observed"]
    if observed is None:
        return [f"{probe['title']}: no answer"]
    line = f"{probe['title']}: {_status(probe)}"
    if not observed["exchanges"]:
        return [line]
    parts = []
    for fate in (STRIPPED, REPLACED, CHANGED, FORWARDED, ADDED):
        names = [one["name"] for one in observed["fates"] if one["fate"] == fate]
        if names:
            parts.append(f"{fate} {', '.join(names)}")
    servers = ", ".join(one["server"] for one in observed["exchanges"])
    return [printable(readable(f"{line}, {servers}: {'; '.join(parts)}"))]


def _differing(report: Document, terminal: Terminal) -> list[str]:
    lines = []
    for route in report["routes"]:
        for probe in route["probes"]:
            if probe["verdict"] in _ORDER:
                why = "the server does not do what was predicted" if probe["verdict"] == DIFFERS else "no answer"
                head = terminal.paint(why, "error")
                lines.append(f"{head}: {printable(readable(route['route']))}, {probe['title']}")
                for difference in probe["differences"]:
                    lines += ["    " + printable(readable(line)) for line in difference.split("\n")]
    if lines:
        lines.append("  This is a fault of audit, or of the sandbox, not of the configuration: please report it.")
        lines.append("")
    return lines


def _limits(limits: Sequence[Document], terminal: Terminal) -> list[str]:
    lines = []
    for limit in limits:
        size = "at least 1 MiB" if limit["bytes"] is None else f"{limit['bytes']} bytes"
        beyond = "" if limit["bytes"] is None else f", then {limit['refusal'] or 'the connection is closed'}"
        agrees = "" if limit["verdict"] == AGREES else terminal.paint(" (predicted otherwise)", "error")
        lines.append(f"longest Authorization at {limit['listener']}: {size}{beyond}{agrees}")
    return [*lines, ""] if lines else []


def _predicted_only(report: Document, terminal: Terminal) -> list[str]:
    lines = [
        "  " + printable(readable(f"{route['route']}: {said}"))
        for route in report["routes"]
        for said in route["predicted_only"]
    ]
    head = terminal.paint(f"predicted only, since every client here is {report['client']}:", "bold")
    return [head, *lines, ""] if lines else []


_PROOF = {"confirmed": "good", "refuted": "error", "untested": "faint"}


def _findings(findings: Sequence[Document], terminal: Terminal) -> list[str]:
    lines = []
    for finding in findings:
        proof = finding["proof"]
        label = terminal.paint(f"{finding['severity']}[{finding['rule']}]", finding["severity"])
        lines.append(f"{label}: {printable(readable(finding['message']))}")
        lines.append(f"  --> {printable(finding['file'])}:{finding['line']}:{finding['column']}")
        said = printable(readable(proof["observed"]))
        lines.append(f"  = {terminal.paint(proof['status'], _PROOF[proof['status']])}: {said}")
    return [*lines, ""] if lines else []


def _taken(taken: Sequence[Document], terminal: Terminal) -> list[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for one in taken:
        name = one["text"].split()[0].rstrip(";") if one["text"] else "a line"
        groups.setdefault((one["why"], name), []).append(f"{one['file']}:{one['line']}")
    lines = []
    for (why, name), places in groups.items():
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        lines.append("  " + printable(f"{name}: {why} ({', '.join(places[:3])}{more})"))
    return [terminal.paint("not in the sandbox:", "bold"), *lines, ""] if lines else []


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _tally(report: Document, verbose: bool) -> str:
    verdicts = [probe["verdict"] for route in report["routes"] for probe in route["probes"]]
    proofs = [finding["proof"]["status"] for finding in report["findings"]]
    parts = [f"{_count(len(verdicts), 'probe')}: {verdicts.count(AGREES)} as predicted, {verdicts.count(DIFFERS)} not"]
    for verdict in dict.fromkeys(verdicts):
        if verdict not in (AGREES, DIFFERS):
            parts.append(f"{verdicts.count(verdict)} {verdict}")
    if proofs:
        counts = ", ".join(f"{proofs.count(status)} {status}" for status in dict.fromkeys(proofs))
        infos = sum(finding["severity"] == INFO for finding in report["findings"])
        hidden = "" if verbose or not infos else f" ({infos} of them infos, --show info)"
        parts.append(f"{_count(len(proofs), 'finding')}{hidden}: {counts}")
    return "; ".join(parts)
