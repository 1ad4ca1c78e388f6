"""Rules find the same in random configurations whether all routes are asked or only those that may show a defect."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from auditor import rules
from auditor.check import Options, load_sites
from auditor.findings import Finding, merge
from auditor.settings import DEFAULT
from tests.apache.differential import tree as apache_tree
from tests.apache.differential import words as apache_words
from tests.apache.differential.configs import Config as ApacheConfig
from tests.differential.configs import Config
from tests.differential.recipes import Recipes
from tests.differential.tree import whole
from tests.differential.words import COMMON

CONFIGS = int(os.environ.get("AUDIT_DIFFERENTIAL_CONFIGS", "12"))
VERSION, BUILD = "1.31.3", "headers-more"


class Written(NamedTuple):
    """A configuration with placeholders, and the files beside it."""

    text: str
    files: dict[str, str]


def nginx(random: Random) -> Written:
    config = Config(random, VERSION, True)
    files = {**COMMON, **config.files}
    return Written(whole(config.nodes, files), files)


def recipes(random: Random) -> Written:
    made = Recipes(random, VERSION, BUILD)
    files = {**COMMON, **made.files}
    return Written(whole(made.nodes, files), files)


def apache(random: Random) -> Written:
    config = ApacheConfig(random)
    files = dict(apache_words.COMMON)
    return Written(apache_tree.whole(config.nodes, files), files)


@pytest.mark.parametrize("make", [nginx, recipes, apache], ids=lambda make: make.__name__)
@pytest.mark.parametrize("number", range(CONFIGS))
def test_screens_change_nothing(tmp_path: Path, make: Callable[[Random], Written], number: int) -> None:
    def filled(match: re.Match[str]) -> str:
        name = match[1]
        ports = {"P1": "8081", "P2": "8082", "P3": "8083"}
        return str(tmp_path) if name == "DIR" else "" if name == "LOAD" else ports.get(name, "127.0.0.1:9000")

    written = make(Random(f"screens/{number}"))
    kind = "apache" if make is apache else "nginx"
    main = tmp_path / f"{kind}.conf"
    for name, text in {**written.files, main.name: written.text}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"@([A-Z]\w*)@", filled, text), encoding="latin-1")
    sites, _, _ = load_sites([str(main)], Options(kind=kind, roots=((str(tmp_path), str(tmp_path)),)))
    for site in sites:
        screened = merge(rules.judge(site, DEFAULT))
        assert list(map(_shown, screened)) == list(map(_shown, merge(rules.judge(site, DEFAULT, screens=False))))


def _shown(finding: Finding) -> object:
    return finding.rule, finding.severity, finding.place
