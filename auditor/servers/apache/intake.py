"""From bytes to a request: listener, virtual host, header lines, the path (server/protocol.c, vhost.c, util.c)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from auditor.http import Pairs, Request, split_port
from auditor.patterns import lazy_re
from auditor.servers.apache.config import Address, Config, Directive, Server
from auditor.servers.apache.run import Respond, Run, by_default
from auditor.servers.apache.table import Entry, Table
from auditor.values import Segment, Value, client_header, literal
from auditor.world import Answer, Path, Question

DEFAULT_LIMIT = 8190  # LimitRequestLine, LimitRequestFieldSize: bytes
DEFAULT_FIELDS = 100
TLS_PORT = 443
# Why a virtual host was chosen, where none is called so.
BY_DEFAULT = ("chosen: the first virtual host of this address", "chosen: the only one")
_HOST = lazy_re(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)\Z")
_CONTROLS = lazy_re(r"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN = lazy_re(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


def is_address(host: str) -> bool:
    """Whether a URL's host is an IP literal."""
    return host.startswith("[") or host.replace(".", "").isdigit()


class Listener:
    """A port that is listened on: the virtual hosts that have it, and whether it speaks TLS."""

    def __init__(self, number: int, tls: bool) -> None:
        self.number = number
        self.tls = tls


def find_listener(config: Config, number: int) -> Listener | None:
    """The listener of that port, None where nothing listens there."""
    found: Listener | None = config.memo(("listener", number), lambda config: _find_listener(config, number))
    return found


def _find_listener(config: Config, number: int) -> Listener | None:
    if number not in ports_of(config):
        return None
    if is_assumed(config, number):
        return Listener(number, True)
    hosts = [host for host in config.hosts if _has_port(host, number)] or [config.main]
    tls = any(host.on("sslengine") for host in hosts)
    tls = tls or any(secure for address, _, secure in config.listens if address.port == number)
    return Listener(number, tls)


def ports_of(config: Config) -> list[int]:
    """The ports that are listened on; where no Listen line is at hand, those of the virtual hosts, or the usual two."""
    ports = [address.port for address, _, _ in config.listens if address.port is not None]
    if not ports and not config.hosts:
        ports = [80, TLS_PORT]
    elif not ports:
        usual = {host: TLS_PORT if host.on("sslengine") else 80 for host in config.hosts}
        ports = [address.port or usual[host] for host in config.hosts for address in host.addresses]
        if any(address.port is None for host in config.hosts for address in host.addresses):
            ports.append(TLS_PORT)
    return list(dict.fromkeys(ports))


def is_assumed(config: Config, number: int) -> bool:
    """Whether the port is one for TLS of which no line is at hand: a .htaccess is served by both schemes."""
    return number == TLS_PORT and not config.listens and not config.hosts


def _has_port(host: Server, number: int) -> bool:
    return any(address.port in (None, number) for address in host.addresses)


class Hosts(Sequence[Server]):
    """The virtual hosts of one address, in the order of the configuration."""

    def __init__(self, hosts: Iterable[Server]) -> None:
        self._hosts = tuple(dict.fromkeys(hosts))
        self._names: dict[str, int] = {}  # the first of those that have the name
        self._patterns: list[tuple[int, str]] = []
        for at, host in enumerate(self._hosts):
            if host.name:
                self._names.setdefault(host.name, at)
            for alias in host.aliases:
                self._names.setdefault(alias, at)
                if "*" in alias or "?" in alias:
                    self._patterns.append((at, alias))

    def __len__(self) -> int:
        return len(self._hosts)

    def __getitem__(self, at: Any) -> Any:
        return self._hosts[at]

    def choose(self, name: str) -> tuple[Server, str]:
        """The virtual host for a name, and why (vhost.c: update_server_from_aliases). Raises IndexError where there is
        none at all."""
        name = name.lower().rstrip(".")
        found = self._names.get(name, len(self._hosts)) if name else len(self._hosts)
        for at, pattern in self._patterns:
            if at >= found:
                break
            if alias_matches(pattern, name):
                found = at
        if found < len(self._hosts):
            host = self._hosts[found]
            return host, "chosen: ServerName" if host.name == name else "chosen: ServerAlias"
        for host in self._hosts:
            if name and any(address.host == name for address in host.addresses):
                return host, "chosen: the address of <VirtualHost>"
        return self._hosts[0], BY_DEFAULT[0] if len(self._hosts) > 1 else BY_DEFAULT[1]


_NO_HOSTS = Hosts(())


