"""One line for each finding, as compilers write them: what editors and grep read."""

from __future__ import annotations

from auditor.check import Report
from auditor.findings import INFO
from auditor.reports.terminal import Terminal, printable


def concise(report: Report, terminal: Terminal, show: str) -> str:
    """`file:line:column: severity[rule] message`."""
    lines = []
    for finding in report.new:
        if finding.severity == INFO and show != INFO:
            continue
        place = finding.place
        severity = terminal.paint(f"{finding.severity}[{finding.rule}]", finding.severity)
        lines.append(f"{printable(place.file)}:{place.line}:{place.column}: {severity} {printable(finding.message)}\n")
    return "".join(lines)
