"""One sandbox: the sealed configuration in a running server, stand-ins behind it, and a client in front."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from auditor.http import Request, make_request
from auditor.reports.terminal import printable
from auditor.secrets import mask
from auditor.servers.nginx.config import Port
from auditor.servers.nginx.intake import find_port
from auditor.servers.nginx.site import NginxSite, load_file
from auditor.source import readable
from auditor.world import Answer as WorldAnswer
from auditor.world import Path, Question, World
from probes.certificate import throw_away
from probes.client import Reply, request_bytes, send, tls_name
from probes.compare import Observation
from probes.log import Answer, Log, Received
from probes.runners.local import Folder, Refused, Taken, allow_files, free_ports
from probes.runners.program import Program
from probes.sandbox import tables
from probes.sandbox.check import Unsafe, check_sealed
from probes.sandbox.mirror import Collector, Mirror
from probes.sandbox.seal import Plan, Sealed, seal
from probes.sandbox.targets import Names, Targets
from probes.sandbox.upstreams import Evaluated

PATIENCE = 5.0  # seconds for an answer; the origins answer at once
LATE = 0.25  # seconds that a mirrored request may come after the answer
QUIET = 0.004  # seconds without a further one, when all that were predicted have come
FAILURES = 3  # requests in a row without an answer, after which a sandbox is given up
LONGEST_FOLDER = 80  # bytes: the path of a Unix socket in it may have 107 (sun_path)
_REDIRECTS = ("location", "refresh")
REPAIRS = 60  # rounds in which lines are taken out that this server does not know
Line = dict[str, Any]

_UNKNOWN = re.compile(r'unknown directive "([^"]+)" in (\S+):(\d+)')
_VARIABLE = re.compile(r'unknown "(\w+)" variable')
_UNSUPPORTED = re.compile(r"unsupported|not supported|requires|is not available|without|not built", re.IGNORECASE)
_PLACE = re.compile(r" in (/\S+):(\d+)")
_KEY = re.compile(r'(conflicting parameter|duplicate default map parameter|duplicate value) "[^"]*"')
_BOM = "\xef\xbb\xbf"


class ServerRefused(Exception):
    """The server does not accept the configuration; the message is its own, with the user's file and line. `own` says
    whether it speaks of a line of the user's."""

    def __init__(self, message: str, own: bool) -> None:
        super().__init__(message)
        self.own = own


class GivenUp(Exception):
    """The server does not answer any more, or has ended; the message says which."""


class Prepared:
    """What all sandboxes of one configuration share, and what the first of them finds out about the server."""

    def __init__(
        self, site: NginxSite, program: Program, collector: Collector, evaluated: Evaluated, secret: str
    ) -> None:
        self.site = site
        self.program = program
        self.collector = collector
        self.evaluated = evaluated
        self.secret = secret  # the password of the probe's user
        self.code = False
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


class Told(NamedTuple):
    """What the origins answer while one request is asked. `rows` are the answers for (server, target) in the order in
    which they are asked, the last one for all that follow; `main` is for everything else. `mirrors` is 0, or how many
    requests reach the upstreams in all where some are mirrored: nobody waits for those."""

    main: Answer = Answer()
    rows: Mapping[tuple[str, str], tuple[Answer, ...]] = MappingProxyType({})
    mirrors: int = 0

    def names(self) -> frozenset[str]:
        """The names, in lower case, of all headers in these answers."""
        answers = [self.main, *(answer for row in self.rows.values() for answer in row)]
        return frozenset(name.lower() for answer in answers for name, _ in answer.headers)