class _Addresses:
    """The addresses of the virtual hosts that have a port: the hosts of each, and those with an address of their own
    (which is not `*`)."""

    def __init__(self, config: Config, port: int) -> None:
        found: dict[Address, list[Server]] = {}
        for host in config.hosts:
            for address in host.addresses:
                if address.port in (None, port):
                    found.setdefault(address, []).append(host)
        self.hosts = {address: Hosts(hosts) for address, hosts in found.items()}
        self.exact = sorted({address.host for address in found if address.host != "*"})
        self.any = any(address.host == "*" for address in found)


def candidates(config: Config, request: Request, path: Path) -> Hosts:
    """The virtual hosts of the address that the request arrives at, the one that is the default first; empty where only
    the main server is left (vhost.c: ap_update_vhost_given_ip)."""
    port = request.port
    addresses: _Addresses = config.memo(("addresses", port), lambda config: _Addresses(config, port))
    arrived = "*"
    if addresses.exact:
        if is_address(request.host):
            arrived = request.host
        else:
            known = [Answer(host, f"the request arrives at {host}", host) for host in addresses.exact]
            if addresses.any:
                known.append(Answer("*", "the request arrives at another address", "*"))
            arrived = str(path.ask(Question("listener", str(port)), known).value)
    # An address with a port of its own goes before one for any port, and both before *.
    for wanted in (Address(arrived, port), Address(arrived, None), Address("*", port), Address("*", None)):
        found = addresses.hosts.get(wanted)
        if found is not None:
            return found
    return _NO_HOSTS


def neighbours(config: Config, server: Server, port: int) -> Hosts:
    """The virtual hosts that share an address of this one on that port, itself among them."""
    names = frozenset(address.host for address in server.addresses)

    def make(config: Config) -> Hosts:
        return Hosts(
            one
            for one in config.hosts
            if _has_port(one, port) and any(address.host in names for address in one.addresses)
        )

    found: Hosts = config.memo(("neighbours", names, port), make)
    return found


def alias_matches(alias: str, name: str) -> bool:
    if "*" not in alias and "?" not in alias:
        return False
    pattern = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in alias)
    return re.fullmatch(pattern, name) is not None


def number_of(server: Server, key: str, default: int) -> int:
    """The number of a directive that has one."""
    line = server.last(key)
    return int(line.args[0]) if line is not None and line.args and line.args[0].isdigit() else default


def read_headers(run: Run, request: Request) -> None:
    """The header lines as a table: repeated names joined, the limits of the server, Host as HTTP has it.

    Raises Respond(400) and its like.
    """
    server = run.server
    version = request.http_version
    line = len(request.method) + len(request.target) + len(f"HTTP/{version}") + 2
    if line > number_of(server, "limitrequestline", DEFAULT_LIMIT) + 1:
        raise Respond(414)
    if "#" in request.target:  # a fragment is not sent (ap_check_request_line, strict)
        run.shared.body_broken = True
        raise Respond(400)
    limit = number_of(server, "limitrequestfieldsize", DEFAULT_LIMIT)
    fields = number_of(server, "limitrequestfields", DEFAULT_FIELDS)
    table = Table()
    order: dict[str, list[tuple[str, str]]] = {}
    for at, (name, value) in enumerate(request.headers):
        value = value.strip(" \t")
        # Where a line is refused, those before it are there; a line is taken when the next one has been read.
        if len(name) + len(value) + 2 > limit + 1:
            run.notes["error-notes"] = True
            _refuse(run, request.headers[: max(at - 1, 0)], server.last("limitrequestfieldsize"))
        if fields and at >= fields:
            run.notes["error-notes"] = True
            _refuse(run, request.headers[:at])
        if not _TOKEN.match(name) or _CONTROLS.search(value):
            _refuse(run, request.headers[:at])
        order.setdefault(name.lower(), []).append((name, value))
    too_long = False  # table_do_fn_check_lengths
    for lines in order.values():
        name = lines[0][0]
        text = ", ".join(value for _, value in lines)
        too_long = too_long or (len(text) > limit and len(lines) > 1)
        table.add(name, Value((Segment(client_header(name), text),)) if text else Value())
    run.headers_in = table
    if too_long:
        run.notes["error-notes"] = True
        run.shared.body_broken = True
        raise Respond(400, server.last("limitrequestfieldsize"))
    if len(order.get("host", ())) > 1:
        raise Respond(400)
    _read_host(run, request, "host" in order)
    _read_framing(run)


def check_expect(run: Run) -> None:
    """Expect, which is looked at when the virtual host is known, ahead of all hooks (ap_read_request)."""
    expect = run.header("expect")
    if expect and expect.lower() != "100-continue":
        raise Respond(417)


def _refuse(run: Run, before: Pairs, line: Directive | None = None) -> NoReturn:
    run.shared.body_broken = True
    run.headers_in = _so_far(before)
    raise Respond(400, line)


