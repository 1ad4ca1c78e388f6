"""A header that matters does not reach the upstream.

## What it does

Sends headers to every route that has an upstream, and reports what keeps them from it:

- as an info, cookies, where a line sets Cookie to what is empty here (a plain clear is taken for meant, and so is a
  line that drops all headers);
- headers with an underscore in their names that the configuration itself tells browsers to send
  (Access-Control-Allow-Headers), and that the server drops as invalid;
- those that the settings add to the watched headers, whatever keeps them.

Authorization has a rule of its own, and a line that keeps it off is reported there only.

httpd drops names with an underscore or a dot on the way to programs (CGI, FastCGI, SCGI, WSGI) only.

## Why it is bad

The application misses a session, a key, a tenant, and nothing in the access log tells why.

## Bad example

```nginx
location /api/ {
    add_header Access-Control-Allow-Origin https://app.example always;
    add_header Access-Control-Allow-Headers "X_Tenant" always;
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    <Location /api/>
        Header always set Access-Control-Allow-Origin https://app.example
        Header always set Access-Control-Allow-Headers "Authorization, X_Tenant"
        CGIPassAuth On
    </Location>
    ProxyPass /api/ fcgi://127.0.0.1:9000/
</VirtualHost>
```

## Good example

```nginx
location /api/ {
    add_header Access-Control-Allow-Origin https://app.example always;
    add_header Access-Control-Allow-Headers "X-Tenant" always;
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    <Location /api/>
        Header always set Access-Control-Allow-Origin https://app.example
        Header always set Access-Control-Allow-Headers "Authorization, X-Tenant"
        CGIPassAuth On
    </Location>
    ProxyPass /api/ fcgi://127.0.0.1:9000/
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-005, NGX-014 to NGX-016)

Apache 2.4.71 (facts APA-012, APA-148, APA-169)

## References

- RFC 9110, 5.1 (field names)
- https://nginx.org/en/docs/http/ngx_http_core_module.html#underscores_in_headers
- https://nginx.org/en/docs/http/ngx_http_core_module.html#ignore_invalid_headers
- https://httpd.apache.org/docs/2.4/env.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import ADMITTED, BASIC, by_block, deciding, of_kind, with_header
from auditor.server import LOSES, Route, Site
from auditor.settings import WATCHED_HEADERS, Settings
from auditor.source import Place
from auditor.trace import Exchange

NAME = "lost-header"
SEVERITY = WARNING

_ALLOW = "Access-Control-Allow-Headers"


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    added = tuple(name for name in settings.watched if name not in WATCHED_HEADERS)
    asked = routes if added else [route for route in routes if LOSES in route.traits]
    return by_block(asked, lambda block: _judge_block(site, block, added))


def _judge_block(site: Site, routes: Sequence[Route], added: Sequence[str]) -> Iterator[Finding]:
    for route in routes:
        told = _told(site, route.request)
        request = with_header(route.request, BASIC)
        for name in ("Cookie", *added, *told):
            request = with_header(request, (name, "audit=probe"))
        for outcome in site.trace(request, ADMITTED):
            exchange = outcome.main
            if exchange is None:
                continue
            for name in dict.fromkeys(("Cookie", *added, *told)):
                line = _lost_by(exchange, name, name not in added)
                if line is not None:
                    # What a map leaves of the cookies is chosen, as a rule.
                    severity = WARNING if name in added or name in told else INFO
                    yield _finding(site, severity, route, request, exchange, name, line, told.get(name))


def _told(site: Site, request: Request) -> dict[str, Place | None]:
    """The headers with an underscore that browsers are told to send, with the lines that say so."""
    found: dict[str, Place | None] = {}
    for outcome in site.trace(with_header(request, BASIC), ADMITTED):
        header = outcome.response_header(_ALLOW)
        for name in (header.value.text or "").split(",") if header is not None and not header.origin else ():
            if "_" in name and name.strip().replace("_", "").replace("-", "").isalnum():
                found[name.strip()] = deciding(header.because) if header is not None else None
    return found


def _lost_by(exchange: Exchange, name: str, plain_is_meant: bool) -> Place | None:
    """The line by which the header is lost; where a default of the server's does it, the line that sends the request
    on. None where it is not lost, or is taken for meant."""
    loss = exchange.loss(name)
    if loss is None or exchange.header(name) is not None:
        return None
    line = deciding(loss.because)
    if line is None:
        return exchange.place
    authorization = exchange.loss("Authorization")
    if authorization is not None and deciding(authorization.because) == line:
        return None
    text = line.text.rstrip("; ").lower()
    plain = text.endswith(('""', "''")) or " unset " in text or name.lower() not in text
    return None if plain and plain_is_meant else line


def _finding(
    site: Site,
    severity: str,
    route: Route,
    request: Request,
    exchange: Exchange,
    name: str,
    line: Place,
    told: Place | None,
) -> Finding:
    odd = "_" in name
    return Finding(
        NAME,
        severity,
        f"{name} does not reach {exchange.upstream}"
        + (": names with an underscore are dropped by the server." if odd and line == exchange.place else "."),
        line,
        related=() if told is None else (Related(told, "browsers are told to send it"),),
        routes=(route.label,),
        witness=request,
        help=of_kind(
            site,
            f"Call it {name.replace('_', '-')}, or write: underscores_in_headers on;  (in the default server)",
            f"Call it {name.replace('_', '-')}: programs never get names with an underscore.",
        )
        if odd
        else f"Remove the line, or pass {name} on beside it.",
        server=route.server,
        pattern=route.pattern,
    )
