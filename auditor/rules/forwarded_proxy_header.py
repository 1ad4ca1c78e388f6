"""A client's Proxy header reaches a program as HTTP_PROXY.

## What it does

Sends a Proxy header to every route that goes to FastCGI or SCGI, and reports the line that hands it on.

httpd never makes this variable of itself.

## Why it is bad

Many libraries take the variable HTTP_PROXY for the setting of that name, so a client chooses the proxy for the
program's own requests (httpoxy). Current versions of most of them know better.

## Bad example

```nginx
location ~ \\.php$ {
    include fastcgi_params;
    fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
    fastcgi_pass 127.0.0.1:9000;
}
```

```apache
<VirtualHost *:80>
    <Location /app/>
        CGIPassAuth On
        SetEnvIf Proxy "(.+)" HTTP_PROXY=$1
    </Location>
    ProxyPass /app/ fcgi://127.0.0.1:9000/
</VirtualHost>
```

## Good example

```nginx
location ~ \\.php$ {
    include fastcgi_params;
    fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
    fastcgi_param HTTP_PROXY "";
    fastcgi_pass 127.0.0.1:9000;
}
```

```apache
<VirtualHost *:80>
    <Location /app/>
        CGIPassAuth On
    </Location>
    ProxyPass /app/ fcgi://127.0.0.1:9000/
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (fact NGX-107)

Apache 2.4.71 (facts APA-013, APA-148)

## References

- https://httpoxy.org/; CVE-2016-5385
- RFC 3875, 4.1.18 (headers as variables)
- https://httpd.apache.org/docs/2.4/env.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, Finding
from auditor.rules.common import ADMITTED, BASIC, by_block, of_kind, with_header
from auditor.rules.repairs import SAFE, cleared, fix
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.trace import FORWARDED

NAME = "forwarded-proxy-header"
SEVERITY = INFO
FIX = SAFE
_GATEWAYS = ("fastcgi", "scgi", "cgi")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        plain = with_header(route.request, BASIC)
        if not any(one.main is not None and one.main.protocol in _GATEWAYS for one in site.trace(plain, ADMITTED)):
            continue
        request = with_header(plain, ("Proxy", "audit-probe"))
        for outcome in site.trace(request, ADMITTED):
            exchange = outcome.main
            if exchange is None or exchange.place is None or exchange.protocol not in _GATEWAYS:
                continue
            sent = exchange.header("Proxy")
            if sent is None or sent.fate != FORWARDED:
                continue
            yield Finding(
                NAME,
                INFO,
                f"A client's Proxy header reaches {exchange.upstream} as HTTP_PROXY.",
                exchange.place,
                routes=(route.label,),
                witness=request,
                help=of_kind(
                    site,
                    'fastcgi_param HTTP_PROXY "";  (with scgi_pass: scgi_param)',
                    "Remove the line that makes HTTP_PROXY of it: httpd itself never does.",
                ),
                server=route.server,
                pattern=route.pattern,
                fix=fix(True, cleared(exchange, ("HTTP_PROXY",))),
            )
