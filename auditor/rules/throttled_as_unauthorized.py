"""Clients above a limit are answered 401.

## What it does

Reports limits on requests or connections that answer 401. httpd itself has no limits with a status of
their own, so the rule has nothing to say there.

## Why it is bad

A 401 says that credentials are missing or bad (RFC 9110). Clients throw away good ones, ask their
user for a password, or fetch a new token and try again at once, which makes it worse. The answer has
no WWW-Authenticate either. 429 says what has happened.

## Bad example

```nginx
limit_req_zone $binary_remote_addr zone=login:1m rate=5r/m;
server {
    location /login {
        limit_req zone=login;
        limit_req_status 401;
        proxy_pass http://app;
    }
}
```

## Good example

```nginx
limit_req_zone $binary_remote_addr zone=login:1m rate=5r/m;
server {
    location /login {
        limit_req zone=login;
        limit_req_status 429;
        proxy_pass http://app;
    }
}
```

## Measured on

nginx 1.22.1, 1.31.3 (fact NGX-411)

## References

- RFC 6585, 4 (429)
- RFC 9110, 15.5.2 (401)
- https://nginx.org/en/docs/http/ngx_http_limit_req_module.html#limit_req_status
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding, Related
from auditor.rules.repairs import SAFE, fix, with_part
from auditor.server import Route, Site
from auditor.settings import Settings

NAME = "throttled-as-unauthorized"
SEVERITY = WARNING
FIX = SAFE


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for limit in site.limits():
        if limit.status == 401:
            yield Finding(
                NAME,
                WARNING,
                "Clients above the limit are told that their credentials are bad: 401 without a challenge instead of "
                "429.",
                limit.line,
                related=(Related(limit.limit, "the limit"),),
                help=f"{limit.line.text.replace('401', '429')}",
                fix=fix(True, with_part(limit.line, r"\b401\b", "429")),
            )
