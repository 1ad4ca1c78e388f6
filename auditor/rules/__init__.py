"""The rules, one module each, named after the defect it reports.

A rule module has `NAME`, `SEVERITY`, `judge(site, routes, settings)` and a docstring that is its documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Protocol

from auditor.findings import Finding
from auditor.server import (
    AUTHORIZATION,
    CACHE,
    CHALLENGE,
    CLIENT_ADDRESS,
    CORS,
    CORS_CREDENTIALS,
    CORS_PREFLIGHTED,
    FORBIDS,
    GATE,
    IDENTITY,
    JWT,
    LIMITS,
    LOGGED,
    METHODS,
    PROXY_VARIABLE,
    REFUSAL,
    REPEATED,
    SECRET,
    SHADOWED,
    SUBREQUEST,
    UPGRADE,
    UPSTREAM,
    Route,
    Site,
    Version,
)
from auditor.settings import AUTO, Settings

# Each rule with the traits that a route must have, all of them, before the defect can occur there: `judge` gets these
# routes only, and a rule with none of them is not even imported. A test checks that findings are the same without
# screens. None: auditor.suppressions judges, once all other rules have spoken.
SCREENS: dict[str, frozenset[str] | None] = {
    "broken-upgrade": frozenset({UPGRADE, UPSTREAM}),
    "bypassed-gate": frozenset({GATE}),
    "cached-unauthorized": frozenset({CACHE, UPSTREAM}),
    "cleartext-credentials": frozenset({GATE}),
    "competing-credentials": frozenset({AUTHORIZATION, GATE, UPSTREAM}),
    "cors-authorization-not-allowed": frozenset({CORS}),
    "cors-credentials-wildcard": frozenset({CORS_CREDENTIALS}),
    "cors-missing-on-401": frozenset({CORS_PREFLIGHTED}),
    "credential-dropping-redirect": frozenset(),
    "dropped-inherited-headers": frozenset({SHADOWED}),
    "duplicated-challenge": frozenset({REFUSAL}),
    "duplicated-request-header": frozenset({REPEATED, UPSTREAM}),
    "empty-identity-header": frozenset({IDENTITY, UPSTREAM}),
    "forbidden-for-unauthenticated": frozenset({FORBIDS}),
    "forwarded-proxy-header": frozenset({PROXY_VARIABLE}),
    "gated-preflight": frozenset({CORS_PREFLIGHTED}),
    "gated-public-path": frozenset({GATE}),
    "hardcoded-credential": frozenset({SECRET}),
    "hidden-challenge": frozenset({REFUSAL, UPSTREAM}),
    "ineffective-directive": frozenset(),
    "leaked-credentials": frozenset({GATE, UPSTREAM}),
    "logged-credentials": frozenset({LOGGED}),
    "login-loop": frozenset({CHALLENGE}),
    "lost-header": frozenset({UPSTREAM}),
    "malformed-authorization": frozenset({AUTHORIZATION, UPSTREAM}),
    "malformed-user-file": frozenset({GATE}),
    "managed-block-edit": frozenset(),
    "method-limited-gate": frozenset({GATE, METHODS}),
    "misplaced-gate": frozenset({GATE}),
    "missing-challenge": frozenset({CHALLENGE}),
    "missing-user-file": frozenset(),
    "open-gate": frozenset({GATE}),
    "oversized-token-rejected": frozenset({LIMITS}),
    "overwritten-authorization": frozenset({AUTHORIZATION, UPSTREAM}),
    "pinned-jwt-key": frozenset({JWT}),
    "published-user-file": frozenset({GATE}),
    "redirected-unauthorized": frozenset({REFUSAL}),
    "relative-user-file": frozenset({GATE}),
    "shared-authenticated-response": frozenset({CACHE, UPSTREAM}),
    "spoofable-client-address": frozenset({CLIENT_ADDRESS, UPSTREAM}),
    "spoofable-identity-header": frozenset({IDENTITY, UPSTREAM}),
    "starved-auth-subrequest": frozenset({SUBREQUEST, UPSTREAM}),
    "stray-user-file": frozenset({GATE}),
    "stripped-authorization": frozenset({UPSTREAM, AUTHORIZATION}),
    "suppression-without-reason": None,
    "throttled-as-unauthorized": frozenset({REFUSAL}),
    "unanalysed": frozenset(),
    "unauthorized-as-success": frozenset({REFUSAL}),
    "uncaptured-auth-response": frozenset({SUBREQUEST}),
    "ungated-service-credential": frozenset({AUTHORIZATION, UPSTREAM}),
    "unreadable-user-file": frozenset(),
    "unused-suppression": None,
}
NAMES = tuple(SCREENS)


class Rule(Protocol):
    """What a rule module offers."""

    NAME: str
    SEVERITY: str

    def judge(self, site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]: ...


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


def fix_of(name: str) -> str:
    """Whether the rule's findings may have a fix: "safe", "unsafe" or ""."""
    kind: str = getattr(load(name), "FIX", "")
    return kind


def judge(site: Site, settings: Settings, names: Iterable[str] = NAMES, screens: bool = True) -> Iterator[Finding]:
    """What the rules find in that configuration, `kind` filled in. `screens=False` asks every rule of every route, for
    the test that screens change nothing."""
    if settings.position == AUTO:
        settings = settings._replace(position=site.position[0])
    versions = site.versions()
    others: dict[Version, Site] = {}

    def ask(name: str, version: Version) -> Iterator[Finding]:
        if version not in others:
            others[version] = site.at_version(version)
        return _ask(others[version], settings, name, screens)

    for name in names:
        if SCREENS[name] is None:
            continue
        found = list(_ask(site, settings, name, screens))
        if len(versions) > 1:
            from auditor.rules.versions import only_in

            older = list(ask(name, versions[0]))
            found = only_in(found, older, versions, partial(ask, name))
        if found and not site.complete:
            from auditor.rules.unread import weigh

            found = [weigh(site, finding) for finding in found]
        for finding in found:
            yield finding._replace(kind=site.kind)


def _ask(site: Site, settings: Settings, name: str, screens: bool) -> Iterator[Finding]:
    """What one rule finds, in one version."""
    screen = SCREENS[name]
    assert screen is not None
    if screens:
        routes = [route for route in site.routes() if route.traits >= screen]
    else:
        routes = [route._replace(likeness=None) for route in site.routes()]
    if routes or not screen:
        yield from load(name).judge(site, routes, settings)
