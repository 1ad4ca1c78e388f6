"""A configuration probed in sandboxes: every route asked every question, predicted against observed."""

from __future__ import annotations

import os
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from auditor.server import Route
from auditor.settings import DEFAULT, Settings
from auditor.source import Place
from probes.caches import answer_keys, keys_of, may_hit, must_hit, without_main
from probes.compare import Observation
from probes.fates import Fate, fates
from probes.limits import Limit, find_limits
from probes.plan import Asker, brief, predict, rehearse, told
from probes.questions import Line, Probe
from probes.runners.program import Program
from probes.sandbox.check import Unsafe
from probes.sandbox.kits import kit_of
from probes.sandbox.sandbox import GivenUp, Sandbox, ServerRefused
from probes.sandbox.sealed import Taken

AGREES = "agrees"
DIFFERS = "differs"
UNPREDICTED = "not predicted"  # the configuration leaves it to code or modules: what was seen stands alone
FAILED = "no answer"  # the server did not answer in time
REPEATED = "repeat-other"  # asks what another probe has just asked, of a cache


class Cell(NamedTuple):
    """One probe at one route. `predicted` are the outcomes in brief, `seen` is None where no answer came, `fates` what
    became of the headers on the way to the origin, `differences` where observation and prediction part."""

    probe: str
    title: str
    line: Line
    predicted: tuple[dict[str, Any], ...]
    seen: Observation | None
    verdict: str
    differences: tuple[str, ...] = ()
    fates: tuple[Fate, ...] = ()
    hit: bool = False  # a cache answered
    reached: bool = False  # the request itself, not only one for a verdict, reached an upstream


class Row(NamedTuple):
    """A route with its cells. `elsewhere` tells what is predicted for clients that this one cannot play."""

    route: Route
    cells: tuple[Cell, ...]
    elsewhere: tuple[str, ...] = ()


class Probed(NamedTuple):
    """All that a probe of a configuration gave. `taken` is what the sandboxes did without, `identities` the identity
    headers that the configuration sets, `client` the address that the server saw."""

    server: str
    rows: tuple[Row, ...]
    limits: tuple[Limit, ...]
    taken: tuple[Taken, ...]
    requests: int
    seconds: float
    identities: tuple[str, ...] = ()
    client: str = ""

    @property
    def differing(self) -> list[tuple[Row, Cell]]:
        """The cells where the server did something else than predicted."""
        return [(row, cell) for row in self.rows for cell in row.cells if cell.verdict == DIFFERS]

    @property
    def failed(self) -> list[tuple[Row, Cell]]:
        """The cells without an answer."""
        return [(row, cell) for row in self.rows for cell in row.cells if cell.verdict == FAILED]


class Options(NamedTuple):
    """How to probe: how many sandboxes side by side (0: as many as make sense here), whether embedded code runs."""

    sandboxes: int = 0
    code: bool = False
    settings: Settings = DEFAULT


PLAIN = Options()
OWN = Probe("", "a request of its own")


