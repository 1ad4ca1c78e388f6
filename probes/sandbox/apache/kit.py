"""What a probe has to know of httpd, and the sandbox of one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from auditor.http import Request
from auditor.reports.terminal import printable
from auditor.secrets import mask
from auditor.servers.apache.intake import candidates, find_listener, is_address, is_assumed, ports_of
from auditor.servers.apache.site import ApacheSite
from auditor.source import SourceFile, readable
from auditor.world import Answer as WorldAnswer
from auditor.world import Path, Question, World
from probes.certificate import throw_away
from probes.log import Received
from probes.plan import request_of
from probes.runners.httpd import Httpd, HttpdFolder
from probes.runners.program import Program
from probes.sandbox.apache import compare, programs
from probes.sandbox.apache.check import check_sealed
from probes.sandbox.apache.mirror import ApacheCollector, ApacheMirror, all_lines
from probes.sandbox.apache.reading import Reading
from probes.sandbox.apache.seal import Plan, Sealer
from probes.sandbox.check import Unsafe
from probes.sandbox.mirror import USER, Collector
from probes.sandbox.sandbox import Known, Line, Listened, Sandbox, ServerRefused, Told
from probes.sandbox.sealed import Sealed
from probes.sandbox.upstreams import Evaluated

_PLACE = re.compile(r"(?:[Ss]yntax error on line|AH00526: Syntax error on line) (\d+) of (/[^\s:]+):?")
_INVALID = re.compile(r"Invalid command '([^']+)'")
_LACKING = re.compile(r"Unknown (?:Authn|Authz) provider|Unknown Authz|not supported|is not available", re.IGNORECASE)
_STAMP = re.compile(r"(?m)^\[[^\]]*\] \[[^\]]*\] \[pid [^\]]*\] ")
_NOISE = re.compile(r"AH00558|AH01882|AH01873|AH00112")


class Prepared:
    """What all sandboxes of one configuration share, and what the first of them finds out about the server."""

    def __init__(
        self, reading: Reading, program: Httpd, collector: Collector, evaluated: Evaluated, user: str, secret: str
    ) -> None:
        self.reading = reading
        self.site = reading.site
        self.program = program
        self.collector = collector
        self.evaluated = evaluated
        self.user = user
        self.secret = secret
        self.lacking: set[str] = set()
        self.broken: set[tuple[str, int]] = set()
        self.sources: Sequence[SourceFile] = self.site.files
        # A .htaccess says no more of its server than that it sends clients there over TLS.
        self.assumed = [
            port
            for port in ports_of(self.site.config)
            if is_assumed(self.site.config, port) and any(route.request.tls for route in self.site.routes())
        ]
        self.tls = bool(self.assumed) or any(line.key.startswith("sslcertificate") for line in all_lines(self.site))
        self._certificate = ""

    def certificate(self) -> str:
        """A throw-away certificate and its key, PEM. Raises ImportError where the package cryptography is missing."""
        if not self._certificate:
            names = [server.name for server in self.site.servers() if server.name]
            self._certificate = b"".join(throw_away(names)).decode()
        return self._certificate


class ApacheSandbox(Sandbox):
    """See Sandbox."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared: Prepared = prepared
        self.site = prepared.site
        super().__init__(prepared)

    def _folder(self) -> HttpdFolder:
        return HttpdFolder(self.prepared.program, watched=True)

    def listened(self) -> Sequence[Listened]:
        config, found = self.site.config, []
        for port in ports_of(config):
            if is_assumed(config, port) and port not in self.prepared.assumed:
                continue
            listener = find_listener(config, port)
            tls = listener is not None and listener.tls
            found += [Listened(address, port, tls) for address in ("*", *self._exact(port))]
        return found

    def _exact(self, port: int) -> list[str]:
        """The addresses that virtual hosts of a port are at, but for the wildcard."""
        hosts = self.site.config.hosts
        addresses = [each for host in hosts for each in host.addresses if each.port in (None, port)]
        return sorted({each.host for each in addresses if each.host != "*"})

    def listener(self, request: Request) -> tuple[str, int] | None:
        if find_listener(self.site.config, request.port) is None:
            return None
        return self._arrival(request), request.port

    def _arrival(self, request: Request) -> str:
        """At which address a request arrives: its own where it names one, else one whose virtual hosts know its
        name."""
        exact = self._exact(request.port)
        if is_address(request.host):
            return request.host if request.host in exact else "*"
        hosts = self.site.config.hosts
        for wanted in (*exact, "*"):
            found = candidates(self.site.config, request, Path(_Arrives(wanted)))
            if found and found.choose(request.host)[1].startswith("chosen: Server"):
                return wanted
        wild = any(one.host == "*" and one.port in (None, request.port) for host in hosts for one in host.addresses)
        return "*" if wild or not exact else exact[0]

    def _mirror(self, folder: str) -> ApacheMirror:
        state = self.folder.state
        os.makedirs(os.path.join(state, programs.SEEN), exist_ok=True)
        mirror = ApacheMirror(folder, self.site, state)
        mirror.fill_for(self.prepared.collector, self.prepared.user, self.prepared.secret)
        return mirror

    def _seal(self) -> Sealed:
        prepared, program = self.prepared, self.prepared.program
        plan = Plan(
            self.folder.path,
            self.folder.state,
            program.address,
            program.machine,
            self.ports,
            frozenset(one.port for one in self.listened() if one.tls),
            f"{self.folder.path}/certificate.pem",
            tuple(sorted({upstream for pairs in prepared.evaluated.values() for upstream, _ in pairs})),
            frozenset(prepared.lacking),
            frozenset(prepared.broken),
        )
        sealed = Sealer(prepared.reading, program, plan, self.targets).seal()
        for name, text in {**sealed.files, "httpd.conf": sealed.main}.items():
            self.folder.write(name, text)
        self.sealed = sealed
        try:
            check_sealed(sealed, plan, program)
        except Unsafe as error:
            raise Unsafe(self._in_users_words(str(error))) from None
        return sealed

    def run(self) -> None:
        self.folder.kill()
        self.folder.empty("cache", programs.SEEN)
        self._write_answer()
        self.folder.run(f"{self.folder.path}/httpd.conf", f"{self.folder.path}/root", unprivileged=True)

    def _repair(self, complaint: str) -> None:
        place, name = _PLACE.search(complaint), _INVALID.search(complaint)
        own = place is not None and self._source(place[2]) is not None
        if place is not None and own:
            source = str(self._source(place[2]))
            if name is not None and self._is_foreign(name[1]) and name[1].lower() not in self.prepared.lacking:
                self.prepared.lacking.add(name[1].lower())
                return
            if _LACKING.search(complaint) and (source, int(place[1])) not in self.prepared.broken:
                self.prepared.broken.add((source, int(place[1])))
                return
        raise ServerRefused(self._in_users_words(complaint), own)

    def _is_foreign(self, name: str) -> bool:
        """Whether a command that the server does not know belongs to a module that nobody says is there."""
        from auditor.servers.apache.directives import spec_of

        spec = spec_of(name.lower())
        return spec is not None and not self.prepared.reading.modules.known

    def _in_users_words(self, text: str) -> str:
        lines = [line for line in text.splitlines() if line.strip() and not _NOISE.search(line)]
        text = _STAMP.sub("", "\n".join(lines)) if lines else text
        place = _PLACE.search(text)
        if place is not None:
            source = self._source(place[2])
            if source is not None:
                rest = text[place.end() :].strip().splitlines()
                text = f"{source}:{place[1]}: {rest[0] if rest else ''}"
        else:
            text = text.splitlines()[-1] if text else text
        found = re.match(r"(.*) in (/\S+):(\d+)$", text)
        if found is not None and (source := self._source(found[2])) is not None:
            text = f"{source}:{found[3]}: {found[1]}"
        text = self.names.back(mask(text)).replace(self.folder.state, "").replace(self.folder.path, "")
        return printable(readable(text))

    def world(self, line: Line | None = None) -> World:
        arrival = self._arrival(request_of(line)) if line is not None else None
        return _World(self.mirror.world(), self.prepared.program.machine, arrival)

    def tell(self, told: Told) -> None:
        super().tell(told)
        self._write_answer()

    def _write_answer(self) -> None:
        path = os.path.join(self.folder.state, programs.ANSWER)
        with open(path, "wb") as file:
            file.write(programs.answer_bytes(self._told.main))
        os.chmod(path, 0o644)

    def _received(self) -> Sequence[Received]:
        ran = programs.given(self.folder.state)
        return [self._ported(one) for one in (*super()._received(), *(each for each in ran))]

    def _ported(self, received: Received) -> Received:
        """What arrived, with the configured port where only a number stands."""
        ports = {str(here): str(port) for (_, port), here in self.ports.items()}
        headers = tuple(
            (name, ports.get(value, value) if name == "SERVER_PORT" else value) for name, value in received.headers
        )
        return received._replace(headers=headers, origin=self.names.back(received.origin))


