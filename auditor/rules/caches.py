"""What rules on caches share: who gets whose answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from auditor.http import Request
from auditor.rules.common import ADMITTED, BASIC, BEARER, deciding, with_header
from auditor.rules.shapes import is_api, is_asset
from auditor.server import Route, Site
from auditor.trace import Cache, Exchange, Outcome
from auditor.values import CLIENT, CONFIG, SERVER, client_header
from auditor.world import World

FIRST = ("Authorization", "Bearer audit-first")
SECOND = ("Authorization", "Bearer audit-second")
FIRST_BASIC = ("Authorization", "Basic YXVkaXQ6Zmlyc3Q=")  # audit:first
SECOND_BASIC = ("Authorization", "Basic cHJvYmU6c2Vjb25k")  # probe:second

# What a key or a condition may be made of without telling users apart. Authorization is asked about, not taken on
# trust: a request without it and two with different ones show what it does.
_COMMON = frozenset(
    (
        *(CONFIG, SERVER, CLIENT, "client:Authorization", "client:Host", "client:Origin", "client:Accept"),
        *("client:Accept-Encoding", "client:Accept-Language", "client:User-Agent", "client:Upgrade", "client:Range"),
        *("client:X-Forwarded-Proto", "client:X-Forwarded-Host", "client:X-Forwarded-Ssl", "client:X-Requested-With"),
        *("client:Connection", "client:Pragma", "client:Cache-Control", "client:X-Device", "client:X-Scheme"),
    )
)
_FOLDERS = ("/static/", "/assets/", "/media/", "/images/", "/img/", "/css/", "/js/", "/fonts/", "/public/")


def through_caches(site: Site, routes: Iterable[Route]) -> Iterator[Route]:
    """The routes on which something is asked through a cache that may not tell users apart; other rules have asked the
    same, so it costs little."""
    for route in routes:
        for header in (BASIC, BEARER):
            outcomes = site.trace(with_header(route.request, header), ADMITTED)
            caches = (exchange.cache for outcome in outcomes for exchange in outcome.exchanges)
            if any(cache is not None and not tells_apart(cache) for cache in caches):
                yield route
                break


def tells_apart(cache: Cache) -> bool:
    """Whether something in the configuration of the cache may tell users apart that is not asked about here: cookies,
    an identity, a key, a program."""
    return not _COMMON.issuperset(cache.depends)


def gets(later: Cache, earlier: Cache) -> bool:
    """Whether the later request gets what the earlier one has left in the cache."""
    if later.answers != "yes" or earlier.store != "yes" or earlier.key.text is None:
        return False
    return (later.zone, later.key.text) == (earlier.zone, earlier.key.text)


def cached(
    site: Site, request: Request, header: tuple[str, str] | None, world: World, role: str
) -> Iterator[tuple[Outcome, Exchange, Cache]]:
    """The exchanges of that role that go through a cache, with one more header in the request."""
    for outcome in site.trace(request if header is None else with_header(request, header), world):
        for exchange in outcome.exchanges:
            if exchange.role == role and exchange.cache is not None and not tells_apart(exchange.cache):
                yield outcome, exchange, exchange.cache


def has_own_login(exchange: Exchange) -> bool:
    """Whether this server logs in to the upstream by itself, so that nothing of the client is judged there."""
    sent = exchange.header("Authorization")
    return sent is not None and client_header("Authorization") not in sent.value.sources


def minds_credentials(request: Request, exchange: Exchange, cache: Cache) -> bool:
    """Whether the configuration shows that credentials make a difference to the upstream."""
    sent = exchange.header("Authorization")
    explicit = sent is not None and deciding(sent.because) is not None and not has_own_login(exchange)
    names = client_header("Authorization") in cache.depends
    return explicit or names or exchange.role == "auth" or is_api(request.path)


def is_for_everybody(request: Request) -> bool:
    """Whether the path is one of those that pages are made of, the same for all."""
    return is_asset(request.path) or any(folder in request.path.lower() for folder in _FOLDERS)
