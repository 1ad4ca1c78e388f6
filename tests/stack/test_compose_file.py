"""docker-compose.yml as text: no engine is needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from probes.stack.__main__ import CONTROL, SERVERS, VARIANTS
from probes.stack.compose import DOOR, FILE, TOP

STACK: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = STACK["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_may_do_nothing_but_serve(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "caddy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\$\{STACK_UID:-65534\}:65534", service["user"])
    assert not {"privileged", "devices", "pid", "ipc", "userns_mode", "extra_hosts"} & service.keys()
    assert service["pids_limit"] and service["mem_limit"]
    assert all(volume.startswith("./configs/") and volume.endswith(":ro") for volume in service.get("volumes", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_only_the_door_leads_out_and_only_to_loopback(name: str) -> None:
    service = SERVICES[name]
    if name == DOOR:
        assert service["networks"] == ["inner", "published"]
        assert all(re.fullmatch(r"127\.0\.0\.1::\d+", port) for port in service["ports"])
        return
    assert "ports" not in service
    assert service.get("networks", ["inner"]) == ["inner"]
    assert service.get("network_mode", "service:nginx") in ("service:nginx", "service:origin")


def test_the_inner_network_is_sealed() -> None:
    assert STACK["networks"]["inner"]["internal"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_health_is_asked_often_only_at_the_start(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert (check["start_interval"], check["interval"]) == ("250ms", "1h")


def test_the_door_leads_where_the_probe_asks() -> None:
    assert set(SERVICES[DOOR]["command"]) == {
        f"0.0.0.0:{CONTROL}=origin:9001",
        *(f"0.0.0.0:{port}={name}:8080" for name, port in SERVERS.items()),
    }
    assert sorted(SERVICES[DOOR]["ports"]) == sorted(f"127.0.0.1::{port}" for port in (CONTROL, *SERVERS.values()))


@pytest.mark.parametrize("name", SERVERS)
def test_every_image_can_be_replaced_and_is_public_and_pinned_otherwise(name: str) -> None:
    match = re.fullmatch(r"\$\{(\w+):-([\w/-]+):(\S+)\}", SERVICES[name]["image"])
    assert match and match[1] == f"{name.upper()}_IMAGE"
    assert re.match(r"v?\d+\.\d+", match[3])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", SERVERS)
def test_every_file_that_is_mounted_exists(name: str, variant: str) -> None:
    for volume in SERVICES[name]["volumes"]:
        source = volume.replace("${STACK:-good}", variant).split(":")[0]
        assert (TOP / source).is_file(), source


@pytest.mark.parametrize("path", sorted(TOP.glob("configs/*/stack/broken.*")), ids=lambda path: path.parent.parent.name)
def test_every_broken_sample_says_what_is_wrong(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("# Wrong: ") == 4, "one mistake for each route"


def test_the_images_of_ci_are_those_of_the_compose_file() -> None:
    variables = set(re.findall(r"\$\{(\w+_IMAGE):-", FILE.read_text(encoding="utf-8")))
    given = dict(re.findall(r"(?m)^(\w+)=(\S+)$", (TOP / ".ci/images.env").read_text(encoding="utf-8")))
    assert given.keys() == variables
