"""A server of a Docker image: one container that can reach nothing but this machine, in which servers are started.

The container runs a shell that reads from a pipe which this process holds open. A server is started and ended by a line
of text, which takes no longer than without a container; and when this process is gone, however it went, the pipe ends,
with it the shell, and the engine removes the container.

The engine has to be one of this machine, since the container works in a folder of it. Images are never fetched.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from probes.runners import engine, httpd
from probes.runners.local import LOOPBACK, NOBODY, Folder, Refused, free_ports, hand_over
from probes.runners.program import STDERR, Program, Running, Unavailable

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

PATIENCE = 10.0  # seconds for the container to do what it is told
PIDS = 64
MEMORY = "512m"
_ENDED, _STARTED = "ended", "started"


class _Process:
    """A server in the container (see Running). What is known of it stands in files of the folder `state`."""

    def __init__(self, shell: _Shell, state: str) -> None:
        self._shell = shell
        self._state = state

    def poll(self) -> int | None:
        said = _read(os.path.join(self._state, _ENDED))
        if said:
            return int(said)
        return None if self._shell.alive() else -9

    def kill(self) -> None:
        pid = _wait(lambda: self.poll() is not None or _read(os.path.join(self._state, _STARTED)))
        if pid and self.poll() is None:
            self._shell.say(f"kill -9 $(cat {shlex.quote(os.path.join(self._state, _STARTED))})")

    def wait(self) -> int:
        if not _wait(lambda: self.poll() is not None):
            raise TimeoutError("the server in the container does not end")
        return self.poll() or 0


class _Shell:
    """The shell in the container, and the pipe to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        os.mkfifo(path, 0o600)
        # A pipe can be opened for writing alone only when somebody reads; until then this process does.
        self._pipe = os.open(path, os.O_RDWR)

    def connect(self) -> None:
        """From here on, the end of the shell is noticed."""
        writer = os.open(self.path, os.O_WRONLY)
        os.close(self._pipe)
        self._pipe = writer

    def say(self, text: str) -> None:
        """One line for the shell."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, text.encode() + b"\n")

    def alive(self) -> bool:
        """Whether somebody reads at the other end."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLERR)
        return not any(event & select.POLLERR for _, event in poll.poll(0))

    def close(self) -> None:
        """Ends the shell, and with it all that it runs."""
        pipe, self._pipe = self._pipe, -1
        if pipe != -1:
            os.close(pipe)


class Image:
    """The server program of a running container (see Program)."""

    watched = True

    def __init__(
        self, name: str, session: str, shell: _Shell, address: str, machine: str, command: str = "nginx"
    ) -> None:
        self.name = name
        self.command = command
        self.address = address
        self.machine = machine
        self.version = self.build = ""
        self._session = session
        self._shell = shell

    def room(self) -> tuple[str, str]:
        state = tempfile.mkdtemp(dir=_writable(self._session))
        if self.machine == LOOPBACK:
            return state, state
        folder = os.path.join(self._session, os.path.basename(state))
        os.mkdir(folder, 0o700)
        return folder, state

    def start(self, folder: Folder, arguments: Sequence[str], unprivileged: bool = True) -> Running:
        return self._begin(folder, f"{self.command} {shlex.join(arguments)}")

    def _begin(self, folder: Folder, command: str) -> Running:
        state = folder.state
        for name in (_ENDED, _STARTED):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(state, name))
        if os.geteuid() == 0:
            for path in {folder.path, state}:
                hand_over(path)
        here = {name: shlex.quote(os.path.join(state, name)) for name in (_ENDED, _STARTED, STDERR)}
        self._shell.say(
            f"( cd {shlex.quote(folder.path)}; {command} </dev/null >{here[STDERR]} 2>&1 & "
            f"echo $! >{here[_STARTED]}; wait $!; echo $? >{here[_ENDED]} ) </dev/null &"
        )
        return _Process(self._shell, state)

    def ask_version(self) -> None:
        """Fills in `version` and `build`. Raises Unavailable."""
        # A shell may have a program of its own called httpd, so its path is asked for.
        places = {"httpd": shlex.join(httpd.PROGRAMS)}.get(self.command, "")
        path = self.said(f"sh -c 'for one in {places}; do [ ! -x $one ] || echo $one; done; exit 0'", first=True)
        self.command = next(iter(path.split()), self.command)
        self.build = self.said(f"{self.command} -V")
        found = re.search(r"(?:nginx version: \S*?/|Server version: Apache/)([\d.]+)", self.build)
        if found is None:
            raise Unavailable(f"{self.name} has no {self.command}: {self.build.strip() or 'it says nothing'}")
        self.version = found[1]

    def said(self, command: str, first: bool = False) -> str:
        """What a command of ours prints in the container. Raises Unavailable."""
        with Folder(self) as folder:
            process = self._begin(folder, command)
            if not _wait(lambda: process.poll() is not None):
                raise Unavailable(f"/bin/sh in a container of {self.name} does not answer; {engine.ELSEWHERE}")
            if first:
                self._shell.connect()
            return folder.read(STDERR)


@contextmanager
def image(name: str, shared: str = "", kind: str = "nginx") -> Iterator[Image]:
    """A container of that image. It is read-only, has no capabilities, and is on a network of its own that leads
    nowhere. With `shared`, which is for configurations of ours, its servers are on this machine's loopback as local
    ones are, and see that folder. Leaving the `with` block removes everything. Raises Unavailable.
    """
    client = engine.connect()
    try:
        with engine.in_words():
            engine.sweep(client)
            with engine.session(client) as (token, session):
                yield from _running(client, name, token, session, shared, kind)
    finally:
        client.close()


