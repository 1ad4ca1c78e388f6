"""The change to WebSocket goes on to the origin by halves.

## What it does

Asks every route that is about such a change (a line for Upgrade, or one for Connection that says so) to
change to WebSocket. Reports

- Upgrade that goes on without `Connection: upgrade`, or the other way round;
- both of them in a request of HTTP/1.0, which knows no such change. That is nginx's default before 1.29.7.

httpd removes both headers on the way to an http:// upstream without upgrade=websocket, whoever has set them. That is
reported where a line means it otherwise: it sets Upgrade, it sends requests with Upgrade another way than the rest, or
it is a ProxyPass to ws:// whose paths an earlier ProxyPass takes.

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

```apache
<VirtualHost *:80>
    <Location /live/>
        RequestHeader set Upgrade websocket
        RequestHeader set Connection upgrade
    </Location>
    ProxyPass /live/ http://127.0.0.1:9000/
</VirtualHost>
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

```apache
<VirtualHost *:80>
    ProxyPass /live/ http://127.0.0.1:9000/ upgrade=websocket
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (fact NGX-021)

Apache 2.4.71 (Upgrade and Connection of requests by upgrade=, ws://, RequestHeader and force-proxy-request-1.0)

## References

- RFC 9110, 7.8 (Upgrade); RFC 6455, 4.1 (WebSocket)
- https://nginx.org/en/docs/http/websocket.html
- https://httpd.apache.org/docs/2.4/mod/mod_proxy.html#wsupgrade
- https://httpd.apache.org/docs/2.4/mod/mod_proxy_wstunnel.html
"""

from __future__ import annotations

import re
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
    # A line of httpd that would open one, and that an earlier line takes the paths of.
    for suspect in site.suspects() if site.kind == "apache" else ():
        if suspect.header == "Upgrade":
            yield Finding(
                NAME,
                WARNING,
                f"No WebSocket is opened by this line: {suspect.why}.",
                suspect.line,
                help=suspect.instead,
            )
    yield from by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        if route.request.method != "GET":
            continue
        request = with_header(route.request, BASIC)
        for header in (("Upgrade", "websocket"), ("Connection", "upgrade")):
            request = with_header(request, header)
        for outcome in site.trace(request, ADMITTED):
            exchange = outcome.main
            verdict = _verdict(site, route, exchange) if exchange is not None else None
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


def _verdict(site: Site, route: Route, exchange: Exchange) -> tuple[Place, str, str] | None:
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
    removed = exchange.loss("Upgrade")
    if not asks and not says and removed is not None and removed.because and removed.because[0].place is None:
        return _removed(site, route, exchange, deciding(removed.because))
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


def _removed(site: Site, route: Route, exchange: Exchange, line: Place | None) -> tuple[Place, str, str] | None:
    """Where the server removes the header of itself, though a line means to open a WebSocket: it sets the header, or
    sends such requests another way than others."""
    place = exchange.place
    if place is None:
        return None
    if re.search(r"(?i)\bupgrade=(?!none)|\bwss?://", place.text):
        if exchange.protocol == "HTTP/1.0":
            return (
                place,
                "the request goes out with HTTP/1.0, which has no Upgrade",
                "Unset force-proxy-request-1.0 here.",
            )
        return None
    help = "ProxyPass PATH URL upgrade=websocket  (RewriteRule: ws://HOST/PATH with [P])"
    if line is not None:
        return line, "the server takes Upgrade away on the way to an http:// upstream, whoever has set it", help
    others = site.trace(with_header(route.request, BASIC), ADMITTED)
    if any(outcome.main is not None and outcome.main.place == place for outcome in others):
        return None
    return place, "requests with Upgrade go here, and the server takes it away on the way to an http:// upstream", help
