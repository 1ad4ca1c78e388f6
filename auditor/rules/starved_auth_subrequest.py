"""The service that an auth subrequest asks does not get what it has to judge.

## What it does

Asks every route that has both an auth subrequest and an upstream with credentials, with cookies, and with a body.
Reports

- the line by which neither the client's Authorization nor its cookies reach the auth service. It is a
  warning where the client's address or the URL goes there instead: perhaps the service judges by these;
- a subrequest over HTTP/1 that announces the client's Content-Length without the body.

## Why it is bad

Without credentials the service refuses everybody. With a Content-Length it waits for a body that never
comes, and each POST hangs until a time limit ends it.

## Bad example

```nginx
location /api/ {
    auth_request /auth;
    proxy_pass http://app;
}
location = /auth {
    internal;
    proxy_pass http://auth:9001;
}
```

## Good example

```nginx
location /api/ {
    auth_request /auth;
    proxy_pass http://app;
}
location = /auth {
    internal;
    proxy_pass http://auth:9001;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
}
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-301, NGX-319)

## References

- RFC 9110, 8.6 (Content-Length)
- https://nginx.org/en/docs/http/ngx_http_auth_request_module.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import ADMITTED, BEARER, by_block, deciding, with_header
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Exchange, Outcome
from auditor.values import ADDRESS, CLIENT, SERVER

NAME = "starved-auth-subrequest"
SEVERITY = ERROR

_COOKIE = ("Cookie", "audit=probe")
# What every request carries, whoever sends it.
_PLAIN = frozenset({"host", "connection", "content-length", "content-type", "user-agent", "accept", "upgrade"})


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        request = with_header(with_header(route.request, BEARER), _COOKIE)
        for outcome in site.trace(request, ADMITTED):
            for exchange in _asked(outcome):
                lost = exchange.loss("Authorization"), exchange.loss("Cookie")
                if lost[0] is not None and lost[1] is not None:
                    line = deciding(lost[0].because) or exchange.place
                    told = _told(exchange)
                    if line is not None and told != "credentials":
                        yield _without_credentials(route, request, exchange, line, told)
        request = with_header(request, ("Content-Length", "5"))._replace(method="POST")
        for outcome in site.trace(request, ADMITTED):
            if any(gate.result == "refused" for gate in outcome.gates):
                continue  # where only the sign-in page goes to an upstream, nobody sends bodies to what is guarded
            for exchange in _asked(outcome):
                length = exchange.header("Content-Length")
                announced = length is not None and length.present == "yes" and length.value.text != "0"
                http1 = exchange.protocol.startswith("HTTP/1")
                if announced and http1 and exchange.body != "sent" and exchange.place is not None:
                    yield _without_body(route, request, exchange, exchange.place)


def _asked(outcome: Outcome) -> Iterator[Exchange]:
    """The auth subrequests of a request that goes on to an upstream, unless the same line sends both: then the location
    of the subrequest is missing, perhaps because a part of the configuration is not at hand."""
    main = outcome.main
    if main is not None:
        yield from (one for one in outcome.exchanges if one.role == "auth" and one.place != main.place)


def _told(exchange: Exchange) -> str:
    """What the service learns of who the client is: "credentials", "circumstances" (the address, the URL), or
    "nothing"."""
    told = "nothing"
    for sent in exchange.headers:
        if sent.name.lower() in _PLAIN:
            continue
        for source in sent.value.sources:
            if source.startswith("client:") and not _is_of_all(source):
                return "credentials"
            if source in (CLIENT, ADDRESS):
                told = "circumstances"
            elif source not in ("config", SERVER) and not source.startswith("client:"):
                return "credentials"  # a certificate, a map, whatever cannot be seen through
    return told


def _is_of_all(source: str) -> bool:
    return source.partition(":")[2].lower() in _PLAIN


def _without_credentials(route: Route, request: Request, exchange: Exchange, line: Place, told: str) -> Finding:
    sure = told == "nothing"
    related = () if exchange.place in (None, line) else (Related(exchange.place, "the subrequest goes here"),)
    return Finding(
        NAME,
        ERROR if sure else WARNING,
        f"Neither Authorization nor cookies reach {exchange.upstream}, which has to judge them"
        + (": it cannot tell one client from another." if sure else ": it learns the client's address or URL only."),
        line,
        confidence="high" if sure else MEDIUM,
        related=related,
        routes=(route.label,),
        witness=request,
        help="proxy_set_header Authorization $http_authorization;\nproxy_set_header Cookie $http_cookie;"
        if exchange.protocol.startswith("HTTP")
        else "Hand HTTP_AUTHORIZATION and HTTP_COOKIE on.",
        server=route.server,
        pattern=route.pattern,
    )


def _without_body(route: Route, request: Request, exchange: Exchange, line: Place) -> Finding:
    return Finding(
        NAME,
        ERROR,
        f"A request with a body makes {exchange.upstream} wait: the auth subrequest announces the body's length and "
        "brings no body.",
        line,
        routes=(route.label,),
        witness=request,
        help='proxy_pass_request_body off;\nproxy_set_header Content-Length "";',
        server=route.server,
        pattern=route.pattern,
    )
