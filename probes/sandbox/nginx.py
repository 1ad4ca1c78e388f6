"""The sandbox of nginx: what sealing, starting and its complaints are there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from auditor.http import Request
from auditor.reports.terminal import printable
from auditor.secrets import mask
from auditor.servers.nginx.config import Port
from auditor.servers.nginx.intake import find_port
from auditor.servers.nginx.site import NginxSite, load_file, parse_version
from auditor.source import SourceFile, readable
from auditor.world import Answer as WorldAnswer
from auditor.world import Path, Question, World
from probes.certificate import throw_away
from probes.compare import differences
from probes.log import Answer, Received
from probes.runners.program import Program
from probes.sandbox import tables
from probes.sandbox.check import Unsafe, check_sealed
from probes.sandbox.mirror import USER, Collector, Mirror
from probes.sandbox.sandbox import Known, Line, Listened, Sandbox, ServerRefused
from probes.sandbox.seal import Plan, Sealed, seal
from probes.sandbox.upstreams import Evaluated

CACHES = ("proxy_cache", "fastcgi_cache", "uwsgi_cache", "scgi_cache")
_SETS = re.compile(r"(?:proxy|grpc)_set_header$|(?:fastcgi|uwsgi|scgi)_param$")
_REDIRECTS = ("location", "refresh")
_UNKNOWN = re.compile(r'unknown directive "([^"]+)" in (\S+):(\d+)')
_VARIABLE = re.compile(r'unknown "(\w+)" variable')
_UNSUPPORTED = re.compile(r"unsupported|not supported|requires|is not available|without|not built", re.IGNORECASE)
_PLACE = re.compile(r" in (/\S+):(\d+)")
_KEY = re.compile(r'(conflicting parameter|duplicate default map parameter|duplicate value) "[^"]*"')
_BOM = "\xef\xbb\xbf"


class Prepared:
    """What all sandboxes of one configuration share, and what the first of them finds out about the server."""

    def __init__(
        self, site: NginxSite, program: Program, collector: Collector, evaluated: Evaluated, secret: str, code: bool
    ) -> None:
        self.site = site
        self.sources: Sequence[SourceFile] = site.files
        self.program = program
        self.collector = collector
        self.evaluated = evaluated
        self.secret = secret  # the password of the probe's user
        self.code = code
        self.lacking: set[str] = set()
        self.broken: set[tuple[str, int]] = set()
        self.undefined: list[str] = []
        self.known: frozenset[str] | None = None
        self._certificate = ""
        self.tls = any(port.listen.tls for port in site.http.ports.values()) or any(
            tables.CERTIFICATE.match(each.name) for each in site.tree.walk()
        )
        if tables.third_party(program.build):
            from crossplane.analyzer import DIRECTIVES

            self.known = frozenset(DIRECTIVES)

    def certificate(self) -> str:
        """A throw-away certificate and its key, PEM. Raises ImportError where the package cryptography is missing."""
        if not self._certificate:
            names = [name for server in self.site.http.servers for name in server.names]
            self._certificate = b"".join(throw_away(names)).decode()
        return self._certificate


class NginxSandbox(Sandbox):
    """See Sandbox."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared: Prepared = prepared
        self.site = prepared.site
        super().__init__(prepared)

    def listened(self) -> Sequence[Listened]:
        ports = self.site.http.ports
        return [Listened(address, port, ports[address, port].listen.tls) for address, port in ports if port]

    def _mirror(self, folder: str) -> Mirror:
        mirror = Mirror(folder, self.site)
        mirror.fill(self.prepared.collector, self.site, self.prepared.secret)
        return mirror

    def _seal(self) -> Sealed:
        prepared = self.prepared
        plan = Plan(
            self.folder.path,
            self.folder.state,
            prepared.program.address,
            self.ports,
            f"{self.folder.path}/certificate.pem",
            prepared.evaluated,
            frozenset(prepared.lacking),
            frozenset(prepared.broken),
            tuple(prepared.undefined),
            prepared.known,
            prepared.code,
            1024 + 2 * len(self.ports),
        )
        sealed = seal(self.site, plan, self.targets)
        for name, text in {**sealed.files, "nginx.conf": sealed.main}.items():
            self.folder.write(name, text)
        self.sealed = sealed
        try:
            check_sealed(load_file(f"{self.folder.path}/nginx.conf"), sealed, plan)
        except Unsafe as error:
            raise Unsafe(self._in_users_words(str(error))) from None
        return sealed

    def run(self) -> None:
        self.folder.kill()
        self.folder.empty("cache", "tmp")
        prefix = f"{self.folder.path}/root{self.site.tree.conf_dir.rstrip('/')}/"
        self.folder.run(f"{self.folder.path}/nginx.conf", prefix, unprivileged=True)

    def _repair(self, complaint: str) -> None:
        prepared = self.prepared
        found = _UNKNOWN.search(complaint)
        if found is not None and found[1] not in prepared.lacking and not _misspelt(found[1]):
            prepared.lacking.add(found[1])
            return
        found = _VARIABLE.search(complaint)
        if found is not None and self._incomplete() and found[1] not in prepared.undefined:
            prepared.undefined.append(found[1])
            return
        place = _PLACE.search(complaint)
        if place is not None and _UNSUPPORTED.search(complaint):
            source = self._source(place[1])
            if source is not None and (source, int(place[2])) not in prepared.broken:
                prepared.broken.add((source, int(place[2])))
                return
        name = _VARIABLE.search(complaint)
        if place is None and name is not None:  # found when all was read, so the server does not say where
            used = re.compile(rf"\$(?:{name[1]}\b|\{{{name[1]}\}})")
            for file, text in self.sealed.sources.items() if self.sealed is not None else ():
                if (at := used.search(text.text)) is not None:
                    complaint += f" in {self.folder.path}/{file}:{text.position(at.start())[0]}"
                    place = _PLACE.search(complaint)
                    break
        raise ServerRefused(self._in_users_words(complaint), place is not None and self._source(place[1]) is not None)

    def _incomplete(self) -> bool:
        """Whether something may define variables that this server does not see: a module, code, or a part of the
        configuration that is not at hand."""
        tree = self.site.tree
        modules = any(each.name == "load_module" for each in tree.walk())
        part = any(each.offset is None for each in tree.directives) or any(note.kind == "unread" for note in tree.notes)
        return bool(self.prepared.lacking or self.taken) or modules or part

    def _in_users_words(self, text: str) -> str:
        # What a table is asked for may be a key that clients know, so it is not shown.
        place = _PLACE.search(text)
        if place is not None:
            source = self._source(place[1])
            if source is not None:
                line = "1" if _BOM in text else place[2]
                text = f"{source}:{line}: {text[: place.start()]}{text[place.end() :]}"
        text = _KEY.sub(r'\1 "***"', mask(text.replace(_BOM, "(byte order mark)")))
        text = self.names.back(text).replace(self.folder.state, "").replace(self.folder.path, "")
        return printable(readable(text))

    def world(self, line: Line | None = None) -> World:
        return _World(self.mirror.world(), self.prepared.program.machine, "plus" not in self.prepared.program.build)

    def listener(self, request: Request) -> tuple[str, int] | None:
        port = port_of(self.site, request, self.prepared.program.machine)
        return None if port is None else (port.listen.address, port.listen.port)

    def _answer(self, received: Received) -> Answer:
        answer = super()._answer(received)
        # Where an upstream sends the client to itself, the server looks for the name that it knows it by.
        headers = ((n, self.targets.here(v) if n.lower() in _REDIRECTS else v) for n, v in answer.headers)
        return answer._replace(headers=tuple(headers))


