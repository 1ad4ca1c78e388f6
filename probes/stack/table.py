"""What was seen, side by side: a column for each server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditor.trace import FORWARDED, STRIPPED
from probes.fates import arrivals, fate_of
from probes.questions import TOKEN
from probes.reports.masked import masked
from probes.stack.ask import Seen

LEGEND = """\
401       a status alone: the proxy answered, and the origin got nothing
200 +A    Authorization reached the origin as it was sent (-A: it did not, ~A: changed, ..: none was sent)
200 U=x   the origin was told the user x by X-Remote-User (U_=x: by X_Remote_User; forged: what the client made up)
?         not known, see the complaints"""

_SPELLINGS = {"x-remote-user": "U", "http_x_remote_user": "U", "x_remote_user": "U_"}


def cell(seen: Seen) -> str:
    """`200 -A U=staff`: the status, what became of Authorization, and who the origin is told the user is."""
    if seen.error:
        return "?"
    status = str(seen.status or "closed")
    if seen.received is None:
        return status
    fate = fate_of("Authorization", seen.fates)
    words = [status, ".." if fate is None else {FORWARDED: "+A", STRIPPED: "-A"}.get(fate.fate, "~A")]
    for name, value in arrivals(seen.received):
        if name.lower() in _SPELLINGS:
            words.append(f"{_SPELLINGS[name.lower()]}={'forged' if TOKEN in value else value}")
    return " ".join(words)


def side_by_side(title: str, rows: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str:
    """A table: `columns` has a cell for each of the rows."""
    width = max([len(title), *map(len, rows)])
    widths = {name: max([len(name), *map(len, cells)]) for name, cells in columns.items()}
    lines = ["  ".join([title.ljust(width), *(name.ljust(widths[name]) for name in columns)])]
    for number, row in enumerate(rows):
        cells = (columns[name][number].ljust(widths[name]) for name in columns)
        lines.append("  ".join([row.ljust(width), *cells]))
    return "\n".join(line.rstrip() for line in lines)


def headers_side_by_side(title: str, seen: Mapping[str, Seen]) -> str:
    """Which headers the origin got of one request through each proxy, credentials masked."""
    names: dict[str, str] = {}
    found: dict[str, dict[str, list[str]]] = {}
    for server, one in seen.items():
        lines = found.setdefault(server, {})
        for name, value in arrivals(one.received) if one.received else ():
            names.setdefault(name.lower(), name)
            lines.setdefault(name.lower(), []).append(masked(name, value)[1])
    columns = {server: [" | ".join(lines.get(low, "-")) for low in names] for server, lines in found.items()}
    return side_by_side(title, list(names.values()), columns)
