"""The compose file that puts a user's own configuration in the place of nginx's sample."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from probes.stack.compose import DOOR, uid
from probes.stack.own import CONF_DIR, PORTS, Own

# The options of the origin for each protocol of own.PORTS, and what it needs beside aiohttp to speak it.
OPTIONS = {"http": "--port", "https": "--tls-port", "grpc": "--h2-port"}
NEEDS = {"https": "cryptography", "grpc": "h2"}
LOWEST = 20000  # the origin's own ports start here, where no configuration names them
NAMES, LOOPBACK = "relay-names", "relay-loopback"  # services of docker-compose.yml


def services(own: Own) -> list[str]:
    """The services that the configuration needs."""
    loopback = any(one.loopback for one in own.upstreams)
    names = any(not one.loopback for one in own.upstreams)
    return [DOOR, "origin", "nginx", *([NAMES] if names else []), *([LOOPBACK] if loopback else [])]


def ports_inside(own: Own) -> dict[str, int]:
    """The ports of the origin, by protocol, and of its "control" interface: none that the configuration names."""
    taken = {*own.ports, *(one.port for one in own.upstreams)}
    free = (port for port in range(LOWEST, 1 << 16) if port not in taken)
    return dict(zip(("control", *PORTS), free, strict=False))


def text(own: Own) -> str:
    """The override, in YAML. What it says of volumes and ports takes the place of what docker-compose.yml says."""
    inside = ports_inside(own)
    control = inside["control"]
    spoken = sorted({"http", *(one.protocol for one in own.upstreams)})
    command = ["--control-port", str(control)]
    for protocol in spoken:
        command += [OPTIONS.get(protocol, f"--{protocol}-port"), str(inside[protocol])]
    needs = ",".join(["aiohttp", *(NEEDS[protocol] for protocol in spoken if protocol in NEEDS)])
    volumes = [(str(own.path), f"{CONF_DIR}/nginx.conf"), *((str(path), place) for path, place in own.mounts)]
    plan: dict[str, dict[str, Any]] = {
        "origin": {
            "build": {"args": {"NEEDS": needs}},
            "command": command,
            "environment": {"CONTROL_PORT": str(control)},
            "networks": {"inner": {"aliases": list(own.names)}},
        },
        DOOR: {
            "command": [f"0.0.0.0:{control}=origin:{control}", *(f"0.0.0.0:{port}=nginx:{port}" for port in own.ports)],
            "ports": [f"127.0.0.1::{port}" for port in (control, *own.ports)],
        },
        "nginx": {
            "environment": {"PORT": str(own.ports[0])},
            "tmpfs": [f"/var/log/nginx:uid={uid()}"],
            "volumes": [
                {"type": "bind", "source": source, "target": target, "read_only": True} for source, target in volumes
            ],
        },
    }
    if own.daemon:  # -g must not say it again
        plan["nginx"]["command"] = ["nginx"]
    for service, there in ((NAMES, "127.0.0.1"), (LOOPBACK, "origin")):
        if service in services(own):
            plan[service] = {"command": _relays(own, service, there, inside)}
    return "services:\n" + "\n".join(_service(name, keys) for name, keys in plan.items()) + "\n"


def _relays(own: Own, service: str, there: str, inside: Mapping[str, int]) -> list[str]:
    here = "0.0.0.0" if service == NAMES else "127.0.0.1"
    words: dict[int, str] = {}
    for one in own.upstreams:
        if one.loopback == (service == LOOPBACK):
            words.setdefault(one.port, f"{here}:{one.port}={there}:{inside[one.protocol]}")
    return list(words.values())


def _service(name: str, keys: Mapping[str, Any]) -> str:
    lines = [f"  {name}:"]
    for key, value in keys.items():
        # "$" is Compose's own sign; JSON is YAML, but for the tag.
        written = json.dumps(value).replace("$", "$$")
        lines.append(f"    {key}: {'!override ' if key in ('ports', 'volumes', 'networks') else ''}{written}")
    return "\n".join(lines)
