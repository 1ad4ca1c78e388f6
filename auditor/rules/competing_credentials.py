"""A Basic gate reads the header in which the upstream expects the client's own token.

## What it does

Asks the routes behind a Basic gate with a Bearer token and with good Basic credentials, and asks the
same of the configuration without the gate. Reports the gate where the configuration shows that the
token is meant for somebody behind it: a condition or map treats Bearer tokens apart from other
credentials, a second gate checks a token in the same header, or Authorization goes on under a name
that says token. It is an info where Authorization goes on by an own line without more evidence: the
application may want the very password of the gate.

It stays silent where a token gets past the gate (a realm that a map switches off for it, `satisfy
any` with another way in). CORS headers that allow Authorization are no evidence: pages may send the
password of the gate.

## Why it is bad

There is one Authorization header, and it holds one scheme. A client that sends its token is refused
by the gate with 401; one that sends the password passes, and the upstream gets the password in the
place of the token. Nobody can send both.

## Bad example

```nginx
location /api/ {
    auth_basic "Staging";
    auth_basic_user_file /etc/nginx/staging.htpasswd;
    proxy_set_header X-Token $http_authorization;
    proxy_pass http://api;
}
```

```apache
<Location /api/>
    AuthType Basic
    AuthName "Staging"
    AuthUserFile /etc/apache2/staging.htpasswd
    Require valid-user
</Location>
RequestHeader set X-Token expr=%{HTTP:Authorization}
ProxyPass /api/ http://api.internal/
```

## Good example

```nginx
location /api/ {
    proxy_set_header X-Token $http_authorization;
    proxy_pass http://api;
}
```

```apache
<Location /api/>
    Require all granted
</Location>
RequestHeader set X-Token expr=%{HTTP:Authorization}
ProxyPass /api/ http://api.internal/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-213, NGX-225); with auth_jwt 1.31.3 alone
Apache httpd 2.4.71 (facts APA-214)

## References

- RFC 9110, 11.6.2 (Authorization: one credential for one realm)
- RFC 6750, 2.1 (Bearer tokens in Authorization)
- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html
- https://httpd.apache.org/docs/2.4/mod/mod_auth_basic.html
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from auditor.findings import HIGH, INFO, LOW, MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import ADMITTED, ANYBODY, BASIC, BEARER, by_block, deciding, of_kind, with_header
from auditor.server import OPAQUE, Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Gate, Outcome, Outcomes
from auditor.values import client_header

NAME = "competing-credentials"
SEVERITY = WARNING

_SENT = client_header("Authorization")
# What a header that carries a token is called.
_TOKENS = ("token", "jwt", "bearer")


class _Evidence(NamedTuple):
    """That somebody behind the gate wants the token: the line that shows it, and what it does."""

    place: Place
    says: str
    severity: str = WARNING
    confidence: str = MEDIUM


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    asked = [route for route in routes if route.request.method != "OPTIONS" and OPAQUE not in route.traits]
    open_sites: dict[tuple[Place, ...], Site] = {}

    def without(*lines: Place) -> Site:
        if lines not in open_sites:
            open_sites[lines] = site.without(*lines)
        return open_sites[lines]

    return by_block(asked, lambda block: _judge_block(site, block, without), (INFO,))


def _judge_block(site: Site, routes: Sequence[Route], without: Callable[..., Site]) -> Iterator[Finding]:
    for route in routes:
        bearer = with_header(route.request, _token(route.request))
        before = _from_anywhere(site, bearer)
        gate = _refusing(before)
        line = deciding(gate.because) if gate is not None else None
        if gate is None or line is None:
            continue
        basic = with_header(route.request, BASIC)
        behind = _from_anywhere(site, basic)
        evidence = _second_gate(before, "Bearer", "Basic") or _second_gate(behind, "Basic", "Bearer")
        evidence = evidence or _passed_on(behind)
        # Where it depends on more than the gate what happens, how tokens are treated behind it is not told apart.
        if (evidence is None or evidence.severity == INFO) and len(behind) == 1:
            # What the gate is made of, all of it: an AuthType that is left alone refuses everybody.
            opened = without(*(item.place for item in gate.because if item.place is not None))
            apart = _treated_apart(_from_anywhere(opened, bearer), _from_anywhere(opened, basic))
            evidence = apart or evidence
        if evidence is None:
            continue
        yield Finding(
            NAME,
            evidence.severity,
            "A client that sends its token gets this gate's 401, and one that sends the gate's password has no room "
            "for a token: both are read from Authorization."
            if evidence.severity == WARNING
            else "Only the password of this gate can go on to the application: a client that sends a token of its own "
            "in Authorization gets this gate's 401.",
            line,
            confidence=evidence.confidence,
            related=(Related(evidence.place, evidence.says),),
            routes=(route.label,),
            witness=bearer,
            help=of_kind(site, "auth_basic off;", "Require all granted")
            + "  where the application checks tokens itself, or give the token a header of its own",
            server=route.server,
            pattern=route.pattern,
        )


def _from_anywhere(site: Site, request: Request) -> Outcomes:
    """What happens to somebody whom the gates admit, from an address that no list names."""
    outcomes = site.trace(request, ADMITTED)
    if any(
        outcome.action == "unknown" or any(asked.question.kind == "client-address" for asked in outcome.when)
        for outcome in outcomes
    ):
        return site.trace(request, ADMITTED._replace(address=ANYBODY))
    return outcomes


def _token(request: Request) -> tuple[str, str]:
    """The token that a map or condition of the configuration names, where the witness has one."""
    own = next((pair for pair in request.headers if pair[0].lower() == "authorization"), BEARER)
    return own if own[1].lower().startswith("bearer ") else BEARER


def _refusing(outcomes: Sequence[Outcome]) -> Gate | None:
    """The Basic gate that refuses in every outcome; None where there is another way in."""
    found = None
    for outcome in outcomes:
        found = next((gate for gate in outcome.gates if gate.scheme == "Basic" and gate.result == "refused"), None)
        if found is None or outcome.status != 401:
            return None
    return found


def _second_gate(outcomes: Sequence[Outcome], passed: str, refused: str) -> _Evidence | None:
    """A gate for tokens, where one of the two gates refuses what has passed the other."""
    for outcome in outcomes:
        results = {gate.scheme: gate for gate in outcome.gates}
        if passed not in results or refused not in results:
            return None
        if results[passed].result != "passed" or results[refused].result != "refused":
            return None
        line = deciding(results["Bearer"].because)
        # A token of its own place, a cookie or an argument, stands in nobody's way.
        if line is None or "$" in line.text:
            return None
        return _Evidence(line, "this gate reads a token from the same header", confidence=HIGH)
    return None


def _passed_on(outcomes: Sequence[Outcome]) -> _Evidence | None:
    """A line of the configuration that sends the client's Authorization on, by HTTP: parameters of programs are set so
    for the sake of passwords."""
    for outcome in outcomes:
        exchange = outcome.main
        if exchange is None or not exchange.protocol.startswith("HTTP"):
            continue
        for header in exchange.headers:
            line = deciding(header.because)
            if line is None or header.value.sources != (_SENT,):
                continue
            if any(word in header.name.lower() for word in _TOKENS):
                return _Evidence(line, "this hands it on as a token")
            if header.name.lower() == "authorization":
                return _Evidence(line, "this hands it on to the application", INFO, LOW)
    return None


def _treated_apart(bearer: Sequence[Outcome], basic: Sequence[Outcome]) -> _Evidence | None:
    """The line by which tokens are treated otherwise than passwords, once both get past the gate."""
    if len(bearer) != 1 or len(basic) != 1:
        return None
    one, other = bearer[0], basic[0]
    if one.main is None:
        return None  # tokens are wanted by nobody
    if other.main is None:
        line = other.steps[-1].place if other.steps else None
        refused = other.status in (401, 403) and not any(gate.result == "refused" for gate in other.gates)
        return _Evidence(line, "this lets only tokens through", confidence=HIGH) if refused and line else None
    if one.main.upstream != other.main.upstream and one.main.place is not None:
        return _Evidence(one.main.place, "this depends on the kind of the credentials")
    for header in one.main.headers:
        line = deciding(header.because)
        if line is not None and _SENT in header.value.sources and other.main.header(header.name) is None:
            return _Evidence(line, "this is filled by a token only")
    return None
