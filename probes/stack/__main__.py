"""python -m probes.stack up | probe | down: what make stack, make stack-probe and make stack-down run."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from probes.stack.ask import BEARER, SAMPLE_PROBES, Seen, ask
from probes.stack.compose import TOP, Compose, Failed, complain, digest
from probes.stack.table import LEGEND, cell, headers_side_by_side, side_by_side

SERVERS = ("nginx", "httpd", "haproxy", "caddy", "traefik", "envoy")
INSIDE = 8080  # the port of every sample
ROUTES = ("/", "/api/items", "/private/report", "/app/items")
FAILED = 4


def urls(ports: dict[str, dict[int, int]]) -> dict[str, str]:
    """The URL of each sample server that runs."""
    return {name: f"http://127.0.0.1:{ports[name][INSIDE]}" for name in SERVERS if INSIDE in ports.get(name, {})}


def control(ports: dict[str, dict[int, int]]) -> str:
    """The URL of the origin's control interface, the only port that the origin publishes."""
    return f"http://127.0.0.1:{next(iter(ports['origin'].values()))}"


def probe_samples(ports: dict[str, dict[int, int]]) -> dict[str, dict[str, list[Seen]]]:
    """For each route what each server did with the probes."""
    found = urls(ports)
    return {
        route: {name: ask(url + route, control(ports), SAMPLE_PROBES) for name, url in found.items()} for route in ROUTES
    }


def show_samples(ports: dict[str, dict[int, int]]) -> int:
    """Prints the tables. The exit status is 4 where something could not be probed."""
    seen = probe_samples(ports)
    print(LEGEND)
    errors = [f"{name} is not running" for name in SERVERS if name not in seen[ROUTES[0]]]
    for route, servers in seen.items():
        rows = [probe.name for probe in SAMPLE_PROBES]
        print("\n" + side_by_side(route, rows, {name: [cell(one) for one in got] for name, got in servers.items()}))
        errors += [f"{name} {route}, {one.probe.name}: {one.error}" for name, got in servers.items() for one in got if one.error]
    api = {name: got[SAMPLE_PROBES.index(BEARER)] for name, got in seen["/api/items"].items()}
    print("\n" + headers_side_by_side("GET /api/items, Bearer token", api))
    for error in errors:
        complain(error)
    return FAILED if errors else 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. The exit status is 0, or 4 where something could not be brought up, probed or removed."""
    parser = argparse.ArgumentParser(prog="python -m probes.stack", description=__doc__)
    parser.add_argument("command", choices=("up", "probe", "down"))
    command = parser.parse_args(argv).command
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if command == "down":
            Compose().down()
            return 0
        own = os.environ.get("NGINX_CONF")
        if own:
            from probes.stack import own as own_file

            with tempfile.TemporaryDirectory(prefix="audit-") as folder:
                return own_file.run(Path(own), Path(folder), command == "probe")
        variant = os.environ.get("STACK") or "good"
        if variant not in ("good", "broken"):
            raise Failed(f"STACK is {variant!r}, and must be good or broken")
        stack = Compose(digest=digest([TOP / "configs"]))
        stack.up()
        ports = stack.published()
        if command == "probe":
            return show_samples(ports)
        for name, url in {**urls(ports), "origin": control(ports)}.items():
            print(f"{name:<8} {url}/")
        return 0
    except Failed as failure:
        complain(str(failure))
        return FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
