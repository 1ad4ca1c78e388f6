"""SARIF 2.1.0 (OASIS), as code scanning services and editors read it. It always holds everything.

The log names no path of this machine: files of the repository are relative to its top, so the same tree gives the same
bytes anywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote

from auditor import rules
from auditor.check import Report
from auditor.findings import ERROR, INFO, SEVERITIES, WARNING, Finding, Fix, Suppressed, in_order
from auditor.globs import name_in_repository
from auditor.reports.terminal import curl, printable
from auditor.source import Place, readable

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
# GitHub takes no log with more results, and shows the 5,000 worst ones.
MAX_RESULTS = 25_000
BASE = "SRCROOT"
FINGERPRINT = "audit/v1"

_LEVELS = {ERROR: "error", WARNING: "warning", INFO: "note"}
# Rules about clients that get where they should not, which GitHub then ranks by this number instead of the level:
# "high" from 7.0 on, "medium" from 4.0 on, "low" below (documentation of code scanning, "SARIF support").
_SECURITY = (
    "bypassed-gate",
    "cors-credentials-wildcard",
    "leaked-credentials",
    "method-limited-gate",
    "open-gate",
    "published-user-file",
    "shared-authenticated-response",
    "spoofable-identity-header",
    "ungated-service-credential",
)
_SCORES = {ERROR: "8.0", WARNING: "5.0", INFO: "2.0"}
_NOTES = {
    "assumed": "Something was inferred that the configuration does not say.",
    "error": "An input could not be read or parsed.",
    "left-out": "The log would be longer than services take.",
    "stale": "The baseline holds something that is not found any more.",
    "template": "A template was read with its variables unknown.",
    "unanalysed": "Something was not understood, so nothing is said about it.",
    "unchecked": "A file of the deployed machine was not found here.",
    "unreached": "A handler that no request of the audit reaches.",
    "unread": "Something that is named was not read.",
}


class Run(NamedTuple):
    """What only the command knows: its exit status, the severities that the settings give to rules, and whether what
    comments silence and the baseline holds is left out."""

    status: int = 0
    severities: tuple[tuple[str, str], ...] = ()
    omit_hidden: bool = False


def sarif(report: Report, run: Run) -> str:
    """The log as text, two spaces of indent, ending in a line break."""
    return json.dumps(as_object(report, run), indent=2) + "\n"


def as_object(report: Report, run: Run) -> dict[str, Any]:
    if run.omit_hidden:
        report = report._replace(findings=tuple(report.new), suppressed=())
    silenced = {id(item.finding): item for item in report.suppressed}
    findings = in_order([*report.findings, *(item.finding for item in report.suppressed)])
    left_out = len(findings) - MAX_RESULTS
    if left_out > 0:
        worst = sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
        findings = in_order(worst[:MAX_RESULTS])
    places = _Places(report)
    results = [_result(finding, silenced.get(id(finding)), report.baseline, places) for finding in findings]
    notifications = _notifications(report, left_out, places)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(findings)},
                "invocations": [_invocation(report, run, notifications)],
                "originalUriBaseIds": {BASE: {"description": {"text": "The top of the repository."}}},
                "columnKind": "unicodeCodePoints",
                "artifacts": places.artifacts,
                "results": results,
            }
        ],
    }


def _driver(findings: Iterable[Finding]) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    worst: dict[str, str] = {}
    for finding in findings:
        worst[finding.rule] = min(worst.get(finding.rule, INFO), finding.severity, key=SEVERITIES.index)
    driver: dict[str, Any] = {"name": "audit", "rules": [_rule(name, worst.get(name)) for name in rules.NAMES]}
    driver["notifications"] = [{"id": kind, "shortDescription": {"text": text}} for kind, text in _NOTES.items()]
    with suppress(PackageNotFoundError):  # run from a checkout
        driver["version"] = version("header-auditor")
    return driver


def _rule(name: str, worst: str | None) -> dict[str, Any]:
    """A rule with its documentation. GitHub ranks alerts by their rule, so the worst finding of this log counts."""
    documentation = rules.documentation(name)
    severity = rules.load(name).SEVERITY
    # The first paragraph: GitHub takes a thousand characters, and shows the whole as help.
    what = documentation.partition("## What it does")[2].strip().partition("\n\n")[0]
    described: dict[str, Any] = {
        "id": name,
        "shortDescription": {"text": rules.summary(name)},
        "fullDescription": {"text": " ".join(what.split()) or rules.summary(name)},
        "help": {"text": documentation, "markdown": documentation},
        "defaultConfiguration": {"level": _LEVELS[severity]},
    }
    if name in _SECURITY:
        described["properties"] = {"tags": ["security"], "security-severity": _SCORES[worst or severity]}
    return described


def _invocation(report: Report, run: Run, notifications: Sequence[dict[str, Any]]) -> dict[str, Any]:
    overrides = [
        {
            "descriptor": {"id": name, "index": rules.NAMES.index(name)},
            "configuration": {"enabled": False} if severity == "off" else {"level": _LEVELS[severity]},
        }
        for name, severity in run.severities
    ]
    return {
        "executionSuccessful": not report.errors,
        "exitCode": run.status,
        **({"ruleConfigurationOverrides": overrides} if overrides else {}),
        "toolExecutionNotifications": list(notifications),
    }


def _notifications(report: Report, left_out: int, places: _Places) -> list[dict[str, Any]]:
    found = [_notification("error", "error", error.message) for error in report.errors]
    for entry, error in zip(found, report.errors, strict=True):
        region = {"region": {"startLine": error.line}} if error.line else {}
        entry["locations"] = [{"physicalLocation": {"artifactLocation": places.artifact(error.file), **region}}]
    if left_out > 0:
        text = f"{left_out} findings of the least severities are left out: services take {MAX_RESULTS} at most"
        found.append(_notification("left-out", "warning", text))
    for note in report.notes:
        entry = _notification(note.kind, "note", note.text)
        if note.place is not None:
            entry["locations"] = [places.location(note.place)]
        found.append(entry)
    return found


def _notification(kind: str, level: str, text: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"level": level, "message": {"text": _plain(text)}}
    if kind in _NOTES:
        entry["descriptor"] = {"id": kind, "index": list(_NOTES).index(kind)}
    return entry


def _result(finding: Finding, silenced: Suppressed | None, baseline: bool, places: _Places) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rules.NAMES.index(finding.rule),
        "level": _LEVELS[finding.severity],
        "message": {"text": _plain(finding.message + (f"\n\n{finding.help}" if finding.help else ""))},
        "locations": [places.location(finding.place)],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "suppressions": [],
    }
    if silenced is not None:
        suppression = {"kind": "inSource", "justification": _plain(silenced.reason)}
        result["suppressions"] = [{**suppression, "location": places.location(silenced.comment)}]
    related = [(item.place, item.message) for item in finding.related]
    via = finding.place.via
    while via is not None:
        related.append((via, "included here"))
        via = via.via
    if related:
        result["relatedLocations"] = [
            {"id": number, **places.location(place, message)} for number, (place, message) in enumerate(related, 1)
        ]
    if finding.way:
        steps = [{"location": places.location(step.place, step.message)} for step in finding.way]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    if finding.fix is not None and finding.fix.edits:
        result["fixes"] = [_fix(finding.fix, places)]
    if baseline:
        result["baselineState"] = "unchanged" if finding.known else "new"
    properties: dict[str, Any] = {"confidence": finding.confidence, "routes": list(map(_plain, finding.routes))}
    if finding.witness is not None:
        properties["try"] = _plain(curl(finding.witness))
    return {**result, "properties": properties}


def _fix(fix: Fix, places: _Places) -> dict[str, Any]:
    """What readers may offer as a quick fix; the description says what the person who takes it should know."""
    changes: dict[str, list[dict[str, Any]]] = {}
    for edit in fix.edits:
        (line, column), (end_line, end_column) = edit.source.position(edit.start), edit.source.position(edit.end)
        region = {
            "startLine": line,
            "startColumn": edit.source.character(line, column),
            "endLine": end_line,
            "endColumn": edit.source.character(end_line, end_column),
        }
        replacement: dict[str, Any] = {"deletedRegion": region}
        if edit.text:
            replacement["insertedContent"] = {"text": readable(edit.text)}
        changes.setdefault(edit.source.name, []).append(replacement)
    safe = "Safe: no request that works is treated differently."
    return {
        "description": {"text": safe if fix.safe else "Unsafe: check that this is what is meant."},
        "artifactChanges": [
            {"artifactLocation": places.artifact(name), "replacements": replacements}
            for name, replacements in changes.items()
        ],
    }


class _Places:
    """Places as SARIF writes them, with the files that they lie in."""

    def __init__(self, report: Report) -> None:
        self._numbers: dict[str, int] = {}
        self.artifacts: list[dict[str, Any]] = []
        for name in report.files:
            self.artifact(name)

    def artifact(self, name: str) -> dict[str, Any]:
        """The location of a file, entered among the artifacts."""
        location = _uri(name)
        if name not in self._numbers:
            self._numbers[name] = len(self.artifacts)
            self.artifacts.append({"location": location})
        return {**location, "index": self._numbers[name]}

    def location(self, place: Place, message: str = "") -> dict[str, Any]:
        column, end_line, end_column = place.shown
        location: dict[str, Any] = {
            "physicalLocation": {
                "artifactLocation": self.artifact(place.file),
                "region": {
                    "startLine": place.line,
                    "startColumn": column,
                    "endLine": end_line,
                    "endColumn": end_column,
                },
            }
        }
        if message:
            location["message"] = {"text": _plain(message)}
        return location


def _uri(name: str) -> dict[str, str]:
    """RFC 3986: relative to the repository's top where the file lies in it, else absolute."""
    inside = name_in_repository(name)
    path = quote(inside.encode("utf-8", "surrogateescape"))
    if inside.startswith("../"):
        path = quote(os.path.abspath(inside).encode("utf-8", "surrogateescape"))
    return {"uri": "file://" + path} if path.startswith("/") else {"uri": path, "uriBaseId": BASE}


def _plain(text: str) -> str:
    """Text that no reader takes for more: control characters as escapes, no half characters, no links (SARIF 3.11.6:
    `[text](target)`)."""
    text = "\n".join(printable(line) for line in text.split("\n"))
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if "](" in text:
        import re

        text = re.sub(r"\[([^\[\]]*)\]\(", r"\\[\1\\](", text)
    return text
