"""A 401 becomes a 200.

## What it does

Asks every route without credentials, and with an origin that answers 401. Reports the error page that
goes out instead with a status of success.

Where another upstream decides on the status of the page it is an info. Where the 401 of an auth
subrequest becomes a success, so that its gate lets everybody in, it is a warning: perhaps logging in
is optional. It is silent for gRPC, which has its status in `grpc-status`, and for preflights.

## Why it is bad

Programs look at the status: they take the login page for their data, store it, and never log in or
renew a token. Caches and monitors believe it, too.

## Bad example

```nginx
location /app/ {
    auth_request /check;
    error_page 401 =200 /login.html;
    proxy_pass http://app;
}
location = /login.html {
    root /srv/www;
}
location = /check {
    internal;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_pass http://auth;
}
```

```apache
<Location /app/>
    AuthType Basic
    AuthName "App"
    AuthUserFile /etc/apache2/app.htpasswd
    Require valid-user
    ErrorDocument 401 /sign-in/
</Location>
ProxyPass /sign-in/ http://127.0.0.1:9001/
ProxyPass /app/ http://127.0.0.1:9000/
```

## Good example

```nginx
location /app/ {
    auth_request /check;
    error_page 401 /login.html;
    proxy_pass http://app;
}
location = /login.html {
    root /srv/www;
}
location = /check {
    internal;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_pass http://auth;
}
```

```apache
<Location /app/>
    AuthType Basic
    AuthName "App"
    AuthUserFile /etc/apache2/app.htpasswd
    Require valid-user
    ErrorDocument 401 /401.html
</Location>
ProxyPass /app/ http://127.0.0.1:9000/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-307, NGX-404, NGX-406, NGX-414); Apache 2.4.71, by this rule's own proof:
httpd keeps the 401 for files and for programs that set no status, and passes an upstream's status on

## References

- RFC 9110, 15.5.2 (401)
- https://nginx.org/en/docs/http/ngx_http_core_module.html#error_page
- https://httpd.apache.org/docs/2.4/custom-error.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, HIGH, INFO, MEDIUM, WARNING, Finding, Related
from auditor.rules.common import BEARER, ORIGIN_REFUSES, STRANGER, by_block, deciding, of_kind, traced
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.trace import Outcome

NAME = "unauthorized-as-success"
SEVERITY = ERROR

# Nobody is known, and what takes the place of the refusal is open.
_REFUSED = STRANGER._replace(origin=None)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    asked = [route for route in routes if route.request.method != "OPTIONS"]
    for header, world in ((None, _REFUSED), (BEARER, ORIGIN_REFUSES)):
        for route, request, outcome in traced(site, asked, header, world):
            page = next((each for each in outcome.replaced if each.status == 401), None)
            if page is None or outcome.response_header("grpc-status") is not None:
                continue
            judged = _judgement(outcome, page.role)
            if judged is None:
                continue
            severity, message = judged
            yield Finding(
                NAME,
                severity,
                message,
                page.line,
                confidence=HIGH if severity == ERROR else MEDIUM,
                related=_related(outcome),
                routes=(route.label,),
                witness=request,
                help=of_kind(
                    site,
                    "Let the page keep the status: error_page 401 /login.html;  (without `=`)",
                    "Serve the page from a file, or say ProxyErrorOverride On for its path: then the 401 stays.",
                )
                if page.role == "main"
                else "Keep error pages away from the location that answers the subrequest.",
                server=route.server,
                pattern=route.pattern,
            )


def _judgement(outcome: Outcome, role: str) -> tuple[str, str] | None:
    if role == "auth":
        if not any(gate.kind == "auth_request" and gate.result == "passed" for gate in outcome.gates):
            return None
        return WARNING, (
            "Is logging in optional here? This error page takes the place of the auth subrequest's 401, so that the "
            "gate lets everybody in."
        )
    if outcome.status is None and outcome.action == "proxied":
        upstream = outcome.main.upstream if outcome.main is not None else "an upstream"
        return INFO, f"In place of a 401 clients get the answer of {upstream}, and whatever status that has."
    if outcome.status is not None and 200 <= outcome.status < 300:
        return ERROR, (
            f"Clients that are refused get {outcome.status}: this error page takes the place of the 401, and programs "
            "take it for what they have asked for."
        )
    return None


def _related(outcome: Outcome) -> tuple[Related, ...]:
    for gate in outcome.gates:
        line = deciding(gate.because)
        if gate.result == "refused" and line is not None:
            return (Related(line, "this gate refuses"),)
    for exchange in outcome.exchanges:
        if exchange.status == 401 and exchange.place is not None:
            return (Related(exchange.place, "what answers 401 here is replaced"),)
    return ()
