"""What every way of running a server has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from probes.runners.local import Folder

PID = "nginx.pid"  # written by the server, when all its sockets are bound
STDERR = "stderr"


class Unavailable(Exception):
    """A server program that cannot be run here; the text says why, and what to do."""


class Running(Protocol):
    """A server that was started."""

    def poll(self) -> int | None:
        """How it ended; None while it runs."""

    def kill(self) -> None:
        """Ends it at once."""

    def wait(self) -> int:
        """How it ended, when it has."""


class Program(Protocol):
    """A server program that can be started. `version` is as in `1.22.1`, `build` is what `-V` says.

    Its servers listen on `address`, where this machine reaches them. `machine` is this machine's own address as they
    see it: the clients come from there, and the origins listen there. With `watched` this process need not see to it
    that nothing is left when it is killed.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def build(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def machine(self) -> str: ...
    @property
    def watched(self) -> bool: ...

    def room(self) -> tuple[str, str]:
        """The path of a new folder for a server, which need not exist yet, and the folder that the server may write to:
        the same, or one elsewhere."""

    def start(self, folder: Folder, arguments: Sequence[str], unprivileged: bool) -> Running:
        """Starts the server in a folder; what it prints goes to the file STDERR where it may write. With
        `unprivileged`, a superuser's server runs as nobody."""
