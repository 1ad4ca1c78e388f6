"""Docker Compose, as far as the stack needs it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
DOOR = "door"  # the service that publishes the ports
FILE = TOP / "docker-compose.yml"
PATIENCE = 30  # seconds that the servers may take to be there
NOBODY = 65534
LOGGED = 15  # lines of each service's log that a failure shows


class Failed(Exception):
    """The stack is not there, or could not be brought up; the text says what to do."""


class Compose:
    """The stack of one project. `override` is a further compose file, `digest` stands for what the servers read: a
    container is made anew when it changes. Raises Failed where there is no Compose or no compose file."""

    def __init__(self, override: Path | None = None, digest: str = "", variables: Mapping[str, str] | None = None):
        if not FILE.exists():
            raise Failed("the stack needs the repository: there is no docker-compose.yml beside the package")
        self.project = os.environ.get("COMPOSE_PROJECT_NAME") or "audit-stack"
        self._files = [str(FILE), *([str(override)] if override else [])]
        self._environment = {**os.environ, "STACK_DIGEST": digest, **(variables or {})}
        self._environment["STACK_UID"] = str(uid())

    def _run(self, *words: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        files = [word for file in self._files for word in ("-f", file)]
        command = ["docker", "compose", "--project-directory", str(TOP), "-p", self.project, *files, *words]
        try:
            return subprocess.run(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if quiet else None,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise Failed(
                "docker is not installed: the stack needs Docker Engine 25 or newer with Compose 2.24"
            ) from error

    def up(self, services: Sequence[str] = ()) -> None:
        """Builds the origin and waits until every service answers. Raises Failed, after everything that was started is
        gone again, with what the containers said."""
        wait = ["--wait", "--wait-timeout", str(PATIENCE)]
        try:
            done = self._run("up", "--detach", "--build", "--remove-orphans", "--timeout", "0", *wait, *services)
            if done.returncode == 0:
                return
            said = self._run("ps", "--all", quiet=True).stdout
            said += self._run("logs", "--no-color", "--tail", str(LOGGED), *services, quiet=True).stdout
        except BaseException:
            self.down()
            raise
        self.down()
        raise Failed(f"{said}\nthe stack did not come up; it is taken down again")

    def down(self) -> None:
        """Removes the containers, networks and volumes of the project, and the images that were built for it."""
        done = self._run("--profile", "own", "down", "--volumes", "--remove-orphans", "--timeout", "0")
        label = f"label=com.docker.compose.project={self.project}"
        prune = ["docker", "image", "prune", "--all", "--force", "--filter", label]
        pruned = subprocess.run(prune, stdout=subprocess.DEVNULL, check=False)
        if done.returncode or pruned.returncode:
            raise Failed(f"not everything of the Compose project {self.project} could be removed")

    def published(self) -> dict[int, int]:
        """The ports of the door, and those of this machine that lead there. Raises Failed where the stack is not
        running."""
        done = self._run("ps", "--format", "json", quiet=True)
        if done.returncode:
            raise Failed(done.stderr.strip())
        text = done.stdout.strip()
        # One object a line, or, in some versions of Compose, one list.
        entries = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        for entry in entries:
            if entry["Service"] == DOOR:
                ports = entry.get("Publishers") or ()
                return {port["TargetPort"]: port["PublishedPort"] for port in ports if port.get("PublishedPort")}
        raise Failed("the stack is not running: make stack")


def uid() -> int:
    """The user that the servers run as: the one who asks, so that what that one may read can be mounted; instead of
    root, nobody."""
    own = os.getuid() if hasattr(os, "getuid") else 0
    return own or NOBODY


def digest(paths: Sequence[Path]) -> str:
    """A digest of these files and folders, for Compose.digest."""
    total = hashlib.sha256()
    for top in paths:
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                total.update(f"{path}\0{path.stat().st_size}\0".encode())
                total.update(path.read_bytes())
    return total.hexdigest()[:16]


def complain(text: str) -> None:
    """One line for standard error."""
    print(f"stack: {text}", file=sys.stderr)
