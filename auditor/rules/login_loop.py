"""The page that unauthenticated clients are sent to asks for the same login.

## What it does

Asks every route behind a gate without credentials. Where the refusal becomes a redirect to this server,
follows it as a browser does, and reports the gate that refuses there, too. Also reports a gate whose error
page, meant to be a login page, is refused by that gate again, so that nobody sees it. (A Basic gate needs
no login page; there it says nothing.)

Also follows the redirects of a condition on a cookie (`if ($cookie_session = "")`, `RewriteCond
%{HTTP_COOKIE}`) for a client that has none, and reports the line that sends those who ask for the login page to the
login page. It is silent where a redirect brings the cookie with it.

## Why it is bad

The browser is sent in a circle until it gives up. Nobody can log in.

## Bad example

```nginx
server {
    auth_request /auth;
    error_page 401 = @login;
    location @login {
        return 302 /login;
    }
    location / {
        proxy_pass http://app;
    }
    location = /auth {
        internal;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_pass http://auth:9001;
    }
}
```

```apache
<Location />
    AuthType Form
    AuthName "Club"
    AuthFormProvider file
    AuthUserFile /etc/apache2/club.htpasswd
    AuthFormLoginRequiredLocation /login.html
    Session On
    SessionCookieName session path=/
    Require valid-user
</Location>
```

## Good example

```nginx
server {
    auth_request /auth;
    error_page 401 = @login;
    location @login {
        return 302 /login;
    }
    location = /login {
        auth_request off;
        proxy_pass http://auth:9001;
    }
    location / {
        proxy_pass http://app;
    }
    location = /auth {
        internal;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_pass http://auth:9001;
    }
}
```

```apache
<Location />
    AuthType Form
    AuthName "Club"
    AuthFormProvider file
    AuthUserFile /etc/apache2/club.htpasswd
    AuthFormLoginRequiredLocation /login.html
    Session On
    SessionCookieName session path=/
    Require valid-user
</Location>
<Location /login.html>
    Require all granted
</Location>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-308, NGX-407)
Apache httpd 2.4.71

## References

- https://nginx.org/en/docs/http/ngx_http_core_module.html#error_page
- https://nginx.org/en/docs/http/ngx_http_auth_request_module.html#auth_request
- https://nginx.org/en/docs/http/ngx_http_rewrite_module.html#if
- https://httpd.apache.org/docs/2.4/mod/mod_auth_form.html#authformloginrequiredlocation
- https://httpd.apache.org/docs/2.4/mod/mod_rewrite.html#rewritecond
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from auditor.findings import ERROR, Finding, Related
from auditor.http import Request
from auditor.rules.common import STRANGER, by_block, deciding, guards, may_be_asked, of_kind, says
from auditor.rules.redirects import redirect_of
from auditor.server import CHALLENGE, GATE, Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Gate, Outcome

NAME = "login-loop"
SEVERITY = ERROR

_MOST = 5  # redirects that are followed


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    gated = [route for route in routes if route.traits >= {GATE, CHALLENGE}]
    yield from by_block(gated, lambda block: _judge_block(site, block), by_path=True)
    if says(site, "cookie"):
        from auditor.rules.cookie_circle import circles, reads_cookies

        if reads_cookies(site):
            yield from by_block(routes, lambda block: circles(site, NAME, block), by_path=True)


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        if route.request.method != "GET" or not may_be_asked(site, route):
            continue
        for outcome in site.trace(route.request, STRANGER):
            refused = [gate for gate in guards(outcome) if gate.result == "refused" and gate.kind != "auth_basic"]
            if not refused:
                continue
            line = _asked_again(refused)
            if line is not None:
                yield _finding(site, route, route.request, line, "its own error page", outcome.handler)
                continue
            target = redirect_of(route.request, outcome)
            again = _ends_at(site, target, refused, route.request.host) if target is not None else None
            if target is not None and again is not None:
                yield _finding(site, route, target, again, target.url.partition("?")[0], outcome.handler)


def _asked_again(refused: Sequence[Gate]) -> Place | None:
    """The gate that stood in the way twice: of the request, and of the page that was to take its place."""
    lines = [deciding(gate.because) for gate in refused]
    return next((line for at, line in enumerate(lines) if line is not None and line in lines[:at]), None)


def _ends_at(site: Site, request: Request, refused: Sequence[Gate], host: str) -> Place | None:
    """The gate at which the way of the redirects ends, where it is one that asks the same as the first; None where that
    depends on something that is not known."""
    first = {_asks(gate) for gate in refused}
    seen = set()
    for _ in range(_MOST):
        seen.add(request.url.partition("?")[0])
        outcomes = site.trace(request, STRANGER)
        # A login service with a name that no virtual host has runs elsewhere as a rule, though one of them would answer
        # for it if it came here.
        if request.host != host and any(outcome.unnamed for outcome in outcomes):
            return None
        lines = {_asking(outcome, first) for outcome in outcomes}
        following = {redirect_of(request, outcome) for outcome in outcomes}
        if len(lines) != 1 or len(following) != 1:
            return None
        line, further = lines.pop(), following.pop()
        if line is not None:
            return line
        if further is None or further.url.partition("?")[0] in seen:
            return None
        request = further
    return None


def _asking(outcome: Outcome, first: Container[tuple[str, str | None]]) -> Place | None:
    """The gate that refuses there, where it is one of these."""
    gates = [gate for gate in guards(outcome) if gate.result == "refused"]
    return deciding(gates[0].because) if any(_asks(gate) in first for gate in gates) else None


def _asks(gate: Gate) -> tuple[str, str | None]:
    return gate.kind, gate.source


def _finding(site: Site, route: Route, request: Request, line: Place, where: str, block: Place | None) -> Finding:
    return Finding(
        NAME,
        ERROR,
        f"Nobody can log in: who lacks a session is sent to {where}, and this gate stands in front of that, too.",
        line,
        related=() if block is None else (Related(block, "this sends them there"),),
        routes=(route.label,),
        witness=request,
        help=of_kind(
            site,
            "Switch the gate off in a location of its own for the login page (auth_request off;).",
            f"<Location {request.path}>  with  Require all granted",
        ),
        server=route.server,
        pattern=route.pattern,
    )
