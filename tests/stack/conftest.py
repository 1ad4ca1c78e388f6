"""The engine and the images that the compose stack needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from probes.stack.compose import FILE

LEFT = {
    "containers": ("ps", "--all", "--quiet"),
    "networks": ("network", "ls", "--quiet"),
    "volumes": ("volume", "ls", "--quiet"),
    "images": ("images", "--all", "--quiet"),
}


def docker(*words: str) -> str:
    """What a docker command prints. Raises CalledProcessError where it fails."""
    return subprocess.run(
        ["docker", *words], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout


def missing() -> str:
    """Why the stack cannot be brought up on this machine, "" where it can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    try:
        docker("info")
        docker("compose", "version")
    except subprocess.CalledProcessError as error:
        return f"no Docker engine with Compose: {error.stderr.strip().splitlines()[-1]}"
    for name, default in re.findall(r"\$\{([A-Z]+_IMAGE):-([^}]+)\}", FILE.read_text(encoding="utf-8")):
        image = os.environ.get(name) or default
        try:
            docker("image", "inspect", image)
        except subprocess.CalledProcessError:
            return f"the image {image} is not here (docker pull, or {name}=...)"
    return ""


def left(project: str) -> dict[str, str]:
    """What exists of a project, by kind."""
    label = f"label=com.docker.compose.project={project}"
    found = {kind: docker(*words, "--filter", label).strip() for kind, words in LEFT.items()}
    return {kind: names for kind, names in found.items() if names}


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Compose project of the test's own, and none of the user's settings; at the end nothing of it may be left."""
    reason = missing()
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    name = f"audit-test-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", name)
    for variable in ("STACK", "NGINX_CONF", "COMPOSE_PROFILES", "COMPOSE_FILE"):
        monkeypatch.delenv(variable, raising=False)
    yield name
    remaining = left(name)
    if remaining:  # a test that failed half-way, or one that left something: it must not pile up
        subprocess.run(
            ["docker", "compose", "-p", name, "down", "-v", "-t", "0", "--rmi", "all"], cwd=FILE.parent, check=False
        )
    assert remaining == {}
