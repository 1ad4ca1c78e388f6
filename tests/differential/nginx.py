"""nginx as a kind of server for the differential suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from probes.runners.program import Program
from tests.differential import play as plain
from tests.differential import sealed
from tests.differential.configs import Config
from tests.differential.play import Case, Origins, Played, Predict
from tests.differential.recipes import RecipeRequests, Recipes
from tests.differential.requests import Requests
from tests.differential.suite import Made
from tests.differential.tree import Node, whole
from tests.differential.words import COMMON

STYLES = ("words", "recipes")


class Nginx:
    """One nginx. `style` is words, recipes or both; `sealed`: it runs in the sandbox."""

    common = COMMON

    def __init__(self, program: Program, style: str = "words", sealed: bool = False) -> None:
        self.program = program
        self.style = style
        self.sealed = sealed
        self.label = f"nginx {program.version}"

    def make(self, seed: str, number: int, requests: int) -> Made:
        program, style = self.program, self.style
        if style == "both":
            style = STYLES[number % 2]
        random = Random(f"{seed}/{number}")
        # Names in variables are looked up in half of them; unsealed, all upstreams are addresses.
        resolver = [Node("resolver 192.0.2.53")] if self.sealed and number % 4 > 1 else []
        if style == "recipes":
            recipes = Recipes(random, program.version, program.build)
            asked: Requests = RecipeRequests(random, recipes)
            return Made(resolver + recipes.nodes, dict(recipes.files), [asked.line() for _ in range(requests)])
        config = Config(random, program.version, "headers-more" in program.build)
        asked = Requests(random, config)
        return Made(resolver + config.nodes, dict(config.files), [asked.line() for _ in range(requests)])

    def whole(self, nodes: list[Node], files: dict[str, str]) -> str:
        return whole(nodes, files)

    def play(self, case: Case, origins: Origins, predict: bool = True) -> Iterator[Played]:
        load: Callable[[str, str], Predict] = plain.predictor if predict else lambda path, version: dict
        player = sealed.play if self.sealed else plain.play
        return player(case, self.program, origins, load)

    def contradictions(self, played: Played) -> list[str]:
        return plain.contradictions(played)

    def shown(self, case: Case) -> str:
        body = case.config.split("scgi_temp_path tmp/scgi;\n", 1)[-1].rstrip().removesuffix("}").rstrip()
        snippets = [
            f"    # {name}\n{text.rstrip()}" for name, text in case.files.items() if name.startswith("snippets/")
        ]
        return "\n".join([body, *snippets])
