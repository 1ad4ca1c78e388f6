"""Every origin is allowed to send credentials, or none can.

## What it does

Asks the routes that set CORS headers as pages of a foreign origin would: of an origin that nobody has
named, and of one that only begins or ends like an allowed one. Reports answers with
`Access-Control-Allow-Credentials: true` that echo that origin, and those that say `*`.

It is an info for files that are served to everybody anyway.

## Why it is bad

An echoed origin lets every page on the web read what a signed-in visitor may read. `*` beside
credentials does not work at all: browsers refuse the answer (Fetch standard).

## Bad example

```nginx
location /api/ {
    add_header Access-Control-Allow-Origin $http_origin always;
    add_header Access-Control-Allow-Credentials true always;
    proxy_pass http://app;
}
```

```apache
<Location /api/>
    SetEnvIf Origin "(.*)" ORIGIN=$1
    Header always set Access-Control-Allow-Origin "%{ORIGIN}e" env=ORIGIN
    Header always set Access-Control-Allow-Credentials "true"
</Location>
ProxyPass /api/ http://127.0.0.1:9000/
```

## Good example

```nginx
location /api/ {
    add_header Access-Control-Allow-Origin "https://app.example.com" always;
    add_header Access-Control-Allow-Credentials true always;
    proxy_pass http://app;
}
```

```apache
<Location /api/>
    SetEnvIf Origin "^https://app\\.example\\.com$" ORIGIN=$0
    Header always set Access-Control-Allow-Origin "%{ORIGIN}e" env=ORIGIN
    Header always set Access-Control-Allow-Credentials "true"
</Location>
ProxyPass /api/ http://127.0.0.1:9000/
```

## Measured on

nginx 1.22.1, 1.31.3 (fact NGX-402); Apache 2.4.71, by this rule's own proof

## References

- https://fetch.spec.whatwg.org/#cors-protocol-and-credentials
- https://nginx.org/en/docs/http/ngx_http_map_module.html
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#header
- https://httpd.apache.org/docs/2.4/mod/mod_setenvif.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, INFO, Finding, Related
from auditor.http import Request
from auditor.rules.common import (
    ADMITTED,
    BASIC,
    BEARER,
    by_block,
    deciding,
    guards,
    is_told_apart,
    of_kind,
    with_header,
)
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.trace import Outcome

NAME = "cors-credentials-wildcard"
SEVERITY = ERROR

_HELP = (
    "Name the origins that may:\n"
    "map $http_origin $allowed_origin {\n"
    "    https://app.example  $http_origin;\n"
    "}\n"
    "add_header Access-Control-Allow-Origin $allowed_origin always;",
    "Name the origins that may:\n"
    'SetEnvIf Origin "^https://app\\.example$" ALLOWED=$0\n'
    'Header always set Access-Control-Allow-Origin "%{ALLOWED}e" env=ALLOWED',
)
_STRANGE = "any-page.example"


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        for origin in _origins(route.request):
            for header in (BEARER, BASIC) if is_told_apart(site, route) else (BEARER,):
                request = with_header(with_header(route.request, header), ("Origin", origin))
                if route.request.method == "OPTIONS":
                    request = with_header(route.request, ("Origin", origin))
                for outcome in site.trace(request, ADMITTED):
                    yield from _judge_outcome(site, route, request, outcome, origin)


def _origins(request: Request) -> Iterator[str]:
    """Origins that must not be allowed: anybody's, and those that an unanchored pattern takes for the witness's own."""
    yield f"https://{_STRANGE}"
    for name, value in request.headers:
        if name.lower() != "origin":
            continue
        scheme, mark, rest = value.partition("://")
        if not mark:  # a pattern that does not ask for the scheme: what it looks for may be a part of it
            scheme, rest = "https", value
        host = rest.partition(":")[0].rstrip("/")
        if not host or (not mark and "." not in host.strip(".")):
            continue
        yield f"{scheme}://{'www' if host[0] == '.' else ''}{host}.{_STRANGE}"
        domain = host.strip(".").split(".")[-2:]  # whoever owns that may have pages below it
        if len(domain) == 2:
            yield f"{scheme}://any-page-{'.'.join(domain)}"


def _judge_outcome(site: Site, route: Route, request: Request, outcome: Outcome, origin: str) -> Iterator[Finding]:
    allowed = outcome.response_header("Access-Control-Allow-Origin")
    credentials = outcome.response_header("Access-Control-Allow-Credentials")
    if allowed is None or credentials is None or credentials.value.text != "true":
        return
    line, second = deciding(allowed.because), deciding(credentials.because)
    if line is None or allowed.value.text not in ("*", origin):
        return
    if allowed.value.text == "*":
        message = (
            "Browsers refuse this answer to every request with credentials: `*` is no origin that credentials may "
            "be sent from."
        )
    else:
        message = (
            "Every page on the web can read this with the credentials of a signed-in visitor: the origin is echoed "
            f"unchecked, as {origin} shows."
        )
    secret = outcome.action != "static" or bool(guards(outcome))
    yield Finding(
        NAME,
        ERROR if secret else INFO,
        message,
        line,
        related=() if second is None else (Related(second, "credentials are allowed"),),
        routes=(route.label,),
        witness=request,
        help=of_kind(site, *_HELP),
        server=route.server,
        pattern=route.pattern,
    )
