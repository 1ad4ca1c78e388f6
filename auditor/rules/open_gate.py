"""A gate stands in the configuration and admits everybody.

## What it does

Asks every gated route without credentials, from an address that no list names. Reports a gate that
is not asked because it has no user file (behind an address list, too), one that another condition
makes needless for everybody (`satisfy any` with `allow all`; in httpd `Require all granted` beside
`Require valid-user`, or `Satisfy Any`), one that a header or an argument of the client's choosing
switches off, an AuthType that no Require follows, or none but `Require all granted`, and an
auth_request whose subrequest this server answers itself, the same for everybody; in nginx also a
condition on the client's certificate that one of the client's own making fulfils.

An address list beside `satisfy any` or `Require valid-user` is a real choice and is not reported, nor
is a gate that is switched off by method, path or host, nor an AuthType for sections or a .htaccess
below, or beside an address list (a recipe for wp-admin).

## Why it is bad

The area is public, and the configuration says that it is not. Neither nginx nor httpd says a word
of warning when it starts.

## Bad example

```nginx
location /admin/ {
    auth_basic "Admin";
    proxy_pass http://app;
}
```

```apache
<Location /admin/>
    AuthType Basic
    AuthName "Admin"
    AuthUserFile /etc/apache2/admin.htpasswd
    Require valid-user
    Require all granted
</Location>
ProxyPass /admin/ http://app.internal/
```

## Good example

```nginx
location /admin/ {
    auth_basic "Admin";
    auth_basic_user_file /etc/nginx/admin.htpasswd;
    proxy_pass http://app;
}
```

```apache
<Location /admin/>
    AuthType Basic
    AuthName "Admin"
    AuthUserFile /etc/apache2/admin.htpasswd
    Require valid-user
</Location>
ProxyPass /admin/ http://app.internal/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-201, NGX-312)
Apache httpd 2.4.71 (facts APA-208, APA-221, APA-222, APA-230, APA-231, APA-236)

## References

- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic_user_file
- https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_verify_client
- https://nginx.org/en/docs/http/ngx_http_core_module.html#satisfy
- https://httpd.apache.org/docs/2.4/mod/mod_authz_core.html#require
- https://httpd.apache.org/docs/2.4/mod/mod_access_compat.html#satisfy
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auditor.findings import ERROR, HIGH, MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import (
    ANYBODY_ELSE,
    STRANGER,
    UNASKED,
    by_block,
    deciding,
    may_be_asked,
    of_kind,
    says,
    serves,
)
from auditor.server import OPAQUE, Route, Site
from auditor.settings import INNER, Settings
from auditor.source import Place
from auditor.trace import Gate, Outcome

NAME = "open-gate"
SEVERITY = ERROR


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    yield from by_block(routes, lambda block: _judge_block(site, block, settings))
    if says(site, "optional_no_ca"):
        from auditor.rules.forged_certificates import open_gates

        yield from by_block(routes, lambda block: open_gates(site, NAME, block))


def _judge_block(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for route in routes:
        if not may_be_asked(site, route):
            continue
        outcomes = site.trace(route.request, STRANGER)
        if site.kind != "apache" and _refuses_addresses(outcomes):
            # A gate that asks nobody is wrong for those, too, whom an address list lets in.
            outcomes = site.trace(route.request, STRANGER._replace(address=None))
        for outcome in outcomes:
            if serves(outcome):
                yield from _judge_outcome(site, route, outcome, settings)


def _judge_outcome(site: Site, route: Route, outcome: Outcome, settings: Settings) -> Iterator[Finding]:
    for gate in outcome.gates:
        line = deciding(gate.because)
        if line is None or gate.needs != "credentials":
            continue
        if gate.reason == "no-require":
            if not _asked_elsewhere(site, line) and not _is_listed(site, route.request):
                yield _finding(
                    route,
                    line,
                    "This gate is open: no Require line follows, and the sections around it admit everybody.",
                    help="Require valid-user",
                    severity=WARNING if site.partial else ERROR,
                )
        elif gate.reason == "all-granted":
            other = _admitting(outcome)
            if other is not None and not _asked_elsewhere(site, line) and not _is_listed(site, route.request):
                yield _finding(
                    route,
                    other,
                    "This gate is open: this line admits everybody, and none asks for a user.",
                    help="Require valid-user  in its place",
                    severity=WARNING,
                    related=(Related(line, "this says how a password is asked for"),),
                )
        elif gate.reason == "no-user-file":
            if site.partial:
                continue
            yield _finding(
                route,
                line,
                "This gate is open: no user file is named, so nobody is asked for a password.",
                help="auth_basic_user_file /etc/nginx/NAME.htpasswd;",
            )
        elif gate.kind == "auth_request" and gate.result == "passed" and not _judges(site, line, outcome):
            yield _finding(
                route,
                line,
                "This gate is open: its subrequest is answered by this server itself, and lets everybody in.",
                help="Pass the subrequest on to a service that judges the credentials: auth_basic, allow and deny do "
                "not count in subrequests.",
            )
        elif gate.reason == "satisfied" and not (OPAQUE in route.traits and site.kind == "apache"):
            other = _admits_anybody(site, route.request, gate)
            if other is not None and not _is_cut_out(site, line):
                yield _finding(
                    route,
                    line,
                    "This gate is open: one of two conditions is enough, and the other one admits every address.",
                    help=of_kind(
                        site,
                        "Write `satisfy all;`, or name who needs no credentials: allow 192.0.2.0/24; deny all;",
                        "Deny from all  beside it: no credentials are needed by whom no line denies."
                        if _names_some(other)
                        else "Require lines side by side are alternatives, and so is what `Satisfy Any` joins: keep "
                        "`Require valid-user` alone, or name who needs no credentials: Require ip 192.0.2.0/24",
                    ),
                    related=(
                        Related(
                            other,
                            "no line denies the other addresses" if _names_some(other) else "this admits every address",
                        ),
                    ),
                )
        elif gate.result == "off":
            found = _switched_off(site, route.request, gate)
            if found is not None:
                sent, severity = found
                if settings.position == INNER and _tells_address(sent):
                    continue  # the proxy in front says so
                yield _finding(
                    route,
                    line,
                    f"This gate is open: whoever sends {sent} is not asked for credentials.",
                    help="Let the gate depend on nothing that clients choose.",
                    severity=severity,
                )


def _admitting(outcome: Outcome) -> Place | None:
    """The line that lets every address in."""
    passed = (gate for gate in outcome.gates if gate.needs == "address" and gate.result == "passed")
    return next((line for gate in passed if (line := deciding(gate.because)) is not None), None)


def _names_some(line: Place) -> bool:
    """Whether the line of httpd names some addresses: then it is the lack of others that lets everybody in."""
    words = line.text.lower().split()
    return words[:1] in (["allow"], ["deny"]) and "all" not in words


def _refuses_addresses(outcomes: Iterable[Outcome]) -> bool:
    return any(gate.needs == "address" and gate.result == "refused" for outcome in outcomes for gate in outcome.gates)


def _is_listed(site: Site, request: Request) -> bool:
    """Whether addresses are refused there, by this method or another one (`<Limit GET>`): the AuthType is a remnant
    beside an address list, as in many a recipe for wp-admin."""
    return any(_refuses_addresses(site.trace(request._replace(method=method), STRANGER)) for method in ("GET", "POST"))


def _asked_elsewhere(site: Site, line: Place) -> bool:
    """Whether another route has a gate of this AuthType that is asked: the line is meant for sections below."""
    return any(
        gate.reason not in UNASKED and gate.result != "off" and any(item.place == line for item in gate.because)
        for route in site.routes()
        for outcome in site.trace(route.request, STRANGER)
        for gate in outcome.gates
    )


def _judges(site: Site, line: Place, outcome: Outcome) -> bool:
    """Whether this gate tells requests apart: by a key in a map, by method or path, or because it asks somebody else.
    The request at hand may be the one that brings the key."""
    return _is_judged(outcome) or any(
        gate.result == "refused" or _is_judged(other)
        for route in site.routes()
        for other in site.trace(route.request, STRANGER)
        for gate in other.gates
        if gate.kind == "auth_request" and deciding(gate.because) == line
    )


def _is_judged(outcome: Outcome) -> bool:
    """Whether somebody else had a say in the auth subrequest, or something that is not known."""
    return bool(outcome.when) or any(exchange.role == "auth" for exchange in outcome.exchanges)


def _finding(
    route: Route,
    line: Place,
    message: str,
    help: str,
    severity: str = ERROR,
    related: tuple[Related, ...] = (),
) -> Finding:
    return Finding(
        NAME,
        severity,
        message,
        line,
        confidence=HIGH if severity == ERROR else MEDIUM,
        related=related,
        routes=(route.label,),
        witness=route.request,
        help=help,
        server=route.server,
        pattern=route.pattern,
    )


def _is_cut_out(site: Site, line: Place) -> bool:
    """Whether the same gate refuses elsewhere: it is opened on purpose for a part of its area (admin-ajax.php)."""
    return any(
        gate.result == "refused" and deciding(gate.because) == line
        for route in site.routes()
        for outcome in site.trace(route.request, STRANGER)
        for gate in outcome.gates
    )


def _admits_anybody(site: Site, request: Request, gate: Gate) -> Place | None:
    """The line of the other gate, if that lets a second address of nobody's in as well, whatever is not known."""
    found: Place | None = None
    for outcome in site.trace(request, STRANGER._replace(address=ANYBODY_ELSE)):
        same = any(item.kind == gate.kind and item.reason == "satisfied" for item in outcome.gates)
        if not same:
            return None
        for item in outcome.gates:
            if found is None and item.needs == "address" and item.result == "passed":
                found = deciding(item.because)
    return found


