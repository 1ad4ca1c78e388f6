"""A request played against a running httpd and asked of the predictor; the origins are those of nginx's cases."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from probes.compare import Observation
from probes.runners.local import fill, free_ports
from tests.apache.cases import Fact, observed
from tests.apache.lab import Httpd, Server
from tests.differential.play import Line, Origins, Predict
from tests.differential.play import observe as ask


def observe(line: Line, origins: Origins, server: Server) -> Observation:
    """What this request does: the exchanges with origins, and after them what scripts were given."""
    server.given()
    seen = ask(line, origins)
    return seen._replace(exchanges=(*seen.exchanges, *server.given()))


def play(fact: Fact, httpd: Httpd, origins: Origins, fpm: Callable[[], str]) -> Iterator[dict[str, Any]]:
    """What the server does with the fact's requests, one after the other.

    Raises Refused where httpd does not accept the configuration.
    """
    (port,) = free_ports(1)
    places: dict[str, object] = {**origins.values(), "APORT": origins.all["A"].port, "P1": port}
    if fact.fpm:
        places["FPM"] = fpm()
    every = {**places, "LOAD": httpd.load(fact.modules)}
    with Server(httpd.program, fact.case.config, fact.case.files, ("cache",), every, fact.modes) as server:
        places["DIR"] = server.path
        for raw in fact.case.lines:
            line = json.loads(fill(json.dumps(raw), places))
            yield observed(observe(line, origins, server), places)


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
