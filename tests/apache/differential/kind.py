"""httpd as a kind of server for the differential suite."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from random import Random

from tests.apache import lab
from tests.apache import play as plain
from tests.apache.differential import tree
from tests.apache.differential.configs import Config
from tests.apache.differential.requests import ApacheRequests
from tests.apache.differential.words import COMMON
from tests.apache.lab import Httpd
from tests.differential.play import Case, Line, Origins, Played, Predict
from tests.differential.suite import Made
from tests.differential.tree import Node

MODULES = (*lab.MODULES, "allowmethods", "lbmethod_byrequests", "proxy_balancer", "slotmem_shm")


class Apache:
    """One httpd of this machine."""

    common = COMMON

    def __init__(self, httpd: Httpd) -> None:
        self.httpd = httpd
        self.label = f"httpd {httpd.program.version}"

    def make(self, seed: str, number: int, requests: int) -> Made:
        random = Random(f"{seed}/{number}")
        config = Config(random)
        asked = ApacheRequests(random, config)
        return Made(config.nodes, dict(COMMON), [asked.line() for _ in range(requests)])

    def whole(self, nodes: list[Node], files: dict[str, str]) -> str:
        return tree.whole(nodes, files)

    def play(self, case: Case, origins: Origins, predict: bool = True) -> Iterator[Played]:
        return plain.play(case, self.httpd, origins, _load if predict else lambda path: dict, modules=MODULES)

    def contradictions(self, played: Played) -> list[str]:
        return plain.contradictions(played)

    def shown(self, case: Case) -> str:
        own = [
            f"# {name}\n{text.rstrip()}"
            for name, text in case.files.items()
            if COMMON.get(name) != text and name.rpartition("/")[2] == ".htaccess"
        ]
        return "\n".join([case.config.removeprefix(tree.HEAD).rstrip(), *own])


def _load(path: str) -> Predict:
    """The predictor, told that scripts answer 200, whatever upstreams are made to answer."""
    predict = plain.predictor(path)
    scripts = glob.glob(os.path.join(os.path.dirname(path), "**", "*.cgi"), recursive=True)
    answers = [{"upstream": script, "status": 200, "headers": []} for script in scripts]

    def told(line: Line) -> dict[str, object]:
        return predict({**line, "upstream_responses": answers})

    return told


def find() -> Apache | None:
    """The httpd of this machine as a kind."""
    httpd = lab.find()
    return Apache(httpd) if httpd is not None else None
