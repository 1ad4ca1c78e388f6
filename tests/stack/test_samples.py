"""The six servers, good and broken, asked as `make stack-probe` asks them."""

from __future__ import annotations

import pytest

from probes.stack.__main__ import SERVERS, main, probe_samples, show_samples
from probes.stack.compose import Compose
from probes.stack.table import cell
from tests.stack.conftest import left

pytestmark = pytest.mark.live

# Cells by route and probe: one for all servers, or one for each of them, in this order.
ORDER = ("nginx", "httpd", "haproxy", "caddy", "traefik", "envoy")
Cells = dict[str, dict[str, str | tuple[str, ...]]]

# nginx and HAProxy forward what Connection names; the others take it out, Traefik and Envoy before the gate looks
# (facts NGX-013, APA-010, CAD-040, ENV-014). Envoy's gate knows no scheme but "Basic" (ENV-020).
OPEN: dict[str, str | tuple[str, ...]] = {
    "no-credentials": "200 ..",
    "bearer": "200 +A",
    "basic": "200 +A",
    "wrong-basic": "200 +A",
    "lower-case": "200 +A",
    "hop-by-hop": ("200 +A", "200 -A", "200 +A", "200 -A", "200 -A", "200 -A"),
    "preflight": "200 ..",
    "spoofed": "200 +A",
    "spoofed-lower": "200 +A",
    "spoofed-underscores": "200 +A",
}
GATED: dict[str, str | tuple[str, ...]] = {
    "no-credentials": "401",
    "bearer": "401",
    "basic": "200 -A U=staff",
    "wrong-basic": "401",
    "lower-case": (*["200 -A U=staff"] * 5, "401"),
    "hop-by-hop": (*["200 -A U=staff"] * 4, "401", "401"),
    "preflight": "401",
    "spoofed": "200 -A U=staff",
    "spoofed-lower": "200 -A U=staff",
    "spoofed-underscores": "200 -A U=staff",
}
GOOD: Cells = {
    "/": OPEN,
    "/api/items": OPEN,
    "/private/report": GATED,
    "/app/items": {**GATED, "preflight": ("204", "204", "204", "204", "200", "200")},
}
# What the comments of the broken configurations say, and no more.
BROKEN: Cells = {
    # nginx, httpd and Envoy clear one spelling of the two; the others clear none.
    "/": {
        "spoofed": ("200 -A", "200 -A", "200 -A U=forged", "200 -A U=forged", "200 +A U=forged", "200 -A"),
        "spoofed-underscores": (*["200 -A U_=forged"] * 4, "200 +A U_=forged", "200 -A U_=forged"),
    },
    "/api/items": {"bearer": "200 -A"},
    "/private/report": {
        # The gates of httpd, HAProxy and Caddy ask nobody.
        "no-credentials": ("401", "200 ..", "200 ..", "200 ..", "401", "401"),
        "wrong-basic": ("401", "200 -A", "200 -A", "200 -A", "401", "401"),
        # nginx and Traefik hand the password on.
        "basic": ("200 +A U=staff", "200 -A", "200 -A", "200 -A", "200 +A U=staff", "200 -A"),
        # Whoever has passed Envoy's gate can be anybody.
        "spoofed": (
            "200 +A U=staff",
            "200 -A",
            "200 -A U=forged",
            "200 -A U=forged",
            "200 +A U=staff",
            "200 -A U=forged",
        ),
    },
    "/app/items": {"preflight": "401", "no-credentials": "401"},
}


def expected(cells: str | tuple[str, ...]) -> dict[str, str]:
    each = (cells,) * len(ORDER) if isinstance(cells, str) else cells
    return dict(zip(ORDER, each, strict=True))


@pytest.mark.parametrize(("variant", "cells"), [("good", GOOD), ("broken", BROKEN)])
def test_what_reaches_the_origin(
    project: str, variant: str, cells: Cells, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuple(SERVERS) == ORDER
    monkeypatch.setenv("STACK", variant)
    assert main(["up"]) == 0
    addresses = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert addresses.keys() == {*ORDER, "origin"}
    assert all(url.startswith("http://127.0.0.1:") for url in addresses.values())
    seen = probe_samples(Compose().published())
    observed = {
        route: {
            probe: {name: cell(next(one for one in got if one.probe == probe)) for name, got in servers.items()}
            for probe in cells[route]
        }
        for route, servers in seen.items()
    }
    assert observed == {route: {probe: expected(each) for probe, each in rows.items()} for route, rows in cells.items()}
    assert show_samples(seen) == 0
    shown = capsys.readouterr().out
    assert "c3RhZmY6c3RhZmY=" not in shown and "Bearer audit-probe" not in shown  # nothing secret, be it a sample's
    assert main(["down"]) == 0
    assert left(project) == {}


def test_a_variant_that_does_not_exist(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STACK", "bad")
    monkeypatch.delenv("NGINX_CONF", raising=False)
    assert main(["up"]) == 4
    assert "must be good or broken" in capsys.readouterr().err
