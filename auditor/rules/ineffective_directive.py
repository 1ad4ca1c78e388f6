"""A line names a header or a gate and changes nothing.

## What it does

Takes lines that look as if they decided about a header or a gate, asks the configuration with and
without each, and reports those without which every answer is the same.

## Why it is bad

Such a line does no harm itself. It was written to solve a problem, and the problem is still there;
the next reader takes it for the reason why things work, or copies it.

## Bad example

```nginx
location / {
    proxy_pass http://app;
    proxy_pass_header Authorization;  # about answers: requests carry Authorization anyway
}
```

## Good example

```nginx
location / {
    proxy_pass http://app;
}
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-002, NGX-004, NGX-028)

## References

- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass_header
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_hide_header
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from auditor.findings import INFO, Edit, Finding, Fix
from auditor.http import Request
from auditor.rules.common import ADMITTED, BASIC, BEARER, STRANGER, with_header
from auditor.server import Route, Site, Suspect
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Exchange, Outcome

NAME = "ineffective-directive"
SEVERITY = INFO

_WORLDS = (ADMITTED, STRANGER)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    # One after the other: of two lines that do the same, only the first can go.
    removed: list[Place] = []
    for suspect in site.suspects():
        requests = [request for route in site.routes() for request in _requests(route.request, suspect)]
        if not requests or not _same(site, site.without(*removed, suspect.line), requests):
            continue
        removed.append(suspect.line)
        yield Finding(
            NAME,
            INFO,
            f"This line changes nothing: {suspect.why}.",
            suspect.line,
            help=suspect.instead or "Remove the line: no request is treated differently without it.",
            fix=Fix(True, (Edit(suspect.line, ""),)),
        )


def _requests(request: Request, suspect: Suspect) -> Iterator[Request]:
    yield request
    yield with_header(request, BEARER)
    yield with_header(request, BASIC)
    if suspect.header and suspect.header.lower() not in ("host", "authorization", "content-length"):
        yield with_header(request, (suspect.header, "audit-probe"))


def _same(site: Site, other: Site, requests: Sequence[Request]) -> bool:
    for request in requests:
        for world in _WORLDS:
            before = [_bare(outcome) for outcome in site.trace(request, world)]
            if before != [_bare(outcome) for outcome in other.trace(request, world)]:
                return False
    return True


def _bare(outcome: Outcome) -> Any:
    """What can be seen from outside: no blame, and no order of header lines of different names."""
    return (
        [(asked.question, asked.answer.name) for asked in outcome.when],
        outcome.action,
        outcome.status,
        [_bare_exchange(exchange) for exchange in outcome.exchanges],
        [(gate.kind, gate.realm, gate.result) for gate in outcome.gates],
        sorted((header.name.lower(), header.value) for header in outcome.response_headers),
    )


def _bare_exchange(exchange: Exchange) -> Any:
    return (
        exchange.upstream,
        exchange.method,
        exchange.uri,
        exchange.body,
        # Stable by name: the order of lines of one name stays. Segments are compared by text where that is known, since
        # "forwarded" and "set to what the client sent" are the same to an origin.
        sorted(
            ((sent.name.lower(), sent.value.text or sent.value, sent.present) for sent in exchange.headers), key=_name
        ),
    )


def _name(item: tuple[str, Any, str]) -> str:
    return item[0]
