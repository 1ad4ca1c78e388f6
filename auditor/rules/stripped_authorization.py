"""A client's Authorization header does not reach the upstream.

## What it does

Asks every route that has an upstream with an Authorization header. Reports the line that keeps it
from the upstream: one that drops all request headers, one that sets the header to a variable or a
map that is empty here, or one that clears it.

It is silent where a gate of the route itself asks for credentials, because they are then used up
and clearing them is right, and where the upstream is a public bucket, which refuses requests with
credentials that are not its own. A plain clear without any gate is only a warning: perhaps it is
meant. It is, and nothing is said, where the same line or the same upstream is right on a gated route. A line that
makes the header of a cookie, for clients that have one, is a warning, too.

## Why it is bad

The application gets every request as an anonymous one and answers 401, whatever the client sends.

## Bad example

```nginx
location /api/ {
    proxy_pass http://app;
    proxy_pass_request_headers off;
}
```

## Good example

```nginx
location /api/ {
    proxy_pass http://app;
}
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-003, NGX-005, NGX-018)

## References

- RFC 9110, 11.6.2 (Authorization)
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass_request_headers
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, HIGH, MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import (
    ADMITTED,
    BASIC,
    BEARER,
    by_block,
    deciding,
    guards,
    host_of,
    same_upstream,
    traced,
    with_header,
)
from auditor.rules.repairs import UNSAFE, fix, without
from auditor.server import UPSTREAM, Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Exchange
from auditor.values import client_header

NAME = "stripped-authorization"
SEVERITY = ERROR
FIX = UNSAFE
_COOKIE = client_header("Cookie").lower()

# Object stores refuse a request whose Authorization is not their own signature.
_BUCKETS = (".amazonaws.com", "storage.googleapis.com", ".blob.core.windows.net", ".digitaloceanspaces.com")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    questions: dict[str, set[object]] = {}
    for finding in by_block(routes, lambda block: _judge_block(site, block)):
        if finding.severity == WARNING:
            # A clear that is right on a gated route says the same on the others that share the line or the upstream.
            if not questions:
                questions = _kept_by_gates(site)
            if finding.place in questions["lines"] or _upstream_of(site, finding) in questions["upstreams"]:
                continue
        yield finding


def _kept_by_gates(site: Site) -> dict[str, set[object]]:
    """The lines that keep used-up credentials from an origin, and the origins that get credentials on no route."""
    lines: set[object] = set()
    kept: set[object] = set()
    given: set[object] = set()
    proxied = [route for route in site.routes() if UPSTREAM in route.traits]
    for header in (BASIC, BEARER):
        for _, _, outcome in traced(site, proxied, header, ADMITTED):
            exchange = outcome.main
            if exchange is None:
                continue
            loss = exchange.loss("Authorization")
            if loss is None:
                given.add(same_upstream(exchange))
            elif guards(outcome):
                lines.add(deciding(loss.because))
                kept.add(same_upstream(exchange))
    return {"lines": lines, "upstreams": kept - given}


def _upstream_of(site: Site, finding: Finding) -> object:
    outcomes = site.trace(finding.witness, ADMITTED) if finding.witness is not None else ()
    return next((same_upstream(outcome.main) for outcome in outcomes if outcome.main is not None), None)


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    # By handler: a gate that is off for this request (a preflight, say) still uses up the credentials of the others.
    gated = set()
    supplied = set()  # handlers that make the header of a cookie, where the client has one
    lost = []
    for header in (BEARER, BASIC):
        for route, request, outcome in traced(site, routes, header, ADMITTED):
            exchange = outcome.main
            if exchange is None:
                continue
            if guards(outcome):
                gated.add(outcome.handler)
            loss, sent = exchange.loss("Authorization"), exchange.header("Authorization")
            if sent is not None and any(source.lower() == _COOKIE for source in sent.value.sources):
                supplied.add(outcome.handler)
            if loss is not None and sent is None:
                lost.append((route, request, outcome, exchange, deciding(loss.because) or exchange.place))
    for route, request, outcome, exchange, line in lost:
        if line is None or outcome.handler in gated or _is_bucket(exchange):
            continue
        plain = _is_plain_clear(line)
        asks = plain or outcome.handler in supplied
        # The gate may stand where a part is included; and whoever clears both knows what the other side must not have.
        if plain and (site.partial or _loses_cookies(site, request)):
            continue
        yield Finding(
            NAME,
            WARNING if asks else ERROR,
            _message(exchange, plain, asks),
            line,
            confidence=MEDIUM if asks else HIGH,
            related=_related(exchange, line),
            routes=(route.label,),
            witness=request,
            help=_help(line, asks),
            server=route.server,
            pattern=route.pattern,
            fix=fix(False, without(line)) if plain else None,
        )


def _loses_cookies(site: Site, request: Request) -> bool:
    for outcome in site.trace(with_header(request, ("Cookie", "audit=probe")), ADMITTED):
        if outcome.main is not None and outcome.main.loss("Cookie") is None:
            return False
    return True


def _message(exchange: Exchange, plain: bool, asks: bool) -> str:
    if asks and not plain:
        return (
            f"Is the client's own Authorization meant to be kept from {exchange.upstream}? "
            "This line makes one of a cookie, and clients without it arrive without credentials."
        )
    if plain:
        return (
            f"Is the client's Authorization meant to be kept from {exchange.upstream}? "
            "This line clears it, and no gate of this route has used it."
        )
    return f"The client's Authorization does not reach {exchange.upstream}: requests arrive there without credentials."


def _related(exchange: Exchange, line: Place) -> tuple[Related, ...]:
    place = exchange.place
    return () if place is None or place == line else (Related(place, "the requests go here"),)


def _help(line: Place, asks: bool) -> str:
    if asks:
        return "Remove the line, or say why it is right: # audit: ignore[stripped-authorization] the reason"
    if "pass_request_headers" in line.text:
        return "proxy_set_header Authorization $http_authorization;  (or remove the line that drops all headers)"
    return "Remove the line: without it the client's Authorization is passed on as it came."


def _is_plain_clear(line: Place) -> bool:
    text = line.text.rstrip("; ")
    return text.endswith(('""', "''")) or " unset " in text


def _is_bucket(exchange: Exchange) -> bool:
    hosts = [host_of(server) for server in exchange.servers] or [
        exchange.upstream.rpartition("://")[2].partition(":")[0]
    ]
    return any(host is not None and host.endswith(_BUCKETS) for host in hosts)
