"""A request into a guarded area is answered without its gate.

## What it does

For each path that a gate is written for, asks the routes that lead into it without credentials.
Reports a block that answers there and does not have the gate: a pattern such as `\\.php$` that wins
over the guarded prefix, a `return` or `rewrite` that comes before the gate's turn, an error page
that serves what the gate refused, a front controller that takes the guarded path behind its own
name (`/index.php/admin`), the path with two slashes where `merge_slashes` is off. A condition of a
location on the client's certificate (`if ($ssl_client_verify != SUCCESS)`) is such a gate. In httpd it is
also a ProxyPass or `[P]` where the gate stands in a `<Directory>` or .htaccess, which is not asked
about what is proxied; a `<Location>` or a pattern of `<Files>` with `Require all granted`, which are
merged behind the gate and take its place; an Alias to the folder of a gated `<Location>`; and
`/admin` where the section is `<Location /admin/>`.

It is a warning where a longer path of its own lies inside the area, and an info where the gate
stands at `/`, or where that block is meant for everybody: its path says so, or it passes no
credentials on. An explicit `auth_basic off`, or `Require all granted` for a part of the area, is
taken at its word. Redirects, refusals and empty answers give nothing away and are not reported, nor
are the sign-in pages that the gate itself leads to, nor `/.well-known/acme-challenge/`.

## Why it is bad

The gate asks for a password on one way in, and another way is open.

## Bad example

```nginx
location /admin/ {
    auth_basic "Admin";
    auth_basic_user_file /etc/nginx/admin.htpasswd;
    try_files $uri /admin/index.php;
}
location ~ \\.php$ {
    fastcgi_pass unix:/run/php.sock;
}
```

```apache
<Directory /var/www/html/admin>
    AuthType Basic
    AuthName "Admin"
    AuthUserFile /etc/apache2/admin.htpasswd
    Require valid-user
</Directory>
ProxyPass /admin/ http://app.internal/admin/
```

## Good example

```nginx
location ^~ /admin/ {
    auth_basic "Admin";
    auth_basic_user_file /etc/nginx/admin.htpasswd;
    try_files $uri /admin/index.php;
    location ~ \\.php$ {
        fastcgi_pass unix:/run/php.sock;
    }
}
location ~ \\.php$ {
    fastcgi_pass unix:/run/php.sock;
}
```

```apache
<Location /admin>
    AuthType Basic
    AuthName "Admin"
    AuthUserFile /etc/apache2/admin.htpasswd
    Require valid-user
</Location>
ProxyPass /admin/ http://app.internal/admin/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-217, NGX-222, NGX-228, NGX-232, NGX-308)
Apache httpd 2.4.71 (facts APA-019, APA-256, APA-259, APA-262, APA-264, APA-295)

## References

- https://nginx.org/en/docs/http/ngx_http_core_module.html#location
- https://nginx.org/en/docs/http/ngx_http_rewrite_module.html
- https://httpd.apache.org/docs/2.4/sections.html#merging
- https://httpd.apache.org/docs/2.4/mod/core.html#location
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, HIGH, INFO, MEDIUM, WARNING, Finding, Related
from auditor.rules.common import ADMITTED, BASIC, STRANGER, same_upstream, serves, strangers, with_header
from auditor.rules.shapes import folders, inside, is_asset, merged, names_folder, shape
from auditor.server import GATE, Area, Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Exchange, Outcome, Outcomes

NAME = "bypassed-gate"
SEVERITY = ERROR

# What parts of a site are called that are for everybody, for its watchers, for those who sign in, for other machines,
# and for what pages are made of.
_OPEN = frozenset(
    (
        *("public", "health", "healthz", "livez", "readyz", "ping"),
        *("auth", "login", "signin", "sign-in", "signup", "sign-up", "register", "oauth", "oauth2"),
        *("webhook", "webhooks"),
        *("static", "assets", "css", "js", "img", "images", "fonts"),
    )
)
# Certificate authorities ask for it without credentials (RFC 8555, 8.3).
_ACME = "/.well-known/acme-challenge/"


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    if site.kind == "apache":
        from auditor.rules.merged_gates import find_ways

        yield from find_ways(site)
        return
    hosts: dict[str, _Host] = {}
    alike = _Alike()
    for area in site.areas():
        if area.server not in hosts:
            hosts[area.server] = _Host(site, alike)
        hosts[area.server].add_area(area)
    if not hosts:
        return
    for route in site.routes():
        if route.server in hosts:
            hosts[route.server].add_route(route)
    for host in hosts.values():
        yield from host.judge()


class _Alike:
    """What holds for all routes of one likeness, in whatever virtual host: which gates none of them goes round, and
    that no front controller answers behind the gate."""

    def __init__(self) -> None:
        self.guarded: dict[tuple[object, str, bool], bool] = {}
        self.scriptless: set[tuple[object, str]] = set()


class _Host:
    """The areas and routes of one virtual host."""

    def __init__(self, site: Site, alike: _Alike) -> None:
        self.site = site
        self.alike = alike
        self.routes: list[Route] = []
        self.areas: dict[str, list[Area]] = {}  # by prefix, without the final slash
        self.below: dict[str, list[Route]] = {}  # the routes at or below a path without its final slash
        self.origins: dict[Area, set[tuple[str, ...] | None]] = {}
        self.needed: tuple[set[Place | None], set[str]] | None = None
        self.passed: set[tuple[Place | None, str]] | None = None
        self.listed: dict[Area, bool] = {}

    def add_area(self, area: Area) -> None:
        self.areas.setdefault(area.prefix.rstrip("/"), []).append(area)

    def add_route(self, route: Route) -> None:
        self.routes.append(route)
        for folder in folders(merged(route.request.path)):
            self.below.setdefault(folder, []).append(route)

    def judge(self) -> Iterator[Finding]:
        for route in self.routes:
            path = merged(route.request.path)
            if route.request.method not in ("GET", "HEAD", "POST") or path.startswith(_ACME):
                continue
            within = [area for folder in folders(path) for area in self.areas.get(folder, ()) if inside(area, path)]
            if not within:
                continue
            area = max(within, key=lambda item: (item.exact, len(item.prefix)))
            if self._is_guarded(area, route):
                continue
            for outcome in self._asked_by_strangers(area, route):
                if not _goes_round(area, outcome) or self._is_cut_out(area, route):
                    continue
                if self._is_open_to(area, outcome):
                    continue
                severity, how = self._judge_way(area, route, outcome)
                if severity is not None:
                    yield _finding(area, route, outcome, severity, how)
        for areas in self.areas.values():
            for area in areas:
                if area.prefix != "/":
                    yield from self._judge_scripts(area)

    def _judge_scripts(self, area: Area) -> Iterator[Finding]:
        """A front controller that is asked with the area's path behind its own name (PATH_INFO; RFC 3875, 4.1.5):
        applications take off the script's name, and see the guarded path."""
        for route in self.below.get(area.prefix.rstrip("/"), ()):
            if not inside(area, route.request.path) or route.request.method != "GET":
                continue
            key = (route.likeness, area.kind)
            if key in self.alike.scriptless:
                continue
            scripts = False
            for passed in self.site.trace(with_header(route.request, BASIC), ADMITTED):
                script = passed.main.header("SCRIPT_NAME") if passed.main is not None else None
                name = script.value.text if script is not None else None
                if passed.handler == area.block or not name or not _has_passed(passed, area.kind):
                    continue
                scripts = True
                request = route.request._replace(target=name + area.prefix.rstrip("/"))
                for outcome in self.site.trace(request, STRANGER):
                    if outcome.handler == passed.handler and _goes_round(area, outcome):
                        how = f"{request.path} asks the same script for it without the gate"
                        yield _finding(area, route._replace(request=request), outcome, ERROR, how, area.prefix)
                        return
            if not scripts and route.likeness is not None:
                self.alike.scriptless.add(key)

    def _is_guarded(self, area: Area, route: Route) -> bool:
        """Whether no outcome goes round the gate; worked out once for all routes that are treated alike."""
        key = (route.likeness, area.kind, self._is_listed(area))
        known = self.alike.guarded.get(key) if route.likeness is not None else None
        if known is None:
            known = not any(_goes_round(area, outcome) for outcome in self._asked_by_strangers(area, route))
            self.alike.guarded[key] = known
        return known

    def _asked_by_strangers(self, area: Area, route: Route) -> Outcomes:
        if self._is_listed(area):
            return strangers(self.site, route.request)
        return self.site.trace(route.request, STRANGER)  # a list of addresses here is a choice instead of the gate

    def _is_listed(self, area: Area) -> bool:
        """Whether the area's gate is asked for certain addresses only, as all others are turned away before."""
        if area not in self.listed:
            requests = [route.request for route in self._own(area)]
            self.listed[area] = bool(requests) and all(
                strangers(self.site, request) != self.site.trace(request, STRANGER) for request in requests
            )
        return self.listed[area]

    def _own(self, area: Area) -> list[Route]:
        """The routes of the area that the guarded block itself answers."""
        return [route for route in self.below.get(area.prefix.rstrip("/"), ()) if route.handler == area.block]

    def _is_open_to(self, area: Area, outcome: Outcome) -> bool:
        """Whether this happens to certain addresses only, and some are let into the area without credentials, too."""
        if not any(gate.needs == "address" and gate.result == "passed" for gate in outcome.gates):
            return False
        nobody = STRANGER._replace(address=None)
        return any(serves(each) for route in self._own(area) for each in self.site.trace(route.request, nobody))

    def _is_cut_out(self, area: Area, route: Route) -> bool:
        """Whether the path lies below another one in the area that the gate does not cover: a part that the
        configuration cuts out, and that is judged by itself."""
        path = route.request.path
        for folder in folders(path):
            for other in self.below.get(folder, ()):
                above = other.request.path
                if above.rstrip("/") != folder or above == path or not path.startswith(folder + "/"):
                    continue
                if other.request.method != "GET" or folder == area.prefix.rstrip("/") or not inside(area, above):
                    continue
                outcomes = self.site.trace(other.request, STRANGER)
                if not any(
                    gate.kind == area.kind and gate.result == "refused" for item in outcomes for gate in item.gates
                ):
                    return True
        return False

    def _judge_way(self, area: Area, route: Route, outcome: Outcome) -> tuple[str | None, str]:
        """How bad it is, and what happens; None where it is as it should be."""
        if any(gate.result == "refused" for gate in outcome.gates):
            return self._judge_error_page(area, route, outcome)
        handler = outcome.handler
        if "//" in route.request.path:
            how = "two slashes lead to this block, past the gate, because merge_slashes is off"
            return (ERROR if self._shares_origin(area, outcome) else None), how
        if self._is_needed(area, route, outcome) or self._is_another_site(area, route, outcome):
            return None, ""
        if handler is None or handler == area.block:
            return ERROR, "is answered there before the gate has its turn"
        kind = shape(handler)
        if area.prefix == "/" and not area.exact:
            if kind != "pattern":
                return INFO, "this block answers it without the gate"
            if is_asset(route.request.path):
                return INFO, "this pattern answers it without the gate"
            if (handler, area.kind) in self._reached_through_gates():
                return ERROR, "this pattern answers it without the gate when it is asked for directly"
            return (WARNING if outcome.action == "proxied" else INFO), "this pattern answers it without the gate"
        if kind == "pattern":
            if outcome.action == "static" and is_asset(route.request.path):
                return INFO, "this pattern answers it without the gate"
            surely = self._shares_origin(area, outcome) and not names_folder(handler)
            return (ERROR if surely else WARNING), "this pattern answers it without the gate"
        if kind == "exact" or self._is_for_anybody(route):
            return INFO, "this block answers it without the gate"
        if kind == "named":
            return ERROR, "it is answered here without the gate"
        return WARNING, "this block, with a path of its own, answers it without the gate"

    def _is_another_site(self, area: Area, route: Route, outcome: Outcome) -> bool:
        """Whether it is another application at a port where the area is not: servers without names share theirs."""
        ports = {own.request.port for own in self._own(area)}
        return bool(ports) and route.request.port not in ports and not self._shares_origin(area, outcome)

    def _is_for_anybody(self, route: Route) -> bool:
        """Whether the block shows that it is meant for those without credentials: it lets none of them through, or its
        path says so."""
        if not _OPEN.isdisjoint(route.request.path.lower().split("/")):
            return True
        outcomes = self.site.trace(with_header(route.request, BASIC), ADMITTED)
        mains = [outcome.main for outcome in outcomes if outcome.main is not None]
        return bool(mains) and all(main.loss("Authorization") is not None for main in mains)

    def _needed(self) -> tuple[set[Place | None], set[str]]:
        """What has to be open for the gates to work: the blocks where those who are refused end, and the paths that
        they are sent to or that are asked about them."""
        if self.needed is None:
            handlers: set[Place | None] = set()
            paths: set[str] = set()
            for route in self.routes:
                if GATE not in route.traits:
                    continue
                for outcome in self.site.trace(route.request, STRANGER):
                    refusing = [gate for gate in outcome.gates if gate.result == "refused"]
                    if not refusing:
                        continue
                    handlers.add(outcome.handler)
                    paths.update(gate.source for gate in refusing if gate.source and gate.kind == "auth_request")
                    location = outcome.response_header("Location")
                    if location is not None and location.value.segments:
                        text = "".join(segment.text or "" for segment in location.value.segments)
                        paths.add("/" + text.partition("://")[2].partition("/")[2] if "://" in text else text)
            self.needed = handlers, paths
        return self.needed

    def _is_needed(self, area: Area, route: Route, outcome: Outcome) -> bool:
        if area.kind == "auth_basic" or outcome.handler == area.block:
            return False
        handlers, paths = self._needed()
        path = route.request.path
        return (outcome.handler in handlers and shape(outcome.handler) != "pattern") or any(
            needed.startswith(path) for needed in paths if path != "/"
        )

    def _judge_error_page(self, area: Area, route: Route, outcome: Outcome) -> tuple[str | None, str]:
        """The gate refused, and an error page serves all the same. Another upstream than the area's is a login
        page, unless the gate is one that has no login page."""
        main = outcome.main
        if main is None or (area.kind != "auth_basic" and not self._same_as_admitted(route, main)):
            return None, ""
        return ERROR, "whoever is refused by the gate is served by this error page's location instead"

    def _same_as_admitted(self, route: Route, exchange: Exchange) -> bool:
        for outcome in self.site.trace(with_header(route.request, BASIC), ADMITTED):
            main = outcome.main
            if main is None or main.uri != exchange.uri or any(gate.result == "refused" for gate in outcome.gates):
                continue
            if same_upstream(main) == same_upstream(exchange):
                return True
        return False

    def _shares_origin(self, area: Area, outcome: Outcome) -> bool:
        """Whether what answers is where the guarded block's own requests end, too: the same upstream, or files and what
        stands behind them. A pattern that leads to another application shows nothing of the guarded one."""
        main = outcome.main
        if main is None:
            return True
        if area not in self.origins:
            self.origins[area] = {
                same_upstream(passed.main) if passed.main is not None else None
                for route in self.below.get(area.prefix.rstrip("/"), ())
                if inside(area, route.request.path)
                for passed in self.site.trace(with_header(route.request, BASIC), ADMITTED)
                if not any(gate.result == "refused" for gate in passed.gates)
                if passed.handler == area.block or _has_passed(passed, area.kind)
            }
        return None in self.origins[area] or same_upstream(main) in self.origins[area]

    def _reached_through_gates(self) -> set[tuple[Place | None, str]]:
        """The blocks that answer requests that have passed a gate, each with the gate's kind: where an internal
        redirect leads there, the block was meant to be guarded."""
        if self.passed is None:
            self.passed = {
                (outcome.handler, gate.kind)
                for route in self.routes
                if GATE in route.traits
                for outcome in self.site.trace(with_header(route.request, BASIC), ADMITTED)
                for gate in outcome.gates
                if gate.result == "passed"
            }
        return self.passed


