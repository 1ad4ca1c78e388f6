"""Browsers may not send Authorization to a route that takes tokens.

## What it does

Sends the routes that take tokens the preflight of a browser that wants to send Authorization. A route
takes tokens where its gate checks them, where requests without Authorization are refused, or where a
line passes the header on on purpose. Reports the answer whose Access-Control-Allow-Headers lacks
Authorization, or is `*`, which does not cover it.

It is silent where the answer to the preflight comes from the application.

## Why it is bad

The browser does not send the request, and the application shows a CORS error.

## Bad example

```nginx
location /api/ {
    if ($request_method = OPTIONS) {
        add_header Access-Control-Allow-Origin "https://app.example.com";
        add_header Access-Control-Allow-Headers "Content-Type";
        return 204;
    }
    proxy_set_header Authorization $http_authorization;
    proxy_pass http://app;
}
```

```apache
RewriteEngine On
RewriteCond %{REQUEST_METHOD} =OPTIONS
RewriteRule ^/api/ - [R=204,L]
RewriteCond %{HTTP:Authorization} ^$
RewriteRule ^/api/ - [R=401,L]
<Location /api/>
    Header always set WWW-Authenticate "Bearer realm=\\"api\\"" "expr=%{REQUEST_STATUS} == 401"
    Header always set Access-Control-Allow-Origin "https://app.example.com"
    Header always set Access-Control-Allow-Headers "Content-Type"
</Location>
ProxyPass /api/ http://127.0.0.1:9000/
```

## Good example

```nginx
location /api/ {
    if ($request_method = OPTIONS) {
        add_header Access-Control-Allow-Origin "https://app.example.com";
        add_header Access-Control-Allow-Headers "Content-Type, Authorization";
        return 204;
    }
    proxy_set_header Authorization $http_authorization;
    proxy_pass http://app;
}
```

```apache
RewriteEngine On
RewriteCond %{REQUEST_METHOD} =OPTIONS
RewriteRule ^/api/ - [R=204,L]
RewriteCond %{HTTP:Authorization} ^$
RewriteRule ^/api/ - [R=401,L]
<Location /api/>
    Header always set WWW-Authenticate "Bearer realm=\\"api\\"" "expr=%{REQUEST_STATUS} == 401"
    Header always set Access-Control-Allow-Origin "https://app.example.com"
    Header always set Access-Control-Allow-Headers "Content-Type, Authorization"
</Location>
ProxyPass /api/ http://127.0.0.1:9000/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-315, NGX-416); Apache 2.4.71 (facts APA-289, APA-292)

## References

- https://fetch.spec.whatwg.org/#cors-non-wildcard-request-header-name
- https://nginx.org/en/docs/http/ngx_http_headers_module.html#add_header
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#header
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import ADMITTED, BEARER, STRANGER, by_block, deciding, guards, of_kind, with_header
from auditor.rules.cors import preflight, tokens
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Outcome
from auditor.values import client_header

NAME = "cors-authorization-not-allowed"
SEVERITY = WARNING

_HEADERS = "Access-Control-Allow-Headers"


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        if route.request.method == "OPTIONS":
            continue
        request = preflight(route.request)
        for outcome in site.trace(request, ADMITTED):
            line = _refusing(outcome)
            if line is None:
                continue
            takes = _takes_tokens(site, route.request)
            if takes is None:
                break
            star = tokens(outcome, _HEADERS) == ["*"]
            yield Finding(
                NAME,
                WARNING,
                "Browsers do not send Authorization here from another origin: "
                + ("`*` does not cover it." if star else "this answer to their preflight does not allow it."),
                line,
                confidence=MEDIUM,
                related=(Related(takes, "this takes it"),),
                routes=(f"OPTIONS {request.url}",),
                witness=request,
                help=of_kind(
                    site,
                    'add_header Access-Control-Allow-Headers "Authorization, Content-Type";',
                    'Header always set Access-Control-Allow-Headers "Authorization, Content-Type"',
                ),
                server=route.server,
                pattern=route.pattern,
            )


def _refusing(outcome: Outcome) -> Place | None:
    """The line of a good answer to a preflight that does not allow Authorization."""
    origin = outcome.response_header("Access-Control-Allow-Origin")
    if origin is None or origin.origin or origin.value.present != "yes":
        return None
    if outcome.status is not None and not 200 <= outcome.status < 300:
        return None
    allowed = outcome.response_header(_HEADERS)
    if allowed is None:
        # What the application answers may have it.
        return None if outcome.exchanges else deciding(origin.because)
    words = tokens(outcome, _HEADERS)
    return None if words is None or "authorization" in words else deciding(allowed.because)


def _takes_tokens(site: Site, request: Request) -> Place | None:
    """The place that shows that the route takes Bearer tokens."""
    for outcome in site.trace(with_header(request, BEARER), ADMITTED):
        gate = next((gate for gate in guards(outcome) if gate.kind == "auth_jwt"), None)
        if gate is not None:
            return deciding(gate.because)
        if outcome.main is None or guards(outcome):
            continue
        sent = outcome.main.header("Authorization")
        if sent is None or client_header("Authorization") not in sent.value.sources:
            continue
        refused = site.trace(request, STRANGER)
        if all(each.status == 401 and not each.exchanges for each in refused):
            return outcome.main.place
        line = deciding(sent.because)
        if line is not None:
            return line
    return None
