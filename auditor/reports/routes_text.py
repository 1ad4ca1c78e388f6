"""The table route x watched header: what becomes of each header on its way to the origin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from auditor.reports.terminal import Terminal, printable
from auditor.rules.common import ADMITTED, BASIC, with_header
from auditor.secrets import mask_header, mask_sentence
from auditor.server import Route, Site
from auditor.trace import FORWARDED, STRIPPED, Outcome

DEPENDS = "depends"
NOWHERE = "-"

# What the client sends under a watched name. A value of its own for each, so that "forwarded" cannot be a coincidence.
PROBE = {
    "authorization": "Bearer audit-probe",
    "cookie": "audit=probe",
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-proto": "audit",
}


class Row(NamedTuple):
    """A route, where its requests end, and the fate of each watched header there."""

    route: Route
    target: str
    fates: tuple[str, ...]


def table(site: Site, headers: Sequence[str]) -> list[Row]:
    """One row for each route of the configuration."""
    return [_row(site, route, headers) for route in site.routes()]


def _row(site: Site, route: Route, headers: Sequence[str]) -> Row:
    request = route.request
    own = {name.lower() for name, _ in request.headers}  # by which the route is what it is
    for name in headers:
        if name.lower() not in own:
            request = request.with_headers((name, PROBE.get(name.lower(), "audit-probe")))
    outcomes = site.trace(request, ADMITTED)
    if not any(outcome.main for outcome in outcomes):
        # A Basic gate takes no other scheme.
        outcomes = site.trace(with_header(request, BASIC), ADMITTED)
    proxied = [outcome for outcome in outcomes if outcome.main is not None]
    return Row(route, _targets(outcomes), tuple(_fate(proxied, name) for name in headers))


def _targets(outcomes: Sequence[Outcome]) -> str:
    """Where requests end: upstreams first, then files, then what the server answers itself, unless that only says that
    there is no such file."""
    upstreams = dict.fromkeys(outcome.main.upstream for outcome in outcomes if outcome.main is not None)
    files = any(outcome.action == "static" for outcome in outcomes)
    own = {
        str(outcome.status) if outcome.status is not None else outcome.action
        for outcome in outcomes
        if outcome.main is None and outcome.action != "static"
    }
    rest = [] if files and not upstreams else sorted(own)
    return " or ".join([*upstreams, *(["files"] if files else []), *rest])


def _fate(outcomes: Sequence[Outcome], name: str) -> str:
    fates = set()
    for outcome in outcomes:
        main = outcome.main
        assert main is not None
        sent = main.header(name)
        if sent is None:
            fates.add(STRIPPED)
        else:
            fates.add(sent.fate if sent.present == "yes" else DEPENDS)
    if not fates:
        return NOWHERE
    return fates.pop() if len(fates) == 1 else DEPENDS


def routes_text(rows: Sequence[Row], headers: Sequence[str], terminal: Terminal) -> str:
    """The table for people, one line for each route."""
    head = ("route", "goes to", *headers)
    body = [
        (printable(mask_sentence(_label(row.route))), printable(mask_sentence(row.target)), *row.fates) for row in rows
    ]
    body = list(dict.fromkeys(body))
    widths = [max(len(cells[column]) for cells in (head, *body)) for column in range(len(head))]
    lines = [terminal.paint(_line(head, widths), "bold")]
    for cells in body:
        padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)]
        padded[2:] = [terminal.paint(cell, _style(cell.rstrip())) for cell in padded[2:]]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines) + "\n"


def _label(route: Route) -> str:
    """The route with the header lines that make it another one than its URL alone."""
    lines = [f"{name}: {mask_header(name, value)}" for name, value in route.request.headers if name.lower() != "host"]
    return route.label + (f" ({', '.join(lines)})" if lines else "")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _style(fate: str) -> str:
    return {FORWARDED: "good", STRIPPED: "bad", DEPENDS: "warning", NOWHERE: "faint"}.get(fate, "plain")


def routes_json(rows: Sequence[Row], headers: Sequence[str]) -> str:
    """The table as a list of objects."""
    return json.dumps(
        [
            {
                "route": mask_sentence(row.route.label),
                "server": row.route.server,
                "pattern": mask_sentence(row.route.pattern),
                "goes_to": mask_sentence(row.target),
                "headers": dict(zip(headers, row.fates, strict=True)),
            }
            for row in rows
        ],
        indent=2,
    )
