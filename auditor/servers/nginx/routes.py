"""Witnesses: requests made from the text of the configuration, one or a few for each block that can answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from auditor.behind import behind, sayings
from auditor.http import Request
from auditor.server import GATE, SUBREQUEST, Note, Route
from auditor.servers.nginx.admission import altered, is_turned_away, stages
from auditor.servers.nginx.config import Level, Listen, Location, Port, Server
from auditor.servers.nginx.intake import find_server
from auditor.servers.nginx.likeness import likeness, rewrites
from auditor.servers.nginx.maps import marks
from auditor.servers.nginx.phases import find_location
from auditor.servers.nginx.run import Unpredictable
from auditor.servers.nginx.script import has_statements
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.traits import server_traits, traits_of
from auditor.trace import Outcomes

if TYPE_CHECKING:
    from auditor.servers.nginx.site import NginxSite

MAX_VARIANTS = 6  # witnesses of one location beside the first
MAX_STAGES = 4  # witnesses of one location that get past more and more of its conditions
MAX_CROSSINGS = 400  # witnesses of patterns inside guarded prefixes, for one server
MAX_SEARCHES = 12  # in vain, for one server, for requests that get past its conditions


def make_routes(site: NginxSite) -> list[Route]:
    """All routes of a site. What no witness reaches is told in the site's notes."""
    routes: list[Route] = []
    said: list[tuple[str, str]] | None = None
    for server in site.http.servers:
        bases = _bases(site, server)
        if bases and has_statements(server):
            if said is None:
                said = sayings(source.text for source in site.files)
            secure = [base for base in bases if base.tls]
            further = behind(bases[0]._replace(target="/audit-probe"), site.trace, secure, said)
            if further is not None:
                bases.insert(0, further._replace(target="/"))
        made = list(_Maker(site, server, bases).routes()) if bases else []
        if not made and server.directive is not None:
            why = "no request reaches any of its locations" if bases else "no request chooses it"
            text = f"server {' '.join(server.names)} was not judged: {why}"
            site.note(Note("unreached", text, server.directive.place))
        routes.extend(made)
    return _with_unreached(site, routes)


def _with_unreached(site: NginxSite, routes: list[Route]) -> list[Route]:
    """The routes, the first with the traits of lines that no request reaches, too: rules that judge lines are asked
    all the same."""
    told: frozenset[str] = frozenset().union(*(route.traits for route in routes))
    said: frozenset[str] = frozenset().union(*(server_traits(server) for server in site.http.servers))
    missing = said & {GATE, SUBREQUEST} - told
    if routes and missing:
        routes[0] = routes[0]._replace(traits=routes[0].traits | missing)
    return routes


def _bases(site: NginxSite, server: Server) -> list[Request]:
    """Requests that this virtual host gets, by its listeners and names; those with TLS first, since the others often
    only redirect to them."""
    bases: list[Request] = []
    for listen in sorted(server.listens, key=lambda listen: not listen.tls):
        port = site.http.ports.get((listen.address, listen.port)) if listen.port else None
        if port is None:
            continue
        hosts = [_host_for(name, port, listen) for name in server.names[:4]]
        if port.default is server:
            hosts += ["localhost", "unknown.invalid"]
        chosen = [host for host in hosts if host is not None and _chosen(port, host) is server]
        for host in dict.fromkeys(chosen[:2]):
            line = ("Host", _authority(host, listen, port))
            bases.append(Request("GET", port.listen.tls, host, listen.port, "/", "1.1", (line,)))
    return bases


def _chosen(port: Port, host: str) -> Server | None:
    try:
        return find_server(port, host)[0]
    except Unpredictable:
        return None


def _host_for(name: str, port: Port, listen: Listen) -> str | None:
    if name.startswith("~"):
        from auditor.samples import samples

        return next(iter(samples(name[1:], True)), None)
    if name.startswith("*."):
        return "any" + name[1:]
    if name.startswith("."):
        return name[1:]
    if name.endswith(".*"):
        return name[:-1] + "example"
    if name in ("", "_") or "$" in name:
        return "localhost" if port.default is not None and listen else None
    return name


def _authority(host: str, listen: Listen, port: Port) -> str:
    default = 443 if port.listen.tls else 80
    return host if listen.port == default else f"{host}:{listen.port}"


def _at(base: Request, path: str) -> Request:
    """The request for another path, with the same arguments."""
    query = base.target.partition("?")[2]
    return base._replace(target=f"{path}?{query}" if query else path)


def _is_sent_on(outcomes: Outcomes) -> bool:
    return all(outcome.status is not None and 300 <= outcome.status < 400 for outcome in outcomes)


