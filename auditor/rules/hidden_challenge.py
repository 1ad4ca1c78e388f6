"""A challenge does not reach the client.

## What it does

Supposes that the origin answers 401 with WWW-Authenticate, and reports the line that takes the
challenge away: one that hides or clears the header, an error page that goes out without it, and an
error page that takes hold of an auth subrequest's own 401, so that clients get 500.

It is silent where another challenge goes out instead, and where the client's Authorization does not
reach the origin, or is checked by a Basic gate of the route: that challenge is none for the client.

On httpd it asks the server's own gates, too. `Header always unset` takes their challenge away where a
local page stands in for the 401, and nowhere else. And a page that does not exist is a warning where
the front controller of an application (WordPress, Laravel) takes every path that is no file: its
answer, most often 404, goes out in place of the 401. It is an info where it is not known whether the
page exists.

## Why it is bad

A 401 must carry a challenge (RFC 9110). Without one browsers do not ask for a password, and many
clients do not send their credentials, or give up instead of fetching a new token.

## Bad example

```nginx
location /api/ {
    proxy_hide_header WWW-Authenticate;
    proxy_pass http://app;
}
```

```apache
ProxyPass /api/ http://127.0.0.1:9000/
<Location /api/>
    Header unset WWW-Authenticate
</Location>
```

## Good example

```nginx
location /api/ {
    proxy_hide_header WWW-Authenticate;
    add_header WWW-Authenticate 'Bearer realm="api"' always;
    proxy_pass http://app;
}
```

```apache
ProxyPass /api/ http://127.0.0.1:9000/
<Location /api/>
    Header set WWW-Authenticate "Bearer realm=\\"api\\"" "expr=%{REQUEST_STATUS} == 401"
</Location>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-303, NGX-316, NGX-402, NGX-404); Apache 2.4.71 (facts APA-024, APA-025,
APA-282, APA-286, APA-332, APA-333)

## References

- RFC 9110, 15.5.2 (401) and 11.6.1 (WWW-Authenticate)
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_hide_header
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_intercept_errors
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#header
- https://httpd.apache.org/docs/2.4/mod/core.html#errordocument
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, HIGH, INFO, MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.patterns import lazy_re
from auditor.rules.common import BEARER, ORIGIN_REFUSES, STRANGER, by_block, deciding, guards, of_kind, traced
from auditor.rules.repairs import SAFE, always, fix, is_own
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import CHANGED, FORWARDED, Exchange, LostHeader, Outcome

NAME = "hidden-challenge"
SEVERITY = ERROR
FIX = SAFE

_HELP = (
    "Remove the line, or put a challenge of your own beside it:\n"
    "add_header WWW-Authenticate 'Bearer realm=\"api\"' always;",
    "Remove the line, or put a challenge of your own in its place:\n"
    'Header set WWW-Authenticate "Bearer realm=\\"api\\"" "expr=%{REQUEST_STATUS} == 401"',
)
# Nobody is known, and what an error page's upstream answers is open.
_REFUSED = STRANGER._replace(origin=None)
_PAGE = lazy_re(r"(?i)\.(s?html?|txt)$")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route, request, outcome in traced(site, routes, BEARER, ORIGIN_REFUSES):
        if outcome.status != 401 or outcome.response_header("WWW-Authenticate") is not None:
            continue
        if any(name.lower() == "x-requested-with" for name, _ in request.headers):
            continue  # a page's script asks, which has a form of its own where browsers would open their dialog
        exchange = next((each for each in outcome.exchanges if each.role == "main" and each.status == 401), None)
        if exchange is None or not _may_answer(exchange, outcome):
            continue
        line = _line(outcome)
        if line is not None:
            gated = bool(guards(outcome))
            yield _finding(
                route,
                request,
                line,
                f"Clients are not told how to log in: this keeps the challenge of {exchange.upstream} from them.",
                of_kind(site, *_HELP),
                # What a gate has let in may be known to the origin by something else than Authorization.
                severity=WARNING if gated else ERROR,
                upstream=exchange.place,
                withheld=outcome.withheld,
            )
    for route, request, outcome in traced(site, routes, None, STRANGER):
        asked = next((each for each in outcome.exchanges if each.role == "auth" and each.status == 401), None)
        line = next((each.line for each in outcome.replaced if each.role == "auth" and each.status == 401), None)
        if asked is not None and line is not None and outcome.status == 500:
            yield _finding(
                route,
                request,
                line,
                "Clients without credentials get 500 instead of a challenge: this takes the place of the 401 of the "
                f"auth subrequest to {asked.upstream}.",
                "Keep error pages out of the location that answers the subrequest: proxy_intercept_errors off;",
                severity=ERROR,
                upstream=asked.place,
            )
    for route, request, outcome in traced(site, routes, None, _REFUSED):
        yield from _own(route, request, outcome)


def _own(route: Route, request: Request, outcome: Outcome) -> Iterator[Finding]:
    """The challenge of a gate of this server's own."""
    gate = next((each for each in outcome.gates if each.result == "refused" and each.scheme is not None), None)
    if gate is None or (outcome.status is not None and outcome.response_header("WWW-Authenticate") is not None):
        return
    place = deciding(gate.because)
    page = next((each for each in outcome.replaced if each.status == 401 and each.role == "main"), None)
    line = _line(outcome)
    taken = any(lost.name.lower() == "www-authenticate" for lost in outcome.hidden)
    if (outcome.status == 401 or (outcome.status is None and taken)) and line is not None and page is not None:
        message = "Browsers do not ask for the password of this gate: this takes its challenge away."
        yield _finding(route, request, line, message, "Remove the line.", ERROR, place, meets="the gate")
    elif outcome.status is None and page is not None and _PAGE.search(page.page):
        guess = any(asked.question.kind == "file" for asked in outcome.when)  # not known which files there are
        answers = outcome.main.upstream if outcome.main is not None else "a program"
        yield _finding(
            route,
            request,
            page.line,
            f"Browsers do not ask for the password of this gate{' if' if guess else ':'} {page.page} is not there"
            f"{':' if guess else ', so'} {answers} answers in place of the 401, most likely with 404.",
            f"Create the page, keep {page.page} away from the program, or let the server make the page: "
            "ErrorDocument 401 default",
            INFO if guess else WARNING,
            place,
            meets="the gate",
        )


def _may_answer(exchange: Exchange, outcome: Outcome) -> bool:
    """Whether the client's Authorization is for this origin to judge."""
    sent = exchange.header("Authorization")
    if sent is None or sent.fate not in (FORWARDED, CHANGED):
        return False
    return not any(gate.scheme == "Basic" for gate in guards(outcome))


def _line(outcome: Outcome) -> Place | None:
    for lost in outcome.hidden:
        if lost.name.lower() == "www-authenticate":
            return deciding(lost.because)
    return next((each.line for each in outcome.replaced if each.status == 401), None)


def _finding(
    route: Route,
    request: Request,
    line: Place,
    message: str,
    help: str,
    severity: str,
    upstream: Place | None,
    withheld: Sequence[LostHeader] = (),
    meets: str = "the requests go here",
) -> Finding:
    return Finding(
        NAME,
        severity,
        message,
        line,
        confidence=HIGH if severity == ERROR else MEDIUM,
        related=() if upstream is None or upstream == line else (Related(upstream, meets),),
        routes=(route.label,),
        witness=request,
        help=help,
        server=route.server,
        pattern=route.pattern,
        fix=fix(is_own(withheld, "www-authenticate"), always(withheld, "www-authenticate")),
    )
