"""Workflow commands of GitHub Actions: each finding becomes an annotation of its line.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from auditor.check import Report
from auditor.findings import ERROR, INFO, WARNING, Finding
from auditor.globs import name_in_repository
from auditor.reports.terminal import Terminal, printable
from auditor.reports.text import printable_lines
from auditor.source import InputError

_COMMANDS = {ERROR: "error", WARNING: "warning", INFO: "notice"}


def github(report: Report, terminal: Terminal, show: str) -> str:
    """One line for each input that could not be read and each finding, infos only if `show` is "info". Files are named
    as the repository has them: GitHub finds no others."""
    lines = [_unread(error) for error in report.errors]
    lines += [_finding(finding) for finding in report.new if show == INFO or finding.severity != INFO]
    return "".join(line + "\n" for line in lines)


def _finding(finding: Finding) -> str:
    place = finding.place
    column, end_line, end_column = place.shown
    properties: list[tuple[str, str | int]] = [("file", name_in_repository(place.file)), ("line", place.line)]
    properties.append(("endLine", end_line))
    if end_line == place.line:  # columns are for annotations of one line
        properties += [("col", column), ("endColumn", end_column)]
    message = printable_lines(finding.message + (f"\n{finding.help}" if finding.help else ""))
    return _command(_COMMANDS[finding.severity], [*properties, ("title", f"audit: {finding.rule}")], message)


def _unread(error: InputError) -> str:
    properties: list[tuple[str, str | int]] = [("file", name_in_repository(error.file))]
    if error.line:
        properties.append(("line", error.line))
    return _command("error", [*properties, ("title", "audit: unreadable")], printable(error.message))


def _command(name: str, properties: list[tuple[str, str | int]], message: str) -> str:
    written = ",".join(
        f"{key}={_escaped(printable(str(value))).replace(':', '%3A').replace(',', '%2C')}" for key, value in properties
    )
    return f"::{name} {written}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
