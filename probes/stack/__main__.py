"""python -m probes.stack up | probe | down: what make stack, make stack-probe and make stack-down run."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from auditor.http import make_request
from probes.control_client import Control
from probes.stack.ask import STAFF, Seen, ask
from probes.stack.compose import TOP, Compose, Failed, complain, digest
from probes.stack.override import ports_inside, services
from probes.stack.override import text as override_text
from probes.stack.own import Own, read
from probes.stack.table import LEGEND, cell, headers_side_by_side, side_by_side

# The ports of the door in docker-compose.yml.
SERVERS = {"nginx": 8001, "httpd": 8002, "haproxy": 8003, "caddy": 8004, "traefik": 8005, "envoy": 8006}
CONTROL = 9001
ROUTES = ("/", "/api/items", "/private/report", "/app/items")
VARIANTS = ("good", "broken")
MOST = 200  # routes of a user's own configuration
FAILED = 4

Ports = Mapping[int, int]  # those of the door, and those of this machine that lead there


def address(port: int) -> str:
    """The URL of a port of this machine."""
    return f"http://127.0.0.1:{port}"


def origin(ports: Ports, door: int) -> Control:
    """The origin's control interface."""
    return Control(make_request(address(ports[door])))


def probe_samples(ports: Ports) -> dict[str, dict[str, list[Seen]]]:
    """For each route what each server did with the probes."""
    control = origin(ports, CONTROL)
    return {
        route: {name: ask(address(ports[door]) + route, control, STAFF) for name, door in SERVERS.items()}
        for route in ROUTES
    }


def show_samples(seen: dict[str, dict[str, list[Seen]]]) -> int:
    """Prints the tables. The exit status is 4 where something could not be probed."""
    print(LEGEND)
    errors = []
    for route, servers in seen.items():
        rows = [one.probe for one in servers["nginx"]]
        print("\n" + side_by_side(route, rows, {name: [cell(one) for one in got] for name, got in servers.items()}))
        errors += [f"{name} {route}: {got[-1].error}" for name, got in servers.items() if got[-1].error]
    bearer = {name: one for name, got in seen["/api/items"].items() for one in got if one.probe == "bearer"}
    print("\n" + headers_side_by_side("bearer at /api/items", bearer))
    return _complain(errors)


def show_own(own: Own, ports: Ports) -> int:
    """Prints one table for the user's own configuration: a row for each route. The exit status is 4 where something
    could not be probed."""
    control = origin(ports, ports_inside(own)["control"])
    routes = {route.request.url: route.request for route in own.site.routes() if route.request.method == "GET"}
    asked = [url for url, request in routes.items() if request.port in own.ports][:MOST]
    rows = [ask(url, control, None, ("127.0.0.1", ports[routes[url].port])) for url in asked]
    print(LEGEND + "\n")
    names = [one.probe for one in rows[0]] if rows else []
    print(side_by_side("GET", asked, {name: [cell(row[at]) for row in rows] for at, name in enumerate(names)}))
    errors = [f"{url}: {row[-1].error}" for url, row in zip(asked, rows, strict=True) if row[-1].error]
    if len(asked) < len(routes):
        errors.append(f"{len(routes) - len(asked)} of {len(routes)} routes were not asked")
    return _complain(errors)


def _complain(errors: Sequence[str]) -> int:
    for error in errors:
        complain(error)
    return FAILED if errors else 0


def show_addresses(servers: Mapping[str, int], ports: Ports, control: int) -> int:
    """Prints the URL of each server and of the origin's control interface, by their ports at the door."""
    for name, door in {**servers, "origin": control}.items():
        print(f"{name:<16} {address(ports[door])}/")
    return 0


def run_samples(probing: bool) -> int:
    """Brings the sample sites up, and prints the tables or the addresses."""
    variant = os.environ.get("STACK") or VARIANTS[0]
    if variant not in VARIANTS:
        raise Failed(f"STACK is {variant!r}, and must be {' or '.join(VARIANTS)}")
    stack = Compose(digest=digest([TOP / "configs"]))
    stack.up()
    ports = stack.published()
    return show_samples(probe_samples(ports)) if probing else show_addresses(SERVERS, ports, CONTROL)


def run_own(path: Path, folder: Path, probing: bool) -> int:
    """Puts the user's own configuration into the nginx of the stack; `folder` is for what is written on the way."""
    own = read(path)
    for sentence in own.missing:
        complain(sentence)
    override = folder / "override.yml"
    override.write_text(override_text(own), encoding="utf-8")
    stack = Compose(override, digest([own.path, *(mount for mount, _ in own.mounts)]))
    try:
        stack.up(services(own))
    except Failed as failure:
        raise Failed(own.named(str(failure))) from failure
    ports = stack.published()
    if probing:
        return show_own(own, ports)
    return show_addresses({f"nginx, port {port}": port for port in own.ports}, ports, ports_inside(own)["control"])


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
        if not own:
            return run_samples(command == "probe")
        with tempfile.TemporaryDirectory(prefix="audit-") as folder:
            return run_own(Path(own), Path(folder), command == "probe")
    except Failed as failure:
        complain(str(failure))
        return FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