def _opposite(condition: list[str]) -> list[str]:
    """For a condition that most requests meet, because it says what something is not: that which it is."""
    if len(condition) != 3 or not condition[1].startswith("!"):
        return []
    return [condition[0], condition[1].removeprefix("!"), condition[2]]


class _Maker:
    """Makes the routes of one virtual host."""

    def __init__(self, site: NginxSite, server: Server, bases: list[Request]) -> None:
        self.site = site
        self.server = server
        self.bases = bases
        self.name = server.names[0] or "_"
        # Without rewrite directives at the server, the location search alone tells where a request goes.
        self.direct = not has_statements(server)
        self.rewrites = rewrites(server)
        self.searches = MAX_SEARCHES
        self.passed: dict[object, bool] = site.http.memo("passed", lambda _: {})  # type: ignore[assignment]

    def routes(self) -> Iterator[Route]:
        seen: set[Request] = set()
        for route in self._all():
            if route.request not in seen:
                seen.add(route.request)
                yield route

    def _all(self) -> Iterator[Route]:
        if not any(loc.modifier == "" and loc.name == "/" for loc in self.server.children):
            yield from self._of(self.server, ["/", "/audit-probe"], "server")
        stack = list(reversed(self.server.children))
        while stack:
            location = stack.pop()
            stack.extend(reversed(location.children))
            if location.modifier == "@" or location.internal:
                continue
            yield from self._of(location, self._paths(location), location.title)
        yield from self._crossings()
        yield from self._doubled()

    def _of(self, level: Level, paths: list[str], pattern: str) -> Iterator[Route]:
        request = self._witness(level, paths)
        if request is None:
            yield from self._taken_away(level, paths)
            if level is not self.server and paths:
                self._unreached(level)
            elif level is not self.server:
                self._unreached(level, "no sample of its pattern could be made")
            return
        handler = level.directive.place if level.directive is not None else None
        traits = traits_of(level, self.server)
        yield Route(request, self.name, pattern, handler, traits, likeness(level, self.server, request))
        onward = self._onward(level, request)
        for further in onward:
            yield Route(further, self.name, pattern, handler, traits, likeness(level, self.server, further))
        for variant in islice(self._variants(level, onward[-1] if onward else request), MAX_VARIANTS):
            yield Route(variant, self.name, pattern, handler, traits, likeness(level, self.server, variant))

    def _taken_away(self, level: Level, paths: list[str]) -> Iterator[Route]:
        """A request that is made for a guarded block, where a rewrite of the server or a pattern leads it to
        another one: that one answers in the guarded area."""
        from auditor.servers.nginx.areas import guarded_levels

        if not paths or all(each is not level for each, _ in guarded_levels(self.server)):
            return
        request = _at(self.bases[0], paths[min(1, len(paths) - 1)])  # below the prefix
        handlers = {outcome.handler for outcome in self.site.trace(request)}
        stack = list(self.server.children)
        while stack:
            other = stack.pop()
            stack.extend(other.children)
            place = other.directive.place if other.directive is not None else None
            if place in handlers:
                # With the traits of the guarded block: that it is never asked may be all that is wrong here.
                traits = traits_of(other, self.server) | traits_of(level, self.server)
                yield Route(request, self.name, other.title, place, traits)

    def _witness(self, level: Level, paths: list[str], search: bool = True) -> Request | None:
        """The first request, over all bases, that the level answers; first of all one that it does not turn away. With
        `search`, what a client would have to send to get there is tried, too."""
        away = None
        for base in self.bases[:1] if self.direct else self.bases:
            for path in paths:
                request = _at(base, path)
                if self._reaches(request, level):
                    if "rewrite" not in level.own or not is_turned_away(self.site.trace(request)):
                        return request
                    # One that gets as far as the conditions goes before one that is sent to another path.
                    if away is None or (
                        _is_sent_on(self.site.trace(away)) and not _is_sent_on(self.site.trace(request))
                    ):
                        away = request
        return away or (self._admitted(level, paths) if search else None)

    def _admitted(self, level: Level, paths: list[str]) -> Request | None:
        """A request that gets past what keeps all others from the level; what it has, further ones will have, too."""
        if self.direct:
            return None
        for base in self.bases[:2]:
            for path in paths[:2]:
                if self.searches == 0:
                    return None
                for further in self._stages(_at(base, path), level, lambda request: self._reaches(request, level)):
                    if self._reaches(further, level):
                        query = further.target.partition("?")[2]
                        self.bases.append(further._replace(target=f"/?{query}" if query else "/"))
                        return further
                self.searches -= 1
        return None

    def _onward(self, level: Level, request: Request) -> list[Request]:
        """Where the level's own conditions turn a request away, others that get past one of them after the other; the
        last is let in if one is found that is."""
        if "if" not in level.own or not is_turned_away(self.site.trace(request)):
            return []

        def is_let_in(further: Request) -> bool:
            return self._reaches(further, level) and not is_turned_away(self.site.trace(further))

        found = [each for each in self._stages(request, level, is_let_in) if self._reaches(each, level)]
        return [*found[: MAX_STAGES - 1], found[-1]] if len(found) > MAX_STAGES else found

    def _stages(self, request: Request, level: Level, arrives: Callable[[Request], bool]) -> Iterator[Request]:
        def is_mine(further: Request) -> bool:
            return further.host == request.host or self._is_mine(further)

        def gets_there(further: Request) -> bool:
            return is_mine(further) and arrives(further)

        return filter(is_mine, stages(request, level, self.server, self.site.trace, gets_there))

    def _is_mine(self, request: Request) -> bool:
        """Whether this virtual host gets it. (Others may have the same locations, out of one snippet.)"""
        ports = (self.site.http.ports.get((each.address, each.port)) for each in self.server.listens)
        port = next((port for port in ports if port is not None and port.listen.port == request.port), None)
        return port is not None and _chosen(port, request.host) is self.server

    def _unreached(self, level: Level, why: str = "every request made for it is answered elsewhere") -> None:
        place = level.directive.place if level.directive is not None else None
        self.site.note(Note("unreached", f"{level.title} was not judged: {why}", place))

    def _reaches(self, request: Request, level: Level) -> bool:
        wanted = level if isinstance(level, Location) else None
        if self._passes(request):
            try:
                found = find_location(None, self.server, request.path)
            except Unpredictable:
                return False
            if found is None:
                return wanted is None
            return found.how != "redirect" and found.location is wanted
        place = level.directive.place if level.directive is not None else None
        title = level.title if wanted is not None else None
        for outcome in self.site.trace(request):
            if title is None or any(step.place == place for step in outcome.steps):
                return True
        # What the server's own rewrite directives answer first is reached all the same by nobody.
        return False

    def _passes(self, request: Request) -> bool:
        """Whether the server's own rewrite directives surely let the request through to its locations."""
        if self.direct:
            return True
        if self.rewrites is None:
            return False
        headers = tuple(pair for pair in request.headers if pair[0] != "Host")
        query = request.target.partition("?")[2]
        key = (self.rewrites, request.method, request.tls, headers, query, marks(self.site.http, request.path))
        known = self.passed.get(key)
        if known is None:
            outcomes = self.site.trace(request)
            known = self.passed[key] = all(
                any(step.effect == "no location matches" or step.text.startswith("location ") for step in outcome.steps)
                for outcome in outcomes
            )
        return known

    def _paths(self, location: Location) -> list[str]:
        if location.modifier in ("~", "~*"):
            from auditor.samples import samples

            caseless = location.modifier == "~*"
            found = [*samples(location.name, caseless, "/x"), *samples(location.name, caseless)]
            outer = location.outer
            if isinstance(outer, Location) and outer.modifier in ("", "^~"):
                found = [outer.name.rstrip("/") + path for path in found] + found
            # A client's /. is /, and no request for a name that begins with a dot.
            found = [path + "x" if path.endswith(("/.", "/..")) else path for path in found]
            return [path for path in found if path.startswith("/")]
        name = location.name if location.name.startswith("/") else "/" + location.name
        if location.modifier == "=":
            return [name]
        return [name, name.rstrip("/") + "/audit-probe", name + "audit-probe"]

    # --- variants: other requests that the same block may treat otherwise

    def _variants(self, level: Level, base: Request) -> Iterator[Request]:
        for line in level.own.get("limit_except", ()):
            excepted = {word.upper() for word in line.args}
            for method in ("GET", "POST", "DELETE"):
                if method not in excepted and base.method != method:
                    yield base._replace(method=method)
                    break
            if "POST" in excepted:
                yield base._replace(method="POST")
        blocks: list[Directive] = [*level.own.get("if", ())]
        if level is not self.server:
            blocks += self.server.own.get("if", ())
        for line in blocks:
            for condition in (line.args, _opposite(line.args)):
                variant = self._meeting(condition, base)
                if variant is not None and variant != base:
                    yield variant
        for name in self._map_variables(level):
            block = self.site.http.maps.get(name)
            if block is None or block.name != "map" or not block.args:
                continue
            if block.args[0].startswith("$cookie_") and any(entry.name == "" for entry in block.block or ()):
                yield base.with_headers(("Cookie", f"{block.args[0][8:]}=audit-probe"))  # who has one, by the default
            for entry in (block.block or [])[:8]:
                if not entry.args or entry.name in ("default", "hostnames", "volatile", "include"):
                    continue
                operator = "=" if not entry.name.startswith("~") else ("~*" if entry.name.startswith("~*") else "~")
                variant = self._meeting([block.args[0], operator, entry.name.lstrip("~*")], base)
                if variant is not None and variant != base:
                    yield variant

    def _map_variables(self, level: Level) -> list[str]:
        """The mapped variables that decide gates and headers here."""
        if not self.site.http.maps:
            return []
        names: dict[str, None] = {}
        for directive in (
            "auth_basic",
            "proxy_set_header",
            "fastcgi_param",
            "proxy_pass",
            "add_header",
            "grpc_set_header",
            "if",
        ):
            for line in level.lines(directive) if directive != "if" else level.own.get("if", ()):
                for arg in line.args:
                    if "$" in arg:
                        for name in self.site.http.maps:
                            if "$" + name in arg or "${" + name in arg:
                                names[name] = None
        return list(names)

    def _meeting(self, condition: list[str], base: Request) -> Request | None:
        """A request like `base` that meets a condition, where one can be made."""
        if not condition or not condition[0].startswith("$"):
            return None
        name = condition[0].lstrip("$").strip("{}")
        operator = condition[1] if len(condition) > 1 else ""
        text = condition[2] if len(condition) > 2 else "1"
        if operator in ("~", "~*"):
            from auditor.samples import samples

            found = samples(text, operator == "~*")
            if not found:
                return None
            text = found[0]
        elif operator == "!=":
            text = text + "x" if name != "request_method" else "POST"
        elif operator in ("!~", "!~*"):
            text = "audit-probe" if name != "request_method" else "PROPFIND"
        return altered(base, name, text) if "$" not in text and text and name not in ("host", "http_host") else None

    # --- patterns inside guarded prefixes

    def _crossings(self) -> Iterator[Route]:
        from auditor.servers.nginx.areas import guarded_levels

        patterns = self._patterns()
        if not patterns:
            return
        count = 0
        for level, _ in guarded_levels(self.server):
            prefix = level.name if isinstance(level, Location) else ""
            if isinstance(level, Location) and level.modifier not in ("", "^~"):
                continue
            for location, tails in patterns:
                for tail in tails:
                    request = self._witness(location, [prefix.rstrip("/") + tail], search=False)
                    if request is not None:
                        request = next(reversed(self._onward(location, request)), request)
                        count += 1
                        if count > MAX_CROSSINGS:
                            return
                        handler = location.directive.place if location.directive is not None else None
                        alike = likeness(location, self.server, request)
                        yield Route(
                            request, self.name, location.title, handler, traits_of(location, self.server), alike
                        )
                        break

    def _doubled(self) -> Iterator[Route]:
        """Guarded prefixes asked for with two slashes, which is another path where merge_slashes is off. The setting
        that counts is the default server's (the target is read before the Host line)."""
        from auditor.servers.nginx.areas import guarded_levels

        listen = next((listen for listen in self.server.listens if listen.port == self.bases[0].port), None)
        port = self.site.http.ports.get((listen.address, listen.port)) if listen is not None else None
        if port is None or port.default is None or port.default.flag("merge_slashes", True):
            return
        for level, _ in guarded_levels(self.server):
            if not isinstance(level, Location) or level.modifier not in ("", "^~") or level.name == "/":
                continue
            target = "/" + level.name
            try:
                found = find_location(None, self.server, target)
            except Unpredictable:
                continue
            answering: Level = found.location if found is not None else self.server
            request = self._witness(answering, [target])
            if request is not None and answering is not level and answering.directive is not None:
                handler = answering.directive.place
                yield Route(request, self.name, answering.title, handler, traits_of(answering, self.server))

    def _patterns(self) -> list[tuple[Location, list[str]]]:
        """The regular-expression locations outside of any other, with samples that can stand behind a prefix."""
        from auditor.samples import samples

        found = []
        for location in self.server.children:
            if location.modifier in ("~", "~*") and not location.internal:
                tails = [
                    text for text in samples(location.name, location.modifier == "~*", "/x") if text.startswith("/")
                ]
                # A file without a name (/.php) is what a pattern inside the prefix may leave out, and nobody has.
                tails = [text for text in tails if text.replace("/.", "/x.", 1) not in tails or "/." not in text]
                if tails:
                    found.append((location, tails))
        return found
