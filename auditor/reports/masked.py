"""The one place where the credentials of a configuration are taken out of a report, before any format sees it.

A credential can stand in a line that is quoted, and in a witness: requests are made from what the configuration
compares with.
"""

from __future__ import annotations

from auditor.check import Report
from auditor.findings import Finding, Fix, Related
from auditor.http import Request
from auditor.secrets import mask, mask_header, mask_sentence
from auditor.server import Note
from auditor.source import InputError


def masked(report: Report) -> Report:
    """The same report without credentials."""
    return report._replace(
        findings=tuple(_finding(finding) for finding in report.findings),
        suppressed=tuple(
            item._replace(finding=_finding(item.finding), reason=mask_sentence(item.reason))
            for item in report.suppressed
        ),
        notes=tuple(Note(note.kind, mask_sentence(note.text), note.place) for note in report.notes),
        errors=tuple(InputError(error.file, error.line, mask_sentence(error.message)) for error in report.errors),
    )


def _finding(finding: Finding) -> Finding:
    return finding._replace(
        message=mask_sentence(finding.message),
        related=_related(finding.related),
        routes=tuple(mask_sentence(route) for route in finding.routes),
        witness=None if finding.witness is None else _request(finding.witness),
        help=mask_sentence(finding.help),
        fix=None if finding.fix is None or _tells(finding.fix) else finding.fix,
        pattern=mask_sentence(finding.pattern),
        where=tuple(mask_sentence(item) for item in finding.where),
        way=_related(finding.way),
    )


def _related(items: tuple[Related, ...]) -> tuple[Related, ...]:
    return tuple(Related(item.place, mask_sentence(item.message)) for item in items)


def _request(request: Request) -> Request:
    headers = tuple((name, mask_header(name, value)) for name, value in request.headers)
    return request._replace(target=mask_sentence(request.target), headers=headers)


def _tells(fix: Fix) -> bool:
    """Whether an edit writes a credential: with a masked one it would destroy the line, so reports leave it out."""
    return any(mask(edit.text) != edit.text for edit in fix.edits)