class Session:
    """The sandboxes of one configuration, and what they are asked. `witnesses` are further lines that it will be asked.
    Leaving the `with` block ends all sandboxes."""

    def __init__(self, site: Any, program: Program, options: Options = PLAIN, witnesses: Sequence[Line] = ()) -> None:
        self.program = program
        self.options = options
        self.witnesses = witnesses
        self.kit = kit_of(site.kind)
        self.original: Any = self.kit.site(site, program)
        self.routes = [route for route in self.original.routes() if self._listened(route)]
        self.secret = secrets.token_hex(8)
        self.asker = Asker(self.original, self.kit, self.secret, options.settings, program.machine)
        self.requests = 0
        self.caches = self.kit.caches(self.original)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.sandboxes: list[Sandbox] = []
        lines = [line for number, route in enumerate(self.routes) for line in self._rehearsed(route, number)]
        lines += witnesses
        collector = self.kit.collector(self.original)
        evaluated = rehearse(self.original, lines, _Client(program.machine), collector)
        self.prepared = self.kit.prepare(self.original, program, collector, evaluated, self.secret, options.code)
        try:
            self.sandboxes.append(self.kit.sandbox(self.prepared))
            self.site: Any = self.original
            sealed = self.sandboxes[0].sealed
            if sealed is not None and sealed.changed:
                self.site = self.original.without(*sealed.changed)
        except BaseException:
            self.close()
            raise

    def _listened(self, route: Route) -> bool:
        return bool(route.request.port)

    def _rehearsed(self, route: Route, number: int) -> list[Line]:
        wanted = ("no-credentials", "basic", "preflight", "repeat-first")
        chosen = [probe for probe in self.asker.probes if probe.name in wanted or self.caches]
        made = [self._line(route, probe, number) for probe in chosen]
        return [line for line in made if line is not None]

    def _line(self, route: Route, probe: Probe, number: int) -> Line | None:
        """The probe at the route of that number. Where answers are kept, each has a URL of its own, so that it need not
        wait for a server with empty caches; the two that repeat each other have one URL."""
        mark = f"{number}"
        if self.caches and not probe.fresh:
            mark, probe = f"{number}-{probe.name}", probe._replace(fresh=True)
        return self.asker.line(route, probe, mark)

    def grow(self) -> None:
        """Starts further sandboxes, so that several requests can be on their way side by side."""
        wanted = self.options.sandboxes or min(2, os.cpu_count() or 1, 1 + len(self.routes) // 12)
        while len(self.sandboxes) < wanted:
            self.sandboxes.append(self.kit.sandbox(self.prepared))

    # --- asking

    def row(self, sandbox: Sandbox, route: Route, number: int) -> Row:
        """All the cells of a route."""
        cells: list[Cell] = []
        traces: list[dict[str, Any]] = []
        for probe in self.asker.probes:
            line = self._line(route, probe, number)
            repeats = probe.name.startswith("repeat")
            if line is None or (repeats and not any(answer_keys(trace) for trace in traces)):
                continue  # repeated requests are asked where a cache stands
            cell, trace = self.ask(sandbox, line, probe, traces[-1] if traces else None)
            cells.append(cell)
            traces.append(trace)
        return Row(route, tuple(cells), tuple(self._elsewhere(sandbox, route, traces)))

    def ask(
        self, sandbox: Sandbox, line: Line, probe: Probe = OWN, before: dict[str, Any] | None = None
    ) -> tuple[Cell, dict[str, Any]]:
        """One request, with no cache that could answer it: its cell and the whole trace. Only the probe that repeats
        another one is to meet the answer to that: `before` is the trace of it."""
        with self._lock:
            self.requests += 1
            outcomes, predicted = predict(self.site, sandbox.world(line), line)
        cell = Cell(probe.name, probe.title, line, brief(predicted), None, FAILED)
        if probe.name != REPEATED:
            sandbox.refresh(keys_of(outcomes))
        try:
            seen = sandbox.observe(line, told(line, predicted))
        except (TimeoutError, OSError) as error:
            late = isinstance(error, TimeoutError)
            why = "the server did not answer in time" if late else f"the server is not there: {error}"
            return cell._replace(differences=(why,)), predicted
        found = self.kit.differences(predicted, seen)
        hit = False
        if probe.name == REPEATED and before is not None:
            if found and may_hit(before, predicted) and not self.kit.differences(without_main(predicted), seen):
                hit, found = True, []
            elif not (found or self.kit.passes_caches(self.site)) and must_hit(before, predicted):
                found = ["a stored answer was expected, and the request went to the origin"]
        verdict = DIFFERS if found else AGREES
        if not _predictable(predicted):
            verdict, found = UNPREDICTED, []
        main = _main(seen, predicted)
        sent = tuple((name, value) for name, value in line["headers"])
        return cell._replace(
            seen=seen._replace(exchanges=tuple(one._replace(raw=b"") for one in seen.exchanges)),
            verdict=verdict,
            differences=tuple(found),
            fates=tuple(fates(sent, main)) if main is not None else (),
            hit=hit,
            reached=main is not None,
        ), predicted

    def _elsewhere(self, sandbox: Sandbox, route: Route, traces: Sequence[dict[str, Any]]) -> list[str]:
        """What is predicted where the client's address decides, and loopback is only one of them."""
        gates = (gate for trace in traces for outcome in trace["outcomes"] for gate in outcome["gates"])
        if not any(gate["kind"] == "access" for gate in gates):
            return []
        line = self.asker.complete(self.asker.base(route))
        del line["client_ip"]
        with self._lock:
            _, predicted = predict(self.site, _Anywhere(sandbox.world(line)), line)
        told_of: dict[str, None] = {}
        for outcome in predicted["outcomes"]:
            where = [asked["text"] for asked in outcome["when"] if asked["question"] == "client-address"]
            if where:
                told_of[f"{', '.join(where)}: {outcome_text(outcome)}"] = None
        return list(told_of)

    def run(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Probed:
        """Asks every route every question. `progress` is told how many of how many routes are done."""
        started = time.monotonic()
        self.grow()
        rows: list[Row | None] = [None] * len(self.routes)
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(self.routes)):
            waiting.put(number)
        done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=self._work, args=(sandbox, waiting, rows, done), daemon=True)
            for sandbox in self.sandboxes
        ]
        for thread in threads:
            thread.start()
        try:
            for count in range(len(self.routes)):
                progress(count, len(self.routes))
                failure = done.get()
                if failure is not None:
                    raise failure
            progress(len(self.routes), len(self.routes))
        finally:
            self._stop.set()
        limits = tuple(find_limits(self, self.sandboxes[0]))
        taken = self.sandboxes[0].taken
        return Probed(
            f"{self.kit.label} {self.program.version}",
            tuple(row for row in rows if row is not None),
            limits,
            taken,
            self.requests,
            time.monotonic() - started,
            tuple(self.asker.identities),
            self.program.machine,
        )

    def _work(
        self,
        sandbox: Sandbox,
        waiting: queue.SimpleQueue[int],
        rows: list[Row | None],
        done: queue.SimpleQueue[BaseException | None],
    ) -> None:
        try:
            while not self._stop.is_set():
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                rows[number] = self.row(sandbox, self.routes[number], number)
                done.put(None)
        except BaseException as error:
            done.put(error)

    def close(self) -> None:
        """Ends all sandboxes."""
        self._stop.set()
        for sandbox in self.sandboxes:
            sandbox.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# --- small things


