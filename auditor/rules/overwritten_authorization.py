"""The client's Authorization header is replaced by another value.

## What it does

Asks every route with credentials, and reports the line by which the upstream gets other ones in their place. It is
knowledge: that may be just what is meant.

It is silent where a gate of the route has used up the client's credentials, and where the client's own value is a
part of the new one.

## Why it is bad

An application that is to know its users sees one and the same account in all requests.

## Bad example

```nginx
location /api/ {
    proxy_set_header Authorization "Basic Z3Vlc3Q6Z3Vlc3Q=";
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    ProxyPass /api/ http://127.0.0.1:9000/
    <Location /api/>
        RequestHeader set Authorization "Basic Z3Vlc3Q6Z3Vlc3Q="
    </Location>
</VirtualHost>
```

## Good example

```nginx
location /api/ {
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    ProxyPass /api/ http://127.0.0.1:9000/
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-018, NGX-019)

Apache 2.4.71 (facts APA-006, APA-150, APA-352, APA-372)

## References

- RFC 9110, 11.6.2 (Authorization)
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#requestheader
- https://httpd.apache.org/docs/2.4/mod/mod_auth_basic.html#authbasicfake
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, Finding, Related
from auditor.rules.common import ADMITTED, BEARER, by_block, deciding, guards, traced
from auditor.rules.withheld import means_to_pass
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.trace import REPLACED
from auditor.values import client_header

NAME = "overwritten-authorization"
SEVERITY = INFO


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route, request, outcome in traced(site, routes, BEARER, ADMITTED):
        exchange = outcome.main
        sent = exchange.header("Authorization") if exchange is not None else None
        if exchange is None or sent is None or sent.fate != REPLACED or guards(outcome):
            continue
        line = deciding(sent.because)
        text = sent.value.text
        if line is None or (text == "" and means_to_pass(line)) or line.text.rstrip("; ").endswith(('""', "''")):
            continue  # nobody's credentials: malformed-authorization tells of it, or stripped-authorization
        if text is not None and ("(null)" in text or "%{" in text):
            continue
        if client_header("Authorization") in sent.value.sources:
            continue
        yield Finding(
            NAME,
            INFO,
            f"Whatever credentials a client sends, {exchange.upstream} gets those of this line in their place.",
            line,
            related=() if exchange.place is None else (Related(exchange.place, "the requests go here"),),
            routes=(route.label,),
            witness=request,
            help="Remove the line where the application is to see the client's own credentials.",
            server=route.server,
            pattern=route.pattern,
        )