def _goes_round(area: Area, outcome: Outcome) -> bool:
    if outcome.handler is None or not serves(outcome) or _is_asked(area, outcome):
        return False
    # The server itself serves files for a URI that no block takes: where a redirect in its inside has led elsewhere.
    return outcome.action != "static" or not outcome.handler.text.startswith("server")


def _is_asked(area: Area, outcome: Outcome) -> bool:
    """Whether a gate of the area's kind had its say: it let the request in, was switched off there by a line
    of its own, or another condition was enough. An error page that serves after the refusal has not kept to it."""
    for gate in outcome.gates:
        if gate.kind == area.kind and gate.reason != "before" and gate.result != "refused":
            return True
        if gate.needs == "credentials" and gate.result == "passed":
            return True
    return False


def _has_passed(outcome: Outcome, kind: str) -> bool:
    return any(gate.kind == kind and gate.result == "passed" for gate in outcome.gates)


def _finding(area: Area, route: Route, outcome: Outcome, severity: str, how: str, path: str | None = None) -> Finding:
    return Finding(
        NAME,
        severity,
        f"{path or route.request.path} lies in the area that this configuration guards{_named(area)}, and {how}.",
        _line(area, outcome),
        confidence=HIGH if severity == ERROR else MEDIUM,
        related=(Related(area.gate, "this gate is not asked"),),
        routes=(route.label,),
        witness=route.request,
        help=_help(area, route, outcome),
        server=route.server,
        pattern=route.pattern,
    )


def _line(area: Area, outcome: Outcome) -> Place:
    """The line that answers in the area's own block, else the block that answers."""
    assert outcome.handler is not None
    if outcome.handler == area.block:
        for step in reversed(outcome.steps):
            if step.place is not None:
                return step.place
    return outcome.handler


def _named(area: Area) -> str:
    return f" ({area.kind} for {'exactly ' if area.exact else ''}{area.prefix})"


def _help(area: Area, route: Route, outcome: Outcome) -> str:
    if "//" in route.request.path:
        return "Remove `merge_slashes off;`, so that both are one path."
    if outcome.handler == area.block:
        return "`return` and `rewrite` run before the gate: let a location inside, or an upstream, give the answer."
    if area.kind == "client_certificate":  # which holds for no block inside
        return f"Repeat the condition here: {area.gate.text} {{ return 403; }}"
    return f"Repeat the gate here, or put this block inside the guarded one: {area.gate.text}"
