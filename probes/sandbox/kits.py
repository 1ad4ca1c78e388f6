"""What a probe has to know of a kind of server; everything else is the same for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from probes.compare import Json, Observation
from probes.runners.program import Program
from probes.sandbox.mirror import Collector
from probes.sandbox.sandbox import Prepared, Sandbox
from probes.sandbox.upstreams import Evaluated


class Kit(Protocol):
    """A kind of server. `label` is what reports call it."""

    @property
    def label(self) -> str: ...

    def site(self, site: Any, program: Program) -> Any:
        """The configuration as this program has it: its version, its modules."""

    def collector(self, site: Any) -> Collector:
        """What notes the files that requests touch."""

    def user(self, site: Any) -> str:
        """The name of the probe's user: one whom the configuration would let in."""

    def prepare(
        self, site: Any, program: Program, collector: Collector, evaluated: Evaluated, secret: str, code: bool
    ) -> Prepared:
        """What the sandboxes of the configuration share. `secret` is the password of the probe's user, `code` says
        whether the user's own programs may run."""

    def sandbox(self, prepared: Any) -> Sandbox:
        """A running server."""

    def differences(self, trace: Json, seen: Observation) -> list[str]:
        """Where an observation contradicts a trace."""

    def caches(self, site: Any) -> bool:
        """Whether answers may be kept."""

    def passes_caches(self, site: Any) -> bool:
        """Whether something may have the server ask again in spite of a kept answer."""

    def sets(self, site: Any) -> Iterable[str]:
        """The names of the header lines and parameters that the configuration sets for upstreams."""

    def captured(self, site: Any) -> Iterable[str]:
        """What the configuration takes out of an auth service's answer, as names with underscores, in its order."""


def kit_of(kind: str) -> Kit:
    """The kit of a server kind (Site.kind)."""
    if kind == "apache":
        from probes.sandbox.apache.kit import ApacheKit

        return ApacheKit()
    from probes.sandbox.nginx import NginxKit

    return NginxKit()
