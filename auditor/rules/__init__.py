"""The rules, one module each, named after the defect it reports.

A rule module has `NAME`, `SEVERITY`, `judge(site, settings)` and a docstring that is its
documentation. It may have `SCREEN`: route traits (auditor.server) of which a configuration must
have all, on one route, before the defect can occur. The table is static, so that listing rules
imports none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Protocol

from auditor.findings import Finding
from auditor.server import Site
from auditor.settings import Settings

NAMES = (
    "bypassed-gate",
    "dropped-inherited-headers",
    "gated-preflight",
    "ineffective-directive",
    "leaked-credentials",
    "misplaced-gate",
    "missing-challenge",
    "missing-user-file",
    "open-gate",
    "spoofable-identity-header",
    "stripped-authorization",
    "suppression-without-reason",
    "unanalysed",
    "unreadable-user-file",
    "unused-suppression",
)


class Rule(Protocol):
    """What a rule module offers."""

    NAME: str
    SEVERITY: str
    SCREEN: frozenset[str]

    def judge(self, site: Site, settings: Settings) -> Iterator[Finding]: ...


def load(name: str) -> Rule:
    """The module of that rule. Raises KeyError where there is none."""
    if name not in NAMES:
        raise KeyError(name)
    module: Rule = import_module("auditor.rules." + name.replace("-", "_"))
    return module


def documentation(name: str) -> str:
    """The rule's documentation: its module's docstring."""
    return (load(name).__doc__ or "").strip()


def summary(name: str) -> str:
    """The first line of the documentation."""
    return documentation(name).partition("\n")[0]


def judge(site: Site, settings: Settings, names: Iterable[str] = NAMES, screens: bool = True) -> Iterator[Finding]:
    """What the rules find in that configuration, `kind` filled in. `screens=False` asks every rule, for the test that
    screens change nothing."""
    traits = [route.traits for route in site.routes()] if screens else []
    for name in names:
        rule = load(name)
        if screens and rule.SCREEN and not any(have >= rule.SCREEN for have in traits):
            continue
        for finding in rule.judge(site, settings):
            yield finding._replace(kind=site.kind)