def _so_far(lines: Pairs) -> Table:
    return Table([Entry(name, literal(value.strip(" \t"), client_header(name))) for name, value in lines])


def _read_host(run: Run, request: Request, given: bool) -> None:
    """The name that the client asks for (vhost.c: fix_hostname; strict, as is the default)."""
    host = run.header("host") if given else None
    if host is None and request.http_version == "1.1" and not given:
        raise Respond(400)
    absolute = re.match(r"(?i)https?://([^/?#]*)", request.target)
    if absolute is not None:
        host = absolute[1].rpartition("@")[2]
    if not host:
        if request.http_version == "1.1":
            raise Respond(400)
        return
    name, port = split_port(host)
    if not _HOST.match(name) or name.isdigit():
        raise Respond(400)
    if port is not None and not (port.isdigit() and 0 < int(port) < 65536):
        raise Respond(400)
    top = name.rstrip(".").rpartition(".")[2]
    if not is_address(name) and "." in name and top[:1].isdigit():
        raise Respond(400)
    run.host = name.lower().rstrip(".")
    run.port = int(port) if port is not None else None


def _read_framing(run: Run) -> None:
    """How the body ends: a Transfer-Encoding must end in chunked, and goes before a Content-Length
    (ap_check_request_header)."""
    length = run.header("content-length")
    if length is not None and not length.isdigit():
        run.shared.body_broken = True
        raise Respond(400)
    encoding = run.header("transfer-encoding")
    if encoding is None:
        return
    if encoding.rpartition(",")[2].strip().lower() != "chunked":
        run.shared.body_broken = True
        raise Respond(400)
    run.headers_in.unset("Content-Length", by_default("Transfer-Encoding takes the place of Content-Length"))


def parse_target(run: Run, target: str) -> None:
    """Sets the path (not yet decoded) and the query."""
    absolute = re.match(r"(?i)[a-z][a-z0-9+.-]*://[^/?#]*", target)
    if absolute is not None:
        target = target[absolute.end() :] or "/"
    path, mark, query = target.partition("#")[0].partition("?")
    run.uri = "/" + path.lstrip("/") if path.startswith("//") else path  # ap_parse_uri, whatever MergeSlashes says
    run.args = query if mark else None


_UNRESERVED = lazy_re(r"%([0-9A-Fa-f]{2})")
BAD_ESCAPE = lazy_re(r"%(?![0-9A-Fa-f]{2})")


def normalize(path: str, merge: bool, decode: bool = True) -> str | None:
    """ap_normalize_path: unreserved characters decoded, `.` and `..` resolved, slashes merged; None for a path that
    leads above the root or does not begin with a slash."""
    normal, fits = normalized(path, merge, decode)
    return normal if fits else None


def normalized(path: str, merge: bool, decode: bool = True) -> tuple[str, bool]:
    """The same, with what it makes of a path that does not fit, too."""
    if not path.startswith("/"):
        return path, path == "*"
    if decode:

        def plain(match: re.Match[str]) -> str:
            char = chr(int(match[1], 16))
            return char if char.isascii() and (char.isalnum() or char in "-._~") else match[0]

        path = _UNRESERVED.sub(plain, path)
    out: list[str] = []
    fits = True
    parts = path.split("/")[1:]
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == ".":
            if last:
                out.append("")
            continue
        if part == "..":
            fits = fits and bool(out)
            del out[-1:]
            if last:
                out.append("")
            continue
        if merge and part == "" and not last:
            continue
        out.append(part)
    return "/" + "/".join(out), fits


def encoded_slashes(run: Run) -> tuple[Directive | None, str]:
    """The line AllowEncodedSlashes and what it says, in lower case; virtual hosts do not inherit it."""
    line = run.server.section.last("allowencodedslashes")
    return line, line.args[0].lower() if line is not None and line.args else "off"


def decode(run: Run, path: str) -> None:
    """ap_unescape_url, in place: %2F and %00 are answered 404; AllowEncodedSlashes changes the former."""
    line, mode = encoded_slashes(run)
    run.uri = path
    if "%" not in path:
        return
    out: list[str] = []
    at = 0
    missing = False
    while at < len(path):
        char = path[at]
        if char != "%":
            out.append(char)
            at += 1
            continue
        code = int(path[at + 1 : at + 3], 16)
        if code == 0 or (code == 0x2F and mode == "off"):
            missing = True
            out.append(chr(code))
        elif code == 0x2F and mode == "nodecode":
            out.append(path[at : at + 3])
        else:
            out.append(chr(code))
        at += 3
    run.uri = "".join(out).partition("\0")[0]
    if missing:
        raise Respond(404, line)
