"""A 401 becomes a redirect for programs.

## What it does

Asks the routes that programs call without valid credentials, as a client that wants JSON, and with
an origin that answers 401. Reports the error page that redirects them to a login page. A route is one
for programs where its path says so (`/api/`, `/v1/`, `/graphql`) or where its gate checks a token.
For other routes a redirect is what browsers need, and nothing is said.

On every route it is an error where the status is a redirect's and there is no Location:
`error_page 401 =302` with a page of this server.

## Why it is bad

Programs follow the redirect and get a login page with status 200, instead of the 401 that tells them
to log in or to renew their token. Browsers refuse a redirect to another origin in a request by
`fetch` and show a CORS error.

## Bad example

```nginx
location /api/ {
    auth_request /check;
    error_page 401 = @login;
    proxy_pass http://app;
}
location @login {
    return 302 https://login.example.com/;
}
location = /check {
    internal;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_pass http://auth;
}
```

## Good example

```nginx
location /api/ {
    auth_request /check;
    proxy_pass http://app;
}
location = /check {
    internal;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_pass http://auth;
}
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-307, NGX-404, NGX-406)

## References

- RFC 9110, 15.5.2 (401) and 15.4 (redirects)
- https://nginx.org/en/docs/http/ngx_http_core_module.html#error_page
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, HIGH, MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import BEARER, ORIGIN_REFUSES, STRANGER, by_block, deciding, traced, with_header
from auditor.rules.shapes import is_api
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Outcome
from auditor.world import World

NAME = "redirected-unauthorized"
SEVERITY = WARNING

_REFUSED = STRANGER._replace(origin=None)
_REDIRECTS = (301, 302, 303, 307, 308)
# Whoever asks like this is no browser on its way to a page.
_JSON = ("Accept", "application/json")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block), by_path=True)


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    asked = [
        route._replace(request=with_header(route.request, _JSON))
        for route in routes
        if route.request.method != "OPTIONS"
    ]
    for header, world in ((None, _REFUSED), (BEARER, _REFUSED), (BEARER, ORIGIN_REFUSES)):
        for route, request, outcome in traced(site, asked, header, world):
            page = next((each for each in outcome.replaced if each.status == 401 and each.role == "main"), None)
            if page is None or outcome.status not in _REDIRECTS:
                continue
            target = outcome.response_header("Location")
            if target is None and outcome.action != "proxied":
                severity, message = (
                    ERROR,
                    (
                        f"Clients that are refused get a {outcome.status} without Location, which leads nowhere: the "
                        "status says redirect, and a page of this server answers."
                    ),
                )
                help = "Keep the status of the refusal (error_page 401 /login.html;), or redirect: return 302 /login;"
            elif _is_for_programs(site, route) and _redirects_always(site, request, world, page.line):
                severity, message = (
                    WARNING,
                    (
                        f"Programs that are refused are redirected ({outcome.status}) to a page instead of getting the "
                        "401 that tells them to log in."
                    ),
                )
                help = "Leave the 401 as it is on routes for programs: move error_page 401 to those that serve pages."
            else:
                continue
            yield Finding(
                NAME,
                severity,
                message,
                page.line,
                confidence=HIGH if severity == ERROR else MEDIUM,
                related=_related(outcome),
                routes=(route.label,),
                witness=request,
                help=help,
                server=route.server,
                pattern=route.pattern,
            )


def _redirects_always(site: Site, request: Request, world: World, line: Place) -> bool:
    """Whether that page is a redirect whatever files there are: one that is a folder is asked for with a slash."""
    outcomes = [each for each in site.trace(request, world) if any(page.line == line for page in each.replaced)]
    return all(outcome.status in _REDIRECTS for outcome in outcomes)


def _is_for_programs(site: Site, route: Route) -> bool:
    if is_api(route.request.path):
        return True
    refused = site.trace(with_header(route.request, BEARER), _REFUSED)
    return any(gate.kind == "auth_jwt" and gate.result == "refused" for each in refused for gate in each.gates)


def _related(outcome: Outcome) -> tuple[Related, ...]:
    for gate in outcome.gates:
        line = deciding(gate.because)
        if gate.result == "refused" and line is not None:
            return (Related(line, "this gate refuses"),)
    return ()
