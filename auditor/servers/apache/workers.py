"""Where requests go: the URLs of upstreams, the workers that lines have made for them, and balancers (proxy_util.c)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from auditor.patterns import lazy_re
from auditor.servers.apache.config import Config, Directive, Layers, Section, Server
from auditor.servers.apache.intake import encoded_slashes
from auditor.servers.apache.run import Respond, Run
from auditor.servers.apache.walk import has_wildcards

PAGE = "mod/mod_proxy.html"
_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443", "fcgi": "8000", "scgi": "4000", "uwsgi": "3031"}
_URL = lazy_re(r"(?P<scheme>[a-z0-9+]+)://(?P<authority>[^/]*)(?P<path>.*)", re.IGNORECASE | re.DOTALL)


class Url(NamedTuple):
    """An upstream's URL taken apart. `socket` is the path of a Unix socket, "" without one."""

    scheme: str
    host: str
    port: str
    path: str
    socket: str

    @property
    def authority(self) -> str:
        """As Host carries it: the port only where it is not the scheme's own."""
        default = _PORTS.get(self.scheme, "")
        return self.host if not self.port or self.port == default else f"{self.host}:{self.port}"

    @property
    def server(self) -> str:
        return f"unix:{self.socket}" if self.socket else f"{self.host}:{self.port or _PORTS.get(self.scheme, '80')}"


def parse_url(text: str) -> Url | None:
    """`scheme://host:port/path`, or the same behind `unix:/path|`; None where there is no such thing."""
    socket = ""
    if text.startswith("unix:"):
        socket, _, text = text[5:].partition("|")
        if text.endswith(":") and "//" not in text:
            text += "//localhost"
    match = _URL.match(text)
    if match is None:
        return None
    authority = match["authority"].rpartition("@")[2]
    host, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    if not colon:
        host, port = authority, ""
    if port and not port.isdigit():
        host, port = authority, ""
    return Url(match["scheme"].lower(), host, port, match["path"], socket)


class Target(NamedTuple):
    """Where a request goes. `reused`: the connection is kept for further requests; `worker`: a line has made a worker
    for the URL, without which it never is."""

    url: Url
    upstream: str
    servers: tuple[str, ...]
    reused: bool
    worker: bool


def target_of(run: Run, text: str) -> Target:
    """The upstream of a `proxy:` URL. Raises Respond(500) for what is none."""
    url = parse_url(text)
    if url is None or (":" in url.host and not url.host.startswith("[")):
        raise Respond(500, run.proxy_line)  # as in http://host:8080path, where a slash is missing
    if url.scheme == "balancer":
        members = balancer(run.config, url.host)
        first = next((parse_url(member) for member in members), None)
        if first is None:
            raise Respond(503, run.proxy_line)
        servers = tuple(found.server for found in map(parse_url, members) if found is not None)
        path = (first.path.rstrip("/") if first.path not in ("", "/") else "") + (url.path or "/")
        whole = first._replace(path=path)
        return Target(whole, f"balancer://{url.host}", servers, True, True)
    shown = f"{url.scheme}://{url.authority}" if not url.socket else f"unix:{url.socket}|{url.scheme}://{url.host}"
    path = canonical(url.path or "/", keeps_slashes(run))
    if url.scheme in ("http", "https") and run.args is not None:
        path += f"?{run.args}"
    found = _worker_of(run.server, f"{text.partition('://')[0]}://{authority_of(text)}{path}")
    worker = found is not None
    reused = found is not None and found.reused
    userinfo = "@" in text.partition("://")[2].partition("/")[0]
    if userinfo:
        reused = False
    return Target(url, shown, (url.server,), reused, worker)


def authority_of(text: str) -> str:
    """Host and port of a URL as it is written."""
    return text.partition("://")[2].partition("/")[0]


