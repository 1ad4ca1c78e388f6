"""Something in the configuration was not understood, so nothing is said about it.

## What it does

Names each place whose effect on headers or gates could not be worked out: an include that is not at
hand, code in Lua, njs or Perl, a module of another project that answers requests or sets headers
(mod_security, mod_jk, Passenger, single sign-on), a login that is not known here.

## Why it is bad

It is not bad; but no finding about these places does not mean that they are fine.

## Bad example

```nginx
location / {
    access_by_lua_file /etc/nginx/gate.lua;
    proxy_pass http://app;
}
```

```apache
<Location />
    LuaHookAccessChecker /etc/apache2/gate.lua check early
</Location>
ProxyPass / http://127.0.0.1:9000/
```

## Good example

```nginx
location / {
    auth_request /check;
    proxy_pass http://app;
}
location = /check {
    internal;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_pass http://auth:9001;
}
```

```apache
<Location />
    Require ip 10.0.0.0/8
</Location>
ProxyPass / http://127.0.0.1:9000/
```

## Measured on

Nothing to measure.

## References

- https://nginx.org/en/docs/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, Finding
from auditor.rules.common import ADMITTED, BASIC, by_block, may_be_asked, with_header
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Outcome

NAME = "unanalysed"
SEVERITY = INFO


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for note in site.notes:
        if note.kind == "unanalysed" and note.place is not None:
            yield Finding(NAME, INFO, note.text, note.place)
    first: dict[tuple[str, str], Place] = {}  # the same code in many places is told of once
    yield from by_block(routes, lambda block: _judge_block(site, block, first))


def _judge_block(site: Site, routes: Sequence[Route], first: dict[tuple[str, str], Place]) -> Iterator[Finding]:
    for route in routes:
        for outcome in _outcomes(site, route):
            for asked in outcome.when:
                if asked.question.kind == "code" and asked.place is not None:
                    message = "What this code does is not known here: both ways were followed."
                    place = first.setdefault((asked.place.text, message), asked.place)
                    yield _finding(route, place, message)
            last = outcome.steps[-1] if outcome.steps else None
            if outcome.action == "unknown" and last is not None and last.place is not None:
                message = f"What becomes of requests here was not followed: {last.effect}."
                place = first.setdefault((last.place.text, message), last.place)
                yield _finding(route, place, message)


def _outcomes(site: Site, route: Route) -> Iterator[Outcome]:
    yield from site.trace(route.request)
    if may_be_asked(site, route):  # behind the gate
        yield from site.trace(with_header(route.request, BASIC), ADMITTED)


def _finding(route: Route, place: Place, message: str) -> Finding:
    return Finding(
        NAME,
        INFO,
        message,
        place,
        routes=(route.label,),
        witness=route.request,
        server=route.server,
        pattern=route.pattern,
    )
