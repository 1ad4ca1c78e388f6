"""A case as a user would have it: plain ports, upstreams by their names, files below /etc/nginx. The sandbox seals it,
as it does any configuration of a user's; the predictor reads the text that it was."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator

from auditor.http import make_request
from auditor.servers.nginx.site import NginxSite, load_file
from probes.compare import Observation
from probes.probing import ServerRefused, Session
from probes.runners import local
from probes.runners.local import Refused, fill
from probes.runners.program import Program
from probes.sandbox.nginx import port_of
from tests.differential.play import HUNG, Case, Line, Origins, Played, Predict

DEPLOYED = "/etc/nginx"
VALUES: dict[str, object] = {
    "DIR": DEPLOYED,
    "P1": 8081, "P2": 8082, "P3": 8443, "P4": 9443,
    "A": "a.internal:9000", "B": "b.internal:9001", "AUTH": "auth.internal:9002",
    "FCGI": "php.internal:9100", "UWSGI": "wsgi.internal:9200", "SCGI": "scgi.internal:9300",
    "H2": "grpc.internal:50051", "TLS": "tls.internal:9500", "SOCK": "unix:/run/app/app.sock",
    "APORT": 9000,
}  # fmt: skip


def _at_loopback(site: NginxSite, line: Line) -> Line:
    """The line without what cannot be told in the sandbox, where all listeners are at 127.0.0.1: which address the
    client asks at a wildcard listener, and, in redirects, which one where it sends no Host line."""
    request = make_request(line["url"])
    port = port_of(site, request, "127.0.0.1")
    if port is None:
        return line
    if port.listen.address == "*":
        return {**line, "url": line["url"].replace(f"//{request.host}:", "//127.0.0.1:", 1)}
    if not any(name.lower() == "host" for name, _ in line["headers"]):
        return {**line, "headers": [["Host", "a.example"], *line["headers"]]}
    return line


def play(
    case: Case, program: Program, origins: Origins, load: Callable[[str, str], Predict], fresh: bool | None = None
) -> Iterator[Played]:
    """As tests.differential.play.play, with origins of the sandbox's own, and the prediction that it makes itself.

    Raises Refused where nginx refuses the configuration.
    """
    values = {**VALUES, "VERSION": program.version}
    lines = [json.loads(fill(json.dumps(line), values)) for line in case.lines]
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        for name, text in {**case.files, "nginx.conf": case.config}.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="latin-1", newline="") as file:
                file.write(fill(text, values))
            os.utime(path, (local.FILE_TIME, local.FILE_TIME))
        site = load_file(os.path.join(folder, "nginx.conf"), ((DEPLOYED, folder),), program.version)
        lines = [_at_loopback(site, line) for line in lines]
        try:
            session = Session(site, program, witnesses=lines)
        except ServerRefused as refused:
            raise Refused(str(refused)) from refused
        with session:
            for number, line in enumerate(lines):
                cell, trace = session.ask(session.sandboxes[0], line)
                yield Played(number, line, trace, cell.seen or Observation(HUNG, ()))
