"""A client can choose the header by which the application recognises its users.

## What it does

Looks for headers that carry a checked identity (X-Forwarded-User, X-Remote-User, X-WebAuth-User,
Remote-User, X-Auth-Request-*, SSL-Client-* and the like). Reports a route on which such a header
reaches an upstream as the client sent it although another route sets it for the same upstream, and a
line that makes one of something that nobody has checked: `$http_*`, or `$remote_user` where no gate
asks for a password, or of a client certificate that nginx takes from any authority (`optional_no_ca`)
without telling the origin whether it is good. Any other header that speaks of a user, an email address,
groups or roles counts where a route makes it of what a gate has checked; a route on which it comes
through is then a warning.

Nothing is said of what happens to requests from certain addresses only (a proxy in front, which is believed). Where
the route is open to this machine or to single addresses only, which are a proxy's, it is an info. httpd
forwards names with an underscore: that a client can send X_Remote_User beside the X-Remote-User of the server is an
info there, because it depends on the origin what it makes of the two.

## Why it is bad

The application believes the header. Whoever sends `X-Remote-User: admin` is the administrator.

## Bad example

```nginx
location / {
    proxy_set_header X-WebAuth-User $remote_user;  # no auth_basic: the name is what the client claims
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    SetEnvIf X-Remote-User "(.*)" REMOTE_USER=$1
    ProxyPass / fcgi://127.0.0.1:9000/
</VirtualHost>
```

## Good example

```nginx
location / {
    auth_basic "Area";
    auth_basic_user_file /etc/nginx/area.htpasswd;
    proxy_set_header X-WebAuth-User $remote_user;
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    <Location />
        # only the gateway may name the user
        SetEnvIfExpr "-R '10.0.5.7' && req('X-Remote-User') =~ /^(.+)$/" REMOTE_USER=$1
        CGIPassAuth On
    </Location>
    ProxyPass / fcgi://127.0.0.1:9000/
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-022, NGX-115)

Apache 2.4.71 (facts APA-012, APA-031, APA-321)

## References

- CWE-290, authentication bypass by spoofing
- https://nginx.org/en/docs/http/ngx_http_core_module.html#var_remote_user
- https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_verify_client
- https://httpd.apache.org/docs/2.4/mod/mod_setenvif.html#setenvifexpr
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#requestheader
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auditor.findings import ERROR, INFO, MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import (
    ADMITTED,
    BASIC,
    by_block,
    deciding,
    guards,
    is_stock,
    names_hosts,
    of_kind,
    same_upstream,
    says,
    with_header,
)
from auditor.rules.read_names import read_by_name
from auditor.rules.repairs import UNSAFE, cleared, fix
from auditor.server import LOCAL, UPSTREAM, Route, Site
from auditor.settings import INNER, Settings
from auditor.source import Place
from auditor.trace import FORWARDED, Exchange, Outcome, SentHeader
from auditor.values import CLIENT, CONFIG, USER, client_header
from auditor.world import IN_LISTS

NAME = "spoofable-identity-header"
SEVERITY = ERROR
FIX = UNSAFE

Checked = dict[tuple[tuple[str, ...], str], Place]


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    checked = _checked(site, routes, settings)
    yield from by_block(routes, lambda block: _unchecked_lines(site, block, settings, checked))
    if says(site, "optional_no_ca"):
        from auditor.rules.forged_certificates import claimed_identities

        yield from by_block(routes, lambda block: claimed_identities(site, NAME, block, settings))
    if checked:
        yield from _other_routes(site, settings, checked)


def _checked(site: Site, routes: Sequence[Route], settings: Settings) -> Checked:
    """Where a line makes an identity header of what a gate has checked."""
    checked: Checked = {}
    none: set[object] = set()  # the likenesses of routes that have no such line
    for route in routes:
        if route.likeness in none:
            continue
        found = False
        for outcome in site.trace(with_header(route.request, BASIC), ADMITTED):
            exchange = outcome.main
            for sent in exchange.headers if exchange is not None else ():
                line = deciding(sent.because)
                if line is None or is_stock(line) or not _is_checked(sent):
                    continue
                if not settings.names_identity(sent.name) and not _speaks_of_users(sent.name):
                    continue
                assert exchange is not None
                found = True
                checked.setdefault((same_upstream(exchange), _read_as(exchange, sent.name)), line)
        if not found and route.likeness is not None:
            none.add(route.likeness)
    return checked


def _unchecked_lines(site: Site, routes: Sequence[Route], settings: Settings, checked: Checked) -> Iterator[Finding]:
    """Lines that make an identity header of what the client says."""
    identity = [_title(name) for name in sorted(settings.identity)]
    known = {name.lower() for name in identity}
    further = [name for name in read_by_name(site) if name.lower() not in known]
    for route in routes:
        # A preflight has no user, and gates let it through for that reason.
        if route.request.method == "OPTIONS":
            continue
        # What the route's own request has of the further ones is what gets it past conditions.
        given = {name.lower() for name, _ in route.request.headers} if site.kind == "nginx" else ()
        names = [*identity, *(name for name in further if name.lower() not in given)]
        request = _with_all(with_header(route.request, BASIC), names)
        for outcome in site.trace(request, ADMITTED):
            if _is_in_front(outcome):
                continue
            for sent in outcome.main.headers if outcome.main is not None else ():
                line = deciding(sent.because)
                if line is None or (sent.fate == FORWARDED and _is_plain(sent)):
                    continue
                if _has_been_checked_since(sent, outcome):
                    continue
                if not settings.names_identity(sent.name) or not _is_unchecked(sent):
                    continue
                if site.partial and client_header("Authorization") in sent.value.sources:
                    continue  # the gate that checks the name may stand where this part is included
                assert outcome.main is not None
                if is_stock(line) and (same_upstream(outcome.main), _read_as(outcome.main, sent.name)) not in checked:
                    continue
                severity = _severity_of_line(site, sent, line, settings, outcome, checked)
                if LOCAL in route.traits or names_hosts(outcome):
                    severity = INFO  # only a proxy in front can ask
                yield Finding(
                    NAME,
                    severity,
                    f"A client chooses {sent.name} itself: it is made of {_made_of(sent)}, which nobody has checked.",
                    line,
                    confidence=MEDIUM if severity != ERROR else "high",
                    related=()
                    if outcome.main.place is None
                    else (Related(outcome.main.place, "it goes to this upstream"),),
                    routes=(route.label,),
                    witness=request._replace(headers=_telling(request.headers, sent)),
                    help=of_kind(
                        site,
                        f"Ask for a password here (auth_basic, auth_basic_user_file), or clear it: {_clear(line)}",
                        "Remove the line, or ask for a password here (AuthType, AuthUserFile, Require valid-user) and "
                        "make it of expr=%{REMOTE_USER}.\n"
                        "Where a gateway of your own names the user, believe its address only (condition -R).",
                    ),
                    server=route.server,
                    pattern=route.pattern,
                )


# Words in the names of headers that say who asks; with what a gate has checked in it, any such header is believed.
_WHO = frozenset(
    ("user", "username", "userid", "uid", "email", "mail", "login", "account", "role", "roles", "group", "groups")
)


def _speaks_of_users(name: str) -> bool:
    words = name.lower().replace("_", "-").split("-")
    return not _WHO.isdisjoint(words) and "agent" not in words


def _has_been_checked_since(sent: SentHeader, outcome: Outcome) -> bool:
    """Whether a gate behind the line that took the user's name has found that it is right: conditions run before the
    gates, and what they take of Authorization is what a Basic gate then judges."""
    others = set(sent.value.sources) - {client_header("Authorization"), CONFIG}
    return not others and any(gate.scheme == "Basic" and gate.result == "passed" for gate in outcome.gates)


def _is_in_front(outcome: Outcome) -> bool:
    """Whether this happens to requests from certain addresses only, which no gate has asked for: the lines are about a
    proxy in front, which is believed. (A list that lets in or refuses is a gate, whichever of its lines decided.)"""
    gates = {item.place for gate in outcome.gates for item in gate.because}
    return any(
        asked.question.kind == "client-address"
        and asked.question.detail != IN_LISTS
        and asked.answer.name != "no"
        and asked.place not in gates
        for asked in outcome.when
    )


def _is_plain(sent: SentHeader) -> bool:
    """Forwarded without any line: that is the other case."""
    return all(item.place is None for item in sent.because)


def _severity_of_line(
    site: Site, sent: SentHeader, line: Place, settings: Settings, outcome: Outcome, checked: Checked
) -> str:
    exchange = outcome.main
    assert exchange is not None
    if settings.position == INNER:
        return INFO
    named = client_header("Authorization") in sent.value.sources
    if named and sent.name == "REMOTE_USER" and (same_upstream(exchange), _read_as(exchange, sent.name)) not in checked:
        return WARNING
    if site.kind == "nginx" and not _is_known(sent, settings) and not guards(outcome):
        return WARNING  # who sets a header of that name may be a gateway in front
    return ERROR


def _is_known(sent: SentHeader, settings: Settings) -> bool:
    """Whether it is made of headers that carry identities by their names, or of the user's own claim."""
    names = [source.partition(":")[2] for source in sent.value.sources if source.startswith("client:")]
    return all(settings.names_identity(name) or name.lower() in ("authorization", "cookie") for name in names)


