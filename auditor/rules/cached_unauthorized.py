"""A 401 is kept in a cache and served to others.

## What it does

Supposes that the origin, or the service behind an auth subrequest, answers 401. Reports the line
that keeps this answer, where another client with other credentials gets it. It is a warning where
the line keeps every status (`any`), and an info where nothing there asks for credentials.

It is silent where the key, or what passes the cache by, tells users apart, where this server logs in
to the origin by itself, and for images, styles and the like, which everybody may see. mod_cache keeps
a 401 that says how long: here a line says it, for every answer. It is silent where the cache's quick
handler is on, which answers before all else and leaves requests with Authorization alone.

## Why it is bad

One visitor who is not logged in locks out everybody: the cache answers 401 for that URL until it
forgets, whatever credentials clients send.

## Bad example

```nginx
proxy_cache_path /var/cache/nginx keys_zone=api:10m;
server {
    location /api/ {
        proxy_cache api;
        proxy_cache_valid 200 401 5m;
        proxy_pass http://app;
    }
}
```

```apache
CacheEnable disk /api/
CacheQuickHandler off
Header set Cache-Control "max-age=600"
ProxyPass /api/ http://app.internal/api/
```

## Good example

```nginx
proxy_cache_path /var/cache/nginx keys_zone=api:10m;
server {
    location /api/ {
        proxy_cache api;
        proxy_cache_valid 200 5m;
        proxy_pass http://app;
    }
}
```

```apache
CacheEnable disk /api/
CacheQuickHandler off
Header set Cache-Control "max-age=600" "expr=%{REQUEST_STATUS} == 200"
ProxyPass /api/ http://app.internal/api/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-504, NGX-505, NGX-506)
Apache httpd 2.4.71 (fact APA-340)

## References

- RFC 9111, 3 (what a cache may store)
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cache_valid
- https://httpd.apache.org/docs/2.4/mod/mod_cache.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, HIGH, INFO, MEDIUM, WARNING, Finding, Related
from auditor.http import Request, Response
from auditor.rules.caches import (
    FIRST,
    SECOND,
    SECOND_BASIC,
    cached,
    gets,
    has_own_login,
    is_for_everybody,
    minds_credentials,
    through_caches,
)
from auditor.rules.common import ORIGIN_REFUSES, STRANGER, Supposed, by_block, deciding, of_kind, with_header
from auditor.rules.repairs import SAFE, fix, with_part
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Exchange
from auditor.world import World

NAME = "cached-unauthorized"
SEVERITY = ERROR
FIX = SAFE

_WELCOME = Supposed("accepted", Response(200), Response(200))


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block), by_path=True)


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in through_caches(site, routes):
        if is_for_everybody(route.request):
            continue
        for role, world in (("main", ORIGIN_REFUSES), ("auth", STRANGER)):
            for header in (None, FIRST):
                yield from _judge_refusal(site, route, header, role, world)


def _judge_refusal(
    site: Site, route: Route, header: tuple[str, str] | None, role: str, world: World
) -> Iterator[Finding]:
    for _, exchange, cache in cached(site, route.request, header, world, role):
        line = deciding(cache.because)
        if exchange.status != 401 or cache.store != "yes" or line is None or has_own_login(exchange):
            continue
        for other in (SECOND, SECOND_BASIC):
            if any(gets(later, cache) for _, _, later in cached(site, route.request, other, _WELCOME, role)):
                request = route.request if header is None else with_header(route.request, header)
                minded = minds_credentials(request, exchange, cache)
                yield _finding(site, route, request, exchange, line, cache.line, minded)
                break


def _finding(
    site: Site, route: Route, request: Request, exchange: Exchange, line: Place, switch: Place | None, minded: bool
) -> Finding:
    named = re.search(r"\b401\b", line.text) is not None
    whose = f"401 of {'the auth subrequest to ' if exchange.role == 'auth' else ''}{exchange.upstream}"
    return Finding(
        NAME,
        ERROR if named else WARNING if minded else INFO,
        f"One client without valid credentials locks out all others: this line keeps the {whose}, "
        "and the cache serves it to everybody.",
        line,
        confidence=HIGH if named else MEDIUM,
        related=() if switch is None or switch == line else (Related(switch, "answers are kept here"),),
        routes=(route.label,),
        witness=request,
        help="Keep only what is the same for all: "
        + of_kind(
            site,
            "proxy_cache_valid 200 301 302 5m;",
            'Header set Cache-Control "max-age=600" "expr=%{REQUEST_STATUS} == 200"',
        ),
        server=route.server,
        pattern=route.pattern,
        # Only one of several statuses: without its last line a level would take over those of the level further out.
        fix=fix(True, with_part(line, r"\s401(?=\s+\d{3}\s)|(?<=\s\d{3})\s+401(?=\s)", "")),
    )
