"""A 401 goes out without WWW-Authenticate.

## What it does

Asks every route without credentials. Reports a line of the configuration that answers 401 when the
answer has no WWW-Authenticate header, also where a line without `always` (`add_header` of nginx,
`Header` of httpd) was meant to add it.

## Why it is bad

A 401 must carry a challenge (RFC 9110). Without one, browsers do not ask for a password, and many
clients give up instead of trying again with credentials.

## Bad example

```nginx
if ($http_authorization = "") {
    return 401;
}
```

```apache
RewriteEngine On
RewriteCond %{HTTP:Authorization} ^$
RewriteRule ^/api/ - [R=401,L]
ProxyPass /api/ http://127.0.0.1:9000/
```

## Good example

```nginx
add_header WWW-Authenticate 'Bearer realm="api"' always;
if ($http_authorization = "") {
    return 401;
}
```

```apache
Header always set WWW-Authenticate "Bearer realm=\\"api\\"" "expr=%{REQUEST_STATUS} == 401 && -z %{HTTP:Authorization}"
RewriteEngine On
RewriteCond %{HTTP:Authorization} ^$
RewriteRule ^/api/ - [R=401,L]
ProxyPass /api/ http://127.0.0.1:9000/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-217, NGX-239); Apache 2.4.71 (facts APA-295, APA-297, APA-298, APA-337)

## References

- RFC 9110, 15.5.2 (401) and 11.6.1 (WWW-Authenticate)
- https://nginx.org/en/docs/http/ngx_http_headers_module.html#add_header
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#header
- https://httpd.apache.org/docs/2.4/rewrite/flags.html#flag_r
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding
from auditor.rules.common import by_block, deciding, of_kind, strangers
from auditor.rules.repairs import SAFE, always, fix, is_own
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Outcome

NAME = "missing-challenge"
SEVERITY = WARNING
FIX = SAFE

_HELP = (
    "add_header WWW-Authenticate 'Bearer realm=\"api\"' always;",
    'Header always set WWW-Authenticate "Bearer realm=\\"api\\"" "expr=%{REQUEST_STATUS} == 401"',
)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    # What nginx inherits may stand around a part of a configuration; a .htaccess has its header lines to itself.
    if site.partial and site.kind != "apache":
        return iter(())
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route, outcome in ((each, outcome) for each in routes for outcome in strangers(site, each.request)):
        if outcome.status != 401 or outcome.action != "answered" or route.request.method == "OPTIONS":
            continue  # nobody is asked for a password by the answer to a preflight
        if outcome.response_header("WWW-Authenticate") is not None:
            continue
        line = _line(outcome)
        if line is None:
            continue
        yield Finding(
            NAME,
            WARNING,
            "This 401 goes out without WWW-Authenticate, so browsers and many clients do not ask for credentials.",
            line,
            routes=(route.label,),
            witness=route.request,
            help=of_kind(site, *_HELP),
            server=route.server,
            pattern=route.pattern,
            fix=fix(is_own(outcome.withheld, "www-authenticate"), always(outcome.withheld, "www-authenticate")),
        )


def _line(outcome: Outcome) -> Place | None:
    """The line that answers: the gate that refused, else the last step of the way."""
    for gate in outcome.gates:
        if gate.result == "refused":
            return deciding(gate.because)
    for step in reversed(outcome.steps):
        if step.place is not None:
            return step.place
    return outcome.handler
