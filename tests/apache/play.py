"""A request played against a running httpd and asked of the predictor; the origins are those of nginx's cases."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from auditor.http import make_request
from probes.compare import Observation
from probes.origin import Received
from probes.runners.local import fill, free_ports
from tests.apache.compare import differences
from tests.apache.lab import MODULES, Httpd, Server
from tests.differential.play import HUNG, Case, Line, Origins, Played, Predict, attempt
from tests.differential.play import observe as ask


def observe(line: Line, origins: Origins, server: Server) -> Observation:
    """What this request does: the exchanges with origins, and after them what scripts were given.

    Without the LD_LIBRARY_PATH that httpd hands on where the one who started it has one, and without what a script
    tells late: one whose request cannot be read is started all the same, and is ended when it likes.
    """
    server.given()
    seen = ask(line, origins)
    exchanges = [
        entry._replace(headers=tuple(pair for pair in entry.headers if pair[0] != "LD_LIBRARY_PATH"))
        for entry in (*seen.exchanges, *(entry for entry in server.given() if _is_of(line, entry)))
    ]
    return seen._replace(exchanges=tuple(exchanges))


def _is_of(line: Line, script: Received) -> bool:
    """Whether it is this request that a script was run for, as far as it tells."""
    target = dict(script.headers).get("REQUEST_URI")
    return "raw" in line or target in (None, make_request(line["url"]).target)


@contextmanager
def serving(
    case: Case,
    httpd: Httpd,
    origins: Origins,
    modules: Sequence[str] = MODULES,
    modes: Mapping[str, int] | None = None,
    fpm: str = "",
) -> Iterator[tuple[Server, dict[str, object]]]:
    """An httpd with these modules on the case's configuration, and what the placeholders in its lines stand for.

    Raises Refused where httpd does not accept the configuration.
    """
    ports = dict(zip(case.ports, free_ports(len(case.ports)), strict=True))
    places: dict[str, object] = {**origins.values(), "APORT": origins.all["A"].port, **ports}
    if fpm:
        places["FPM"] = fpm
    every = {**places, "LOAD": httpd.load(modules)}
    with Server(httpd.program, case.config, case.files, ("cache",), every, modes) as server:
        yield server, {**places, "DIR": server.path}


def play(
    case: Case,
    httpd: Httpd,
    origins: Origins,
    load: Callable[[str], Predict],
    fpm: str = "",
    modules: Sequence[str] = MODULES,
) -> Iterator[Played]:
    """Plays every line at the real server and asks the predictor that `load` makes of the main file.

    Raises Refused where httpd does not accept the configuration.
    """
    with serving(case, httpd, origins, modules, fpm=fpm) as (server, places):
        predict = load(server.config)
        for number, raw in enumerate(case.lines):
            line = json.loads(fill(json.dumps(raw), places))
            yield Played(number, line, attempt(predict, line), seen := observe(line, origins, server))
            if seen.reply.status is None:
                server.revive()


def contradictions(played: Played) -> list[str]:
    """What the comparison says; a request that hangs is no judge."""
    if played.seen.reply is HUNG:
        return []
    return differences(played.predicted, played.seen)


def predictor(path: str) -> Predict:
    """Asks the product itself, through its library. The folder of the configuration is the deployed machine: what is
    not there is missing."""
    from auditor.check import Options, load_sites
    from auditor.cli.trace import trace_line

    folder = os.path.dirname(path)
    sites, errors, _ = load_sites([path], Options(kind="apache", roots=((folder, folder),)))
    if errors:
        raise errors[0]
    (site,) = sites
    return lambda line: trace_line(site, line)