def _running(client: DockerClient, name: str, token: str, session: str, shared: str, kind: str) -> Iterator[Image]:
    found = _find(client, name)
    os.mkdir(_writable(session))
    shell = _Shell(os.path.join(session, "shell"))
    try:
        if os.geteuid() == 0:
            hand_over(session)
        label = {engine.LABEL: token}
        own = None if shared else client.networks.create(f"audit-{token}", "bridge", internal=True, labels=label)
        container = client.containers.create(
            found, entrypoint=["/bin/sh", "-c", 'exec /bin/sh <"$0"', shell.path], command=[],
            name=f"audit-{token}", labels=label, network="host" if shared else f"audit-{token}", auto_remove=True,
            detach=True, **hardening(session, shared),
        )  # fmt: skip
        container.start()
        addresses = (LOOPBACK, LOOPBACK) if own is None else _addresses(own, container)
        program = Image(name, session, shell, *addresses, "httpd" if kind == "apache" else "nginx")
        program.ask_version()
        if own is not None:
            check_reach(program)
        yield program
    finally:
        shell.close()


def hardening(session: str, shared: str) -> dict[str, Any]:
    """What the container may not do. The configuration lies in `session`, which is read-only there but for one folder;
    so is `shared`, if there is one. Paths are the same inside and outside."""
    from docker.types import Mount

    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    group = NOBODY if os.geteuid() == 0 else os.getegid()
    return {
        "user": f"{user}:{group}",
        "read_only": True,
        "cap_drop": ["ALL"],
        # Where SELinux rules, it would keep the container from the folder.
        "security_opt": ["no-new-privileges", "label=disable"],
        "pids_limit": PIDS,
        "mem_limit": MEMORY,
        "tmpfs": {"/tmp": "size=16m"},
        "mounts": [
            Mount(session, session, "bind", read_only=True),
            Mount(_writable(session), _writable(session), "bind"),
            *([Mount(shared, shared, "bind", read_only=True)] if shared else []),
        ],
        "dns": [LOOPBACK],  # the engine's own resolver would pass questions on
        "healthcheck": {"test": ["NONE"]},
        "use_config_proxy": False,
    }


def _writable(session: str) -> str:
    return os.path.join(session, "run")


def _find(client: DockerClient, name: str) -> str:
    """The id of an image. Raises Unavailable."""
    from docker.errors import ImageNotFound

    try:
        return str(client.images.get(name).id)
    except ImageNotFound as error:
        advice = f"docker pull {name}" if re.fullmatch(r"[\w][\w./:@-]*", name) else "see docker images"
        raise Unavailable(f"there is no image {name} on this machine: {advice}") from error


def _addresses(network: Network, container: Container) -> tuple[str, str]:
    """The container's address on its network, and this machine's."""
    network.reload()
    container.reload()
    attached = container.attrs["NetworkSettings"]["Networks"][network.name]
    return str(attached["IPAddress"]), str(network.attrs["IPAM"]["Config"][0]["Gateway"]).partition("/")[0]


# --- whether the two reach each other


def check_reach(image: Image) -> None:
    """Asks a server in the container something that it has to ask this machine. Raises Unavailable."""
    from probes.client import send
    from probes.log import Log
    from probes.origin import Origin

    own = "nginx" not in image.command
    program: Program = httpd.contained(image) if own else image
    (port,) = free_ports(1)
    try:
        origin = Origin("this machine", Log(), host=program.machine)
    except OSError as error:
        raise Unavailable(f"{error}: the engine's networks are not on this machine; {engine.ELSEWHERE}") from error
    with origin, httpd.HttpdFolder(program) if own else Folder(program) as folder:
        folder.write("main.conf", (httpd.reaching if own else reaching)(folder, port, origin.address))
        try:
            folder.run(f"{folder.path}/main.conf", folder.path + "/")
        except (Refused, TimeoutError) as error:
            raise Unavailable(f"a server of {program.name} does not start in a container: {error}") from error
        try:
            reply = send((program.address, port), b"GET / HTTP/1.0\r\n\r\n")
        except OSError as error:
            raise Unavailable(
                f"the container at {program.address} cannot be reached ({error}); {engine.ELSEWHERE}"
            ) from error
    if reply.status != 200:
        raise Unavailable(
            f"the container cannot reach this machine at {program.machine}: a firewall here may be in the way; let in "
            "what comes from the engine's private networks (ufw allow from 172.16.0.0/12), or probe without --image"
        )


def reaching(folder: Folder, port: int, upstream: str) -> str:
    """A configuration that sends all requests there."""
    lines = [
        f"daemon off; master_process off; pid {folder.state}/nginx.pid; events {{}} http {{ access_log off;",
        *(f"{kind}_temp_path {folder.state}/{kind};" for kind in _TEMPORARY),
        f"server {{ listen {folder.program.address}:{port}; location / {{ proxy_connect_timeout 2s;",
        f"proxy_pass http://{upstream}; }} }} }}",
    ]
    return "\n".join(lines)


_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


# --- small things


def _read(path: str) -> str:
    try:
        with open(path, encoding="latin-1") as file:
            return file.read()
    except OSError:
        return ""


def _wait(done: Callable[[], Any]) -> bool:
    """Waits until something is so, at most PATIENCE; says whether it is."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True
