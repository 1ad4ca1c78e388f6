"""A path that the configuration itself means to be open asks for credentials.

## What it does

Asks every route without credentials. Reports a block that is refused all the same where

- its own lines switch the gate off, and an internal redirect leads into a block where it is on;
- in httpd, a line opens a path for programs (`/api/`, a webhook), and the front controller answers it:
  the internal redirect to `/index.php` is a request of its own, which that line is not about;
- it is named after something that only works in the open: an ACME challenge, key sets and discovery
  documents below /.well-known/, a health check. A gate line in the very block is taken for meant.

## Why it is bad

Certificates are not renewed, tokens cannot be checked, the load balancer takes the server for dead; and what
has its own way to log in asks for a second password.

## Bad example

```nginx
server {
    root /var/www/site;
    auth_basic "Staging";
    auth_basic_user_file /etc/nginx/passwords/staging.htpasswd;
    location /.well-known/acme-challenge/ {
        default_type text/plain;
    }
}
```

```apache
<Location />
    AuthType Basic
    AuthName "Staging"
    AuthUserFile /etc/apache2/staging.htpasswd
    Require valid-user
</Location>
Alias /.well-known/acme-challenge/ /var/lib/acme/
```

## Good example

```nginx
server {
    root /var/www/site;
    auth_basic "Staging";
    auth_basic_user_file /etc/nginx/passwords/staging.htpasswd;
    location /.well-known/acme-challenge/ {
        auth_basic off;
        default_type text/plain;
    }
}
```

```apache
<Location />
    AuthType Basic
    AuthName "Staging"
    AuthUserFile /etc/apache2/staging.htpasswd
    Require valid-user
</Location>
<Location /.well-known/acme-challenge/>
    Require all granted
</Location>
Alias /.well-known/acme-challenge/ /var/lib/acme/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-407, NGX-603)
Apache httpd 2.4.71 (facts APA-255, APA-282)

## References

- RFC 8555, 8.3 (the HTTP challenge is fetched without credentials)
- RFC 8615 (well-known URIs)
- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic
- https://httpd.apache.org/docs/2.4/mod/mod_authz_core.html#require
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import STRANGER, by_block, deciding, guards
from auditor.rules.shapes import is_api
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Gate, Outcome

NAME = "gated-public-path"
SEVERITY = WARNING

_WELL_KNOWN = (
    "/.well-known/acme-challenge",
    "/.well-known/pki-validation",
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/apple-app-site-association",
    "/.well-known/assetlinks.json",
    "/.well-known/security.txt",
)
# What other sites call by themselves: they have no password.
_CALLED = frozenset(
    (
        *("webhook", "webhooks", "hook", "hooks", "callback", "callbacks", "ipn", "notify", "notifications", "wp-json"),
        *("oauth", "oauth2", "health", "healthz", "ping"),
    )
)
_HEALTH = ("/health", "/healthz", "/health-check", "/healthcheck", "/livez", "/readyz", "/-/healthy", "/-/ready")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    if site.kind == "apache":
        return _judge_merged(site, routes)
    own = {area.block for area in site.areas()}
    return by_block(routes, lambda block: _judge_block(site, block, own), by_path=True)


def _judge_block(site: Site, routes: Sequence[Route], own: set[Place]) -> Iterator[Finding]:
    for route in routes:
        if route.handler is None or route.request.method == "OPTIONS":
            continue
        outcomes = site.trace(route.request, STRANGER)
        found = [_refused(outcome) for outcome in outcomes]
        refused = next((gate for gate in found if gate is not None), None)
        line = deciding(refused.because) if refused is not None else None
        if refused is None or line is None or None in found:
            continue
        if all(_is_off_first(outcome, refused, route.handler) for outcome in outcomes):
            message = "This block switches the gate off, and its requests are asked for credentials all the same: "
            message += "they go on, inside the server, to a block where the gate is on."
        elif _is_public(route) and route.handler not in own:
            message = f"{route.request.path} is asked without credentials by those who need it, and is refused here."
        else:
            continue
        yield Finding(
            NAME,
            WARNING,
            message,
            route.handler,
            related=(Related(line, "this gate refuses it"),),
            routes=(route.label,),
            witness=route.request,
            help="Answer it in a block that switches the gate off (auth_basic off; auth_request off;).",
            server=route.server,
            pattern=route.pattern,
        )


def _judge_merged(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    """Where sections merge, no block answers alone: what counts is how the path is written (Route.pattern), and that
    the gate's own section is not about that very path."""
    own = {(area.gate, area.prefix.rstrip("/")) for area in site.areas()}
    seen: set[tuple[Place, str]] = set()
    opened: set[tuple[Place, Place]] = set()
    for route in routes:
        path = route.request.path
        for request, opening, gate in _taken_back(site, route):
            if (opening, gate) not in opened:
                opened.add((opening, gate))
                yield _closed_again(route, request, opening, gate)
        name = _public_name(path)
        if name is None or name not in route.pattern.replace("\\", "") or route.request.method == "OPTIONS":
            continue
        found = [_refused(outcome) for outcome in site.trace(route.request, STRANGER)]
        line = deciding(found[0].because) if found and found[0] is not None else None
        if line is None or None in found or (line, name) in seen or any((line, p) in own for p in (name, path)):
            continue
        seen.add((line, name))
        yield Finding(
            NAME,
            WARNING,
            f"{path} is asked without credentials by those who need it, and this gate refuses it.",
            line,
            routes=(route.label,),
            witness=route.request,
            help=f"<Location {name}>  with  Require all granted",
            server=route.server,
            pattern=route.pattern,
        )


