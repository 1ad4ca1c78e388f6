"""A client can tell the origin another address than its own.

## What it does

Sends each of the headers that carry a client's address to every route that sets one of them. Reports

- the line that sends a request with one such header set and X-Forwarded-For as the client sent it;
- the line that passes the client's own header on by name;
- who is believed about addresses where that is everybody (`set_real_ip_from 0.0.0.0/0`).

An X-Real-IP that comes through beside a set X-Forwarded-For, and a line that appends to what the client sent,
are infos, told once for blocks that are alike. It is silent where the configuration sets none of these headers,
and where the header belongs to a network of content delivery in front (`$http_cf_connecting_ip`). Behind another
proxy all of it is an info, and so it is on the way to a service that auth subrequests ask, which judges sessions.

With httpd everybody is believed where RemoteIPHeader stands without RemoteIPInternalProxy or RemoteIPTrustedProxy.

## Why it is bad

Address lists, rate limits and logs of the application believe what any client writes into the header.

## Bad example

```nginx
location / {
    proxy_set_header X-Real-IP $remote_addr;
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    RemoteIPHeader X-Forwarded-For
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
```

## Good example

```nginx
location / {
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    RemoteIPHeader X-Forwarded-For
    RemoteIPInternalProxy 10.0.0.0/8
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3

Apache 2.4.71 (RemoteIPHeader with and without those who are believed; fact APA-001)

## References

- RFC 7239, 8.1 (what a Forwarded header is worth)
- https://nginx.org/en/docs/http/ngx_http_realip_module.html
- https://httpd.apache.org/docs/2.4/mod/mod_remoteip.html
- https://httpd.apache.org/docs/2.4/mod/mod_proxy.html#proxyaddheaders
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import ANYBODY, Supposed, by_block, deciding, of_kind, same_upstream, with_header
from auditor.server import SUBREQUEST, Route, Site
from auditor.settings import INNER, Settings
from auditor.source import Place
from auditor.trace import CHANGED, Exchange, Outcome, SentHeader
from auditor.values import ADDRESS, SERVER

NAME = "spoofable-client-address"
SEVERITY = WARNING

_FORWARDED_FOR = "X-Forwarded-For"
_REAL = "X-Real-IP"
_FORGED = "198.51.100.99"  # a documentation address (RFC 5737), as ANYBODY is
_WORLD = Supposed(credentials="accepted", address=ANYBODY)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    services: set[object] | None = None
    for finding in by_block(routes, lambda block: _judge_block(site, block), (INFO,)):
        if settings.position == INNER:
            finding = finding._replace(severity=INFO)
        elif finding.severity == WARNING and finding.witness is not None:
            services = _auth_services(site) if services is None else services
            if any(
                outcome.main is not None and same_upstream(outcome.main) in services
                for outcome in site.trace(finding.witness, _WORLD)
            ):
                finding = finding._replace(severity=INFO)
        yield finding


def _auth_services(site: Site) -> set[object]:
    """The upstreams that auth subrequests ask."""
    return {
        same_upstream(exchange)
        for route in site.routes()
        if SUBREQUEST in route.traits
        for outcome in site.trace(route.request, _WORLD)
        for exchange in outcome.exchanges
        if exchange.role == "auth"
    }


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    # httpd merges sections by the request's path, for one and the same ProxyPass; the lines of a block of nginx are the
    # same for all its requests.
    for route in routes if site.kind == "apache" else routes[:1]:
        request = with_header(with_header(route.request, (_FORWARDED_FOR, _FORGED)), (_REAL, _FORGED))
        for outcome in site.trace(request, _WORLD):
            if outcome.main is not None:
                for severity, line, message, help, related in _verdicts(site, outcome, outcome.main):
                    yield Finding(
                        NAME,
                        severity,
                        message,
                        line,
                        related=related,
                        routes=(route.label,),
                        witness=_telling(request, message),
                        help=help,
                        server=route.server,
                        pattern=route.pattern,
                    )


Verdict = tuple[str, Place, str, str, tuple[Related, ...]]


def _verdicts(site: Site, outcome: Outcome, exchange: Exchange) -> Iterator[Verdict]:
    believed = _believed(outcome, exchange)
    if believed is not None:
        yield (
            WARNING,
            believed,
            f"Every client is believed about its own address: {_FORWARDED_FOR} or {_REAL} decides what it is.",
            "Name the addresses of the proxies in front, and no others."
            + of_kind(site, "", "  (RemoteIPInternalProxy ADDRESS; without such a line everybody is believed)"),
            (),
        )
        return
    sent = {name: exchange.header(name) for name in (_FORWARDED_FOR, _REAL)}
    lines = {name: deciding(header.because) if header is not None else None for name, header in sent.items()}
    for name, header in sent.items():
        line = lines[name]
        if header is None or line is None:
            continue
        if header.fate == CHANGED and _tells_the_address(header):
            yield (
                INFO,
                line,
                f"{name} begins with what the client sent: only its last address is this server's own word.",
                _help(site, name),
                (),
            )
        elif _is_the_clients(header):
            yield (
                WARNING,
                line,
                f"This line passes on {name} as the client sent it to {exchange.upstream}.",
                _help(site, name),
                (),
            )
    set_ = [name for name, header in sent.items() if header is not None and lines[name] and _tells_the_address(header)]
    for name, header in sent.items():
        other = lines[set_[0]] if set_ else None
        if header is None or lines[name] is not None or other is None or not _is_the_clients(header):
            continue
        # Of a shared snippet it is the line there, once for all routes.
        place = exchange.place
        here = place if place is not None and place.source is other.source else other
        yield (
            WARNING if name == _FORWARDED_FOR else INFO,
            here,
            f"{exchange.upstream} gets {name} as the client sent it, beside this server's own {set_[0]}.",
            _help(site, name),
            (Related(other, f"{set_[0]} is set here"),) if here is not other else (),
        )


def _help(site: Site, name: str) -> str:
    own = f"RequestHeader set {name} expr=%{{REMOTE_ADDR}}"
    if name == _FORWARDED_FOR:
        own = f"RequestHeader unset {name}  (ProxyAddHeaders, on by default, then sends the address alone)"
    return of_kind(site, f"proxy_set_header {name} $remote_addr;", own)


def _tells_the_address(sent: SentHeader) -> bool:
    return any(source in (ADDRESS, SERVER) for source in sent.value.sources)


def _is_the_clients(sent: SentHeader) -> bool:
    return sent.value.text == _FORGED and not _tells_the_address(sent)


def _believed(outcome: Outcome, exchange: Exchange) -> Place | None:
    """The line by which the forged address became the client's address."""
    for sent in exchange.headers:
        if any(segment.source == ADDRESS and segment.text == _FORGED for segment in sent.value.segments):
            return next(
                (step.place for step in outcome.steps if step.place is not None and _FORGED in step.effect),
                deciding(sent.because),
            )
    return None


def _telling(request: Request, message: str) -> Request:
    """Of the two headers that were sent, those that the message speaks of."""
    kept = tuple(pair for pair in request.headers if pair[1] != _FORGED or pair[0] in message)
    return request._replace(headers=kept)
