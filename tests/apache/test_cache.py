"""Which answers mod_cache keeps: what is asked for twice reaches the upstream once or twice."""

from __future__ import annotations

import json

import pytest

from auditor.check import Options, load_sites
from auditor.world import Unknowns
from probes.plan import predict
from probes.runners.local import fill
from tests.apache import lab
from tests.apache.lab import HEAD, MODULES, Httpd
from tests.apache.play import observe, serving
from tests.differential.play import Case, Line, Origins

CONFIGURATION = """CacheRoot @DIR@/cache
CacheEnable disk /
CacheQuickHandler @QUICK@
ProxyPass / http://@A@/
ExpiresDefault "access plus 1 hour"
<Location /expires>
    ExpiresActive On
</Location>
<Location /set>
    Header set Cache-Control max-age=600
</Location>
<Location /never>
    ExpiresActive On
    Header set Cache-Control no-store
</Location>
<Location /dateless>
    CacheIgnoreNoLastMod On
</Location>
<Location /anyway>
    CacheStoreNoStore On
    CacheStorePrivate On
</Location>
"""
DAY = "Sun, 01 Nov 2026 00:00:00 GMT"
FAR = "Sun, 01 Nov 2037 00:00:00 GMT"
MAX_AGE = ("Cache-Control", "max-age=60")
PATHS = ("/expires", "/expires?x", "/set", "/set?x", "/never", "/plain", "/plain?x", "/dateless", "/dateless?x")
# Of answers of status 200 to a path without lines of its own.
HEADERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (MAX_AGE,),
    (("Cache-Control", "s-maxage=60"),),
    (("Cache-Control", "max-age=0"),),
    (("Cache-Control", "public"),),
    (("Cache-Control", "no-cache, max-age=60"),),
    (("Cache-Control", "no-cache"), ("Last-Modified", DAY)),
    (("Cache-Control", "private, max-age=60"),),
    (("Cache-Control", "no-store, max-age=60"),),
    (("Pragma", "no-cache"), ("Last-Modified", DAY)),
    (("Last-Modified", DAY),),
    (("ETag", '"x"'),),
    (("Expires", FAR),),
    (("Expires", "0"), ("Last-Modified", DAY)),
    (("Vary", "*"), MAX_AGE),
    (("Vary", "Accept"), MAX_AGE),
    (("Set-Cookie", "a=b"), MAX_AGE),
)
STATUSES = (200, 203, 204, 206, 300, 301, 302, 304, 307, 400, 401, 403, 404, 405, 410, 414, 500, 501, 503)


def lines() -> list[Line]:
    """All that is asked, each under a path of its own."""
    asked: list[tuple[str, str, int, tuple[tuple[str, str], ...]]] = [("GET", path, 200, ()) for path in PATHS]
    asked += [("GET", "/anyway", 200, headers) for headers in HEADERS]
    asked += [("GET", path, 200, headers) for headers in HEADERS for path in ("/plain", "/plain?x")]
    for status in STATUSES:
        for headers in HEADERS[0], HEADERS[3], (("Last-Modified", DAY),), ():
            asked.append(("GET", "/plain", status, headers))
    asked += [("HEAD", "/plain", 200, (MAX_AGE,)), ("POST", "/plain", 200, (MAX_AGE,))]
    found: list[Line] = []
    for number, (method, target, status, headers) in enumerate(asked):
        path, mark, query = target.partition("?")
        url = f"http://127.0.0.1:@P1@{path}/{number}{mark}{query}"
        answer = {"status": status, "headers": [list(pair) for pair in headers]}
        base = {"method": method, "url": url, "headers": [["Host", "t.example"]], "client_ip": "127.0.0.1"}
        found.append({**base, "upstream_response": answer})
    return found


@pytest.mark.live
@pytest.mark.parametrize("quick", ["on", "off"])
def test_what_is_kept(quick: str, httpd: Httpd, origins: Origins) -> None:
    case = Case("@LOAD@" + HEAD + CONFIGURATION.replace("@QUICK@", quick), lab.FILES, lines())
    wrong = []
    with serving(case, httpd, origins, MODULES) as (server, places):
        sites, errors, _ = load_sites([server.config], Options(kind="apache"))
        assert not errors
        for raw in case.lines:
            line = json.loads(fill(json.dumps(raw), places))
            (outcome,), _ = predict(sites[0], Unknowns(), line)
            observe(line, origins, server)
            kept = not observe(line, origins, server).exchanges
            said = outcome.cache.store if outcome.cache is not None else "no"
            if said != ("yes" if kept else "no"):
                wrong.append((line["method"], line["url"], line["upstream_response"], said))
    assert wrong == []