def outcome_text(outcome: dict[str, Any]) -> str:
    """An outcome in a few words."""
    main = next((each for each in reversed(outcome["exchanges"]) if each["role"] in ("main", "fallback")), None)
    if main is not None:
        return f"sent to {main['upstream']}"
    return f"{outcome['status'] or ''} {outcome['action']}".strip()


def _predictable(predicted: dict[str, Any]) -> bool:
    """Whether there is anything to compare with: the way is known, and leads to an upstream that has a stand-in."""
    known = [outcome for outcome in predicted["outcomes"] if outcome["action"] != "unknown"]
    upstreams = [each["upstream"] for outcome in known for each in outcome["exchanges"]]
    return bool(known) and not any("$" in name or name.startswith("memcached:") for name in upstreams)


def _main(seen: Observation, predicted: dict[str, Any]) -> Any:
    """Of what arrived, the exchange whose answer the client got: the last one that is no auth or mirrored request."""
    others = {
        (server, exchange["uri"])
        for outcome in predicted["outcomes"]
        for exchange in outcome["exchanges"]
        if exchange["role"] in ("auth", "mirror")
        for server in exchange["servers"]
    }
    left = [one for one in seen.exchanges if (one.address, one.target) not in others]
    return left[-1] if left else None


class _Client:
    """Knows where the client is, and nothing else."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, question: Any) -> Any:
        from auditor.world import Answer

        return Answer(self._address, "", self._address) if question.kind == "client-address" else None


class _Anywhere:
    """A world that does not know where the client is."""

    def __init__(self, world: Any) -> None:
        self._world = world

    def ask(self, question: Any) -> Any:
        return None if question.kind == "client-address" else self._world.ask(question)


__all__ = ["GivenUp", "Options", "Place", "Probed", "ServerRefused", "Session", "Unsafe"]
