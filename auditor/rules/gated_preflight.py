"""A CORS preflight is refused for want of credentials.

## What it does

Looks for routes whose answers carry CORS headers, and sends them what a browser sends first:
OPTIONS with Origin and Access-Control-Request-Method, and no credentials. Reports the gate that
refuses it, or the condition that looks for a token, an API key or a method which a preflight does
not have, where the request itself would be served.

## Why it is bad

Browsers never send credentials with a preflight (Fetch standard). It is answered 401 or 403, and
the real request is never made: the application shows a CORS error, whatever CORS headers are
configured.

## Bad example

```nginx
location /api/ {
    auth_basic "Staging";
    auth_basic_user_file /etc/nginx/staging.htpasswd;
    add_header Access-Control-Allow-Origin "https://app.example.com" always;
    add_header Access-Control-Allow-Headers "Authorization" always;
    proxy_pass http://app;
}
```

```apache
<Location /api/>
    AuthType Basic
    AuthName "Staging"
    AuthUserFile /etc/apache2/staging.htpasswd
    Require valid-user
    Header always set Access-Control-Allow-Origin "https://app.example.com"
    Header always set Access-Control-Allow-Headers "Authorization"
</Location>
ProxyPass /api/ http://127.0.0.1:9000/
```

## Good example

```nginx
location /api/ {
    auth_basic "Staging";
    auth_basic_user_file /etc/nginx/staging.htpasswd;
    if ($request_method = OPTIONS) {
        add_header Access-Control-Allow-Origin "https://app.example.com";
        add_header Access-Control-Allow-Headers "Authorization";
        return 204;
    }
    add_header Access-Control-Allow-Origin "https://app.example.com" always;
    add_header Access-Control-Allow-Headers "Authorization" always;
    proxy_pass http://app;
}
```

```apache
<Location /api/>
    AuthType Basic
    AuthName "Staging"
    AuthUserFile /etc/apache2/staging.htpasswd
    Require method OPTIONS
    Require valid-user
    Header always set Access-Control-Allow-Origin "https://app.example.com"
    Header always set Access-Control-Allow-Headers "Authorization"
</Location>
ProxyPass /api/ http://127.0.0.1:9000/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-217, NGX-239); Apache 2.4.71 (facts APA-235, APA-242, APA-291, APA-292,
APA-293)

## References

- https://fetch.spec.whatwg.org/#cors-preflight-fetch
- https://nginx.org/en/docs/http/ngx_http_rewrite_module.html#return
- https://httpd.apache.org/docs/2.4/mod/mod_authz_core.html#require
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, HIGH, MEDIUM, Finding, Related
from auditor.http import Response
from auditor.rules.common import (
    ADMITTED,
    BASIC,
    BEARER,
    STRANGER,
    by_block,
    deciding,
    guards,
    of_kind,
    serves,
    with_header,
)
from auditor.rules.cors import origin_of, preflight, tokens
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Outcome, ResponseHeader

NAME = "gated-preflight"
SEVERITY = ERROR

# Headers that only make sense where requests need a preflight; Allow-Origin alone is usual for fonts and public files.
_PREFLIGHTED = ("Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Max-Age")
_WELCOME = ADMITTED._replace(auth=Response(200), origin=Response(200))
_REFUSALS = ("401", "403")
_HELP = (
    "Answer OPTIONS before the gate:\n"
    "if ($request_method = OPTIONS) {\n"
    '    add_header Access-Control-Allow-Origin "https://app.example";\n'
    '    add_header Access-Control-Allow-Headers "Authorization";\n'
    "    return 204;\n"
    "}",
    "Let preflights in, beside those whom the line names:\n"
    "Require method OPTIONS\n"
    "or answer them before the gate, in the virtual host (in a .htaccess it would be behind the gate):\n"
    "RewriteCond %{REQUEST_METHOD} =OPTIONS\n"
    "RewriteRule ^ - [R=204,L]",
)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        cors = _cors_line(site, route)
        if cors is None:
            continue
        found = _refused_by_condition(site, route, cors)
        if found is not None:
            yield found
            continue
        request = preflight(route.request)
        for outcome in site.trace(request, STRANGER._replace(address=None)):
            gate = next(
                (gate for gate in outcome.gates if gate.result == "refused" and gate.needs == "credentials"), None
            )
            line = deciding(gate.because) if gate is not None else _taken_back(outcome)
            if line is None or outcome.status not in (401, 403):
                continue
            place = deciding(cors.because)
            yield Finding(
                NAME,
                ERROR,
                f"Browsers cannot use this from another origin: this gate answers their preflight {outcome.status}, "
                "because a preflight never carries credentials.",
                line,
                # What an auth service answers to a preflight is its own affair; most refuse what has no credentials.
                confidence=HIGH if gate is not None and gate.kind == "auth_basic" else MEDIUM,
                related=() if place is None else (Related(place, "meant for requests from another origin"),),
                routes=(f"OPTIONS {request.url}",),
                witness=request,
                help=of_kind(site, *_HELP),
                server=route.server,
                pattern=route.pattern,
            )


def _refused_by_condition(site: Site, route: Route, cors: ResponseHeader) -> Finding | None:
    """No gate, but a condition that looks for a token, a key or a method refuses what has none of them."""
    given = next((pair for pair in route.request.headers if pair[0].lower() == "authorization"), BEARER)
    asked = with_header(with_header(route.request, given), origin_of(route.request))
    answers = site.trace(asked, _WELCOME)
    if not any(serves(outcome) for outcome in answers):
        return None
    # What pages add to their requests is not in the preflight either: it asks whether they may.
    own = {"cookie", *(word for outcome in answers for word in tokens(outcome, "Access-Control-Allow-Headers") or ())}
    request = preflight(asked)
    request = request._replace(headers=tuple(pair for pair in request.headers if pair[0].lower() not in own))
    outcomes = site.trace(request, STRANGER._replace(address=None))
    for outcome in outcomes:
        if outcome.status not in (401, 403) or outcome.action != "answered" or outcome.exchanges or guards(outcome):
            return None
    lines = [step.place for step in outcomes[0].steps if step.place is not None]
    told = [step.place for step in outcomes[0].steps if step.place is not None and step.effect.endswith(_REFUSALS)]
    place = deciding(cors.because)
    plain = request._replace(method=asked.method)
    why = (
        "because of its method."
        if any(serves(outcome) for outcome in site.trace(plain, STRANGER._replace(address=None)))
        else "because a preflight carries no credentials, and none of the headers that it asks leave for."
    )
    return Finding(
        NAME,
        ERROR,
        f"Browsers cannot use this from another origin: this answers their preflight {outcomes[0].status}, {why}",
        (told or lines)[-1],
        confidence=HIGH,
        related=() if place is None else (Related(place, "meant for requests from another origin"),),
        routes=(f"OPTIONS {request.url}",),
        witness=request,
        help=of_kind(site, *_HELP),
        server=route.server,
        pattern=route.pattern,
    )


def _taken_back(outcome: Outcome) -> Place | None:
    """The line that refuses a request which had been let in for its method: httpd looks a FallbackResource up with GET,
    and what the gate says to that is the answer."""
    if outcome.exchanges or not any(gate.result == "off" for gate in outcome.gates):
        return None
    said = (step.place for step in outcome.steps if step.effect.endswith((": 401", ": 403")))
    return next((place for place in said if place is not None), None)


def _cors_line(site: Site, route: Route) -> ResponseHeader | None:
    """The header line of a normal answer that shows that requests from another origin, with a preflight, are meant."""
    if route.request.method == "OPTIONS":
        return None
    request = with_header(with_header(route.request, BASIC), origin_of(route.request))
    for outcome in site.trace(request, _WELCOME):
        if outcome.response_header("Access-Control-Allow-Origin") is None:
            continue
        for name in _PREFLIGHTED:
            header = outcome.response_header(name)
            if header is not None:
                return header
    return None
