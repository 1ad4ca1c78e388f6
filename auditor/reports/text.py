"""Findings for people: the message, the source lines with carets, what to write instead, and how to try it."""

from __future__ import annotations

from auditor.check import Report
from auditor.findings import INFO, Finding, option_for
from auditor.reports.terminal import Terminal, curl, margin_of, printable
from auditor.server import Note

MAX_ROUTES = 3


def text(report: Report, terminal: Terminal, show: str) -> str:
    """The report; infos and notes are only counted unless `show` is "info"."""
    parts = [_finding(finding, terminal) for finding in report.new if show == INFO or finding.severity != INFO]
    if show == INFO:
        parts += [_note(note, terminal) for note in report.notes]
    parts.append(tally(report, show) + "\n")
    return "\n".join(parts)


def _finding(finding: Finding, terminal: Terminal) -> str:
    severity = terminal.paint(f"{finding.severity}[{finding.rule}]", finding.severity)
    places = [finding.place, *(item.place for item in finding.related)]
    margin = margin_of(places)
    arrow = terminal.paint(f"{'':>{margin}}-->", "frame")
    bar = terminal.paint(f"{'':>{margin}} |", "frame")
    lines = [
        f"{severity}: {terminal.paint(printable(finding.message), 'bold')}",
        f"{arrow} {_where(finding)}",
        bar,
        *terminal.excerpt(finding.place, margin, "", finding.severity),
    ]
    file = finding.place.file
    for item in finding.related:
        dots = terminal.paint(f"{'':>{margin}}:::", "frame")
        if item.place.file != file:
            lines.append(f"{dots} {printable(item.place.file)}:{item.place.line}:{item.place.column}")
            file = item.place.file
        else:
            lines.append(terminal.paint(f"{'':>{margin}}...", "frame"))
        lines += terminal.excerpt(item.place, margin, printable(item.message), "frame", "-")
    if finding.routes:
        lines.append(_entry("route", _routes(finding.routes), margin, terminal))
    if finding.help:
        lines.append(_entry("help", printable_lines(finding.help), margin, terminal))
    option = option_for(finding)
    if option:
        lines.append(_entry("fix", f"available with {option}", margin, terminal))
    if finding.witness is not None:
        lines.append(_entry("try", curl(finding.witness), margin, terminal))
    return "\n".join(lines) + "\n"


def _where(finding: Finding) -> str:
    place = finding.place
    where = f"{printable(place.file)}:{place.line}:{place.column}"
    return where + (f" (included at {printable(place.via.file)}:{place.via.line})" if place.via is not None else "")


def _routes(routes: tuple[str, ...]) -> str:
    shown = ", ".join(printable(route) for route in routes[:MAX_ROUTES])
    more = len(routes) - MAX_ROUTES
    return shown + (f" and {more} more" if more > 0 else "")


def _entry(name: str, words: str, margin: int, terminal: Terminal) -> str:
    """`= help: ...`; further lines are indented to stand below the first."""
    head = f"{'':>{margin}} = "
    indent = " " * (margin + 3 + len(name) + 2)
    body = ("\n" + indent).join(words.split("\n"))
    return f"{terminal.paint(head, 'frame')}{terminal.paint(name + ':', 'bold')} {body}"


def printable_lines(words: str) -> str:
    """`printable`, line breaks kept."""
    return "\n".join(printable(line) for line in words.split("\n"))


def _note(note: Note, terminal: Terminal) -> str:
    at = f"{printable(note.place.file)}:{note.place.line}: " if note.place is not None else ""
    return f"{terminal.paint(f'note[{note.kind}]', 'faint')}: {at}{printable(note.text)}\n"


def tally(report: Report, show: str) -> str:
    """The closing line."""
    errors, warnings, infos = (report.count(severity) for severity in ("error", "warning", "info"))
    files = _number(len(report.files), "file")
    parts = [_number(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    if show == INFO and infos:
        parts.append(_number(infos, "info"))
    none = "no new findings" if report.baseline else "no findings"
    head = f"{', '.join(parts)} in {files}" if parts else f"{none} in {files}"
    if report.errors:
        unread = _number(len({error.file for error in report.errors}), "input")
        head = f"{', '.join(parts) or 'nothing'} found in {files}; {unread} could not be read"
    tail = []
    if show != INFO and infos:
        tail.append(f"{_number(infos, 'info')} hidden")
    if report.notes:
        tail.append(_number(len(report.notes), "note"))
    if report.suppressed:
        tail.append(f"{len(report.suppressed)} suppressed")
    known = len(report.findings) - len(report.new)
    if known:
        tail.append(f"{known} known from the baseline")
    parts = [", ".join(tail)] if tail else []
    if show != INFO and (infos or report.notes):
        parts.append("--show info shows them")
    for option in ("--fix", "--fix --unsafe-fixes"):
        fixable = sum(option_for(finding) == option for finding in report.new)
        if fixable:
            parts.append(f"{fixable} fixable with {option}")
    return f"{head} ({'; '.join(parts)})" if parts else head


def _number(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