class Sandbox:
    """Raises ServerRefused, Unsafe, TimeoutError, OSError where it cannot be started."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.site = prepared.site
        self.names = Names()
        self.log = Log()
        self._told = Told()
        self._rows: dict[tuple[str, str], list[Answer]] = {}
        self.folder = Folder(prepared.program, watched=True)
        self.targets = Targets(
            self.log, self.names, self._certificate, self._answer, prepared.program.machine, self.folder.path
        )
        self.sealed: Sealed | None = None
        self.ports: dict[tuple[str, int], int] = {}
        self._failures = 0  # requests in a row that got no answer
        self._filled: set[tuple[str, str | None]] = set()
        try:
            allow_files()
            self._check_length()
            if prepared.tls:
                self._certificate()
            self.mirror = Mirror(f"{self.folder.path}/root", self.site)
            self.mirror.fill(prepared.collector, self.site, prepared.secret)
            self.names.add(f"{self.folder.path}/root", "")
            self._start()
        except BaseException:
            self.close()
            raise

    def _certificate(self) -> str:
        path = f"{self.folder.path}/certificate.pem"
        if not os.path.exists(path):
            self.folder.write("certificate.pem", self.prepared.certificate())
        return path

    def _check_length(self) -> None:
        """Raises OSError where Unix sockets are needed and the folder's path leaves no room for their names."""
        local = any("unix:" in source.text for source in self.site.files)
        if local and len(os.fsencode(self.folder.path)) > LONGEST_FOLDER:
            where = os.path.dirname(self.folder.path)
            raise OSError(errno.ENAMETOOLONG, f"{where}: too long for Unix sockets in it, set TMPDIR to another")

    # --- starting

    def _start(self) -> None:
        prepared, taken = self.prepared, 0
        for _ in range(REPAIRS):
            if not self.ports:
                keys = [key for key in self.site.http.ports if key[1]]
                self.ports = dict(zip(keys, free_ports(len(keys)), strict=True))
                for key, here in self.ports.items():
                    tls = self.site.http.ports[key].listen.tls
                    self.names.add(f":{here}", "" if key[1] == (443 if tls else 80) else f":{key[1]}")
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
            self.sealed = seal(self.site, plan, self.targets)
            self._write(self.sealed, plan)
            try:
                self.run()
            except Taken as error:
                self.ports = {}
                taken += 1
                if taken >= FAILURES:
                    raise OSError(errno.EADDRINUSE, "ports are taken as soon as they are chosen") from error
            except Refused as refusal:
                self._repair(str(refusal))
            else:
                return
        raise ServerRefused("the server does not know too much of this configuration", False)

    def _write(self, sealed: Sealed, plan: Plan) -> None:
        for name, text in {**sealed.files, "nginx.conf": sealed.main}.items():
            self.folder.write(name, text)
        try:
            check_sealed(load_file(f"{self.folder.path}/nginx.conf"), sealed, plan)
        except Unsafe as error:
            raise Unsafe(self._in_users_words(str(error))) from None

    def run(self) -> None:
        """Starts the server with empty caches; one that runs is ended first."""
        self.folder.kill()
        self.folder.empty("cache", "tmp")
        prefix = f"{self.folder.path}/root{self.site.tree.conf_dir.rstrip('/')}/"
        self.folder.run(f"{self.folder.path}/nginx.conf", prefix, unprivileged=True)

    def refresh(self, keys: set[tuple[str, str | None]]) -> None:
        """Makes sure that no cache answers the next request, which may fill these places (zone, key; None for a key
        that is not known): where one of them may be filled already, the server starts anew."""
        if not keys:
            return
        if keys & self._filled or any(key is None for _, key in (*keys, *self._filled)):
            self.run()
            self._filled = set()
        self._filled |= keys

    def _repair(self, complaint: str) -> None:
        """Has the next attempt do without what this server lacks. Raises ServerRefused for everything else."""
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

    def _source(self, path: str) -> str | None:
        name = path.removeprefix(self.folder.path + "/")
        source = self.sealed.sources.get(name) if self.sealed is not None else None
        return source.name if source is not None else None

    def _in_users_words(self, text: str) -> str:
        """A message of the server with the user's file and line in front, and no path of the sandbox. What a table is
        asked for may be a key that clients know, so it is not shown."""
        place = _PLACE.search(text)
        if place is not None:
            source = self._source(place[1])
            if source is not None:
                line = "1" if _BOM in text else place[2]
                text = f"{source}:{line}: {text[: place.start()]}{text[place.end() :]}"
        text = _KEY.sub(r'\1 "***"', mask(text.replace(_BOM, "(byte order mark)")))
        text = self.names.back(text).replace(self.folder.state, "").replace(self.folder.path, "")
        return printable(readable(text))

    @property
    def taken(self) -> tuple[Any, ...]:
        """What the sealed configuration does without."""
        return self.sealed.taken if self.sealed is not None else ()

    # --- asking

    def world(self) -> World:
        """What is known of everything outside the configuration, but for what the upstreams answer."""
        return _World(self.mirror.world(), self.prepared.program.machine, "plus" not in self.prepared.program.build)

    def listener(self, request: Request) -> tuple[str, int] | None:
        """The configured address and port of the listener that the request reaches."""
        port = port_of(self.site, request, self.prepared.program.machine)
        return None if port is None else (port.listen.address, port.listen.port)

    def address(self, request: Request) -> tuple[str, int] | None:
        """Where the listener of that request is in this sandbox; None where nothing listens."""
        port = port_of(self.site, request, self.prepared.program.machine)
        if port is None:
            return None
        return self.prepared.program.address, self.ports[(port.listen.address, port.listen.port)]

    def tell(self, told: Told) -> None:
        """What the origins answer from now on; texts that name upstreams are those of the configuration."""
        self._told = told
        self._rows = {key: list(row) for key, row in told.rows.items()}

    def _answer(self, received: Received) -> Answer:
        row = self._rows.get((received.origin, self.names.back(received.target)))
        answer = self._told.main if not row else row.pop(0) if len(row) > 1 else row[0]
        # Where an upstream sends the client to itself, the server looks for the name that it knows it by.
        headers = ((n, self.targets.here(v) if n.lower() in _REDIRECTS else v) for n, v in answer.headers)
        return answer._replace(headers=tuple(headers))

    def observe(self, line: Mapping[str, Any], told: Told) -> Observation:
        """Asks one request. Raises TimeoutError where no answer comes, OSError where the server is not there, GivenUp
        after FAILURES of them in a row."""
        address = self.address(make_request(line["url"]))
        if address is None:
            return Observation(Reply(None), ())
        self.tell(told)
        self.log.take()
        try:
            reply = send(address, request_bytes(line), _source(line), PATIENCE, tls_name(line), total=PATIENCE)
            if told.mirrors:
                deadline = time.monotonic() + LATE
                while self.log.count < told.mirrors and time.monotonic() < deadline:
                    time.sleep(0.001)
                self.log.settle(QUIET, PATIENCE)
        except OSError as error:
            self._failures += 1
            if self._failures >= FAILURES or not self.folder.alive():
                raise GivenUp(self._why_silent()) from error
            raise
        self._failures = 0
        received = self.log.take()
        exchanges = tuple(self.targets.back(one) for one in received)
        return Observation(self.names.back_reply(reply), exchanges, told.names())

    def _why_silent(self) -> str:
        ending = self.folder.ending()
        if not ending:
            return "the server does not answer any more"
        said = self.complaints()[-1:]
        return f"the server has ended ({ending}){'; its last words: ' + said[0] if said else ''}"

    def complaints(self) -> list[str]:
        """The server's error log so far, in the user's words."""
        return [self._in_users_words(line) for line in self.folder.read("error.log").splitlines()]

    def close(self) -> None:
        """Ends the server and the stand-ins, and removes the folder."""
        self.folder.close()
        self.targets.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _misspelt(name: str) -> bool:
    """Whether a directive that the server does not know is all but one that every nginx has: no module names one so."""
    from difflib import get_close_matches

    from crossplane.analyzer import DIRECTIVES

    return name not in DIRECTIVES and bool(get_close_matches(name, DIRECTIVES, 1, 0.95))


