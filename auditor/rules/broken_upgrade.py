"""The change to WebSocket goes on to the origin by halves.

## What it does

Asks every route that is about such a change (a line for Upgrade, or one for Connection that says so) to
change to WebSocket. Reports

- Upgrade that goes on without `Connection: upgrade`, or the other way round;
- both of them in a request of HTTP/1.0, which knows no such change. That is nginx's default before 1.29.7.

## Why it is bad

The origin answers as to any other request, 400 or the page, and the WebSocket is never opened.

## Bad example

```nginx
location /live/ {
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_pass http://app;
}
```

## Good example

```nginx
location /live/ {
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_pass http://app;
}
```

## Measured on

nginx 1.22.1, 1.31.3 (fact NGX-021)

## References

- RFC 9110, 7.8 (Upgrade); RFC 6455, 4.1 (WebSocket)
- https://nginx.org/en/docs/http/websocket.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding
from auditor.rules.common import ADMITTED, BASIC, by_block, deciding, with_header
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Exchange

NAME = "broken-upgrade"
SEVERITY = WARNING


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        if route.request.method != "GET":
            continue
        request = with_header(route.request, BASIC)
        for header in (("Upgrade", "websocket"), ("Connection", "upgrade")):
            request = with_header(request, header)
        for outcome in site.trace(request, ADMITTED):
            exchange = outcome.main
            verdict = _verdict(exchange) if exchange is not None else None
            if exchange is None or verdict is None:
                continue
            line, what, help = verdict
            yield Finding(
                NAME,
                WARNING,
                f"No WebSocket is opened to {exchange.upstream}: {what}.",
                line,
                routes=(route.label,),
                witness=request,
                help=help,
                server=route.server,
                pattern=route.pattern,
            )


def _verdict(exchange: Exchange) -> tuple[Place, str, str] | None:
    """The line, what it does, and what to write; None where it is whole, or nothing is passed on at all."""
    if not exchange.protocol.startswith("HTTP/1"):
        return None
    upgrade = exchange.header("Upgrade")
    connection = exchange.header("Connection")
    if any(sent is not None and sent.value.text is None for sent in (upgrade, connection)):
        return None
    asks = upgrade is not None and upgrade.value.text != ""
    words = (connection.value.text or "").lower() if connection is not None else ""
    says = "upgrade" in [word.strip() for word in words.split(",")]
    line = next((deciding(s.because) for s in (upgrade, connection) if s is not None and deciding(s.because)), None)
    if line is None or not (asks or says):
        return None
    if asks and not says:
        return line, "Upgrade goes on, and Connection does not say so", "proxy_set_header Connection upgrade;"
    if says and not asks:
        return line, "Connection says upgrade, and Upgrade does not go on", "proxy_set_header Upgrade $http_upgrade;"
    if exchange.protocol == "HTTP/1.0":
        return line, "the request goes out with HTTP/1.0, which has no Upgrade", "proxy_http_version 1.1;"
    return None
