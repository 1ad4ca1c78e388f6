"""Blame is counterfactual: a configuration without a line that is said to decide behaves differently."""

from __future__ import annotations

import glob
import os
from typing import Any

import pytest

from auditor.asked import Given
from auditor.http import Request, Response
from auditor.servers.nginx.site import NginxSite, load_file
from auditor.source import Place
from auditor.trace import DECIDES, FORWARDED, SUPPRESSES, Because, Outcome

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILES = sorted(
    glob.glob(os.path.join(TESTS, "incidents", "*-nginx-*", "*.conf"))
    + glob.glob(os.path.join(TESTS, "..", "configs", "nginx", "*.conf"))
)
HEADERS = (
    ("Authorization", "Bearer t"),
    ("X-Forwarded-For", "198.51.100.9"),
    ("X-Remote-User", "mallory"),
    ("Cookie", "a=b"),
    ("Connection", "keep-alive"),
    ("Upgrade", "websocket"),
)
WORLDS = (
    Given("192.0.2.7", (("*", "*", Response(200, (("X-User", "alice"),))),)),
    Given("192.0.2.7", (("*", "*", Response(401, (("WWW-Authenticate", "Bearer"),))),)),
)


def seen(outcomes: tuple[Outcome, ...]) -> Any:
    """What can be observed of an answer."""
    return [
        (
            [asked.answer.name for asked in outcome.when],
            outcome.action,
            outcome.status,
            [
                (e.role, e.upstream, e.method, e.uri, e.body, [(h.name, h.value.text, h.present) for h in e.headers])
                for e in outcome.exchanges
            ],
            [(h.name, h.value.text) for h in outcome.response_headers],
        )
        for outcome in outcomes
    ]


def blamed(outcome: Outcome) -> set[Place]:
    """The lines that are said to decide or to suppress something in this outcome."""
    found: list[Because] = []
    for exchange in outcome.exchanges:
        for header in exchange.headers:
            # A line that copies what is forwarded anyway decides, and changes nothing: ineffective-directive says so.
            found += [] if header.fate == FORWARDED else header.because
        for lost in exchange.lost:
            found += lost.because
    for gate in outcome.gates:
        # A gate that was passed or not asked would be missed only by a client that it would have refused.
        alone = sum(other.result == "refused" for other in outcome.gates) == 1  # else another refuses all the same
        found += gate.because if gate.result == "refused" and alone else ()
    for answer in outcome.response_headers:
        found += answer.because
    return {because.place for because in found if because.place is not None and because.role in (DECIDES, SUPPRESSES)}


def requests(site: NginxSite) -> list[Request]:
    return [route.request.with_headers(*HEADERS) for route in site.routes()]


@pytest.mark.parametrize("path", FILES, ids=[os.path.relpath(path, os.path.join(TESTS, "..")) for path in FILES])
def test_without_the_blamed_line_it_is_otherwise(path: str) -> None:
    site = load_file(path)
    for request in requests(site):
        for world in WORLDS:
            before = site.trace(request, world)
            for place in set().union(*(blamed(outcome) for outcome in before)):
                # Blocks are no lines, and where no file is known every folder is like any other.
                if place.name in ("location", "server", "root", "alias"):
                    continue
                after = site.without(place).trace(request, world)
                assert seen(after) != seen(before), f"{request.url}: {place.file}:{place.line} {place.text}"


def test_the_line_that_clears_a_header_is_blamed() -> None:
    site = load_file(os.path.join(TESTS, "incidents", "005-nginx-clear-after-basic-ok", "nginx.conf"))
    request = site.routes()[0].request.with_headers(("Authorization", "Basic YTpi"))
    admitted = [outcome for outcome in site.trace(request) if outcome.exchanges]
    assert [place.line for outcome in admitted for place in blamed(outcome) if "Authorization" in place.text] == [17]