def _misspelt(name: str) -> bool:
    """Whether a directive that the server does not know is all but one that every nginx has: no module names one so."""
    from difflib import get_close_matches

    from crossplane.analyzer import DIRECTIVES

    return name not in DIRECTIVES and bool(get_close_matches(name, DIRECTIVES, 1, 0.95))


class _World(Known):
    """Beside what is known of every sandbox: no token is good."""

    def __init__(self, files: World, client: str, third_party: bool = True) -> None:
        super().__init__(files, client)
        self._third_party = third_party

    def ask(self, question: Question) -> WorldAnswer | None:
        if question.kind == "module" and question.subject == "auth_jwt" and self._third_party:
            return WorldAnswer("third party", "a module of a third party, which has the directive of NGINX Plus")
        if question.kind == "credentials" and question.subject == "auth_jwt":
            return WorldAnswer("refused", "the token is refused")
        return super().ask(question)


def port_of(site: NginxSite, request: Request, client: str) -> Port | None:
    """The listener that a request from that address reaches."""
    return find_port(site.http, request, Path(_World(_Nothing(), client)))


class _Nothing:
    def ask(self, question: Question) -> WorldAnswer | None:
        return None


class NginxKit:
    """See probes.sandbox.kits.Kit."""

    label = "nginx"
    differences = staticmethod(differences)

    def site(self, site: NginxSite, program: Program) -> NginxSite:
        return site.at_version(parse_version(program.version))

    def collector(self, site: NginxSite) -> Collector:
        walked = list(site.tree.walk())
        pages = [each.args[-1] for each in walked if each.name == "error_page" and each.args]
        found = [each for each in walked if each.name in ("root", "alias") and each.args]
        folders = [site.deployed(each.args[0]) for each in found if "$" not in each.args[0]] + [site.deployed("html")]
        return Collector(site.known_files, pages, folders)

    def user(self, site: NginxSite) -> str:
        return USER

    def prepare(
        self, site: NginxSite, program: Program, collector: Collector, evaluated: Evaluated, secret: str, code: bool
    ) -> Prepared:
        return Prepared(site, program, collector, evaluated, secret, code)

    def sandbox(self, prepared: Any) -> Sandbox:
        return NginxSandbox(prepared)

    def caches(self, site: NginxSite) -> bool:
        return any(each.name in CACHES and each.args != ["off"] for each in site.tree.walk())

    def passes_caches(self, site: NginxSite) -> bool:
        return any(each.name.endswith(("_cache_bypass", "_cache_min_uses")) for each in site.tree.walk())

    def sets(self, site: NginxSite) -> Iterator[str]:
        for directive in site.tree.walk():
            if _SETS.match(directive.name) and directive.args:
                yield directive.args[0]

    def captured(self, site: NginxSite) -> Iterable[str]:
        text = "\n".join(source.text for source in site.files)
        return dict.fromkeys(re.findall(r"\$\{?upstream_http_(\w+)", text))
