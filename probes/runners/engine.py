"""This machine's Docker engine: reached, its complaints put into words, and left as it was found.

All that a session makes there has its label, so that it can be removed without knowing how far one got.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from probes.runners.program import Unavailable

if TYPE_CHECKING:
    from docker import DockerClient

Chosen = dict[str, str | list[str] | bool]
LABEL = "header-auditor.session"
ABANDONED = 60  # seconds after which what no process of ours uses any more is taken for forgotten
ENGINE_PATIENCE = 30  # seconds for an answer
REMOVAL = 10.0  # seconds
ELSEWHERE = (
    "--image needs an engine of this machine that runs as root: not Docker Desktop, a rootless or a remote one; "
    "probe without --image there"
)
_START = "start it (systemctl start docker), name its socket in DOCKER_HOST, or probe without --image"


def connect() -> DockerClient:
    """A client of this machine's engine. Raises Unavailable."""
    try:
        import docker
    except ImportError as error:
        raise Unavailable(f"--image needs {error.name}: pip install 'header-auditor[probe]'") from error
    host = os.environ.get("DOCKER_HOST", "")
    if host and not host.startswith("unix:"):
        raise Unavailable(f"DOCKER_HOST is {host}; {ELSEWHERE}")
    try:
        return docker.from_env(timeout=ENGINE_PATIENCE)
    except docker.errors.DockerException as error:
        raise Unavailable(_no_engine(str(error), host)) from error


def _no_engine(said: str, host: str) -> str:
    where = host or "unix:///var/run/docker.sock"
    if "Permission denied" in said:
        return f"no permission for the Docker engine at {where}: your account has to be in the group docker, or be root"
    if "No such file" in said or "Connection refused" in said:
        return f"no Docker engine at {where}: {_START}"
    return f"the Docker engine at {where} cannot be used: {said}"


@contextmanager
def in_words() -> Iterator[None]:
    """What the engine objects to becomes Unavailable."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        said = str(error.explanation or error)
        if "bind source path" in said:
            said = f"the engine does not see this machine's files; {ELSEWHERE}"
        if 'exec: "/bin/sh"' in said:
            raise Unavailable("the image has no /bin/sh, which --image needs") from error
        raise Unavailable(f"the Docker engine refuses: {said}") from error
    except (DockerException, RequestException) as error:
        raise Unavailable(f"the Docker engine does not answer: {error}") from error


# --- removal


def remove(client: DockerClient, token: str) -> None:
    """Removes all of one session's containers and networks. Raises Unavailable where the engine does not answer."""
    deadline = time.monotonic() + REMOVAL
    with in_words():
        while _remove(client, {"label": f"{LABEL}={token}"}) and time.monotonic() < deadline:
            time.sleep(0.01)


def _remove(client: DockerClient, chosen: Chosen) -> bool:
    """Says whether there was anything."""
    from docker.errors import APIError

    containers = client.containers.list(all=True, filters=chosen, ignore_removed=True)
    for container in containers:
        with contextlib.suppress(APIError):  # the engine may be removing it already
            container.remove(force=True, v=True)
    networks = client.networks.list(filters=chosen)
    for network in networks:
        with contextlib.suppress(APIError):
            network.remove()
    return bool(containers or networks)


def sweep(client: DockerClient) -> None:
    """Removes what killed processes may have left: networks without a container, containers that do not run."""
    from docker.errors import APIError

    chosen: Chosen = {"label": LABEL}
    for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
        if container.status != "running" and _is_old(container.attrs["Created"]):
            with contextlib.suppress(APIError):
                container.remove(force=True, v=True)
    for network in client.networks.list(filters=chosen):
        with contextlib.suppress(APIError):
            network.reload()
            if not network.attrs["Containers"] and _is_old(network.attrs["Created"]):
                network.remove()


def _is_old(created: str) -> bool:
    return (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds() > ABANDONED


@contextmanager
def session(client: DockerClient) -> Iterator[tuple[str, str]]:
    """The token and the folder of a new session. At the end all that has the token goes, and the folder; should this
    process be killed before that is done, a process does it that sleeps until its standard input ends."""
    token, folder = secrets.token_hex(6), tempfile.mkdtemp(prefix="audit-")
    try:
        watcher = _watcher(token, folder)
        try:
            yield token, folder
        finally:
            remove(client, token)
            shutil.rmtree(folder, ignore_errors=True)
            watcher.communicate(b"done")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watcher(token: str, folder: str) -> subprocess.Popen[bytes]:
    code = (
        "import sys; sys.stdin.buffer.read(1) or "
        "__import__('probes.runners.engine', fromlist=['clean_up']).clean_up(*sys.argv[1:])"
    )
    return subprocess.Popen(
        [sys.executable, "-S", "-c", code, token, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)},
        start_new_session=True,
    )


def clean_up(token: str, folder: str) -> None:
    """What the watcher does: twice, as the engine may have been about to start a container."""
    shutil.rmtree(folder, ignore_errors=True)
    client = connect()
    for _ in range(2):
        remove(client, token)
        time.sleep(1)
