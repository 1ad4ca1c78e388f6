"""A redirect sends programs to another origin, where they leave Authorization out.

## What it does

Asks the routes that programs call (`/api/`, `/v1/`, `/graphql`), with and without the final slash.
Reports an answer of the server's own that redirects the same path to another host, from https to
http, or to another port. Only routes with a sign that they take credentials count: a gate, a line
that passes Authorization on, or CORS headers that allow it.

Behind another proxy this server knows neither the scheme nor the port by which clients came: the
redirect that adds a missing slash then names its own port, or http.

It stays silent about redirects to https at the same host, and about those that drop the port.

## Why it is bad

Programs keep Authorization for the origin that they were told to send it to. curl, browsers and the
libraries of most languages drop it when a redirect leads to another scheme, host or port, so the
second request is answered 401 though the credentials are right. A method other than GET becomes GET
besides, after a 301 or 302.

## Bad example

```nginx
location /api/ {
    add_header Access-Control-Allow-Headers Authorization always;
    return 301 https://api.example.com$request_uri;
}
```

```apache
<VirtualHost *:80>
    ServerName www.example.com
    <Location /api/>
        Header always set Access-Control-Allow-Origin https://app.example
        Header always set Access-Control-Allow-Headers Authorization
    </Location>
    Redirect 308 /api/ https://api.example.com/api/
</VirtualHost>
```

## Good example

```nginx
location /api/ {
    add_header Access-Control-Allow-Headers Authorization always;
    proxy_pass https://api.example.com;
}
```

```apache
<VirtualHost *:80>
    ServerName www.example.com
    <Location /api/>
        Header always set Access-Control-Allow-Origin https://app.example
        Header always set Access-Control-Allow-Headers Authorization
    </Location>
    ProxyPass /api/ https://api.example.com/api/
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3: what stands in Location, by absolute_redirect, port_in_redirect,
server_name_in_redirect, return and rewrite

Apache 2.4.71 (Redirect and RewriteRule with R)

## References

- RFC 9110, 15.4 (redirects: a client that follows one considers removing Authorization)
- https://fetch.spec.whatwg.org/#http-redirect-fetch (step 13)
- https://nginx.org/en/docs/http/ngx_http_core_module.html#absolute_redirect
- https://httpd.apache.org/docs/2.4/mod/mod_alias.html#redirect
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, MEDIUM, Finding
from auditor.http import Request, make_request, split_port
from auditor.rules.common import ADMITTED, BEARER, deciding, of_kind, with_header
from auditor.rules.cors import allows_credentials
from auditor.rules.shapes import is_api
from auditor.server import Route, Site
from auditor.settings import INNER, Settings
from auditor.source import Place
from auditor.trace import Outcome
from auditor.values import client_header

NAME = "credential-dropping-redirect"
SEVERITY = INFO

_REDIRECTS = (301, 302, 303, 307, 308)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    inner = settings.position == INNER
    for route in routes:
        if route.request.method != "GET" or not is_api(route.request.path):
            continue
        for request in _asked(_from_in_front(route.request) if inner else route.request):
            found = _redirect(site, route, request, inner)
            if found is None:
                continue
            target, line = found
            yield Finding(
                NAME,
                INFO,
                f"Programs that ask for {request.path} are redirected to {target}: that is another origin"
                + (" for those that come through the proxy in front" if inner else "")
                + ", where most of them leave Authorization out.",
                line,
                confidence=MEDIUM,
                routes=(f"{request.method} {request.url}",),
                witness=request,
                help=_help(site, _same_path(request, target)),
                server=route.server,
                pattern=route.pattern,
            )
            break


def _from_in_front(request: Request) -> Request:
    """As a proxy in front sends it on: Host names what clients asked for, at the port of their scheme."""
    return with_header(request, ("Host", request.host))


def _asked(request: Request) -> Iterator[Request]:
    """The route's own path, one below it, and the folder without its slash; the latter two for plain prefixes only."""
    if not request.target.endswith("/") or request.target == "/":
        yield request
        return
    yield request._replace(target=request.target + "audit-probe")
    short = request._replace(target=request.target.rstrip("/"))
    yield short
    # By another name of the same virtual host.
    for name in (f"www.{request.host}", "unknown.invalid"):
        port = split_port(next(value for key, value in request.headers if key.lower() == "host"))[1]
        yield with_header(short, ("Host", name if port is None else f"{name}:{port}"))._replace(host=name)


def _redirect(site: Site, route: Route, request: Request, inner: bool) -> tuple[str, Place] | None:
    """Where the server itself redirects the request, whatever is not known of the world, and the line that does it;
    None where it does not, or to the origin by which the client came."""
    target = line = None
    for outcome in site.trace(with_header(request, BEARER), ADMITTED):
        found = outcome.response_header("Location")
        if outcome.status not in _REDIRECTS or outcome.exchanges or outcome.replaced or found is None:
            return None
        target, line = found.value.text, deciding(found.because) or outcome.handler
        if route.handler not in (outcome.handler, line):
            return None
    if target is None or line is None or not _is_another(request, target, _told_of_https(site) if inner else None):
        return None
    there = make_request(target)
    if request.path.rsplit("/")[-1] != there.path.rstrip("/").rsplit("/")[-1]:
        return None  # a page to sign in at, documentation: not the same resource elsewhere
    asked = [route.request, there] if there.host in {each.request.host for each in site.routes()} else [route.request]
    return (target, line) if any(_takes_credentials(site, each) for each in asked) else None


def _is_another(request: Request, target: str, secure_in_front: bool | None) -> bool:
    """Whether the target is another origin than that by which the client came. `secure_in_front`: whether a proxy in
    front surely speaks TLS with clients; None where there is no such proxy."""
    try:
        there = make_request(target)
    except ValueError:
        return False  # a path: the same origin
    host, port = split_port(next(value for name, value in request.headers if name.lower() == "host"))
    if there.host.lower() != host.lower():
        return True
    if request.tls and not there.tls:
        return True
    if there.tls and not request.tls:
        return False
    named = split_port(dict(there.headers)["Host"])[1]
    if named is not None and named != port:
        return True
    return bool(secure_in_front) and not there.tls


def _told_of_https(site: Site) -> bool:
    """Whether what shows the proxy in front is the scheme that it tells."""
    place = site.position[1]
    return place is not None and "proto" in place.text.lower()


def _help(site: Site, same: bool) -> str:
    if same:
        return of_kind(
            site,
            "absolute_redirect off;  for a redirect that stays at the origin by which the client came",
            "UseCanonicalName Off, or a ServerName with the scheme and port by which clients come",
        )
    return of_kind(
        site,
        "proxy_pass to it instead of the redirect, or tell programs its address",
        "ProxyPass to it instead of the redirect, or tell programs its address",
    )


def _same_path(request: Request, target: str) -> bool:
    there = make_request(target)
    return there.path.rstrip("/") == request.path and there.host == request.host


def _takes_credentials(site: Site, request: Request) -> bool:
    outcomes = site.trace(with_header(request, BEARER), ADMITTED)
    return any(_asks(outcome) or _passes_on(outcome) for outcome in outcomes) or allows_credentials(site, request)


def _asks(outcome: Outcome) -> bool:
    return any(gate.needs == "credentials" and gate.result != "off" for gate in outcome.gates)


def _passes_on(outcome: Outcome) -> bool:
    """Whether a line of the configuration passes the client's Authorization on."""
    for header in outcome.main.headers if outcome.main is not None else ():
        if client_header("Authorization") in header.value.sources and deciding(header.because) is not None:
            return True
    return False