def _other_routes(site: Site, settings: Settings, checked: Checked) -> Iterator[Finding]:
    """Routes on which headers that another route sets come through from the client."""
    wanted: dict[tuple[str, ...], list[str]] = {}
    for upstream, name in checked:
        if not name.startswith("parameter "):
            wanted.setdefault(upstream, []).append(name)
    everything = sorted({name for names in wanted.values() for name in names})
    closed: dict[object, bool] = {}  # the likenesses of routes, and whether none of the names comes through there
    for route in site.routes():
        if UPSTREAM not in route.traits or route.request.method == "OPTIONS":
            continue
        if route.likeness is not None:
            if route.likeness not in closed:
                closed[route.likeness] = not _lets_through(site, route.request, everything)
            if closed[route.likeness]:
                continue
        names: dict[str, None] = {}
        for outcome in site.trace(with_header(route.request, BASIC), ADMITTED):
            if outcome.main is not None:
                names.update(dict.fromkeys(wanted.get(same_upstream(outcome.main), ())))
        for separator in "-_" if names else "":
            request = _probing(route.request, sorted(names), separator)
            for outcome in site.trace(request, ADMITTED):
                exchange = outcome.main
                if exchange is None or exchange.place is None or _is_in_front(outcome):
                    continue
                upstream = same_upstream(exchange)
                through = [name for name in sorted(wanted.get(upstream, ())) if _comes_through(exchange, name)]
                if through:
                    spelled = [_title(name).replace("-", separator) for name in through]
                    lines = dict.fromkeys(checked[upstream, name] for name in through)
                    finding = _other_route(site, route, exchange.place, request, settings, spelled, list(lines))
                    if LOCAL in route.traits or names_hosts(outcome):
                        finding = finding._replace(severity=INFO)
                    if site.kind == "apache" and not _is_spelled_so(spelled, lines):
                        # Both spellings are forwarded by default on every route. Most origins know such names as what
                        # they are, or drop those with an underscore (gunicorn, nginx, httpd).
                        finding = finding._replace(severity=INFO, message=_beside(spelled))
                    elif separator == "-" and site.kind == "nginx" and exchange.protocol.startswith("HTTP"):
                        finding = finding._replace(fix=fix(False, cleared(exchange, spelled)))
                    yield finding


