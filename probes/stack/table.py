"""What was seen, side by side: a column for each server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditor.http import Pairs
from probes.stack.ask import Seen

LEGEND = """\
401      a status alone: the proxy answered, and the origin got nothing
200 +A   Authorization reached the origin as it was sent (-A: it did not, ~A: changed, ..: none was sent)
200 U=x  the origin was told the user x by X-Remote-User (U_=x: by X_Remote_User)
?        not known, see the complaints"""

_SPELLINGS = {"x-remote-user": "U", "http_x_remote_user": "U", "x_remote_user": "U_"}


def cell(seen: Seen) -> str:
    """`200 -A U=staff`: the status, what became of Authorization, and who the origin is told the user is."""
    if seen.error:
        return "?"
    words = [str(seen.status or "closed")]
    if not seen.arrived:
        return words[0]
    headers = _headers(seen)
    sent = [value for name, value in seen.probe.headers if name == "Authorization"]
    got = [value for name, value in headers if name.lower() in ("authorization", "http_authorization")]
    if sent or got:
        words.append("+A" if got == sent else "~A" if got else "-A")
    else:
        words.append("..")
    for name, value in headers:
        low = name.lower()
        if low in _SPELLINGS:
            words.append(f"{_SPELLINGS[low]}={value}")
    return " ".join(words)


def _headers(seen: Seen) -> Pairs:
    """Of several requests that one probe gave rise to, the last is the one that was to be answered."""
    return tuple((str(name), str(value)) for name, value in seen.arrived[-1]["headers"])


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
    """Which headers the origin got of one request through each proxy, with the secrets left out."""
    found = {name: _headers(one) if one.arrived else () for name, one in seen.items()}
    names: dict[str, str] = {}
    for headers in found.values():
        for name, _ in headers:
            names.setdefault(name.lower(), name)
    columns = {
        server: ["***" if low == "authorization" and low in got else got.get(low, "-") for low in names]
        for server, got in ((server, _joined(headers)) for server, headers in found.items())
    }
    return side_by_side(title, list(names.values()), columns)


def _joined(headers: Pairs) -> dict[str, str]:
    joined: dict[str, list[str]] = {}
    for name, value in headers:
        joined.setdefault(name.lower(), []).append(value)
    return {name: " | ".join(values) for name, values in joined.items()}
