"""The proxy's own credentials go to the origin for everybody, whoever asks.

## What it does

Asks every route without any credentials, from an address that no list names. Reports the line that attaches
Authorization from the configuration to such a request.

It is silent behind a gate, where some condition on the request refuses it, where only programs of the same
machine can ask, and for guests' credentials (guest, anonymous, public), which are no secret. Behind another
proxy, which may have a gate of its own, it is an info.

## Why it is bad

Everybody who reaches the proxy acts at the origin as the proxy's own account.

## Bad example

```nginx
location /registry/ {
    proxy_set_header Authorization "Basic c2VydmljZTpzZWNyZXQ=";
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    ProxyPass /registry/ http://127.0.0.1:9000/
    <Location /registry/>
        AuthBasicFake service secret
    </Location>
</VirtualHost>
```

## Good example

```nginx
location /registry/ {
    auth_basic "Registry";
    auth_basic_user_file /etc/nginx/passwords/registry.htpasswd;
    proxy_set_header Authorization "Basic c2VydmljZTpzZWNyZXQ=";  # audit: ignore[hardcoded-credential] a test account
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    ProxyPass /registry/ http://127.0.0.1:9000/
    <Location /registry/>
        AuthType Basic
        AuthName "Registry"
        AuthUserFile /etc/apache2/registry.htpasswd
        Require valid-user
        # audit: ignore[hardcoded-credential] a test account
        RequestHeader set Authorization "Basic c2VydmljZTpzZWNyZXQ="
    </Location>
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-019, NGX-025)

Apache 2.4.71 (facts APA-006, APA-352)

## References

- RFC 9110, 11.6.2 (Authorization)
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header
- https://httpd.apache.org/docs/2.4/mod/mod_auth_basic.html#authbasicfake
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, WARNING, Finding, Related
from auditor.rules.common import STRANGER, by_block, deciding, of_kind, traced
from auditor.server import LOCAL, OPAQUE, Route, Site
from auditor.settings import INNER, Settings
from auditor.trace import Outcome, SentHeader
from auditor.values import CONFIG

NAME = "ungated-service-credential"
SEVERITY = WARNING

_GUESTS = ("guest", "anonymous", "public")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    if site.partial:
        return iter(())
    # A witness with headers or a query of its own may carry a key.
    asked = [
        route
        for route in routes
        if LOCAL not in route.traits and len(route.request.headers) < 2 and "?" not in route.request.target
    ]
    return by_block(asked, lambda block: _judge_block(site, block, settings))


def _judge_block(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for route, request, outcome in traced(site, routes, None, STRANGER):
        exchange = outcome.main
        sent = exchange.header("Authorization") if exchange is not None else None
        if exchange is None or sent is None or not _is_own(sent) or _may_be_refused(route, outcome):
            continue
        line = deciding(sent.because)
        if line is None:
            continue
        place = exchange.place
        yield Finding(
            NAME,
            INFO if settings.position == INNER else WARNING,
            f"Everybody acts at {exchange.upstream} with the credentials of this line: no gate stands in front.",
            line,
            related=() if place is None else (Related(place, "the requests go here"),),
            routes=(route.label,),
            witness=request,
            help=of_kind(
                site,
                "Put a gate in front (auth_basic, auth_request, allow and deny), or remove the line.",
                "Put a gate in front (AuthType, AuthUserFile and Require valid-user; Require ip), or remove the line.",
            ),
            server=route.server,
            pattern=route.pattern,
        )


def _is_own(sent: SentHeader) -> bool:
    """Whether the whole value comes from the configuration, and can be credentials: a scheme with something behind."""
    words = (sent.value.text or "").split()
    own = sent.present == "yes" and set(sent.value.sources) == {CONFIG} and len(words) > 1 and "(null)" not in words
    return own and not any(name in _readable(words[-1]).lower() for name in _GUESTS)


def _readable(credentials: str) -> str:
    """The credentials, with what they are in base64."""
    from base64 import b64decode

    try:
        return credentials + b64decode(credentials, validate=True).decode("latin-1")
    except ValueError:
        return credentials


def _may_be_refused(route: Route, outcome: Outcome) -> bool:
    """Whether something decides here that cannot be followed, or a gate has had its say."""
    return (
        OPAQUE in route.traits
        or any(gate.result == "passed" for gate in outcome.gates)
        or any(asked.question.kind in ("code", "variable", "module") for asked in outcome.when)
    )
