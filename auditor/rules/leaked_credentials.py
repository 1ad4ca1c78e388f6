"""The password of a Basic gate goes on to the application.

## What it does

Asks every route behind a Basic gate with good credentials, and reports the upstreams to which the
Authorization header that the gate has checked is passed on. That is the default of nginx. It is an
info, and a warning where the header leaves over plain HTTP to a public name or address.

httpd passes it on to http:// upstreams, and to programs by CGIPassAuth. `RequestHeader unset Authorization` is made
behind the gate; with `early` it would be in front of it, and nobody would get in.

## Why it is bad

The application does not need the password of the gate, and may log it, or take it for one of its
own users and answer 401.

## Bad example

```nginx
location / {
    auth_basic "Staging";
    auth_basic_user_file /etc/nginx/staging.htpasswd;
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    <Location />
        AuthType Basic
        AuthName "Staging"
        AuthUserFile /etc/apache2/staging.htpasswd
        Require valid-user
    </Location>
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
```

## Good example

```nginx
location / {
    auth_basic "Staging";
    auth_basic_user_file /etc/nginx/staging.htpasswd;
    proxy_set_header Authorization "";
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    <Location />
        AuthType Basic
        AuthName "Staging"
        AuthUserFile /etc/apache2/staging.htpasswd
        Require valid-user
        RequestHeader unset Authorization
    </Location>
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-001, NGX-003)

Apache 2.4.71 (facts APA-002 to APA-004, APA-114, APA-147)

## References

- RFC 7617 (Basic authentication), section 4: the password is readable by all who see the header
- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#requestheader
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, WARNING, Finding, Related
from auditor.rules.common import ADMITTED, BASIC, by_block, deciding, host_of, of_kind, traced
from auditor.rules.repairs import UNSAFE, cleared, fix
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.trace import FORWARDED, Exchange
from auditor.values import client_header

NAME = "leaked-credentials"
SEVERITY = INFO
FIX = UNSAFE

# Names that only resolve inside somebody's own network (RFC 6761, RFC 6762, RFC 9476, and what orchestrators use).
_PRIVATE = (
    ".internal",
    ".local",
    ".localhost",
    ".svc",
    ".cluster.local",
    ".lan",
    ".home.arpa",
    ".intranet",
    ".test",
    ".alt",
)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route, request, outcome in traced(site, routes, BASIC, ADMITTED):
        exchange = outcome.main
        gate = next((gate for gate in outcome.gates if gate.scheme == "Basic" and gate.result == "passed"), None)
        if exchange is None or gate is None or exchange.place is None:
            continue
        sent = exchange.header("Authorization")
        if sent is None or sent.fate != FORWARDED or client_header("Authorization") not in sent.value.sources:
            continue
        public = _goes_public(exchange)
        line = deciding(gate.because)
        yield Finding(
            NAME,
            WARNING if public else INFO,
            f"The password of the Basic gate goes on to {exchange.upstream}"
            + (", unencrypted, to a public address." if public else "."),
            exchange.place,
            related=() if line is None else (Related(line, "this gate has checked it"),),
            routes=(route.label,),
            witness=request,
            help=_help(site, exchange),
            server=route.server,
            pattern=route.pattern,
            fix=fix(False, cleared(exchange, ("Authorization",))) if exchange.protocol.startswith("HTTP") else None,
        )


def _help(site: Site, exchange: Exchange) -> str:
    if exchange.protocol.startswith("HTTP"):
        return of_kind(
            site,
            'proxy_set_header Authorization "";  (repeat inherited proxy_set_header lines beside it)',
            "RequestHeader unset Authorization  (in the section of the gate; not early: that is before the gate)",
        )
    return of_kind(
        site,
        "Clear HTTP_AUTHORIZATION on the way to the application.",
        "RequestHeader unset Authorization  in the section of the gate, or no CGIPassAuth On there",
    )


def _goes_public(exchange: Exchange) -> bool:
    if exchange.tls or not exchange.protocol.startswith("HTTP"):
        return False
    return any(_is_public(host_of(server)) for server in exchange.servers)


def _is_public(host: str | None) -> bool:
    if host is None or "$" in host:
        return False
    if ":" in host or host.replace(".", "").isdigit():
        import ipaddress

        try:
            return ipaddress.ip_address(host).is_global
        except ValueError:
            return False
    return "." in host.rstrip(".") and not host.rstrip(".").endswith(_PRIVATE)