def _beside(spelled: list[str]) -> str:
    they = ("it comes", "it") if len(spelled) == 1 else ("they come", "them")
    return (
        f"A client can send {_listed(spelled)} itself: spelled like this, {they[0]} through beside what the server "
        f"sets, and an application that reads - and _ alike, as CGI and WSGI do, believes {they[1]}."
    )


def _lets_through(site: Site, request: Request, names: list[str]) -> bool:
    """Whether one of the names reaches any upstream from the client, in either spelling."""
    for separator in "-_":
        for outcome in site.trace(_probing(request, names, separator), ADMITTED):
            main = outcome.main
            if main is not None and any(_comes_through(main, name) for name in names):
                return True
    return False


def _probing(request: Request, names: Sequence[str], separator: str) -> Request:
    """The request with these headers, their words joined by "-" or "_"."""
    return _with_all(with_header(request, BASIC), [_title(name).replace("-", separator) for name in names])


def _with_all(request: Request, names: Sequence[str]) -> Request:
    """The request with a line for each of the names, in place of those that it may have had."""
    low = {name.lower() for name in names}
    kept = [pair for pair in request.headers if pair[0].lower() not in low]
    return request._replace(headers=(*kept, *((name, "audit-probe") for name in names)))


def _other_route(
    site: Site, route: Route, place: Place, request: Request, settings: Settings, spelled: list[str], lines: list[Place]
) -> Finding:
    which = "sets it" if len(spelled) == 1 else "sets them"
    keep = {name.lower() for name in spelled}
    sure = any(settings.names_identity(name) for name in spelled)
    return Finding(
        NAME,
        INFO if settings.position == INNER else ERROR if sure else WARNING,
        f"A client can send {_listed(spelled)} itself on this route; another route {which} for the same "
        "upstream from a checked identity, so the application believes it.",
        place,
        related=tuple(Related(line, "the application believes it because of this") for line in lines),
        routes=(route.label,),
        witness=request._replace(
            headers=tuple(pair for pair in request.headers if pair[1] != "audit-probe" or pair[0].lower() in keep)
        ),
        help=of_kind(
            site,
            "underscores_in_headers off;"
            if "_" in spelled[0]
            else "\n".join(f'proxy_set_header {name} "";' for name in spelled),
            "\n".join(f"RequestHeader unset {name}" for name in spelled),
        ),
        server=route.server,
        pattern=route.pattern,
    )


