"""A missing credential is answered 403 or 407, or a known user 401.

## What it does

Asks every route without credentials. Reports a 403 where requests with Authorization get through,
an error page that makes a 403 of a 401, a 407 of this server's own, and a 401 for those whose
credentials its gate has accepted.

Address lists are not meant: nobody can log in to another address. Nor is the 401 that httpd answers,
again and again, to a user whom its Require lines do not name (AuthzSendForbiddenOnFailure makes that
a 403): it is its default.

## Why it is bad

Clients act by the status (RFC 9110): on 401 they ask for credentials or renew a token, on 403 they
give up, and 407 is for the proxy that they have chosen themselves. With the wrong one they ask a
user who is logged in for a password again, or never ask.

## Bad example

```nginx
location /api/ {
    if ($http_authorization = "") {
        return 403;
    }
    proxy_pass http://app;
}
```

```apache
<Location /api/>
    Require expr "%{HTTP:Authorization} =~ /^Bearer ./"
</Location>
ProxyPass /api/ http://127.0.0.1:9000/
```

## Good example

```nginx
location /api/ {
    add_header WWW-Authenticate 'Bearer realm="api"' always;
    if ($http_authorization = "") {
        return 401;
    }
    proxy_pass http://app;
}
```

```apache
RewriteEngine On
RewriteCond %{HTTP:Authorization} ^$
RewriteRule ^/api/ - [R=401,L]
Header always set WWW-Authenticate "Bearer realm=\\"api\\"" "expr=%{REQUEST_STATUS} == 401"
ProxyPass /api/ http://127.0.0.1:9000/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-250, NGX-401, NGX-404); Apache 2.4.71 (facts APA-226, APA-227, APA-238,
APA-371)

## References

- RFC 9110, 15.5.2 (401), 15.5.4 (403) and 15.5.8 (407)
- https://nginx.org/en/docs/http/ngx_http_rewrite_module.html#return
- https://httpd.apache.org/docs/2.4/mod/mod_authz_core.html#require
- https://httpd.apache.org/docs/2.4/mod/mod_authz_core.html#authzsendforbiddenonfailure
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, MEDIUM, Finding
from auditor.http import Request
from auditor.rules.common import (
    ADMITTED,
    BASIC,
    BEARER,
    STRANGER,
    by_block,
    deciding,
    guards,
    may_be_asked,
    of_kind,
    serves,
    with_header,
)
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Outcome

NAME = "forbidden-for-unauthenticated"
SEVERITY = INFO

# From whatever address.
_STRANGER = STRANGER._replace(address=None)
_ADMITTED = ADMITTED._replace(certificate="missing")  # none of these comes with the header
_RIGHT = (
    "add_header WWW-Authenticate 'Bearer realm=\"api\"' always; return 401;",
    "RewriteCond %{HTTP:Authorization} ^$\nRewriteRule ^ - [R=401,L]\n"
    'Header always set WWW-Authenticate "Bearer realm=\\"api\\"" "expr=%{REQUEST_STATUS} == 401"',
)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        request = _without_credentials(route.request)
        for outcome in site.trace(request, _STRANGER) if _may_refuse(site, request) else ():
            found = _for_strangers(site, request, outcome)
            if found is not None:
                yield _finding(route, request, *found)
        for header in (BASIC, BEARER) if may_be_asked(site, route) else ():
            known = with_header(request, header)
            for outcome in site.trace(known, ADMITTED):
                page = next((each for each in outcome.replaced if each.role == "main"), None)
                if outcome.status == 401 and page is not None and page.status == 403 and _is_known(outcome):
                    yield _finding(
                        route,
                        known,
                        page.line,
                        "Users who are logged in are asked for their password again: this makes a 401 of a 403.",
                        "Keep the status: error_page 403 /403.html;",
                    )


def _may_refuse(site: Site, request: Request) -> bool:
    """Whether strangers may get 403 or 407, or another page than the 401. This only saves asking another world."""
    return any(
        outcome.action == "unknown"
        or outcome.status in (403, 407)
        or any(page.status == 401 for page in outcome.replaced)
        for outcome in site.trace(request)
    )


def _without_credentials(request: Request) -> Request:
    return request._replace(headers=tuple(pair for pair in request.headers if pair[0].lower() != "authorization"))


def _for_strangers(site: Site, request: Request, outcome: Outcome) -> tuple[Place, str, str] | None:
    """The line that answers somebody without credentials wrongly, what is wrong, and what would be right."""
    if any(gate.needs == "address" and gate.result == "refused" for gate in outcome.gates):
        return None
    page = next((each for each in outcome.replaced if each.role == "main"), None)
    if page is not None:
        if page.status != 401 or outcome.status not in (403, 407):
            return None
        message = f"Clients without credentials get {outcome.status} instead of the 401 that tells them to log in."
        return page.line, message, "Keep the status: error_page 401 /login.html;"
    line = next((step.place for step in reversed(outcome.steps) if step.place is not None), None)
    judges = next((each for each in outcome.gates if each.kind == "access" and each.result == "refused"), None)
    if judges is not None:
        line = deciding(judges.because)
    if line is None or outcome.action != "answered" or outcome.exchanges or (guards(outcome) and judges is None):
        return None
    right = of_kind(site, *_RIGHT)
    if outcome.status == 407:
        return line, "Clients take this 407 for the answer of a proxy that they have not chosen.", right
    if outcome.status == 403 and _opens(site, request):
        return line, "Clients without Authorization get 403 instead of the 401 that tells them to log in.", right
    return None


def _opens(site: Site, request: Request) -> bool:
    """Whether requests with any Authorization get through where those without do not."""
    refused = all(outcome.status == 403 for outcome in site.trace(request, _STRANGER))
    return refused and any(
        serves(outcome) for header in (BEARER, BASIC) for outcome in site.trace(with_header(request, header), _ADMITTED)
    )


def _is_known(outcome: Outcome) -> bool:
    """Whether a gate knows who asks, and no address list is what refuses."""
    return bool(guards(outcome)) and all(
        gate.result != "refused" or gate.needs == "credentials" for gate in outcome.gates
    )


def _finding(route: Route, request: Request, line: Place, message: str, help: str) -> Finding:
    return Finding(
        NAME,
        INFO,
        message,
        line,
        confidence=MEDIUM,
        routes=(route.label,),
        witness=request,
        help=help,
        server=route.server,
        pattern=route.pattern,
    )
