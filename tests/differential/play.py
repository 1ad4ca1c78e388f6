"""A case played against the real server and asked of the predictor: the two answers, side by side."""

from __future__ import annotations

import json
import os
import ssl
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from probes.client import Reply, address_of, request_bytes, send, tls_name
from probes.compare import Observation, differences
from probes.gateways import FastCGI, Scgi, Uwsgi
from probes.http2 import Http2
from probes.origin import BODY_PATIENCE, Answer, Log, Origin
from probes.runners.local import Server, fill, free_ports
from probes.runners.program import Program
from tests.differential.words import CERTIFICATE, COMMON

PATIENCE = 2.0  # seconds; a server that waits for bytes which never come has no answer to compare
HUNG = Reply(None, complete=False)

Line = dict[str, Any]
Predict = Callable[[Line], dict[str, Any]]


class Case:
    """A configuration text, the files beside it, and request lines; all with placeholders."""

    def __init__(self, config: str, files: dict[str, str], lines: list[Line]) -> None:
        self.config = config
        self.files = files
        self.lines = lines

    @property
    def ports(self) -> list[str]:
        """The listening ports that the configuration names."""
        return [name for name in ("P1", "P2", "P3", "P4") if f"@{name}@" in self.config + "".join(self.files.values())]

    def write(self, stem: str, common: dict[str, str] = COMMON) -> None:
        """The case as STEM.conf and STEM.json, without the files that every case has."""
        own = {name: text for name, text in self.files.items() if common.get(name) != text}
        with open(stem + ".conf", "w", encoding="latin-1") as file:
            file.write(self.config)
        with open(stem + ".json", "w", encoding="ascii") as file:
            file.write(json.dumps({"files": own, "requests": self.lines}, indent=1) + "\n")

    @classmethod
    def read(cls, stem: str, common: dict[str, str] = COMMON) -> Case:
        """What `write` wrote."""
        with open(stem + ".conf", encoding="latin-1") as file:
            config = file.read()
        with open(stem + ".json", encoding="ascii") as file:
            rest = json.load(file)
        return cls(config, {**common, **rest.get("files", {})}, rest["requests"])


class Origins:
    """All the origins that a case can name, with one log. The one with a Unix socket has it in `folder`."""

    def __init__(self, folder: str) -> None:
        self.log = Log()
        kinds: dict[str, type[Origin]] = {"FCGI": FastCGI, "UWSGI": Uwsgi, "SCGI": Scgi, "H2": Http2}
        names = ("A", "B", "AUTH", "FCGI", "UWSGI", "SCGI", "H2")
        self.all = {name: kinds.get(name, Origin)(name, self.log) for name in names}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self.all["TLS"] = Origin("TLS", self.log, tls=context)
        self.all["SOCK"] = Origin("SOCK", self.log, local=os.path.join(folder, f"{os.getpid()}.sock"))

    def values(self) -> dict[str, object]:
        return {name: origin.address for name, origin in self.all.items()}

    def program(self, line: Line) -> frozenset[str]:
        """Lets every origin answer what this (filled) line says of its upstream. Gives the names of all header lines in
        these answers."""
        names: set[str] = set()
        for origin in self.all.values():
            chosen = line.get("upstream_response") or {}
            for entry in line.get("upstream_responses") or ():
                if entry["upstream"].rpartition("/")[2] == origin.address:
                    chosen = entry
            answer = Answer(chosen.get("status", 200), tuple((n, v) for n, v in chosen.get("headers", ())))
            origin.answer = lambda _, answer=answer: answer  # type: ignore[misc]
            names |= {name.lower() for name, _ in answer.headers}
        return frozenset(names)

    def close(self) -> None:
        for origin in self.all.values():
            origin.close()


@contextmanager
def shared_folder() -> Iterator[str]:
    """A folder that servers of all accounts may enter."""
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        os.chmod(folder, 0o755)
        yield folder


class Played:
    """One request of a case: the line as asked (filled in), what was predicted and what was observed."""

    __slots__ = ("line", "number", "predicted", "seen")

    def __init__(self, number: int, line: Line, predicted: dict[str, Any], seen: Observation) -> None:
        self.number = number
        self.line = line
        self.predicted = predicted
        self.seen = seen


def play(
    case: Case, program: Program, origins: Origins, load: Callable[[str, str], Predict], fresh: bool | None = None
) -> Iterator[Played]:
    """Plays every line. A configuration that caches gets a new server for each request: what was stored is not asked.

    Raises Refused where nginx refuses the configuration.
    """
    everything = case.config + "".join(case.files.values())
    fresh = "proxy_cache " in everything if fresh is None else fresh
    mirrors = "mirror " in everything
    groups = [[entry] for entry in enumerate(case.lines)] if fresh else [list(enumerate(case.lines))]
    for group in groups:
        numbers = free_ports(len(case.ports))
        values = {**origins.values(), **dict(zip(case.ports, numbers, strict=True))}
        listens = [_somewhere(case, name, port) for name, port in zip(case.ports, numbers, strict=True)]
        with Server(program, case.config, case.files, ("cache",), listens, values) as server:
            values["DIR"] = server.path
            predict = load(server.config, program.version)
            for number, raw in group:
                line = json.loads(fill(json.dumps(raw), values))
                yield Played(number, line, attempt(predict, line), observe(line, origins, mirrors))


def attempt(predict: Predict, line: Line) -> dict[str, Any]:
    """The prediction. A crash becomes an error that the comparison reports: the other requests are still asked."""
    try:
        return predict(line)
    except Exception as error:
        return {"error": crash(error)}


def crash(error: Exception) -> str:
    """An exception in one line: where it came from and what it says."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    name = os.path.basename(frame.filename)
    return f"crash {type(error).__name__} in {name} {frame.name}: {error} (line {frame.lineno})"


def _somewhere(case: Case, name: str, port: int) -> tuple[str, int]:
    """An address at which that port is listened on."""
    text = case.config + "".join(case.files.values())
    for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        if f"listen {address}:@{name}@" in text:
            return address, port
    return "127.0.0.1", port


def observe(line: Line, origins: Origins, mirrors: bool = False) -> Observation:
    """What this request does at the running server. A line with `raw` is sent as these bytes."""
    answered = origins.program(line)
    origins.log.take()
    try:
        data = line["raw"].encode("latin-1") if "raw" in line else request_bytes(line)
        reply = send(address_of(line), data, line.get("client_ip", ""), PATIENCE, tls_name(line))
    except TimeoutError:
        reply = HUNG
    if mirrors or reply is HUNG:
        origins.log.settle(2 * BODY_PATIENCE if reply is HUNG else 0.02)
    return Observation(reply, tuple(origins.log.take()), answered)


def predictor(path: str, version: str) -> Predict:
    """Asks the product itself, through its library."""
    from auditor.cli.trace import trace_line
    from auditor.servers.nginx.site import load_file

    folder = os.path.dirname(path)
    site = load_file(
        path, ((folder, folder),), version
    )  # the folder is the deployed machine: what is not there is missing
    return lambda line: trace_line(site, line)


def contradictions(played: Played) -> list[str]:
    """What the comparison says; a request that hangs is no judge."""
    if played.seen.reply is HUNG:
        return []
    return differences(played.predicted, played.seen)
