"""Two lines of the configuration set the same request header, and both go out.

## What it does

Asks every route and looks for headers that the upstream receives twice because two lines of one level set
them, one of them often in an included snippet. A later line does not replace an earlier one.

It is silent about headers that are lists, such as X-Forwarded-For, and about parameters of FastCGI and its
like, of which the last one counts.

## Why it is bad

A request with two Host lines must be answered 400. With other headers it depends on the application which
one counts, or it reads both as one value with a comma.

## Bad example

```nginx
location / {
    proxy_set_header Host $host;
    proxy_set_header Host app.internal;
    proxy_pass http://app;
}
```

## Good example

```nginx
location / {
    proxy_set_header Host app.internal;
    proxy_pass http://app;
}
```

## Measured on

nginx 1.22.1, 1.31.3 (fact NGX-010)

## References

- RFC 9112, 3.2 (Host) and RFC 9110, 5.3 (field order)
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding, Related
from auditor.rules.common import ADMITTED, BASIC, by_block, deciding, traced
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Exchange

NAME = "duplicated-request-header"
SEVERITY = WARNING

# Of these several lines are one list (RFC 9110, 5.3), or are read as one.
_LISTS = frozenset(
    (
        *("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "connection", "cookie"),
        *("expect", "forwarded", "if-match", "if-none-match", "pragma", "prefer", "te", "trailer", "upgrade", "via"),
        *("x-forwarded-for", "link", "warning"),
    )
)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route, request, outcome in traced(site, routes, BASIC, ADMITTED):
        for exchange in outcome.exchanges:
            if not exchange.protocol.startswith("HTTP"):
                continue
            for name, first, second in _twice(exchange):
                yield Finding(
                    NAME,
                    WARNING,
                    f"{exchange.upstream} receives {name} twice: this line does not replace the other one"
                    + (", and two Host lines are answered 400." if name.lower() == "host" else "."),
                    second,
                    related=(Related(first, "the other line"),),
                    routes=(route.label,),
                    witness=request,
                    help=f"Keep one of the two {name} lines.",
                    server=route.server,
                    pattern=route.pattern,
                )


def _twice(exchange: Exchange) -> Iterator[tuple[str, Place, Place]]:
    """The headers that two lines set, with these lines."""
    lines: dict[str, Place] = {}
    for sent in exchange.headers:
        line = deciding(sent.because)
        name = sent.name.lower()
        if line is None or sent.present != "yes" or name in _LISTS:
            continue
        if name in lines and lines[name] != line:
            yield sent.name, lines[name], line
        lines.setdefault(name, line)
