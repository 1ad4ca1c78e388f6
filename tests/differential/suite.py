"""A random configuration of one kind of server, played and predicted; its differences made small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from probes.runners import local
from tests.differential.play import HUNG, Case, Line, Origins, Played, crash
from tests.differential.shrink import Shrinker, kind
from tests.differential.tree import Node


class Made(NamedTuple):
    """A random configuration: its nodes, the files beside it, and the requests to ask of it."""

    nodes: list[Node]
    files: dict[str, str]
    lines: list[Line]


class Kind(Protocol):
    """What differs between kinds of servers. `label` names the server; `common` are the files that every case has."""

    label: str
    common: dict[str, str]

    def make(self, seed: str, number: int, requests: int) -> Made:
        """The random configuration of that number."""

    def whole(self, nodes: list[Node], files: dict[str, str]) -> str:
        """The text of the main file around these nodes; the bodies of included files go to `files`."""

    def play(self, case: Case, origins: Origins, predict: bool = True) -> Iterator[Played]:
        """Plays every line. Raises Refused where the server does not accept the configuration."""

    def contradictions(self, played: Played) -> list[str]:
        """What the comparison says; a request that hangs is no judge."""

    def shown(self, case: Case) -> str:
        """The case's files without what every case has."""


class Failure(NamedTuple):
    """A difference, as small as it got."""

    number: int
    kind: str
    found: list[str]
    case: Case


class Result(NamedTuple):
    """What one configuration gave. `tally` counts requests, exchanges, unknown, several, hung and differing ones, and
    unstable ones: those whose difference did not show again when they were asked alone."""

    number: int
    refused: str
    tally: Counter[str]
    failures: list[Failure]


class Options(NamedTuple):
    """What a worker needs to know. `folder` is for Unix sockets."""

    kind: Kind
    folder: str
    seed: str
    requests: int
    shrink: bool
    predict: bool


def check(case: Case, served: Kind, origins: Origins) -> list[str]:
    """The differences of a case's only request; none where the server refuses the configuration."""
    try:
        for played in served.play(case, origins):
            return served.contradictions(played)
    except (local.Refused, TimeoutError):
        return []
    except Exception as error:
        return [crash(error)]
    return []


def run_one(options: Options, number: int, origins: Origins) -> Result:
    """Plays the configuration of that number, and makes small what differs."""
    served = options.kind
    nodes, files, lines = served.make(options.seed, number, options.requests)
    case = Case(served.whole(nodes, files), files, lines)
    tally: Counter[str] = Counter()
    seen: dict[str, list[tuple[Line, list[str]]]] = {}
    at = -1
    try:
        for played in served.play(case, origins, options.predict):
            at = played.number
            tally["requests"] += 1
            tally["exchanges"] += len(played.seen.exchanges)
            tally["hung"] += played.seen.reply is HUNG
            if not options.predict:
                continue
            outcomes = played.predicted.get("outcomes", ())
            tally["several"] += len(outcomes) > 1
            tally["unknown"] += any(outcome["action"] == "unknown" for outcome in outcomes)
            found = served.contradictions(played)
            if found:
                seen.setdefault(kind(found), []).append((lines[at], found))
    except local.Refused as refused:
        return Result(number, str(refused), tally, [])
    except Exception as error:
        if at + 1 < len(lines):
            seen.setdefault("crash", []).append((lines[at + 1], [crash(error)]))
    failures: list[Failure] = []
    for name, entries in seen.items():
        for line, _ in entries[:3]:
            small = Case(case.config, files, [line])
            if again := check(small, served, origins):
                if len(failures) < 2:
                    failure = Failure(number, name, again, small)
                    failures.append(_smallest(failure, nodes, served, origins) if options.shrink else failure)
                tally["differing"] += len(entries)
                break
        else:
            tally["unstable"] += len(entries)
    return Result(number, "", tally, failures)


def _smallest(failure: Failure, nodes: list[Node], served: Kind, origins: Origins) -> Failure:
    """The failure with its case cut down."""
    failing: Callable[[Case], list[str]] = lambda case: check(case, served, origins)  # noqa: E731
    shrinker = Shrinker(served, [node.copy() for node in nodes], failure.case, failing)
    shrinker.run()
    return failure._replace(found=shrinker.found, case=shrinker.case()) if shrinker.found else failure


def show(failure: Failure, served: Kind, seed: str) -> str:
    """The failure as text: the small configuration, the request and the difference."""
    lines = [f"--- --seed {seed} --only {failure.number}: {failure.kind}", served.shown(failure.case)]
    lines += [f"    request: {failure.case.lines[0]}", *(f"  ! {text}" for text in failure.found)]
    return "\n".join(lines)
