"""The JSON object `findings/1`: a public interface. It always holds everything, whatever is shown elsewhere."""

from __future__ import annotations

import json
from typing import Any

from auditor.check import Report
from auditor.findings import finding_json
from auditor.server import Note
from auditor.source import InputError

SCHEMA = "findings/1"


def findings_json(report: Report) -> str:
    """The object as text, two spaces of indent, ending in a line break."""
    return json.dumps(as_object(report), indent=2) + "\n"


def as_object(report: Report) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "findings": [finding_json(finding) for finding in report.findings],
        "files": list(report.files),
        "notes": [_note(note) for note in report.notes] + [_error(error) for error in report.errors],
    }


def _note(note: Note) -> dict[str, Any]:
    place = note.place
    file, line = (None, None) if place is None else (place.file, place.line)
    return {"kind": note.kind, "text": note.text, "file": file, "line": line}


def _error(error: InputError) -> dict[str, Any]:
    return {"kind": "error", "text": error.message, "file": error.file, "line": error.line}