class _Arrives:
    """Knows at which address a request arrives, and nothing else."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, question: Question) -> WorldAnswer | None:
        return WorldAnswer(self._address, "", self._address) if question.kind == "listener" else None


class _World(Known):
    """Beside what is known of every sandbox: at which address the request arrives."""

    def __init__(self, files: World, client: str, arrival: str | None) -> None:
        super().__init__(files, client)
        self._arrival = arrival

    def ask(self, question: Question) -> WorldAnswer | None:
        if question.kind == "listener" and self._arrival is not None:
            return WorldAnswer(self._arrival, f"the request arrives at {self._arrival}", self._arrival)
        return super().ask(question)


class ApacheKit:
    """See probes.sandbox.kits.Kit."""

    label = "httpd"
    differences = staticmethod(compare.differences)

    def __init__(self) -> None:
        self._readings: dict[int, Reading] = {}

    def site(self, site: ApacheSite, program: Program) -> ApacheSite:
        if not isinstance(program, Httpd):
            raise TypeError("this program is no httpd")
        version = tuple(int(part) for part in program.version.split("."))
        reading = Reading(site.at_version(version), program)
        reading.site = reading.site.at_version(version)
        self._readings[id(reading.site)] = reading
        return reading.site

    def collector(self, site: ApacheSite) -> Collector:
        return ApacheCollector(site.known_files, site)

    def user(self, site: ApacheSite) -> str:
        for line in all_lines(site):
            if line.key == "require" and len(line.args) > 1 and line.args[0].lower() == "user":
                return line.args[1]
        return USER

    def prepare(
        self, site: ApacheSite, program: Program, collector: Collector, evaluated: Evaluated, secret: str, code: bool
    ) -> Prepared:
        assert isinstance(program, Httpd)
        return Prepared(self._readings[id(site)], program, collector, evaluated, self.user(site), secret)

    def sandbox(self, prepared: Any) -> Sandbox:
        return ApacheSandbox(prepared)

    def caches(self, site: ApacheSite) -> bool:
        return any(line.key == "cacheenable" for line in all_lines(site))

    def passes_caches(self, site: ApacheSite) -> bool:
        return True

    def sets(self, site: ApacheSite) -> Iterator[str]:
        for line in all_lines(site):
            if line.key == "requestheader" and len(line.args) > 1:
                yield line.args[1].rstrip(":")

    def captured(self, site: ApacheSite) -> Iterable[str]:
        return ()
