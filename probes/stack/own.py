"""What a user's own nginx configuration needs of the stack: names, ports, files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from auditor.check import Options, load_sites
from auditor.files import is_main
from auditor.server import Site
from auditor.servers.nginx.config import PASSES
from auditor.servers.nginx.site import NginxSite
from auditor.servers.nginx.syntax import Directive
from probes.stack.compose import Failed

CONF_DIR = "/etc/nginx"
# What an upstream speaks, by scheme or by the directive that sends requests there, and the port that it means.
PORTS = {"http": 80, "https": 443, "fastcgi": 9000, "uwsgi": 3031, "scgi": 4000, "grpc": 80}
LOOPBACK = ("localhost", "127.")


class Upstream(NamedTuple):
    """Where requests go: a name (or a loopback address) and a port, and one of PORTS."""

    host: str
    port: int
    protocol: str

    @property
    def loopback(self) -> bool:
        """Whether nginx looks for it on its own machine."""
        return self.host.startswith(LOOPBACK)


class Own(NamedTuple):
    """A configuration that has been read. `ports` are what it listens on for all, `mounts` the files beside it that it
    names and their places in the container; `missing` says in sentences what the stack cannot do for it."""

    site: Site
    path: Path
    ports: tuple[int, ...]
    upstreams: tuple[Upstream, ...]
    names: tuple[str, ...]
    mounts: tuple[tuple[Path, str], ...]
    daemon: bool
    missing: tuple[str, ...]

    def named(self, text: str) -> str:
        """The text with the files' places in the container replaced by those here."""
        for path, place in ((self.path, f"{CONF_DIR}/nginx.conf"), *self.mounts):
            text = re.sub(rf"{re.escape(place)}(?=[:/\s\"])", lambda _, path=path: str(path), text)  # type: ignore[misc]
        return text


def read(path: Path) -> Own:
    """Reads the main file of an nginx configuration. Raises Failed where it is none."""
    if not path.is_file():
        raise Failed(f"there is no file {path}")
    sites, errors, _ = load_sites([str(path)], Options(kind="nginx"))
    main = [site for site in sites if site.files and _is_same(site.files[0].path, path)]
    if not main or not isinstance(main[0], NginxSite) or not is_main(main[0].files[0].text):
        why = f": {errors[0]}" if errors else ", the one with the http block"
        raise Failed(f"{path} is no main file of an nginx configuration{why}")
    site = main[0]
    missing = [f"not read: {error}" for error in errors]
    found = _Upstreams(site, missing)
    return Own(
        site,
        path.resolve(),
        tuple(_ports(site, missing)),
        tuple(found.upstreams),
        tuple(found.names),
        tuple(_mounts(site, path.resolve().parent, missing)),
        re.search(r"(?m)^\s*daemon\s", site.files[0].text) is not None,
        tuple(dict.fromkeys(missing)),
    )


def _is_same(one: str | None, other: Path) -> bool:
    return one is not None and os.path.realpath(one) == os.path.realpath(other)


def _ports(site: NginxSite, missing: list[str]) -> list[int]:
    ports: dict[int, None] = {}
    for address, port in site.http.ports:
        if address == "*":
            ports[port] = None
        elif address.startswith("unix:"):
            missing.append(f"nobody can ask the Unix socket that it listens on: {address}")
        elif address.startswith("127.") or address == "[::1]":
            missing.append(f"it listens on {address}:{port}, which only its own container reaches")
        else:
            missing.append(f"it listens on {address}:{port}, which no container has: nginx will not start")
    if not ports:
        raise Failed("the configuration listens on no port that could be published")
    return list(ports)


class _Upstreams:
    """Where requests can go, as far as the text says it."""

    def __init__(self, site: NginxSite, missing: list[str]) -> None:
        self.upstreams: dict[Upstream, None] = {}
        self.names: dict[str, None] = {}
        self._missing = missing
        protocols: dict[str, set[str]] = {name: set() for name in site.http.upstreams}
        for line in (line for top in site.http.block for line in top.walk()):
            if line.name in PASSES and line.args:
                self._pass(line, protocols)
            self._logs(line)
        # nginx wants to know the address of each server of a group, even if nothing is sent to the group.
        for name, spoken in protocols.items():
            for server in site.http.upstream_servers(name):
                for protocol in sorted(spoken or {"http"}):
                    self._add(server, protocol, 80)
        self.names.update((one.host, None) for one in self.upstreams if not one.loopback)

    def _pass(self, line: Directive, groups: dict[str, set[str]]) -> None:
        scheme, mark, rest = line.args[0].partition("://")
        protocol = scheme.lower() if mark else line.name.removesuffix("_pass")
        target = rest if mark else line.args[0]
        authority = target if target.startswith("unix:") else re.split(r"[/?#]", target, maxsplit=1)[0]
        if protocol not in PORTS:
            self._missing.append(f"the origin does not speak {protocol}: {line.name} {line.args[0]}")
        elif "$" in authority:
            self._missing.append(f"made of variables, so that its names are not known: {line.name} {line.args[0]}")
        elif authority in groups:
            groups[authority].add(protocol)
        else:
            self._add(authority, protocol, PORTS[protocol])

    def _logs(self, line: Directive) -> None:
        """nginx wants to know the address of a log server, too; what is sent there is lost."""
        for word in line.args if line.name in ("access_log", "error_log") else ():
            if word.startswith("syslog:server="):
                host = word.removeprefix("syslog:server=").split(",")[0].partition(":")[0]
                if host != "unix" and re.search("[a-z]", host, re.I) and not host.startswith(LOOPBACK):
                    self.names[host] = None

    def _add(self, authority: str, protocol: str, port: int) -> None:
        host, colon, number = authority.rpartition(":")
        if authority.startswith("unix:"):
            self._missing.append(f"a Unix socket as upstream is not there: {authority}")
        elif "[" in authority:
            self._missing.append(f"an IPv6 address as upstream is not there: {authority}")
        elif colon and not number.isdigit():
            self._missing.append(f"no upstream of a known form: {authority}")
        else:
            upstream = Upstream((host if colon else authority).lower(), int(number) if colon else port, protocol)
            if re.fullmatch(r"[\d.]+", upstream.host) and not upstream.loopback:
                self._missing.append(f"an address cannot be given to the origin, only a name can: {authority}")
            else:
                self.upstreams[upstream] = None


def _mounts(site: Site, folder: Path, missing: list[str]) -> Iterable[tuple[Path, str]]:
    """The files and folders beside the configuration that its text names, relative or below /etc/nginx."""
    text = "\n".join(source.text for source in site.files)
    for entry in sorted(folder.iterdir()):
        named = re.escape(entry.name.encode().decode("latin-1"))
        if entry.name != "nginx.conf" and re.search(rf"""(?:{CONF_DIR}/|[\s"'])(?:\./)?{named}(?=[/\s;"'])""", text):
            yield entry, f"{CONF_DIR}/{entry.name}"
    for source in site.files:
        if source.path is not None and not Path(source.path).resolve().is_relative_to(folder):
            missing.append(f"only what lies beside the file goes in with it, and this does not: {source.path}")
