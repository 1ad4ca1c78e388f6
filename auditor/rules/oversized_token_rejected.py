"""A long token is refused because header lines may not be that long.

## What it does

Asks every route whose configuration limits header lines with a token of 8,000 characters, which the server's own
default lets through, and reports the limit by which that is refused.

## Why it is bad

Tokens grow with the groups of a user. Those with many of them are answered 400, before anything is logged as a
failed login, and clear their cookies in vain.

## Bad example

```nginx
server {
    large_client_header_buffers 4 4k;
    location / {
        proxy_pass http://app;
    }
}
```

```apache
LimitRequestFieldSize 4094
<VirtualHost *:80>
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
```

## Good example

```nginx
server {
    large_client_header_buffers 4 16k;
    location / {
        proxy_pass http://app;
    }
}
```

```apache
LimitRequestFieldSize 16380
<VirtualHost *:80>
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-034, NGX-036, NGX-037)

Apache 2.4.71 (facts APA-015, APA-016)

## References

- RFC 6585, 5 (431) and RFC 9110, 5.4 (field limits)
- https://nginx.org/en/docs/http/ngx_http_core_module.html#large_client_header_buffers
- https://httpd.apache.org/docs/2.4/mod/core.html#limitrequestfieldsize
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, Finding
from auditor.rules.common import ADMITTED, BEARER, by_block, traced
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.trace import Outcome

NAME = "oversized-token-rejected"
SEVERITY = INFO

_LONG = ("Authorization", "Bearer " + "a" * 8000)
_REFUSALS = (400, 413, 431, 494)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route, _, outcome in traced(site, routes, _LONG, ADMITTED):
        line = next((step.place for step in reversed(outcome.steps) if step.place is not None), None)
        if line is None or not _is_refused(outcome):
            continue
        if any(_is_refused(other) for _, _, other in traced(site, [route], BEARER, ADMITTED)):
            continue  # it is not the length
        yield Finding(
            NAME,
            INFO,
            f"A token of 8,000 characters is answered {outcome.status} because of this limit.",
            line,
            routes=(route.label,),
            help="Allow header lines of 8 KiB at least (16 KiB where users are in many groups).",
            server=route.server,
            pattern=route.pattern,
        )


def _is_refused(outcome: Outcome) -> bool:
    return outcome.action == "answered" and outcome.status in _REFUSALS
