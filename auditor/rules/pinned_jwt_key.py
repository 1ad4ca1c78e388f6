"""The keys of a token gate stand in a file instead of being fetched.

## What it does

Asks every route with a token, and reports gates for signed tokens (JWT) that compare with the keys of a file.

## Why it is bad

The issuer changes its keys from time to time, often without a word. From then on every token is refused, until
somebody writes the new keys into the file and reloads the server.

## Bad example

```nginx
location /api/ {
    auth_jwt "api";
    auth_jwt_key_file /etc/nginx/keys/jwks.json;
    proxy_pass http://app;
}
```

## Good example

```nginx
location /api/ {
    auth_jwt "api";
    auth_jwt_key_request /jwks;
    proxy_pass http://app;
}
location = /jwks {
    internal;
    proxy_pass http://issuer:9001;
}
```

## Measured on

Nothing to measure: it is about what the issuer does.

## References

- OpenID Connect Core 1.0, 10.1.1 (rotation of signing keys)
- https://nginx.org/en/docs/http/ngx_http_auth_jwt_module.html#auth_jwt_key_request
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, Finding
from auditor.rules.common import ADMITTED, BEARER, by_block, deciding, traced
from auditor.server import Route, Site
from auditor.settings import Settings

NAME = "pinned-jwt-key"
SEVERITY = INFO


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route, _, outcome in traced(site, routes, BEARER, ADMITTED):
        for gate in outcome.gates:
            line = deciding(gate.because)
            if gate.kind != "auth_jwt" or gate.source is None or line is None:
                continue
            yield Finding(
                NAME,
                INFO,
                f"The keys of this gate stand in {gate.source}: when the issuer changes them, every token is refused.",
                line,
                routes=(route.label,),
                help="auth_jwt_key_request /jwks;  with a location that fetches the issuer's key set",
                server=route.server,
                pattern=route.pattern,
            )
