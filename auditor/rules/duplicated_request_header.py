"""Two lines of the configuration set the same request header, and both go out.

## What it does

Asks every route and looks for headers that the upstream receives twice because two lines of one level set
them, one of them often in an included snippet. A later line does not replace an earlier one.

It is silent about headers that are lists, such as X-Forwarded-For, and about parameters of FastCGI and its
like, of which the last one counts.

`RequestHeader add` of httpd puts a line beside those that are there: another line's, or the
client's own Authorization; behind another proxy also what that one says of the client's connection (X-Forwarded-Proto).

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

```apache
<VirtualHost *:80>
    RequestHeader set X-Tenant main
    <Location /tenants/>
        RequestHeader add X-Tenant other
    </Location>
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
```

## Good example

```nginx
location / {
    proxy_set_header Host app.internal;
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    RequestHeader set X-Tenant main
    <Location /tenants/>
        RequestHeader set X-Tenant other
    </Location>
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (fact NGX-010)

Apache 2.4.71 (fact APA-006)

## References

- RFC 9112, 3.2 (Host) and RFC 9110, 5.3 (field order)
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#requestheader
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding, Related
from auditor.rules.common import ADMITTED, BASIC, by_block, deciding, of_kind, traced
from auditor.rules.repairs import SAFE, Edits, fix, without, written
from auditor.server import Route, Site
from auditor.settings import INNER, Settings
from auditor.source import Place
from auditor.trace import ADDED, Exchange
from auditor.values import Value

NAME = "duplicated-request-header"
SEVERITY = WARNING
FIX = SAFE

# Of these several lines are one list (RFC 9110, 5.3), or are read as one.
_LISTS = frozenset(
    (
        *("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "connection", "cookie"),
        *("expect", "forwarded", "if-match", "if-none-match", "pragma", "prefer", "te", "trailer", "upgrade", "via"),
        *("x-forwarded-for", "link", "warning"),
    )
)


# What proxies say of the client's connection, once. `RequestHeader add` does not replace it.
_SAID = (("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "443"), ("X-Forwarded-Ssl", "on"))
_NAMES = frozenset(("authorization", *(name.lower() for name, _ in _SAID)))


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    # Behind another proxy, beside what that one has said already.
    if site.kind == "apache" and settings.position == INNER:
        routes = [_beside(route) for route in routes]
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route, request, outcome in traced(site, routes, BASIC, ADMITTED):
        for exchange in outcome.exchanges:
            if not exchange.protocol.startswith("HTTP"):
                continue
            for name, first, second, same in _twice(exchange):
                yield Finding(
                    NAME,
                    WARNING,
                    f"{exchange.upstream} receives {name} twice: this line does not replace "
                    + ("the client's own" if first is None else "the other one")
                    + (", and two Host lines are answered 400." if name.lower() == "host" else "."),
                    second,
                    related=() if first is None else (Related(first, "the other line"),),
                    routes=(route.label,),
                    witness=request,
                    help=of_kind(site, f"Keep one of the two {name} lines.", f"RequestHeader set {name} ..."),
                    server=route.server,
                    pattern=route.pattern,
                    fix=fix(True, _without_one(first, second)) if same and first is not None else None,
                )


def _beside(route: Route) -> Route:
    there = {name.lower() for name, _ in route.request.headers}
    more = [(name, value) for name, value in _SAID if name.lower() not in there]
    return route._replace(request=route.request.with_headers(*more))


def _without_one(first: Place, second: Place) -> Edits:
    """Of two lines that say the same, the one goes that has the other beside it wherever it counts: the later one of
    the same file, or the one of the file that includes the other's."""
    said = [written(line).split() for line in (first, second)]
    if [words[:1] + words[2:] for words in said[:1]] != [words[:1] + words[2:] for words in said[1:]]:
        return ()
    if first.source is second.source:
        return without(second) if first.via == second.via else ()
    for line, other in ((second, first), (first, second)):
        if other.via is not None and other.via.source is line.source and other.via.via == line.via:
            return without(line)
    return ()


def _twice(exchange: Exchange) -> Iterator[tuple[str, Place | None, Place, bool]]:
    """The headers that two lines set, or a line beside the client's own, with these lines, and whether both send the
    same value."""
    lines: dict[str, Place | None] = {}
    values: dict[str, Value] = {}
    for sent in exchange.headers:
        line = deciding(sent.because)
        name = sent.name.lower()
        clients = line is None and name in _NAMES and sent.fate != ADDED
        if (line is None and not clients) or sent.present != "yes" or name in _LISTS:
            continue
        if line is not None and name in lines and lines[name] != line:
            yield sent.name, lines[name], line, values[name] == sent.value
        lines.setdefault(name, line)
        values.setdefault(name, sent.value)