def _source(line: Mapping[str, Any]) -> str:
    """The address that the request comes from, if it is one of this machine's loopback."""
    client = str(line.get("client_ip", ""))
    return client if client.startswith("127.") and client != "127.0.0.1" else ""


class _World:
    """The mirror's files, one client, no client certificate, no token that is good."""

    def __init__(self, files: World, client: str, third_party: bool = True) -> None:
        self._files = files
        self._client = client
        self._third_party = third_party

    def ask(self, question: Question) -> WorldAnswer | None:
        if question.kind == "module" and question.subject == "auth_jwt" and self._third_party:
            return WorldAnswer("third party", "a module of a third party, which has the directive of NGINX Plus")
        if question.kind == "client-address":
            return WorldAnswer(self._client, f"the client's address is {self._client}", self._client)
        if question.kind == "credentials" and question.subject == "client certificate":
            return WorldAnswer("missing", "the client sends no certificate")
        if question.kind == "credentials" and question.subject == "auth_jwt":
            return WorldAnswer("refused", "the token is refused")
        return self._files.ask(question)


def port_of(site: NginxSite, request: Request, client: str) -> Port | None:
    """The listener that a request from that address reaches."""
    return find_port(site.http, request, Path(_World(_Nothing(), client)))


class _Nothing:
    def ask(self, question: Question) -> WorldAnswer | None:
        return None