def _taken_back(site: Site, route: Route) -> Iterator[tuple[Request, Place, Place]]:
    """Requests for a path of programs, with the line that opens it and the gate that refuses it all the same, when the
    request has become another one on the way. Files that are there need no front controller; a path of programs is
    seldom one of files."""
    request = route.request
    words = set(request.path.lower().split("/"))
    if request.method != "GET" or not (is_api(request.path) or words & _CALLED):
        return
    name = request.path.rpartition("/")[2]
    further = () if "." in name else (request._replace(target=request.path.rstrip("/") + "/audit-probe"),)
    for asked in (*further, request):
        outcomes = site.trace(asked, STRANGER)
        found = [_off_then_refused(outcome) for outcome in outcomes]
        if any(pair is None and outcome.main for pair, outcome in zip(found, outcomes, strict=True)):
            continue
        for pair in found:
            if pair is not None:
                yield asked, *pair
                return


def _off_then_refused(outcome: Outcome) -> tuple[Place, Place] | None:
    """The line that switched a gate off, and the line that refuses by the same gate later on."""
    opening: dict[str, Place] = {}
    for gate in outcome.gates:
        line = deciding(gate.because)
        if line is None or gate.needs != "credentials":
            continue
        if gate.result == "off":
            opening.setdefault(gate.kind, line)
        elif gate.result == "refused" and opening.get(gate.kind, line) != line:
            return opening[gate.kind], line
    refusing = [step.place for step in outcome.steps if step.place is not None]
    if opening and refusing and outcome.status == 401 and not outcome.exchanges:
        return next(iter(opening.values())), refusing[-1]  # a subrequest, whose gates are not told (FallbackResource)
    return None


def _closed_again(route: Route, request: Request, opening: Place, gate: Place) -> Finding:
    return Finding(
        NAME,
        WARNING,
        f"This line opens {route.request.path}, and its requests are asked for credentials all the same: they go on, "
        "inside the server, to a script that the line is not about.",
        opening,
        related=(Related(gate, "this gate refuses it"),),
        routes=(route.label,),
        witness=request,
        help="A variable stays behind an internal redirect, under another name:\n"
        f'SetEnvIf Request_URI "^{route.request.path}" opened\n'
        "and beside the gate's own Require line:\n"
        "Require env opened\n"
        "Require env REDIRECT_opened",
        server=route.server,
        pattern=route.pattern,
    )


def _public_name(path: str) -> str | None:
    """What makes a path one that is asked for without credentials."""
    bare = path.rstrip("/")
    if bare in _HEALTH:
        return bare
    return next((name for name in _WELL_KNOWN if bare == name or path.startswith(name + "/")), None)


def _refused(outcome: Outcome) -> Gate | None:
    return next((gate for gate in guards(outcome) if gate.result == "refused"), None)


def _is_off_first(outcome: Outcome, refused: Gate, block: Place) -> bool:
    """Whether a line of that block had switched off what refuses in the end."""
    for gate in outcome.gates:
        if gate.result == "refused":
            return False
        line = deciding(gate.because)
        if gate.result == "off" and gate.kind == refused.kind and line is not None and _is_in(line, block):
            return True
    return False


def _is_in(line: Place, block: Place) -> bool:
    """Whether a line stands behind the block's first line, and the answer came through that block."""
    return line.source is block.source and line.line >= block.line


def _is_public(route: Route) -> bool:
    text = route.handler.text if route.handler is not None else ""
    path = route.request.path.rstrip("/")
    if any(path == name or path.startswith(name + "/") for name in _WELL_KNOWN):
        return any(name in text.replace("\\", "") for name in _WELL_KNOWN)
    return path in _HEALTH and path in text
