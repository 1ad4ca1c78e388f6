"""A real nginx in front of an origin that can be told what to answer, and the command that asks it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from auditor.cli.main import main
from probes.runners.local import Binary, Server, free_ports
from tests.probes.controlled import Controlled

PREAMBLE = "daemon off; master_process off;  user root; events {}\n"
TEMPORARY = "".join(
    f"{kind}_temp_path @DIR@/tmp/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)
PASSWORD = "quite-secret-word"
USERS = "alice:{PLAIN}" + PASSWORD + "\n"


class Proxy(NamedTuple):
    """A running nginx: where it listens, and its configuration."""

    port: int
    config: str
    folder: str
    version: str

    def predicted(self, config: str = "") -> tuple[str, ...]:
        """The options that put predictions beside what is seen, its own or another configuration's."""
        return "--config", config or self.config, "--nginx-version", self.version

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class Ran(NamedTuple):
    """What the command did."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def target(self) -> dict[str, Any]:
        """The report's only URL."""
        (target,) = self.report["targets"]
        found: dict[str, Any] = target
        return found

    def probe(self, name: str) -> dict[str, Any]:
        (found,) = [probe for probe in self.target["probes"] if probe["name"] == name]
        probe: dict[str, Any] = found
        return probe

    def fate(self, probe: str, header: str) -> str | None:
        """What became of that header, by the report; None where the origin got nothing."""
        reached = self.probe(probe)["reached"]
        fates = {one["name"].lower(): one["fate"] for one in reached["headers"]} if reached else {}
        found: str | None = fates.get(header.lower())
        return found

    @property
    def verdicts(self) -> dict[str, str]:
        """Rule and severity of all statements but those that are always made."""
        found = {one["rule"]: one["severity"] for one in self.target["verdicts"]}
        return {rule: severity for rule, severity in found.items() if rule not in ("answer", "limit", "preflight")}

    def text(self, rule: str) -> str:
        (found,) = [one["text"] for one in self.target["verdicts"] if one["rule"] == rule]
        return str(found)


def run(*arguments: str) -> Ran:
    """`audit probe` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["probe", *arguments])
    return Ran(status, out.getvalue(), err.getvalue())


def ask(*arguments: str) -> Ran:
    """The same, with the report as JSON."""
    return run(*arguments, "--format", "json")


@contextlib.contextmanager
def nginx_with(program: Binary, origin: Controlled, server: str, http: str = "") -> Iterator[Proxy]:
    """nginx with one virtual host that has these lines; ORIGIN stands for the origin's address, USERS for a user file
    with alice."""
    (port,) = free_ports(1)
    text = f"{PREAMBLE}http {{ {TEMPORARY} access_log off;\n{http}\n"
    text += f"server {{ listen 127.0.0.1:{port};\n{server}\n}} }}\n"
    text = text.replace("ORIGIN", origin.origin.address).replace("USERS", "@DIR@/users")
    with Server(program, text, {"users": USERS}, ("cache",), [("127.0.0.1", port)]) as running:
        yield Proxy(port, running.config, running.path, program.version)
