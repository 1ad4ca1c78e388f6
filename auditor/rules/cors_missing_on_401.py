"""The answer 401 lacks the CORS header that the answer 200 has.

## What it does

Asks the routes that browsers use with credentials from another origin (`Authorization` among the
allowed headers, or credentials allowed), once with good credentials and once with bad ones. Reports
the Access-Control-Allow-Origin line that is missing on the 401.

## Why it is bad

Browsers do not show an answer without the header to the page: the application sees a network error
instead of the 401, and does not know that its user has to log in again.

## Bad example

```nginx
location /api/ {
    if ($request_method = OPTIONS) {
        add_header Access-Control-Allow-Origin "https://app.example.com";
        add_header Access-Control-Allow-Headers "Authorization";
        return 204;
    }
    add_header Access-Control-Allow-Origin "https://app.example.com";
    proxy_pass http://app;
}
```

```apache
<Location /api/>
    AuthType Basic
    AuthName "API"
    AuthUserFile /etc/apache2/api.htpasswd
    Require method OPTIONS
    Require valid-user
    Header set Access-Control-Allow-Origin "https://app.example.com"
    Header set Access-Control-Allow-Credentials "true"
</Location>
ProxyPass /api/ http://127.0.0.1:9000/
```

## Good example

```nginx
location /api/ {
    if ($request_method = OPTIONS) {
        add_header Access-Control-Allow-Origin "https://app.example.com";
        add_header Access-Control-Allow-Headers "Authorization";
        return 204;
    }
    add_header Access-Control-Allow-Origin "https://app.example.com" always;
    proxy_pass http://app;
}
```

```apache
<Location /api/>
    AuthType Basic
    AuthName "API"
    AuthUserFile /etc/apache2/api.htpasswd
    Require method OPTIONS
    Require valid-user
    Header always set Access-Control-Allow-Origin "https://app.example.com"
    Header always set Access-Control-Allow-Credentials "true"
</Location>
ProxyPass /api/ http://127.0.0.1:9000/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-239, NGX-316, NGX-402, NGX-403); Apache 2.4.71 (facts APA-023, APA-288,
APA-289)

## References

- https://fetch.spec.whatwg.org/#http-cors-protocol
- https://nginx.org/en/docs/http/ngx_http_headers_module.html#add_header
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#header
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.findings import HIGH, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import (
    BASIC,
    BEARER,
    ORIGIN_REFUSES,
    STRANGER,
    Supposed,
    by_block,
    deciding,
    is_told_apart,
    of_kind,
    same_upstream,
    with_header,
)
from auditor.rules.cors import allows_credentials, origin_of
from auditor.rules.repairs import SAFE, always, fix
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Outcome, ResponseHeader

NAME = "cors-missing-on-401"
SEVERITY = WARNING
FIX = SAFE

_ALLOWED = "Access-Control-Allow-Origin"
_ADMITTED = Supposed(credentials="accepted")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        if route.request.method == "OPTIONS":
            continue
        request = with_header(route.request, origin_of(route.request))
        good = _good_answer(site, request, (BEARER, BASIC) if is_told_apart(site, route) else (BEARER,))
        if good is None:
            continue
        line = deciding(good.because)
        if line is None or not allows_credentials(site, route.request):
            continue
        for asked, world in ((request, STRANGER), (with_header(request, BEARER), ORIGIN_REFUSES)):
            refused = [each for each in site.trace(asked, world) if _lacks(each) and _has_else(site, request, each)]
            if refused:
                yield _finding(site, route, asked, line, refused[0])
                break


def _good_answer(site: Site, request: Request, credentials: Sequence[tuple[str, str]]) -> ResponseHeader | None:
    """The header line that this server puts on the answer to somebody with good credentials."""
    for header in credentials:
        for outcome in site.trace(with_header(request, header), _ADMITTED):
            found = outcome.response_header(_ALLOWED)
            if found is not None and not found.origin and (outcome.status is None or outcome.status < 300):
                return found
    return None


def _has_else(site: Site, request: Request, refused: Outcome) -> bool:
    """Whether other answers of the upstream that refuses have the header: it may be for the files beside it only
    (`<If>` with a REQUEST_URI that rewriting has changed)."""
    if refused.main is None:
        return True
    files = {asked for asked in refused.when if asked.question.kind == "file"}
    return any(
        outcome.main is not None
        and same_upstream(outcome.main) == same_upstream(refused.main)
        and files <= set(outcome.when)
        and outcome.response_header(_ALLOWED) is not None
        for outcome in site.trace(with_header(request, BEARER), _ADMITTED)
    )


def _lacks(outcome: Outcome) -> bool:
    if outcome.status != 401 or outcome.response_header(_ALLOWED) is not None:
        return False
    # An answer of an error page, or what a limit of addresses says, is not what the page has asked for.
    return not outcome.replaced


def _finding(site: Site, route: Route, request: Request, line: Place, outcome: Outcome) -> Finding:
    place = next((deciding(gate.because) for gate in outcome.gates if gate.result == "refused"), None)
    if place is None and outcome.main is not None:
        place = outcome.main.place
    return Finding(
        NAME,
        WARNING,
        "Pages of another origin do not see the 401, but a network error: this header is on answers with status 200, "
        "and not on it.",
        line,
        confidence=HIGH,
        related=() if place is None else (Related(place, "the 401 comes from here"),),
        routes=(route.label,),
        witness=request,
        help=of_kind(
            site, f"{line.text.rstrip('; ')} always;", re.sub(r"(?i)^(Header)( onsuccess)?\s", r"\1 always ", line.text)
        ),
        server=route.server,
        pattern=route.pattern,
        fix=fix(True, always(outcome.withheld, "access-control-")),
    )
