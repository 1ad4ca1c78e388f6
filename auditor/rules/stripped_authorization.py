r"""A client's Authorization header does not reach the upstream.

## What it does

Asks every route that has an upstream with an Authorization header. Reports the line that keeps it
from the upstream: one that drops all request headers, one that sets the header to a variable or a
map that is empty here, or one that clears it.

It is silent where a gate of the route itself asks for credentials, because they are then used up
and clearing them is right, and where the upstream is a public bucket, which refuses requests with
credentials that are not its own. A plain clear without any gate is only a warning: perhaps it is
meant. It is, and nothing is said, where the same line or the same upstream is right on a gated route, but for paths of
programs (/api/), which are let past the gate because they sign in by themselves; so it is where httpd itself keeps it
from a program to which a gate on another path tells who signed in. A line that
makes the header of a cookie, for clients that have one, is a warning, too.

httpd keeps Authorization from programs (CGI, FastCGI, SCGI, WSGI) unless a line hands it on. It is an error
where a line means to and does not (a RewriteRule that is not reached, or whose variable arrives as
REDIRECT_HTTP_AUTHORIZATION only, or is made of something empty), and where the configuration shows that programs
sign in (a path such as /api/, CORS headers that allow Authorization); a warning where one program answers for all
paths, an info for single scripts. Nothing is said where the header's value arrives under another name
(`E=LOGIN:%{HTTP:Authorization}`), which the application is made for.
Nothing is said of mod_php and mod_proxy_uwsgi, which hand it on. The help names the lines that work in this very
set-up, each tried. A line that takes the header away before the gate reads it (`early`) locks everybody out: an error.

## Why it is bad

The application gets every request as an anonymous one and answers 401, whatever the client sends.

## Bad example

```nginx
location /api/ {
    proxy_pass http://app;
    proxy_pass_request_headers off;
}
```

```apache
<VirtualHost *:80>
    DocumentRoot /srv/site
    <Directory /srv/site>
        Require all granted
        FallbackResource /index.php
    </Directory>
    <FilesMatch "\.php$">
        SetHandler "proxy:unix:/run/php/php-fpm.sock|fcgi://localhost"
    </FilesMatch>
</VirtualHost>
```

## Good example

```nginx
location /api/ {
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    DocumentRoot /srv/site
    <Directory /srv/site>
        Require all granted
        FallbackResource /index.php
        CGIPassAuth On
    </Directory>
    <FilesMatch "\.php$">
        SetHandler "proxy:unix:/run/php/php-fpm.sock|fcgi://localhost"
    </FilesMatch>
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-003, NGX-005, NGX-018)

Apache 2.4.71 (facts APA-004, APA-103, APA-109, APA-121 to APA-149, APA-161 to APA-168, APA-361 to APA-368)

## References

- RFC 9110, 11.6.2 (Authorization)
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header
- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass_request_headers
- RFC 3875, 4.1.18 (a server may keep Authorization from programs)
- https://httpd.apache.org/docs/2.4/mod/core.html#cgipassauth
- https://httpd.apache.org/docs/2.4/mod/mod_setenvif.html#setenvif
- https://httpd.apache.org/docs/2.4/rewrite/flags.html#flag_e
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, HIGH, MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import (
    ADMITTED,
    BASIC,
    by_block,
    deciding,
    guards,
    host_of,
    may_be_asked,
    of_kind,
    same_upstream,
    signed_in,
    traced,
    with_header,
)
from auditor.rules.repairs import UNSAFE, fix, without
from auditor.rules.shapes import is_api
from auditor.rules.withheld import Handed, is_renamed, means_to_pass, related, withheld
from auditor.server import UPSTREAM, Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import DECIDES, DISPLACES, Exchange, LostHeader, Outcome
from auditor.values import client_header

NAME = "stripped-authorization"
SEVERITY = ERROR
FIX = UNSAFE
_COOKIE = client_header("Cookie").lower()

# Parts of an interface that everybody may ask.
_OPEN = frozenset(("public", "health", "healthz", "livez", "readyz", "ping", "status", "version", "metrics"))

# Object stores refuse a request whose Authorization is not their own signature.
_BUCKETS = (".amazonaws.com", "storage.googleapis.com", ".blob.core.windows.net", ".digitaloceanspaces.com")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    questions: dict[str, set[object]] = {}
    handed = Handed(site)
    yield from by_block(routes, lambda block: _locked_out(site, block), by_path=True)
    for finding in by_block(routes, lambda block: _judge_block(site, block, handed), by_path=True):
        if finding.severity == WARNING or finding.confidence == MEDIUM:
            # A clear that is right on a gated route says the same on the others that share the line or the upstream.
            if not questions:
                questions = _kept_by_gates(site)
            kept = finding.place in questions["lines"] or _upstream_of(site, finding) in questions["upstreams"]
            # Programs sign in by themselves where the gate is taken away for them, perhaps.
            if kept and finding.severity == ERROR:
                finding = finding._replace(severity=WARNING)
            elif kept and not (finding.witness is not None and _signs_in(finding.witness.path)):
                continue
        yield finding


def _signs_in(path: str) -> bool:
    return is_api(path) and _OPEN.isdisjoint(path.lower().split("/"))


def _kept_by_gates(site: Site) -> dict[str, set[object]]:
    """The lines that keep used-up credentials from an origin, and the origins that get credentials on no route."""
    lines: set[object] = set()
    kept: set[object] = set()
    given: set[object] = set()
    proxied = [route for route in site.routes() if UPSTREAM in route.traits]
    for _, _, outcome in signed_in(site, proxied, ADMITTED):
        exchange = outcome.main
        if exchange is None:
            continue
        loss = exchange.loss("Authorization")
        if loss is None:
            given.add(same_upstream(exchange))
        elif guards(outcome):
            # Without a line, the server itself keeps it from a program, which is told who has signed in.
            line = deciding(loss.because)
            lines.update([line] if line is not None else [])
            kept.add(same_upstream(exchange))
    return {"lines": lines, "upstreams": kept - given}


def _upstream_of(site: Site, finding: Finding) -> object:
    outcomes = site.trace(finding.witness, ADMITTED) if finding.witness is not None else ()
    return next((same_upstream(outcome.main) for outcome in outcomes if outcome.main is not None), None)


def _judge_block(site: Site, routes: Sequence[Route], handed: Handed) -> Iterator[Finding]:
    # By block: a gate that is off for this request (a preflight, say) still uses up the credentials of the others.
    gated = set()
    supplied = set()  # handlers that make the header of a cookie, where the client has one
    lost = []
    for route, request, outcome in signed_in(site, routes, ADMITTED):
        exchange = outcome.main
        if exchange is None:
            continue
        if guards(outcome):
            gated.add((outcome.handler, route.pattern))
        loss, sent = exchange.loss("Authorization"), exchange.header("Authorization")
        empty = site.kind == "apache" and sent is not None and sent.value.text == ""
        if empty and sent is not None and means_to_pass(deciding(sent.because)):
            # The line makes it of what is not there.
            loss, sent = LostHeader(sent.name, sent.because), None
        if sent is not None and any(source.lower() == _COOKIE for source in sent.value.sources):
            supplied.add(outcome.handler)
        if loss is not None and sent is None:
            lost.append((route, request, outcome, exchange, loss))
    # What arrives under another name shows best what goes wrong.
    lost.sort(key=lambda item: not any(is_renamed(sent) for sent in item[3].headers))
    for route, request, outcome, exchange, loss in lost:
        line = deciding(loss.because) or exchange.place
        if line is None or (outcome.handler, route.pattern) in gated or _is_bucket(exchange):
            continue
        if exchange.header("Authorization") is not None:
            yield withheld(site, route, request, exchange, line, handed, empty=True)
            continue
        if line == exchange.place or means_to_pass(line):
            # A copy that works for other requests is meant for these only, unless it is made and then renamed, or
            # would be made here, too, if its turn came.
            ending = next((item for item in loss.because if item.role in (DECIDES, DISPLACES) and item.place), None)
            if line == exchange.place and _has_another_name(exchange):
                continue
            if line not in handed.found[0] or ending or any(is_renamed(sent) for sent in exchange.headers):
                yield withheld(site, route, request, exchange, line, handed, ending)
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
            related=related(exchange, line),
            routes=(route.label,),
            witness=request,
            help=_help(line, asks),
            server=route.server,
            pattern=route.pattern,
            fix=fix(False, without(line)) if plain else None,
        )


def _locked_out(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    """Gates that refuse everybody, because the header is gone when their turn comes."""
    gated = [route for route in routes if may_be_asked(site, route)]
    for route, request, outcome in traced(site, gated, BASIC, ADMITTED):
        gate = next((one for one in outcome.gates if one.result == "refused" and one.scheme == "Basic"), None)
        if gate is None or gate.reason or outcome.exchanges:
            continue
        own = {item.place for item in gate.because}
        for step in outcome.steps:
            line = step.place
            if line is None or line in own or "authorization" not in line.text.lower():
                continue
            if any(_admits(each, gate.kind) for each in site.without(line).trace(request, ADMITTED)):
                yield Finding(
                    NAME,
                    ERROR,
                    "Nobody gets past this gate: the client's Authorization is gone before the gate reads it.",
                    line,
                    related=tuple(Related(place, "the gate") for place in own if place is not None)[:1],
                    routes=(route.label,),
                    witness=request,
                    help=of_kind(site, "Remove the line.", "Without `early` the line counts behind the gate."),
                    server=route.server,
                    pattern=route.pattern,
                )


def _admits(outcome: Outcome, kind: str) -> bool:
    return any(gate.kind == kind and gate.result == "passed" for gate in outcome.gates)


def _loses_cookies(site: Site, request: Request) -> bool:
    if not any(name.lower() == "cookie" for name, _ in request.headers):  # a cookie of its own lets it in
        request = with_header(request, ("Cookie", "audit=probe"))
    for outcome in site.trace(request, ADMITTED):
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


def _help(line: Place, asks: bool) -> str:
    if asks:
        return "Remove the line, or say why it is right: # audit: ignore[stripped-authorization] the reason"
    if "pass_request_headers" in line.text:
        return "proxy_set_header Authorization $http_authorization;  (or remove the line that drops all headers)"
    return "Remove the line: without it the client's Authorization is passed on as it came."


def _is_plain_clear(line: Place) -> bool:
    text = line.text.rstrip("; ")
    return text.endswith(('""', "''")) or " unset " in text


def _has_another_name(exchange: Exchange) -> bool:
    """Whether the credentials arrive in a header or a variable of another name (`E=LOGIN:...`), which is meant
    for an application that reads that one."""
    return any(
        client_header("Authorization") in sent.value.sources
        and not is_renamed(sent)
        and sent.name.lower() != "authorization"  # meant for the header, and none
        for sent in exchange.headers
    )


def _is_bucket(exchange: Exchange) -> bool:
    hosts = [host_of(server) for server in exchange.servers] or [
        exchange.upstream.rpartition("://")[2].partition(":")[0]
    ]
    return any(host is not None and host.endswith(_BUCKETS) for host in hosts)
