"""What a sandbox is asked: each route's requests, what the upstreams answer them, and what the predictor says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auditor.asked import read_line
from auditor.http import Request, make_request
from auditor.reports.trace_json import trace_json
from auditor.server import Route
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Outcomes
from auditor.world import World, Worlds
from probes.compare import CGI_LIKE
from probes.log import Answer
from probes.questions import IDENTITY, PROBES, Line, Probe, spoofed
from probes.sandbox.kits import Kit
from probes.sandbox.mirror import Collector
from probes.sandbox.sandbox import Told

VISITOR = "visitor-of-audit"  # who the stand-in of an auth service says it is
REFUSAL = (("WWW-Authenticate", 'Bearer realm="audit-probe-auth"'),)


class Asker:
    """Makes the lines for a configuration and predicts them."""

    def __init__(self, site: Any, kit: Kit, secret: str, settings: Settings, client: str) -> None:
        self.site = site
        self.client = client  # the address that the server sees
        self.given = f"{kit.user(site)}:{secret}"
        self.identities = identity_names(kit.sets(site), settings)
        self.probes = probes_for(self.identities)
        # What the configuration takes out of an auth service's answer, in the order in which it does.
        self.verdict = tuple((name.replace("_", "-"), VISITOR) for name in kit.captured(site))

    def base(self, route: Route) -> Line:
        """The route's own request as a line, from this machine."""
        request = route.request
        headers = [list(pair) for pair in request.headers]
        return {"method": request.method, "url": request.url, "headers": headers}

    def complete(self, line: Line) -> Line:
        """The line with the client's address and what an auth service answers: yes to credentials, else 401."""
        accepted = any(name.lower() == "authorization" for name, _ in line["headers"])
        verdict = {"status": 200, "headers": [list(pair) for pair in self.verdict]}
        if not accepted:
            verdict = {"status": 401, "headers": [list(pair) for pair in REFUSAL]}
        answers = [{"role": "auth", "upstream": "*", **verdict}]
        return {"upstream_responses": answers, **line, "client_ip": self.client}

    def line(self, route: Route, probe: Probe, mark: str) -> Line | None:
        """The line of a probe at a route; `mark` makes a fresh URL fresh."""
        made = probe.line(self.base(route), self.given, mark)
        return None if made is None else self.complete(made)


def identity_names(sets: Iterable[str], settings: Settings) -> list[str]:
    """Of the names that the configuration itself sets, the identity headers, in the usual spelling."""
    names: dict[str, None] = {}
    for name in sets:
        if settings.names_identity(name):
            names[name.removeprefix("HTTP_").replace("_", "-").title()] = None
    return list(names)


def probes_for(names: Sequence[str]) -> tuple[Probe, ...]:
    """The probes, with these identity headers beside the usual ones."""
    if not names:
        return PROBES
    replaced = spoofed([*names, *(name for name in IDENTITY if name not in names)])
    by_name = {probe.name: probe for probe in replaced}
    return tuple(by_name.get(probe.name, probe) for probe in PROBES)


def predict(site: Any, world: World, line: Line) -> tuple[Outcomes, dict[str, Any]]:
    """The outcomes of a line, and the same as the JSON that observations are compared with."""
    request, given = read_line(line)
    outcomes = site.trace_once(request, Worlds(given, world))
    return outcomes, trace_json(line, outcomes)


def told(line: Mapping[str, Any], predicted: Mapping[str, Any]) -> Told:
    """What the origins have to answer so that it is what the line says of their roles."""
    rows: dict[tuple[str, str], list[Answer]] = {}
    mirrors = 0
    for outcome in predicted["outcomes"]:
        counts: dict[tuple[str, str], int] = {}
        if any(exchange["role"] == "mirror" for exchange in outcome["exchanges"]):
            mirrors = max(mirrors, len(outcome["exchanges"]))
        for exchange in outcome["exchanges"]:
            uri = "" if exchange["protocol"] in CGI_LIKE else exchange["uri"]
            for server in exchange["servers"]:
                row = rows.setdefault((server, uri), [])
                counts[(server, uri)] = counts.get((server, uri), 0) + 1
                if len(row) < counts[(server, uri)]:
                    row.append(_answer(line, exchange["role"], exchange["upstream"]))
    return Told(_answer(line, "main", ""), {key: tuple(row) for key, row in rows.items()}, mirrors)


def _answer(line: Mapping[str, Any], role: str, upstream: str) -> Answer:
    """What the line says that this upstream answers in this role: the first that fits, as auditor.asked has it."""
    said = line.get("upstream_response") or {}
    for entry in line.get("upstream_responses", ()):
        if entry["role"] in ("*", role) and entry["upstream"] in ("*", upstream):
            said = entry
            break
    body = said.get("body", "origin\n").encode("latin-1")
    return Answer(said.get("status", 200), tuple((name, value) for name, value in said.get("headers", ())), body)


def rehearse(site: Any, lines: Sequence[Line], world: World, collector: Collector) -> dict[Place, set[tuple[str, str]]]:
    """Traces the lines so that `collector` learns which files they touch; gives what each line that sends requests on
    has sent them to: upstream and URI."""
    evaluated: dict[Place, set[tuple[str, str]]] = {}
    for line in lines:
        request, given = read_line(line)
        collector.target = request.path
        for outcome in site.trace_once(request, Worlds(given, collector, world)):
            for exchange in outcome.exchanges:
                if exchange.place is not None:
                    evaluated.setdefault(exchange.place, set()).add((exchange.upstream, exchange.uri or ""))
    return evaluated


def brief(predicted: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The outcomes of a trace without blame and values: a whole one for each cell of a big site would fill the
    memory."""
    out = []
    for outcome in predicted["outcomes"]:
        main = next((each for each in reversed(outcome["exchanges"]) if each["role"] in ("main", "fallback")), None)
        headers = main["headers"] if main is not None else ()
        out.append(
            {
                "when": [asked["text"] for asked in outcome["when"]],
                "action": outcome["action"],
                "status": outcome["status"],
                "upstream": main["upstream"] if main is not None else None,
                "headers": [{"name": one["name"], "fate": one["fate"], "present": one["present"]} for one in headers],
                "lost": [one["name"] for one in main["lost"]] if main is not None else [],
            }
        )
    return tuple(out)


def request_of(line: Mapping[str, Any]) -> Request:
    """The request of a line, for its listener."""
    return make_request(line["url"])
