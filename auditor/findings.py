"""What a rule found, and how findings are made one where they are the same."""

# Annotations are not postponed here: each of a named tuple would be compiled from its text again at every start.

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from auditor.http import Request
from auditor.source import Place, SourceFile

ERROR = "error"
WARNING = "warning"
INFO = "info"
SEVERITIES = (ERROR, WARNING, INFO)  # worst first

HIGH = "high"
MEDIUM = "medium"
LOW = "low"


class Related(NamedTuple):
    """Another place that the finding speaks of, with what it has to do with it."""

    place: Place
    message: str


class Edit(NamedTuple):
    """A change of a file's text: what stands from offset `start` up to `end` (the same for an insertion) is replaced by
    `text`. All three are about SourceFile.text; whoever writes keeps byte order mark and line ends."""

    source: SourceFile
    start: int
    end: int
    text: str


class Fix(NamedTuple):
    """How it can be repaired by machine; `safe` where no request that works today behaves differently."""

    safe: bool
    edits: tuple[Edit, ...]


class Finding(NamedTuple):
    """A rule's judgement.

    `message` is one sentence: what happens to whom, and because of what. `help` holds the exact lines to write.
    `routes` are labels of routes (`GET http://a.example/api/`), `server` and `pattern` name virtual host and route for
    the fingerprint. Rules leave the rest to others: `where` are all the servers and patterns of findings that were made
    one, `way` the steps that the witness takes, `known` says that a baseline holds the finding.
    """

    rule: str
    severity: str
    message: str
    place: Place
    confidence: str = HIGH
    kind: str = ""
    related: tuple[Related, ...] = ()
    routes: tuple[str, ...] = ()
    witness: Request | None = None
    help: str = ""
    fix: Fix | None = None
    server: str = ""
    pattern: str = ""
    fingerprint: str = ""
    where: tuple[str, ...] = ()
    way: tuple[Related, ...] = ()
    known: bool = False


class Suppressed(NamedTuple):
    """A finding that a comment silences, with the comment's place and the reason it gives."""

    finding: Finding
    comment: Place
    reason: str


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """`combine`, sorted by place, fingerprints set."""
    return _with_fingerprints(in_order(combine(findings)))


def combine(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each rule, place and thing said: a line of a shared snippet that does harm in forty routes is one
    finding with forty routes. The worst severity stays, with its message. What was combined before, part by part, gives
    the same."""
    groups: dict[tuple[str, Place], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.place), []).append(finding)
    return [_one(group) for group in groups.values()]


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By file, line, directive of the line, and rule."""
    return sorted(
        findings, key=lambda finding: (finding.place.file, finding.place.line, finding.place.nth, finding.rule)
    )


def _one(group: Sequence[Finding]) -> Finding:
    worst = min(group, key=lambda finding: SEVERITIES.index(finding.severity))
    routes: dict[str, None] = {}
    related: dict[Related, None] = {}
    where: dict[str, None] = {}
    for finding in group:
        routes.update(dict.fromkeys(finding.routes))
        if finding.where:
            where.update(dict.fromkeys(finding.where))
        elif finding.server or finding.pattern:
            where[f"{finding.server} {finding.pattern}"] = None
    for finding in (worst, *group):
        if finding.severity == worst.severity:
            related.update(dict.fromkeys(finding.related))
    # A fix has to be right for all of them that are as bad.
    fixes = {_changes(finding.fix) for finding in group if finding.severity == worst.severity}
    fix = worst.fix if len(fixes) == 1 else None
    return worst._replace(routes=tuple(routes), related=tuple(related), where=tuple(where), fix=fix)


def _changes(fix: Fix | None) -> object:
    """What it does, whichever reading of the file it is about."""
    return fix and (fix.safe, *((edit.source.name, edit.start, edit.end, edit.text) for edit in fix.edits))


def _with_fingerprints(findings: list[Finding]) -> list[Finding]:
    """Each names kind, file, rule, server, route, the normalised directive and a counter, never the line number: edits
    elsewhere in the file do not make an old finding a new one. Files are named as their repository has them, so that it
    does not matter in which of its folders the command is run."""
    if not findings:
        return []
    from hashlib import sha256  # costs 2 ms, which a clean configuration need not pay

    from auditor.globs import name_in_repository

    counters: dict[tuple[str, ...], int] = {}
    result = []
    for finding in findings:
        place = finding.place
        parts = (
            finding.kind,
            name_in_repository(place.file),
            finding.rule,
            finding.server,
            finding.pattern,
            place.text,
        )
        counters[parts] = counters.get(parts, -1) + 1
        digest = sha256("\0".join((*parts, str(counters[parts]))).encode("utf-8", "surrogateescape")).hexdigest()
        result.append(finding._replace(fingerprint=digest[:32]))
    return result


def option_for(finding: Finding) -> str:
    """The options that make its fix; "" where it has none, or stands in no file of this machine (standard input, a part
    of a dump)."""
    if finding.fix is None or any(edit.source.path is None for edit in finding.fix.edits):
        return ""
    return "--fix" if finding.fix.safe else "--fix --unsafe-fixes"


def lower(severity: str, steps: int = 1) -> str:
    """The severity that many steps further down, info at the lowest."""
    return SEVERITIES[min(SEVERITIES.index(severity) + steps, len(SEVERITIES) - 1)]


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding of the JSON object `findings/1`."""
    place = finding.place
    end_line, end_column = place.end
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "message": finding.message,
        "kind": finding.kind,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "end_line": end_line,
        "end_column": end_column,
        "related": [
            {"file": item.place.file, "line": item.place.line, "column": item.place.column, "message": item.message}
            for item in finding.related
        ],
        "routes": list(finding.routes),
        "witness": None if finding.witness is None else request_json(finding.witness),
        "help": finding.help,
        "fix": None
        if finding.fix is None
        else {"safe": finding.fix.safe, "edits": [_edit_json(edit) for edit in finding.fix.edits]},
        "proof": None,
        "fingerprint": finding.fingerprint,
        "known": finding.known,
    }


def _edit_json(edit: Edit) -> dict[str, Any]:
    line, column = edit.source.position(edit.start)
    end_line, end_column = edit.source.position(edit.end)
    return {
        "file": edit.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "text": edit.text,
    }


def request_json(request: Request) -> dict[str, Any]:
    """A request as a line of a requests file."""
    return {
        "method": request.method,
        "url": request.url,
        "http_version": request.http_version,
        "headers": [list(pair) for pair in request.headers],
    }
