"""One user's answer is kept in a cache and served to others.

## What it does

Asks the routes with a cache as two users and as a visitor without credentials. Reports an answer that
is kept under a key which does not tell them apart, and that another one gets, where the
configuration shows that answers differ: an identity or a token of the user is sent on, a token is
checked, or a line keeps users with credentials from the cache on one way only (`proxy_cache_bypass`
without `proxy_no_cache`). It also reports the verdict on one user that is kept for all (an auth
subrequest), and a cache without a key.

It is a warning where all that is known is that a line passes Authorization on, and where those who
are logged in get what was kept for those who are not. It is silent where the key or a condition is
made of a cookie or an identity, where a gate lets in and nothing of the user is sent on, where the
origin has to say that its answers may be kept, and for images, styles and the like.

On httpd it reports a cache in front of a gate that lets in without a password (`Require ip`): by default
(CacheQuickHandler on) mod_cache answers before authorization. Otherwise the origin decides there: mod_cache
keeps nothing that was asked for with Authorization unless the answer says `public`.

## Why it is bad

Caches of proxies do not look at Authorization: whoever asks next sees the data of whoever asked
first.

## Bad example

```nginx
proxy_cache_path /var/cache/nginx keys_zone=api:10m;
server {
    location /api/ {
        proxy_set_header Authorization $http_authorization;
        proxy_cache api;
        proxy_cache_valid 200 5m;
        proxy_cache_bypass $http_authorization;
        proxy_pass http://app;
    }
}
```

```apache
CacheEnable disk /reports/
<Location /reports/>
    Require ip 10.0.0.0/8
</Location>
ProxyPass /reports/ http://127.0.0.1:9000/
```

## Good example

```nginx
proxy_cache_path /var/cache/nginx keys_zone=api:10m;
server {
    location /api/ {
        proxy_set_header Authorization $http_authorization;
        proxy_cache api;
        proxy_cache_valid 200 5m;
        proxy_cache_bypass $http_authorization;
        proxy_no_cache $http_authorization;
        proxy_pass http://app;
    }
}
```

```apache
CacheQuickHandler off
CacheEnable disk /reports/
<Location /reports/>
    Require ip 10.0.0.0/8
</Location>
ProxyPass /reports/ http://127.0.0.1:9000/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-501, NGX-507, NGX-508, NGX-509, NGX-515, NGX-516, NGX-522); Apache 2.4.71
(facts APA-311 to APA-316, APA-340, APA-341, APA-346)

## References

- RFC 9111, 3.5 (storing responses to requests with Authorization)
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cache_key
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_no_cache
- https://httpd.apache.org/docs/2.4/caching.html#security
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, HIGH, MEDIUM, WARNING, Finding, Related
from auditor.http import Request, Response
from auditor.rules.caches import (
    FIRST,
    FIRST_BASIC,
    SECOND,
    SECOND_BASIC,
    cached,
    gets,
    is_for_everybody,
    through_caches,
)
from auditor.rules.common import STRANGER, Supposed, by_block, deciding, guards, is_stock, with_header
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Cache, Exchange, Outcome, SentHeader
from auditor.values import USER, client_header

NAME = "shared-authenticated-response"
SEVERITY = ERROR

_WELCOME = Supposed("accepted", None, Response(200))
_JUDGED = Supposed("accepted", Response(200), Response(200))
_COOKIE = ("Cookie", "audit=probe")
_USERS = ((FIRST, SECOND), (FIRST_BASIC, SECOND_BASIC))


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block, settings), by_path=True)


def _judge_block(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    whole = not any(note.kind == "unread" for note in site.notes)
    for route in routes:
        yield from _before_gates(site, route)
    for route in through_caches(site, routes):
        yield from _verdicts(site, route)
        if whole:
            yield from _without_key(site, route)
        if not is_for_everybody(route.request):
            for first, second in _USERS:
                yield from _answers(site, route, settings, first, second)


# --- what an auth service says of one user


def _verdicts(site: Site, route: Route) -> Iterator[Finding]:
    request = with_header(route.request, _COOKIE)
    for _, exchange, cache in cached(site, request, FIRST, _JUDGED, "auth"):
        if not any(_is_of(sent, "Authorization") or _is_of(sent, "Cookie") for sent in exchange.headers):
            continue  # it judges something else
        if any(gets(later, cache) for _, _, later in cached(site, request, SECOND, _JUDGED, "auth")):
            yield _finding(
                route,
                with_header(request, FIRST),
                cache,
                exchange,
                ERROR,
                "Whoever comes after one user with good credentials is let in, too: the verdict of "
                f"{exchange.upstream} is kept under a key without the credentials.",
                "Keep each verdict under what it is about: proxy_cache_key $http_authorization$http_cookie;",
            )


# --- a cache that answers before the gates


def _before_gates(site: Site, route: Route) -> Iterator[Finding]:
    """What is kept for somebody whom a gate lets in without a password, and refused to others: the cache asks no
    gate."""
    for outcome in site.trace(route.request, STRANGER._replace(address=None, origin=None)):
        main = outcome.main
        cache = main.cache if main is not None else None
        if main is None or cache is None or not cache.early or cache.store == "no" or cache.line is None:
            continue
        plain = route.request._replace(headers=tuple(pair for pair in route.request.headers if pair[0] == "Host"))
        for refused in site.trace(plain, STRANGER):
            gate = next((each for each in refused.gates if each.result == "refused"), None)
            if gate is None or refused.exchanges:
                continue
            line = deciding(gate.because)
            yield Finding(
                NAME,
                WARNING,
                "Everybody gets what was kept for those whom this gate lets in: the cache answers before any gate is "
                "asked.",
                cache.line,
                confidence=MEDIUM,
                related=() if line is None else (Related(line, "this is not asked then"),),
                routes=(route.label,),
                witness=route.request,
                help="CacheQuickHandler off",
                server=route.server,
                pattern=route.pattern,
            )
            return


# --- answers


def _without_key(site: Site, route: Route) -> Iterator[Finding]:
    for header in (None, *(first for first, _ in _USERS)):
        for _, exchange, cache in cached(site, route.request, header, _WELCOME, "main"):
            if cache.key.text == "" and cache.store == "yes" and client_header("Authorization") not in cache.depends:
                yield _finding(
                    route,
                    route.request if header is None else with_header(route.request, header),
                    cache,
                    exchange,
                    ERROR,
                    "Every URL gets the answer that was kept first, whoever asks: this cache has no key.",
                    'fastcgi_cache_key "$scheme$request_method$host$request_uri";',
                )
                return


def _answers(
    site: Site, route: Route, settings: Settings, first: tuple[str, str], second: tuple[str, str]
) -> Iterator[Finding]:
    for outcome, exchange, cache in cached(site, route.request, first, _WELCOME, "main"):
        if cache.key.text == "":
            continue
        evidence = _evidence(site, route.request, outcome, exchange, cache, settings)
        if evidence is None:
            continue
        severity, why = evidence
        if any(_reads(site, route, other, cache) for other in (second, None)):
            yield _finding(
                route,
                with_header(route.request, first),
                cache,
                exchange,
                severity,
                f"One user's answer of {exchange.upstream} is served to others: it is kept under a key without the "
                f"user, and {why}.",
                "proxy_no_cache $http_authorization; proxy_cache_bypass $http_authorization;  (or the user in "
                "proxy_cache_key)",
            )
        elif cache.store != "yes" and client_header("Authorization") in cache.depends:
            yield from _stale(site, route, first, cache, exchange)


def _reads(site: Site, route: Route, header: tuple[str, str] | None, earlier: Cache) -> bool:
    return any(gets(later, earlier) for _, _, later in cached(site, route.request, header, _WELCOME, "main"))


def _stale(site: Site, route: Route, header: tuple[str, str], later: Cache, exchange: Exchange) -> Iterator[Finding]:
    """What was kept for visitors without credentials, for those who have some."""
    if any(gets(later, earlier) for _, _, earlier in cached(site, route.request, None, _WELCOME, "main")):
        yield _finding(
            route,
            with_header(route.request, header),
            later,
            exchange,
            WARNING,
            "Those who are logged in get what was kept for those who are not: their own answers are kept out of the "
            "cache, but they are still answered out of it.",
            "proxy_cache_bypass $http_authorization;",
        )


def _evidence(
    site: Site, request: Request, outcome: Outcome, exchange: Exchange, cache: Cache, settings: Settings
) -> tuple[str, str] | None:
    """How sure it is that answers differ by user, and what shows it."""
    for sent in exchange.headers:
        line = deciding(sent.because)
        token = sent.name.lower().replace("http_", "") == "authorization"
        if (token or settings.names_identity(sent.name)) and _is_checked(sent) and not (line and is_stock(line)):
            return ERROR, f"{sent.name} tells the application who asks"
    sent_on = next((sent for sent in exchange.headers if _is_of(sent, "Authorization")), None)
    if sent_on is None:
        return None
    if any(gate.kind == "auth_jwt" for gate in guards(outcome)):
        return ERROR, "the token of each user goes on"
    if client_header("Authorization") in cache.depends:
        return ERROR, "only one of two ways keeps users with credentials from it"
    if guards(outcome):
        return None
    refused = site.trace(request, STRANGER._replace(address=None))  # an address is not a user
    if refused and all(each.status in (401, 403) and not each.exchanges for each in refused):
        return ERROR, "only requests with credentials get there"
    if deciding(sent_on.because) is not None:
        return WARNING, "Authorization is passed on on purpose"
    return None


def _is_of(sent: SentHeader, name: str) -> bool:
    return client_header(name) in sent.value.sources


def _is_checked(sent: SentHeader) -> bool:
    return any(source == USER or source.startswith("answer:auth:") for source in sent.value.sources)


def _finding(
    route: Route, request: Request, cache: Cache, exchange: Exchange, severity: str, message: str, help: str
) -> Finding:
    line = cache.line or deciding(cache.because) or exchange.place
    assert line is not None
    kept: Place | None = deciding(cache.because)
    return Finding(
        NAME,
        severity,
        message,
        line,
        confidence=HIGH if severity == ERROR else MEDIUM,
        related=() if kept is None or kept == line else (Related(kept, "this line decides whether it is kept"),),
        routes=(route.label,),
        witness=request,
        help=help,
        server=route.server,
        pattern=route.pattern,
    )
