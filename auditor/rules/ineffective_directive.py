"""A line names a header or a gate and changes nothing.

## What it does

Takes lines that look as if they decided about a header or a gate, asks the configuration with and
without each, and reports those without which every answer is the same.

## Why it is bad

Such a line does no harm itself. It was written to solve a problem, and the problem is still there;
the next reader takes it for the reason why things work, or copies it.

## Bad example

```nginx
location / {
    proxy_pass http://app;
    proxy_pass_header Authorization;  # about answers: requests carry Authorization anyway
}
```

```apache
<VirtualHost *:80>
    DocumentRoot /srv/www
    # httpd ignores a URL here: the redirect would take the challenge away
    ErrorDocument 401 http://www.example.com/how-to-subscribe.html
    <Directory /srv/www>
        AuthType Basic
        AuthName "Subscribers"
        AuthUserFile /etc/apache2/subscribers.htpasswd
        Require valid-user
    </Directory>
</VirtualHost>
```

## Good example

```nginx
location / {
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    DocumentRoot /srv/www
    ErrorDocument 401 /how-to-subscribe.html
    <Directory /srv/www>
        AuthType Basic
        AuthName "Subscribers"
        AuthUserFile /etc/apache2/subscribers.htpasswd
        Require valid-user
    </Directory>
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-002, NGX-004, NGX-028)

Apache 2.4.71 (facts APA-229, APA-281, APA-286, APA-287, APA-351)

## References

- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass_header
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_hide_header
- https://httpd.apache.org/docs/2.4/mod/core.html#errordocument
- https://httpd.apache.org/docs/2.4/mod/mod_authz_core.html#require
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from auditor.findings import INFO, Finding
from auditor.http import Request
from auditor.rules.common import ADMITTED, BASIC, BEARER, ORIGIN_REFUSES, STRANGER, Supposed, with_header
from auditor.rules.repairs import SAFE, fix, without
from auditor.server import Route, Site, Suspect
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Exchange, Outcome
from auditor.world import World

NAME = "ineffective-directive"
SEVERITY = INFO
FIX = SAFE

Asked = tuple[Request, Supposed]


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    suspects = list(site.suspects())
    for suspect in suspects:
        if suspect.anywhere and _changes_nothing(site, suspect.line):
            yield _finding(suspect, site.complete and not suspect.instead)
    suspects = [suspect for suspect in suspects if not suspect.anywhere]
    if not suspects:
        return
    asked = _asked(site, suspects)
    # One of each likeness is asked about. What no witness reaches is not judged.
    examples: dict[object, Suspect] = {}
    for suspect in suspects:
        if not suspect.exchanges or not asked.keys().isdisjoint(suspect.exchanges):
            examples.setdefault(_likeness(suspect), suspect)
    found = _without_effect(site, list(examples.values()), asked)
    for suspect in suspects:
        example = examples.get(_likeness(suspect))
        if example is not None and example.line in found:
            yield _finding(suspect, site.complete and not suspect.instead and _also_twice(site, example, asked))


def _finding(suspect: Suspect, safe: bool) -> Finding:
    return Finding(
        NAME,
        INFO,
        f"This line changes nothing: {suspect.why}.",
        suspect.line,
        help=suspect.instead or "Remove the line: no request is treated differently without it.",
        fix=fix(safe, without(suspect.line)),
    )


def _changes_nothing(site: Site, line: Place) -> bool:
    """Whether all routes are treated alike without the line, and a gate refuses on one of them at least."""
    other = site.without(line)
    refused = False
    for route in site.routes():
        asked: tuple[tuple[Request, World], ...] = (
            (route.request, STRANGER),
            (with_header(route.request, BASIC), ADMITTED),
            (with_header(route.request, BASIC), ORIGIN_REFUSES),
            (with_header(route.request, BEARER), ORIGIN_REFUSES),
        )
        for request, world in asked:
            ours, theirs = site.trace(request, world), other.trace(request, world)
            if any(outcome.action == "unknown" for outcome in ours):
                return False
            refused = refused or any(gate.result == "refused" for outcome in ours for gate in outcome.gates)
            if [_bare(outcome) for outcome in ours] != [_bare(outcome) for outcome in theirs]:
                return False
    return refused


def _likeness(suspect: Suspect) -> object:
    return suspect.line if suspect.likeness is None else suspect.likeness


def _asked(site: Site, suspects: Sequence[Suspect]) -> dict[Place, list[Asked]]:
    """For each line that sends requests on: what to ask so that it does, with the headers that its suspects name. Of
    routes that are treated alike, the first is enough."""
    headers: dict[Place, set[str]] = {}
    for suspect in suspects:
        for place in suspect.exchanges:
            headers.setdefault(place, set()).add(suspect.header)
    asked: dict[Place, list[Asked]] = {}
    seen: set[object] = set()
    for route in site.routes() if headers else ():
        if route.likeness is not None:
            if route.likeness in seen:
                continue
            seen.add(route.likeness)
        for request, world in ((with_header(route.request, BASIC), ADMITTED), (route.request, STRANGER)):
            for place in _places(site, request, world):
                if place not in headers:
                    continue
                questions = asked.setdefault(place, [])
                questions.append((request, world))
                probed = _with_probes(request, headers[place])
                if world is ADMITTED and probed != request:
                    questions.append((probed, world))
    return asked


def _without_effect(site: Site, suspects: list[Suspect], asked: dict[Place, list[Asked]]) -> set[Place]:
    """The lines of those suspects without which every answer is the same.

    First all are taken away at once. Where an answer then differs, the suspects are taken away one after the other (of
    two lines that do the same, only the first can go), those that concern different exchanges together.
    """
    removed = [suspect.line for suspect in suspects if not suspect.exchanges]
    left = [suspect for suspect in suspects if suspect.exchanges]
    differ = _differing(site, site.without(*(suspect.line for suspect in left)), asked, asked) if left else set()
    removed += [suspect.line for suspect in left if differ.isdisjoint(suspect.exchanges)]
    left = [suspect for suspect in left if not differ.isdisjoint(suspect.exchanges)]
    while left:
        together: list[Suspect] = []
        later: list[Suspect] = []
        concerned: set[Place] = set()
        for suspect in left:
            (together if concerned.isdisjoint(suspect.exchanges) else later).append(suspect)
            concerned.update(suspect.exchanges)
        places = [place for suspect in together for place in suspect.exchanges if place in asked]
        other = site.without(*removed, *(suspect.line for suspect in together))
        differ = _differing(site, other, asked, places)
        removed += [suspect.line for suspect in together if differ.isdisjoint(suspect.exchanges)]
        left = later
    return set(removed)


def _also_twice(site: Site, suspect: Suspect, asked: dict[Place, list[Asked]]) -> bool:
    """Whether the line has no effect on clients either that send its header in two lines, which a copy may join."""
    other = site.without(suspect.line)
    for place in suspect.exchanges:
        for request, world in asked.get(place, ()):
            twice = request._replace(headers=(*request.headers, (suspect.header, "one"), (suspect.header, "two")))
            if [_bare(each) for each in site.trace(twice, world)] != [
                _bare(each) for each in other.trace(twice, world)
            ]:
                return False
    return True


def _places(site: Site, request: Request, world: Supposed) -> dict[Place, None]:
    return {
        exchange.place: None
        for outcome in site.trace(request, world)
        for exchange in outcome.exchanges
        if exchange.place is not None
    }


def _with_probes(request: Request, names: Iterable[str]) -> Request:
    for name in sorted(names):
        # These change what the request is, or are sent anyway.
        if name.lower() not in ("", "host", "authorization", "content-length", "transfer-encoding"):
            request = with_header(request, (name, "audit-probe"))
    return request


def _differing(site: Site, other: Site, asked: dict[Place, list[Asked]], places: Iterable[Place]) -> set[Place]:
    """Of those lines that send requests on, the ones whose requests are treated otherwise on the other site."""
    return {
        place
        for place in places
        if any(
            [_bare(outcome) for outcome in site.trace(*question)]
            != [_bare(outcome) for outcome in other.trace(*question)]
            for question in asked[place]
        )
    }


def _bare(outcome: Outcome) -> Any:
    """What can be seen from outside: no blame, and no order of header lines of different names."""
    return (
        [(asked.question, asked.answer.name) for asked in outcome.when],
        outcome.action,
        outcome.status,
        [_bare_exchange(exchange) for exchange in outcome.exchanges],
        [(gate.kind, gate.realm, gate.result) for gate in outcome.gates],
        sorted((header.name.lower(), header.value) for header in outcome.response_headers),
    )


def _bare_exchange(exchange: Exchange) -> Any:
    return (
        exchange.upstream,
        exchange.method,
        exchange.uri,
        exchange.body,
        # Stable by name: the order of lines of one name stays. Segments are compared by text where that is known, since
        # "forwarded" and "set to what the client sent" are the same to an origin.
        sorted(
            ((sent.name.lower(), sent.value.text or sent.value, sent.present) for sent in exchange.headers), key=_name
        ),
    )


def _name(item: tuple[str, Any, str]) -> str:
    return item[0]