def _is_spelled_so(names: Sequence[str], lines: Iterable[Place]) -> bool:
    """Whether one of the lines has one of the names as it is spelled here."""
    words = {word.strip("\"'").lower() for line in lines for word in line.text.split()}
    return not words.isdisjoint(name.lower() for name in names)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _comes_through(exchange: Exchange, name: str) -> bool:
    return any(
        _read_as(exchange, sent.name) == name and sent.fate == FORWARDED and "audit-probe" in (sent.value.text or "")
        for sent in exchange.headers
    )


def _read_as(exchange: Exchange, name: str) -> str:
    """The header that the application takes it for: many know headers only as CGI variables, where `-` and `_` are one
    (RFC 3875, 4.1.18). A parameter without HTTP_ is no header, and no client can send it."""
    folded = name.lower().replace("_", "-")
    if exchange.protocol.startswith("HTTP"):
        return folded
    return folded.removeprefix("http-") if folded.startswith("http-") else f"parameter {folded}"


def _title(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _is_checked(sent: SentHeader) -> bool:
    return any(source == USER or source.startswith("answer:auth:") for source in sent.value.sources)


def _is_unchecked(sent: SentHeader) -> bool:
    sources = sent.value.sources
    return not _is_checked(sent) and any(source == CLIENT or source.startswith("client:") for source in sources)


def _made_of(sent: SentHeader) -> str:
    source = next(source for source in sent.value.sources if source == CLIENT or source.startswith("client:"))
    if source == CLIENT:
        return "the request line"
    header = source.partition(":")[2]
    return (
        "the user name in the client's Authorization" if header.lower() == "authorization" else f"the client's {header}"
    )


def _telling(headers: tuple[tuple[str, str], ...], sent: SentHeader) -> tuple[tuple[str, str], ...]:
    """Of the many headers that were sent, those that show it."""
    wanted = {source.partition(":")[2].lower() for source in sent.value.sources} | {"host"}
    return tuple(pair for pair in headers if pair[0].lower() in wanted)


def _clear(line: Place) -> str:
    words = line.text.split()
    return f'{words[0]} {words[1]} "";' if len(words) > 1 else line.text
