"""One sandbox: the sealed configuration in a running server, stand-ins behind it, and a client in front.

What differs from one kind of server to the next stands in a module of its own: probes.sandbox.nginx and its like.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from auditor.http import Request, make_request
from auditor.source import SourceFile
from auditor.world import Answer as WorldAnswer
from auditor.world import Question, World
from probes.client import Reply, request_bytes, send, tls_name
from probes.compare import Observation
from probes.log import Answer, Log, Received
from probes.runners.local import Folder, Refused, Taken, allow_files, free_ports
from probes.runners.program import Program
from probes.sandbox.mirror import Mirror
from probes.sandbox.sealed import Sealed
from probes.sandbox.targets import Names, Targets

PATIENCE = 5.0  # seconds for an answer; the origins answer at once
LATE = 0.25  # seconds that a mirrored request may come after the answer
QUIET = 0.004  # seconds without a further one, when all that were predicted have come
FAILURES = 3  # requests in a row without an answer, after which a sandbox is given up
LONGEST_FOLDER = 80  # bytes: the path of a Unix socket in it may have 107 (sun_path)
REPAIRS = 60  # rounds in which lines are taken out that this server does not know
Line = dict[str, Any]


class ServerRefused(Exception):
    """The server does not accept the configuration; the message is its own, with the user's file and line. `own` says
    whether it speaks of a line of the user's."""

    def __init__(self, message: str, own: bool) -> None:
        super().__init__(message)
        self.own = own


class GivenUp(Exception):
    """The server does not answer any more, or has ended; the message says which."""


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


class Prepared(Protocol):
    """What all sandboxes of one configuration share. `tls` says whether a certificate is needed from the start."""

    @property
    def program(self) -> Program: ...
    @property
    def tls(self) -> bool: ...
    @property
    def sources(self) -> Sequence[SourceFile]: ...

    def certificate(self) -> str:
        """A throw-away certificate and its key, PEM. Raises ImportError where the package cryptography is missing."""


class Listened(NamedTuple):
    """A listener of the configuration: its address (`*` for any) and port, and whether it speaks TLS."""

    address: str
    port: int
    tls: bool


class Sandbox:
    """A running server. Raises ServerRefused, Unsafe, TimeoutError, OSError where it cannot be started.

    A subclass is a kind of server: it says which listeners there are (`listened`), fills the mirror, seals (`_seal`),
    starts (`run`), and reads what the server says of a configuration (`_repair`, `_in_users_words`).
    """

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.names = Names()
        self.log = Log()
        self._told = Told()
        self._rows: dict[tuple[str, str], list[Answer]] = {}
        self.folder = self._folder()
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
            self.mirror = self._mirror(f"{self.folder.path}/root")
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
        local = any("unix:" in source.text for source in self.prepared.sources)
        if local and len(os.fsencode(self.folder.path)) > LONGEST_FOLDER:
            where = os.path.dirname(self.folder.path)
            raise OSError(errno.ENAMETOOLONG, f"{where}: too long for Unix sockets in it, set TMPDIR to another")

    # --- starting

    def _start(self) -> None:
        taken = 0
        for _ in range(REPAIRS):
            if not self.ports:
                self._choose_ports()
            self.sealed = self._seal()
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

    def _choose_ports(self) -> None:
        """A port of loopback for each listener; what it is called in the configuration is put back where it shows."""
        listened = self.listened()
        self.ports = dict(zip([(one.address, one.port) for one in listened], free_ports(len(listened)), strict=True))
        for one in listened:
            usual = one.port == (443 if one.tls else 80)
            self.names.add(f":{self.ports[one.address, one.port]}", "" if usual else f":{one.port}")

    # --- what a kind of server knows

    def _folder(self) -> Folder:
        """The folder that the server runs in."""
        return Folder(self.prepared.program, watched=True)

    def listened(self) -> Sequence[Listened]:
        """The listeners of the configuration."""
        raise NotImplementedError

    def _mirror(self, folder: str) -> Mirror:
        """The mirror of the deployed machine's files, filled."""
        raise NotImplementedError

    def _seal(self) -> Sealed:
        """Seals the configuration into the folder. Raises Unsafe where what came of it would still lead out."""
        raise NotImplementedError

    def run(self) -> None:
        """Starts the server with empty caches; one that runs is ended first. Raises Refused, Taken."""
        raise NotImplementedError

    def _repair(self, complaint: str) -> None:
        """Has the next attempt do without what this server lacks. Raises ServerRefused for everything else."""
        raise NotImplementedError

    def _in_users_words(self, text: str) -> str:
        """A message of the server with the user's file and line in front, and no path of the sandbox."""
        raise NotImplementedError

    def world(self, line: Line | None = None) -> World:
        """What is known of everything outside the configuration, but for what the upstreams answer; of one request
        there may be more to know."""
        raise NotImplementedError

    def listener(self, request: Request) -> tuple[str, int] | None:
        """The configured address and port of the listener that the request reaches."""
        raise NotImplementedError

    # --- running

    def refresh(self, keys: set[tuple[str, str | None]]) -> None:
        """Makes sure that no cache answers the next request, which may fill these places (zone, key; None for a key
        that is not known): where one of them may be filled already, the server starts anew."""
        if not keys:
            return
        if keys & self._filled or any(key is None for _, key in (*keys, *self._filled)):
            self.run()
            self._filled = set()
        self._filled |= keys

    def _source(self, path: str) -> str | None:
        name = path.removeprefix(self.folder.path + "/")
        source = self.sealed.sources.get(name) if self.sealed is not None else None
        return source.name if source is not None else None

    @property
    def taken(self) -> tuple[Any, ...]:
        """What the sealed configuration does without."""
        return self.sealed.taken if self.sealed is not None else ()

    # --- asking

    def address(self, request: Request) -> tuple[str, int] | None:
        """Where the listener of that request is in this sandbox; None where nothing listens."""
        listener = self.listener(request)
        return None if listener is None else (self.prepared.program.address, self.ports[listener])

    def tell(self, told: Told) -> None:
        """What the origins answer from now on; texts that name upstreams are those of the configuration."""
        self._told = told
        self._rows = {key: list(row) for key, row in told.rows.items()}

    def _answer(self, received: Received) -> Answer:
        row = self._rows.get((received.origin, self.names.back(received.target)))
        return self._told.main if not row else row.pop(0) if len(row) > 1 else row[0]

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
        exchanges = tuple(self.targets.back(one) for one in self._received())
        return Observation(self.names.back_reply(reply), exchanges, told.names())

    def _received(self) -> Sequence[Received]:
        """What reached the stand-ins since the last request."""
        return self.log.take()

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


def _source(line: Mapping[str, Any]) -> str:
    """The address that the request comes from, if it is one of this machine's loopback."""
    client = str(line.get("client_ip", ""))
    return client if client.startswith("127.") and client != "127.0.0.1" else ""


class Known:
    """The mirror's files, and one client, without a certificate."""

    def __init__(self, files: World, client: str) -> None:
        self._files = files
        self._client = client

    def ask(self, question: Question) -> WorldAnswer | None:
        if question.kind == "client-address":
            return WorldAnswer(self._client, f"the client's address is {self._client}", self._client)
        if question.kind == "credentials" and question.subject == "client certificate":
            return WorldAnswer("missing", "the client sends no certificate")
        return self._files.ask(question)