# Headers that carry a secret: a gate that opens for these may be checked further on.
_SECRETS = ("authorization", "cookie")
_ADDRESSES = ("x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip")


def _switched_off(site: Site, request: Request, gate: Gate) -> tuple[str, str] | None:
    """What in the request switches the gate off (a header or the query), and how bad that is: whether anybody could
    know it."""
    for pair in request.headers:
        if pair[0].lower() in ("host", "content-length"):
            continue
        without = request._replace(headers=tuple(other for other in request.headers if other != pair))
        if _asks(site, without, gate):
            secret = pair[0].lower() in _SECRETS or len(pair[1]) >= 16
            sent = f"the header {pair[0]}: {pair[1] if not secret else '***'}"
            return sent, WARNING if secret or _tells_address(sent) else ERROR
    path, question, query = request.target.partition("?")
    if question and _asks(site, request._replace(target=path), gate):
        return f"the query {query if len(query) < 24 else '***'}", ERROR if len(query) < 24 else WARNING
    return None


def _tells_address(sent: str) -> bool:
    return sent.removeprefix("the header ").partition(":")[0].lower() in _ADDRESSES


def _asks(site: Site, request: Request, gate: Gate) -> bool:
    return any(
        item.kind == gate.kind and item.result == "refused"
        for outcome in site.trace(request, STRANGER)
        for item in outcome.gates
    )
