"""Credentials are written to a log.

## What it does

Reports log formats that are used and that name Authorization, all cookies, an API key, a cookie called like a
session, or an argument called like a token.

It is silent about formats that no log uses, about logs that are off, and about the user's name.

## Why it is bad

Whoever can read the log, or a copy of it, can use the credentials: log servers, support, backups.

## Bad example

```nginx
log_format debug '$remote_addr "$request" $status "$http_authorization"';
server {
    access_log /var/log/nginx/debug.log debug;
    location / {
        proxy_pass http://app;
    }
}
```

```apache
LogFormat "%h \\"%r\\" %>s \\"%{Authorization}i\\"" debug
CustomLog /var/log/apache2/debug.log debug
```

## Good example

```nginx
log_format users '$remote_addr $remote_user "$request" $status';
server {
    access_log /var/log/nginx/users.log users;
    location / {
        proxy_pass http://app;
    }
}
```

```apache
LogFormat "%h %u \\"%r\\" %>s" users
CustomLog /var/log/apache2/users.log users
```

## Measured on

Nothing to measure: the server writes what the format says.

## References

- RFC 6750, 5.3 (Bearer tokens in logs); CWE-532
- https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format
- https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding, Related
from auditor.rules.common import of_kind
from auditor.server import Route, Site
from auditor.settings import Settings

NAME = "logged-credentials"
SEVERITY = WARNING

_HEADERS = frozenset(
    (
        *("authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "apikey"),
        *("x-auth-token", "x-access-token", "x-amz-security-token", "private-token", "x-vault-token"),
    )
)
_SESSION = r"^(?!.*[cx]srf).*(sess|sid$|token|auth(?!or)|jwt|remember)"
_ARGUMENT = r"^(access_?|id_?|refresh_?|auth_?)?token$|^api_?key$|passw|secret|^jwt$"


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for logged in site.logged():
        names = [name for name in logged.names if _is_credential(name)]
        if names:
            listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
            yield Finding(
                NAME,
                WARNING,
                f"Logs hold what clients log in with: this format writes {listed}.",
                logged.line,
                related=tuple(Related(log, "written here") for log in logged.logs[:3]),
                help=f"Leave it out; {of_kind(site, '$remote_user', '%u')} is the name alone.",
            )


def _is_credential(name: str) -> bool:
    kind, _, rest = name.partition(" ")
    if kind == "cookie" and rest:
        return re.search(_SESSION, rest.lower()) is not None
    if kind == "argument":
        return re.search(_ARGUMENT, rest.lower()) is not None
    return name in _HEADERS