class Worker(NamedTuple):
    """What lines have defined for the URLs that begin with `name`; `match`: by a regular expression. `regex` where that
    holds groups of a pattern, whose connections are not kept unless that is asked for."""

    name: str
    match: bool
    regex: re.Pattern[str] | None
    reused: bool

    def fits(self, url: str) -> bool:
        """ap_proxy_get_worker_ex: the URL must not be shorter than the name, `$1` included."""
        if self.regex is not None:
            return len(url) >= len(self.name) and self.regex.match(url) is not None
        return url.startswith(self.name)


def _worker_of(server: Server, url: str) -> Worker | None:
    """The worker with the longest name, among the main server's and the virtual host's own."""
    workers: list[Worker] = server.base.memo("workers", _workers)
    return max((one for one in workers if one.fits(url)), key=lambda one: len(one.name), default=None)


def _workers(layers: Layers) -> list[Worker]:
    found: list[Worker] = []
    for section in layers.sections:
        own: list[Worker] = []
        # In the order in which the lines stand, as far as they stand in one file.
        for _, name, match, words in sorted(_definitions(section), key=lambda one: one[0]):
            if any(one.match == match and one.fits(name) for one in own):
                continue  # it shares that one (add_pass)
            regex = None
            if match and re.search(r"\$\d", name):
                regex = re.compile(".*".join(re.escape(part) for part in re.split(r"\$\d", name)), re.DOTALL)
            reused = "disablereuse=on" not in words and (regex is None or "enablereuse=on" in words)
            own.append(Worker(name, match, regex, reused))
        found += own
    return found


def _definitions(section: Section) -> Iterator[tuple[int, str, bool, frozenset[str]]]:
    """Line, URL, whether it is matched by a regular expression, and parameters of each directive that defines a
    worker."""
    for line in section.directives:
        if line.key in ("proxypass", "proxypassmatch"):
            url = next((word for word in line.args if "://" in word), None)
            if url is not None:
                yield line.place.line, url, is_regex(line, section), frozenset(word.lower() for word in line.args)
    for inner in section.sections:
        if inner.kind == "proxy" and inner.all("proxyset") and "*" not in inner.pattern and not inner.regex:
            yield inner.place.line if inner.place is not None else 0, inner.pattern, False, frozenset()
        elif inner.kind == "location":
            yield from _definitions(inner)


def balancer(config: Config, name: str) -> list[str]:
    """The members of a balancer, in order."""
    members: list[str] = []
    for server in (config.main, *config.hosts):
        for section in server.section.sections:
            if section.kind == "proxy" and section.pattern.lower().rstrip("/") == f"balancer://{name}".lower():
                members += [line.args[0] for line in section.all("balancermember") if line.args]
        for line in server.section.all("balancermember"):
            if len(line.args) > 1 and line.args[0].lower().rstrip("/") == f"balancer://{name}".lower():
                members.append(line.args[1])
    return members


def is_regex(line: Directive, section: Section | None = None) -> bool:
    """Whether a line has a regular expression: ProxyPassMatch, `~`, and in a <Location> with wildcards (add_pass)."""
    if section is not None and section.kind == "location" and has_wildcards(section.pattern):
        return True
    return line.key == "proxypassmatch" or line.args[:1] == ("~",)


def keeps_slashes(run: Run) -> bool:
    """Whether %2F in a path is handed on as it is (PROXY_CANONENC_NOENCODEDSLASHENCODING). Any section that is merged
    with the server's lines forgets that (measured)."""
    return encoded_slashes(run)[1] == "nodecode" and len(run.layers.sections) == len(run.server.base.sections)


_SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$-_.+!*'(),:@&=/~;")


def canonical(path: str, slashes: bool = False) -> str:
    """ap_proxy_canonenc_ex for a path: what is not allowed there becomes %XX. With `slashes`, %2F stays."""
    if slashes:
        return "".join(part if part[:1] == "%" else canonical(part) for part in re.split("(?i)(%2f)", path))
    return "".join(char if char in _SAFE else f"%{ord(char):02X}" for char in path)
