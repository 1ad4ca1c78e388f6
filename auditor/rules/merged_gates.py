"""Ways round the gates of a server whose sections merge (httpd): bypassed-gate for these. No one block answers a
request there; a gate is missing where its section does not apply, or where another section takes its place."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from auditor.findings import ERROR, HIGH, INFO, MEDIUM, WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import ADMITTED, BASIC, STRANGER, deciding, serves, with_header
from auditor.rules.shapes import is_asset, merged
from auditor.server import LOCAL, Area, Route, Site
from auditor.source import Place
from auditor.trace import Gate, Outcome

NAME = "bypassed-gate"
_PROBE = "/audit-probe"
_METHODS = ("GET", "HEAD", "POST")
# What is open wherever a gate stands: it is asked for without credentials (RFC 8555, 8.3), or says so itself.
_OPEN = frozenset((".well-known", "public", "health", "healthz", "livez", "readyz", "ping"))
_ORDER = {ERROR: 0, WARNING: 1, INFO: 2}


def find_ways(site: Site) -> Iterator[Finding]:
    """The ways round the gates of the site: of each line that makes one, the worst."""
    found: dict[tuple[str, Place | None, Place], Finding] = {}
    by_server: dict[str, list[Route]] = {}
    for route in site.routes():
        if route.request.method in _METHODS:
            by_server.setdefault(route.server, []).append(route)
    for area in site.areas():
        for finding in _of_area(site, area, by_server.get(area.server, [])):
            if finding.place.source not in site.files:
                continue  # a line that is only assumed
            key = (area.server, area.gate, finding.place)
            known = found.get(key)
            if known is None or _ORDER[finding.severity] < _ORDER[known.severity]:
                found[key] = finding
    yield from found.values()
    yield from _of_files(site, [one for routes in by_server.values() for one in routes])


def _of_files(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    """Gates for files by their names, outside of all areas, and lines for other names that take their place."""
    told: set[Place] = set()
    areas = site.areas()
    for route in routes:
        path = merged(route.request.path)
        if any(area.server == route.server and _inside(area, path) for area in areas):
            continue
        # This only saves asking another world where no gate is overridden.
        if not any(one.action == "unknown" or _overridden(one) for one in site.trace(route.request)):
            continue
        for outcome in site.trace(route.request, STRANGER):
            gate = _overridden(outcome)
            line = deciding(gate.because) if gate is not None else None
            if gate is None or line is None or line in told or not serves(outcome):
                continue
            asked = next((item.place for item in gate.because[1:] if item.place is not None), None)
            if asked is None or line.source not in site.files or is_asset(route.request.path):
                continue
            told.add(line)
            yield Finding(
                NAME,
                ERROR,
                f"{route.request.path} has a gate of its own, and this line takes its place: of two sections for files "
                "that are about the same name, the later one counts.",
                line,
                confidence=HIGH,
                related=(Related(asked, "this gate is not asked"),),
                routes=(route.label,),
                witness=route.request,
                help="Write the section with the gate behind this one.",
                server=route.server,
                pattern=route.pattern,
            )


def _overridden(outcome: Outcome) -> Gate | None:
    """A gate whose place another section has taken."""
    return next((gate for gate in outcome.gates if gate.reason == "overridden"), None)


def _of_area(site: Site, area: Area, routes: list[Route]) -> Iterator[Finding]:
    bare = area.prefix.rstrip("/")
    own = [route for route in routes if _inside(area, merged(route.request.path))]
    own += _further(area, routes, {(route.request.port, route.request.target) for route in own})
    for route in own:
        if not _OPEN.isdisjoint(route.request.path.lower().split("/")):
            continue
        for outcome in site.trace(route.request, STRANGER):
            if serves(outcome) and not _is_asked(area, outcome):
                yield from _judge(site, area, route, outcome, routes)
    if bare:
        for route in own[:20]:
            yield from _other_names(site, area, route)


def _further(area: Area, routes: list[Route], known: Container[tuple[int, str]]) -> Iterator[Route]:
    """Requests for the area that no route stands for, since others outside of it are treated alike: the area itself,
    anything in it, and anything with an extension that a route has; at each port."""
    bare = area.prefix.rstrip("/")
    if not bare:
        return
    names = (name for route in routes if (name := route.request.path.rpartition("/")[2]))
    endings = dict.fromkeys(name[name.find(".") :] for name in names if "." in name)
    for first in _by_port(routes).values():
        for target in ("", "/", _PROBE, *(_PROBE + ending for ending in list(endings)[:8])):
            if (first.request.port, bare + target) not in known:
                request = first.request._replace(target=bare + target, headers=first.request.headers[:1])
                yield Route(request, first.server, area.prefix, None, first.traits)


def _by_port(routes: Sequence[Route]) -> dict[tuple[bool, int], Route]:
    """A route for each way to reach the host."""
    found: dict[tuple[bool, int], Route] = {}
    for route in sorted(routes, key=lambda one: one.request.method != "GET"):
        found.setdefault((route.request.tls, route.request.port), route)
    return found


def _inside(area: Area, path: str) -> bool:
    bare = area.prefix.rstrip("/")
    return path == bare or path.startswith(bare + "/")


def _is_asked(area: Area, outcome: Outcome) -> bool:
    """Whether a gate had its say, or a line of this very part of the site says that none is asked."""
    return any(
        gate.needs == "credentials" and gate.reason not in ("before", "overridden") and gate.result != "refused"
        for gate in outcome.gates
    )


def _judge(site: Site, area: Area, route: Route, outcome: Outcome, routes: Sequence[Route]) -> Iterator[Finding]:
    path = route.request.path
    bare = area.prefix.rstrip("/")
    overridden = _overridden(outcome)
    if overridden is not None:
        line = deciding(overridden.because)
        if line is not None:
            how = "this line takes the gate's place, because sections of this kind are merged behind it"
            help = (
                "Write it into a section for the very paths that shall be open, or write `AuthMerging And` beside it."
            )
            harmless = is_asset(path) or (not bare and not _is_whole(site, area, route, line))
            yield _finding(area, route, line, INFO if harmless else ERROR, how, help)
        return
    if any(gate.result == "refused" for gate in outcome.gates):
        return
    main = outcome.main
    line = main.place if main is not None and main.place is not None else outcome.handler
    if line is None or _guards_other_methods(site, area, route):
        return
    if bare and path == bare:
        if area.prefix.endswith("/") and main is not None and area.block.text.lower().startswith("<location"):
            how = "without its final slash it is no part of that section"
            # A line for all that is handed on was not written with the area in mind.
            severity = INFO if _answers(site, route, _PROBE, line) else WARNING
            yield _finding(area, route, line, severity, how, f"<Location {bare}>  is about {bare} and all below it")
        return
    if main is None or outcome.action == "cgi":
        if outcome.gates:
            return  # another kind of gate let it in
        if _is_twin(site, area, route, outcome, routes):
            how = f"at port {route.request.port} this virtual host answers it without the gate"
            help = "Write the gate into each virtual host, or have this one redirect to the other."
            yield _finding(area, route, line, ERROR if bare else WARNING, how, help)
            return
        # Files of another folder, under a path of their own.
        yield _finding(area, route, line, INFO, "the folder behind it is not the one that is guarded", "")
        return
    whole = _goes_all_round(site, area, route, line)
    how = "this line hands it on, where a gate for a folder of this machine is not asked"
    severity = ERROR if whole and bare else WARNING
    if not bare and not whole:
        severity = INFO
    if area.block.text.lower().startswith("<location"):
        how = "this line hands it on without the gate"
    yield _finding(area, route, line, severity, how, f"Put the gate into <Location {area.prefix}>.")


def _is_twin(site: Site, area: Area, route: Route, outcome: Outcome, routes: Sequence[Route]) -> bool:
    """Whether the same file is behind the gate at another port of the host: one site, of which one virtual host was
    forgotten."""
    if LOCAL in route.traits or outcome.file is None:
        return False
    own = (route.request.tls, route.request.port)
    for key, other in _by_port([one for one in routes if one.request.host == area.host]).items():
        request = other.request._replace(method="GET", target=route.request.target, headers=other.request.headers[:1])
        if key == own or any(serves(one) for one in site.trace(request, STRANGER)):
            continue
        if any(one.file == outcome.file for one in site.trace(with_header(request, BASIC), ADMITTED)):
            return True
    return False


def _answers(site: Site, route: Route, path: str, line: Place) -> bool:
    """Whether that line hands on a request for another path, too."""
    outcomes = site.trace(route.request._replace(method="GET", target=path), STRANGER)
    return any(outcome.main is not None and outcome.main.place == line for outcome in outcomes)


def _is_whole(site: Site, area: Area, route: Route, line: Place) -> bool:
    """Whether that line opens any path of the area."""
    request = route.request._replace(method="GET", target=area.prefix.rstrip("/") + _PROBE)
    return any(
        gate.reason == "overridden" and deciding(gate.because) == line
        for outcome in site.trace(request, STRANGER)
        for gate in outcome.gates
    )


def _guards_other_methods(site: Site, area: Area, route: Route) -> bool:
    """Whether the gate is asked about this path, by some method: that is judged by method-limited-gate."""
    return any(
        any(item.place == area.gate for gate in outcome.gates for item in gate.because)
        for method in ("GET", "POST", "PUT", "OPTIONS")
        for outcome in site.trace(route.request._replace(method=method), STRANGER)
    )


def _goes_all_round(site: Site, area: Area, route: Route, line: Place) -> bool:
    """Whether this line answers for the area as a whole, or for all files of one kind there: no part with a path of its
    own that is cut out of it."""
    name = route.request.path.rpartition("/")[2]
    dot = name.find(".")
    names = [_PROBE, *([_PROBE + name[dot:]] if dot >= 0 else [])]
    for probe in names:
        request = route.request._replace(method="GET", target=area.prefix.rstrip("/") + probe)
        for outcome in site.trace(request, STRANGER):
            here = outcome.main is not None and outcome.main.place == line
            if here and serves(outcome) and not _is_asked(area, outcome):
                return True
    return False


def _other_names(site: Site, area: Area, route: Route) -> Iterator[Finding]:
    """Other requests for the very same: another folder's name, letters of another case, the front controller's own."""
    for passed in site.trace(with_header(route.request, BASIC), ADMITTED):
        if not any(gate.result == "passed" and gate.needs == "credentials" for gate in passed.gates):
            continue
        if passed.action == "static" and passed.file is not None:
            for request in site.addresses(passed.file):
                if request.host == route.request.host and not _inside(area, request.path):
                    yield from _if_same(site, area, route, request, passed)
        if passed.main is not None and passed.main.uri is not None:
            bare = area.prefix.rstrip("/")
            rest = route.request.target[len(bare) :]
            for other in (bare.upper() + rest, "/" + bare + rest):
                yield from _if_same(site, area, route, route.request._replace(target=other), passed)
            yield from _script(site, area, route, passed)


def _if_same(site: Site, area: Area, route: Route, request: Request, passed: Outcome) -> Iterator[Finding]:
    """A request that gets the same file, or that the same upstream is asked the same by, without the gate."""
    for outcome in site.trace(request, STRANGER):
        if not serves(outcome) or outcome.gates:
            continue
        main = outcome.main
        same = outcome.file is not None and outcome.file == passed.file
        if main is not None and passed.main is not None:
            same = (main.uri, main.place) == (passed.main.uri, passed.main.place)
        line = main.place if main is not None else _source(outcome)
        if same and line is not None:
            how = f"{request.path} leads to the same without the gate"
            help = "Guard the folder itself: <Directory>" if main is None else "Write the pattern without NC."
            yield _finding(area, route._replace(request=request), line, ERROR, how, help, route.request.path)
            return


def _source(outcome: Outcome) -> Place | None:
    """The line that leads to a file: the last one on the way, behind the choice of the virtual host."""
    lines = [step.place for step in outcome.steps[1:] if step.place is not None]
    return lines[-1] if lines else outcome.handler


def _script(site: Site, area: Area, route: Route, passed: Outcome) -> Iterator[Finding]:
    """A front controller that is asked with the area's path behind its own name (PATH_INFO; RFC 3875, 4.1.5)."""
    assert passed.main is not None
    script = passed.main.header("SCRIPT_NAME")
    name = script.value.text if script is not None else None
    if not name or route.request.path.startswith(name) or _inside(area, name) or _has_own(site, area, route):
        return
    request = route.request._replace(target=name + area.prefix.rstrip("/"))
    for outcome in site.trace(request, STRANGER):
        main = outcome.main
        if not serves(outcome) or outcome.gates or main is None:
            continue
        again = main.header("SCRIPT_NAME")
        told = main.header("PATH_INFO")
        if again is not None and again.value.text == name and told is not None and main.place is not None:
            how = f"{request.path} asks the same script for it without the gate"
            help = f'<LocationMatch "^({name})?{area.prefix.rstrip("/")}(/|$)">  is about both'
            yield _finding(area, route._replace(request=request), main.place, ERROR, how, help, area.prefix)
            return


def _has_own(site: Site, area: Area, route: Route) -> bool:
    """Whether the guarded part is a folder with an index of its own: a script outside of it does not serve that."""
    request = with_header(route.request._replace(method="GET", target=area.prefix.rstrip("/") + "/"), BASIC)
    for outcome in site.trace(request, ADMITTED):
        script = outcome.main.header("SCRIPT_NAME") if outcome.main is not None else None
        if script is not None and _inside(area, script.value.text or ""):
            return True
        if outcome.file is not None and outcome.status == 200:
            return True
    return False


def _finding(
    area: Area, route: Route, line: Place, severity: str, how: str, help: str, path: str | None = None
) -> Finding:
    return Finding(
        NAME,
        severity,
        f"{path or route.request.path} lies in the area that this configuration guards ({area.kind} for {area.prefix}),"
        f" and {how}.",
        line,
        confidence=HIGH if severity == ERROR else MEDIUM,
        related=(Related(area.gate, "this gate is not asked"),),
        routes=(route.label,),
        witness=route.request,
        help=help,
        server=route.server,
        pattern=route.pattern,
    )
