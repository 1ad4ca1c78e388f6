"""A level that sets one header of its own loses all header lines of the levels further out.

## What it does

Follows every route and compares the header lines of outer levels (`proxy_set_header`,
`fastcgi_param` and their like, `add_header`) with those that count. A block with a single line of
such a directive inherits none of them. Reports the inner line, with the lines it displaces and what
then becomes of each header.

It is an error where a header that was cleared, or one that carries an identity, now comes from the
client again; a warning for Host, the client's address, CORS and security headers; an info for
others. It is silent where the inner level sets the same header again, or where the result is the
same without the line.

## Why it is bad

The line is there, looks as if it worked, and does nothing: passwords go on to the application,
clients choose their own address, the browser misses the security headers.

## Bad example

```nginx
server {
    proxy_set_header Authorization "";
    location /api/ {
        auth_basic "Api";
        auth_basic_user_file /etc/nginx/api.htpasswd;
        proxy_set_header Host $host;
        proxy_pass http://app;
    }
}
```

## Good example

```nginx
server {
    location /api/ {
        auth_basic "Api";
        auth_basic_user_file /etc/nginx/api.htpasswd;
        proxy_set_header Authorization "";
        proxy_set_header Host $host;
        proxy_pass http://app;
    }
}
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-007, NGX-008); `add_header_inherit merge` (nginx 1.29.3 and later)
changes it

## References

- https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header
- https://nginx.org/en/docs/http/ngx_http_headers_module.html#add_header
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, INFO, SEVERITIES, WARNING, Finding, Fix, Related
from auditor.http import Request
from auditor.rules.common import ADMITTED, BASIC, by_block, serves, with_header
from auditor.rules.repairs import UNSAFE, beside, fix, written
from auditor.server import Route, Site
from auditor.settings import INNER, Settings
from auditor.source import Place
from auditor.trace import FORWARDED, Exchange, Outcome, Shadowed

NAME = "dropped-inherited-headers"
SEVERITY = WARNING
FIX = UNSAFE

_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
_ADDRESS = frozenset(
    {
        "x-forwarded-for",
        "x-real-ip",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "forwarded",
        "x-client-ip",
    }
)
_REQUEST = frozenset({"host", "proxy"}) | _CREDENTIALS | _ADDRESS
_RESPONSE = frozenset(
    {
        "strict-transport-security",
        "content-security-policy",
        "x-frame-options",
        "x-content-type-options",
        "referrer-policy",
        "permissions-policy",
        "cross-origin-opener-policy",
        "cross-origin-embedder-policy",
        "cross-origin-resource-policy",
        "www-authenticate",
    }
)

# What a browser reads of the answer to a preflight (Fetch, CORS-preflight fetch).
_PREFLIGHT = frozenset(
    f"access-control-{name}"
    for name in ("allow-origin", "allow-credentials", "allow-methods", "allow-headers", "max-age")
)


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block, settings))


def _judge_block(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for route in routes:
        request = with_header(route.request, BASIC)
        names = {
            line.name
            for outcome in site.trace(request, ADMITTED)
            for exchange in outcome.exchanges
            for line in exchange.shadowed
        }
        # The client sends each of the headers: what was cleared further out then shows by coming through.
        for name in sorted(names):
            if name.lower() != "host" and request_name(name) not in _HOP:
                request = with_header(request, (_wire_name(name), _PROBES.get(request_name(name), "audit-probe")))
        for outcome in site.trace(request, ADMITTED):
            yield from _judge_outcome(route, request, outcome, settings)


# A gate of the route has to let it in.
_PROBES = {"authorization": BASIC[1]}
# Sending these changes what the request is.
_HOP = frozenset({"connection", "upgrade", "te", "transfer-encoding", "content-length", "expect", "range", "if-range"})


def _judge_outcome(route: Route, request: Request, outcome: Outcome, settings: Settings) -> Iterator[Finding]:
    groups: dict[Place, list[tuple[str, str, Shadowed]]] = {}
    main = outcome.main
    if main is not None:
        for line in main.shadowed:
            verdict = _request_side(main, line, settings)
            if verdict is not None:
                groups.setdefault(_seen_from(line, outcome, main), []).append((*verdict, line))
    for line in outcome.shadowed:
        verdict = _response_side(request, outcome, line)
        if verdict is not None:
            groups.setdefault(_seen_from(line, outcome, main), []).append((*verdict, line))
    for place, lost in groups.items():
        yield _finding(route, request, place, lost)._replace(fix=_fix(outcome, place, lost))


def _request_side(exchange: Exchange, line: Shadowed, settings: Settings) -> tuple[str, str] | None:
    """Severity and consequence of one displaced line; None where nothing is lost."""
    name = request_name(line.name)
    sent = exchange.header(line.name)
    loss = exchange.loss(name) or exchange.loss(line.name)
    because = sent.because if sent is not None else loss.because if loss is not None else ()
    if any(item.place is not None and item.place != line.line for item in because):
        return None  # the inner level says something of its own about this header
    if sent is not None and sent.value == line.value:
        return None
    if sent is not None and sent.value.text is not None and sent.value.text == line.value.text:
        return None
    identity = settings.names_identity(line.name)
    if sent is not None and sent.fate == FORWARDED and name not in _ADDRESS:
        cleared = line.value.text == ""
        if identity:
            return INFO if settings.position == INNER else ERROR, "comes from the client instead"
        if cleared and name in _CREDENTIALS:
            return ERROR, "is passed on again"
        if cleared and name == "proxy":
            return WARNING, "is passed on again"
    if line.value.text == "" and sent is None:
        return None  # cleared there, absent here
    consequence = _consequence(exchange, line, name)
    if name in _ADDRESS and settings.position == INNER:
        return INFO, consequence
    watched = name in _REQUEST or identity or name in {item.lower() for item in settings.watched}
    return WARNING if watched else INFO, consequence


def _consequence(exchange: Exchange, line: Shadowed, name: str) -> str:
    sent = exchange.header(line.name)
    if sent is None:
        return "is not sent"
    if sent.fate == FORWARDED:
        return "is what the client sends"
    value = sent.value.text
    return f"is {value} instead" if value is not None else "gets the default"


def _response_side(request: Request, outcome: Outcome, line: Shadowed) -> tuple[str, str] | None:
    now = outcome.response_header(line.name)
    if line.value.text == "" or (now is not None and not now.origin):
        return None
    name = line.name.lower()
    cors = name.startswith("access-control-")
    if request.method == "OPTIONS" and name not in _PREFLIGHT:
        return None
    if not serves(outcome) and not cors:
        # A redirect or a refusal shows nothing that could be framed, sniffed or scripted.
        return (INFO, "is not sent") if name == "strict-transport-security" else None
    return WARNING if cors or name in _RESPONSE else INFO, "is not sent"


def _seen_from(line: Shadowed, outcome: Outcome, main: Exchange | None) -> Place:
    """The displacing line; or the include line that brings it into the block where it does harm, unless it is the same
    file that holds both lines."""
    if line.by.source is line.line.source:
        return line.by
    files = {place.file for place in (outcome.handler, main.place if main else None) if place is not None}
    place: Place | None = line.by
    while place is not None and place.file not in files:
        place = place.via
    return place or line.by


def _finding(route: Route, request: Request, place: Place, lost: list[tuple[str, str, Shadowed]]) -> Finding:
    worst = min((severity for severity, _, _ in lost), key=SEVERITIES.index)
    chosen = {line.line: (consequence, line) for severity, consequence, line in lost if severity == worst}
    names = ", ".join(dict.fromkeys(line.name for _, line in chosen.values()))
    number = len(chosen)
    what = "an inherited header line does" if number == 1 else f"{number} inherited header lines do"
    if worst == ERROR:
        message = f"Because of this line {what} not count here: {names} comes from the client again."
    else:
        message = f"Because of this line {what} not count here: {names}."
    return Finding(
        NAME,
        worst,
        message,
        place,
        related=tuple(Related(at, f"does not count: {line.name} {words}") for at, (words, line) in chosen.items()),
        routes=(route.label,),
        witness=request,
        help="Repeat beside it what shall count here:\n" + "\n".join(at.text for at in chosen),
        server=route.server,
        pattern=route.pattern,
    )


def _fix(outcome: Outcome, place: Place, lost: list[tuple[str, str, Shadowed]]) -> Fix | None:
    """Repeats all that is lost, where the displacing line stands in the file of the block that answers: a snippet is
    for other blocks, too."""
    if outcome.handler is None or outcome.handler.source is not place.source:
        return None
    lines = dict.fromkeys(line.line for _, _, line in lost)
    return fix(False, beside(place, *(written(line) for line in lines)))


def request_name(name: str) -> str:
    """The header that a line is about, in lower case; HTTP_X_Y of CGI-like protocols is X-Y."""
    low = name.lower()
    return low[5:].replace("_", "-") if low.startswith("http_") else low


def _wire_name(name: str) -> str:
    return name[5:].replace("_", "-") if name.lower().startswith("http_") else name
