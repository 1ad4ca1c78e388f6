"""mod_proxy: which requests go to an upstream, and the HTTP request that goes out (mod_proxy.c, proxy_util.c)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from auditor.regex import RegexError, compile_regex
from auditor.servers.apache import walk as sections
from auditor.servers.apache.config import Config, Directive, Layers, Section, Server
from auditor.servers.apache.intake import BAD_ESCAPE, encoded_slashes
from auditor.servers.apache.run import Respond, Run, Unpredictable, by_default, decides
from auditor.servers.apache.table import Entry, Table
from auditor.servers.apache.urls import has_controls
from auditor.servers.apache.walk import has_wildcards
from auditor.trace import ADDED, CHANGED, FORWARDED, REPLACED, SUPPRESSES, Because, LostHeader, SentHeader
from auditor.values import ADDRESS, CONFIG, SERVER, Segment, Value, client_header, literal, unknown

PAGE = "mod/mod_proxy.html"
_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443", "fcgi": "8000", "scgi": "4000", "uwsgi": "3031"}
_URL = re.compile(r"(?P<scheme>[a-z0-9+]+)://(?P<authority>[^/]*)(?P<path>.*)", re.IGNORECASE | re.DOTALL)


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


# --- which requests


def translate(run: Run) -> bool:
    """ProxyPass and ProxyPassMatch (proxy_trans): whether one of them takes the request."""
    if run.is_proxy:
        return True
    own = [one for section in run.layers.sections if section.kind == "location" for one in section.directives]
    local = [one for one in own if one.key in ("proxypass", "proxypassmatch")]
    if local:
        line = local[-1]
        section = next(s for s in reversed(run.layers.sections) if line in s.directives)
        matched = _match(run, line, (section.pattern, *line.args), _is_regex(line, section))
        if matched is not None:
            return matched
    for line in run.server.base.all("proxypass", "proxypassmatch"):  # the main server's first
        matched = _match(run, line, line.args[line.args[:1] == ("~",) :], _is_regex(line))
        if matched is not None:
            return matched
    return False


def _is_regex(line: Directive, section: Section | None = None) -> bool:
    """Whether a line has a regular expression: ProxyPassMatch, `~`, and in a <Location> with wildcards (add_pass)."""
    if section is not None and section.kind == "location" and has_wildcards(section.pattern):
        return True
    return line.key == "proxypassmatch" or line.args[:1] == ("~",)


def _match(run: Run, line: Directive, args: tuple[str, ...], regex: bool) -> bool | None:
    """True where the line takes the request, False where it excepts it (`!`), None where it does not match."""
    if len(args) < 2:
        return None
    pattern, real = args[0], args[1]
    raw = "nocanon" in (word.lower() for word in line.args)
    uri = run.unparsed if raw else run.uri
    if regex:
        try:
            found = compile_regex(pattern).search(run.uri)
            if raw and found is not None:
                again = compile_regex(pattern).search(uri)
                raw, uri, found = (True, uri, again) if again is not None else (False, run.uri, found)
        except RegexError as error:
            raise Unpredictable(str(error), line.place) from error
        if found is None:
            return None
        if real == "!":
            run.step(line, "excepted from the proxy")
            return False
        if re.search(r"\$\d|&", real):
            target = re.sub(r"\$(\d)", lambda m: _group(found.groups, int(m[1])), real)
        else:
            target = real + uri
    else:
        length = _prefix(run.uri, pattern)
        if length is None:
            return None
        if real == "!":
            run.step(line, "excepted from the proxy")
            return False
        if raw and _prefix(uri, pattern) != length:
            raw, uri = False, run.uri
        target = real + uri[length:]
    if raw:  # as the client sent it, the query included
        run.notes["proxy-nocanon"] = True
    run.is_proxy, run.proxy_line = True, line
    run.filename = f"proxy:{target}"
    run.handler, run.handler_line = "proxy-server", line
    return True


def _group(groups: tuple[str, ...], number: int) -> str:
    return groups[number] if number < len(groups) else ""


def _prefix(uri: str, pattern: str) -> int | None:
    """How much of the path a ProxyPass path covers (alias_match): whole segments, several slashes counting as one."""
    at = 0
    for index, char in enumerate(pattern):
        if char == "/":
            if index and pattern[index - 1] == "/":
                continue
            if at >= len(uri) or uri[at] != "/":
                return None
            while at < len(uri) and uri[at] == "/":
                at += 1
        else:
            if at >= len(uri) or uri[at] != char:
                return None
            at += 1
    if not pattern.endswith("/") and at < len(uri) and uri[at] != "/":
        return None
    return at


def walk(run: Run) -> None:
    """<Proxy> sections, in the place of <Directory>."""
    assert run.filename is not None
    sections.proxy(run, run.filename.removeprefix("proxy:"))


def canonicalize(run: Run) -> None:
    """What a module does not take in a URL, above all in one that is to be sent as it stands (proxy_fixup, which comes
    before the fixups of other modules: proxy_http_canon, AH10415; proxy_fcgi_canon, AH10414)."""
    url = parse_url((run.filename or "").removeprefix("proxy:"))
    if url is None:
        return
    if not run.notes.get("proxy-nocanon"):
        if keeps_slashes(run) and BAD_ESCAPE.search(url.path):  # ap_proxy_canonenc_ex
            raise Respond(400, run.proxy_line)
    elif has_controls(url.path) if url.scheme in _CHECKED else url.scheme == "fcgi" and _UNFIT.search(url.path):
        raise Respond(403, run.proxy_line)


def keeps_slashes(run: Run) -> bool:
    """Whether %2F in a path is handed on as it is (PROXY_CANONENC_NOENCODEDSLASHENCODING). Any section that is merged
    with the server's lines forgets that (measured)."""
    return encoded_slashes(run)[1] == "nodecode" and len(run.layers.sections) == len(run.server.base.sections)


_CHECKED = ("http", "https", "ws", "wss", "h2", "h2c", "balancer")
_UNFIT = re.compile(r"[\x00-\x1f\x7f?]")


# --- the request that goes out


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
                yield line.place.line, url, _is_regex(line, section), frozenset(word.lower() for word in line.args)
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


_HOP = ("Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade")


def outgoing(run: Run, target: Target) -> tuple[list[SentHeader], list[LostHeader], str]:
    """The header lines of the HTTP request (ap_proxy_create_hdrbrgd), those that are lost, and the protocol version."""
    table = run.headers_in.copy()
    lost: dict[str, tuple[Because, ...]] = {name: _suppressing(why) for name, why in run.headers_in.gone.items()}
    _clear_connection(run, table, lost)
    if run.layers.on("proxyaddheaders", True):
        _forwarded_headers(run, table)
    out: list[SentHeader] = []
    preserve = run.layers.on("proxypreservehost")
    host_line = run.layers.last("proxypreservehost")
    given = run.headers_in.entry("Host")
    if preserve and given is not None:
        out.append(_sent(run, Entry("Host", given.value, decides(host_line) if host_line is not None else ())))
    else:
        why = decides(run.proxy_line) if run.proxy_line is not None else ()
        why += by_default("ProxyPreserveHost Off", PAGE)
        # Which member of a balancer is asked is not known, where there are several.
        host = literal(target.url.authority) if len(set(target.servers)) < 2 else unknown(CONFIG)
        out.append(_sent(run, Entry("Host", host, why)))
    passes = by_default("mod_proxy forwards request headers", PAGE)
    version, closing = _version(run, target)
    for entry in table:
        low = entry.name.lower()
        if low in ("host", "content-length"):
            continue
        if low == "proxy-authorization" and run.user is not None:
            lost[low] = by_default("Proxy-Authorization after authentication", PAGE)
            continue
        if run.main is not None and low.startswith("if-"):
            continue
        if low == "expect" and (version == "HTTP/1.0" or _read_before(run)):
            lost[low] = by_default("nobody waits for 100 Continue", PAGE)
            continue
        out.append(_sent(run, entry._replace(because=entry.because or passes)))
    _framing(run, out)
    upgrade = _upgrade(run, target) if version != "HTTP/1.0" else None
    if upgrade is not None:
        out.append(SentHeader("Connection", literal("Upgrade", SERVER), "yes", FORWARDED, passes))
        out.append(_sent(run, upgrade._replace(name="Upgrade", because=upgrade.because or passes)))
    elif version != "HTTP/1.0":
        connection = literal("close" if closing else "Keep-Alive", SERVER)
        out.append(SentHeader("Connection", connection, "yes", _fate(run, "Connection", False), passes))
    names = {sent.name.lower() for sent in out}
    losses = [
        LostHeader(_spelled(run, name), why)
        for name, why in lost.items()
        if name not in names and _client_sent(run, name)
    ]
    return out, losses, version


def _suppressing(why: tuple[Because, ...]) -> tuple[Because, ...]:
    return tuple(one._replace(role=SUPPRESSES) if one.place is not None else one for one in why)


def _client_sent(run: Run, name: str) -> bool:
    return any(key.lower() == name for key, _ in run.shared.request.headers)


def _spelled(run: Run, name: str) -> str:
    return next((key for key, _ in run.shared.request.headers if key.lower() == name), name)


def _clear_connection(run: Run, table: Table, lost: dict[str, tuple[Because, ...]]) -> None:
    """ap_proxy_clear_connection: hop-by-hop lines, and those that Connection names, go (RFC 9110, 7.6.1)."""
    why = by_default("hop-by-hop header lines are removed", PAGE)
    for connection in table.all("Connection"):
        for token in re.split(r"[,\s]+", connection.value.text or ""):
            entry = table.entry(token) if token and token.lower() != "close" else None
            if entry is not None and table.unset(token):
                named = by_default("Connection names this header: hop-by-hop", PAGE)
                lost[token.lower()] = (*named, *_suppressing(entry.because))
    for name in ("Connection", *_HOP):
        entry = table.entry(name)
        if entry is not None and table.unset(name):
            # A line that sets such a header does so in vain.
            lost.setdefault(name.lower(), (*why, *_suppressing(entry.because)))


def _forwarded_headers(run: Run, table: Table) -> None:
    why = by_default("ProxyAddHeaders On", PAGE)
    table.merge("X-Forwarded-For", Value((Segment(ADDRESS, run.shared.client_address),)), why)
    host = run.headers_in.entry("Host")
    if host is not None:
        table.merge("X-Forwarded-Host", host.value, why)
    table.merge("X-Forwarded-Server", _server_name(run), why)


def _server_name(run: Run) -> Value:
    return literal(run.server.spelled) if run.server.spelled else unknown(SERVER)


def _framing(run: Run, out: list[SentHeader]) -> None:
    length = run.headers_in.entry("Content-Length")
    why = by_default("the body's length", PAGE)
    if _read_before(run):
        out.append(SentHeader("Content-Length", literal("0", SERVER), "yes", _fate(run, "Content-Length", False), why))
    elif run.headers_in.get("Transfer-Encoding") is not None:
        out.append(SentHeader("Content-Length", unknown(SERVER), "maybe", ADDED, why))
    elif length is not None:
        out.append(_sent(run, length._replace(name="Content-Length", because=why)))


def _read_before(run: Run) -> bool:
    """Whether there was a body, and it has been read before an error page was asked for."""
    length = run.header("content-length")
    chunked = run.headers_in.get("Transfer-Encoding") is not None
    return run.shared.body_read and (chunked or length not in (None, "0"))


def _version(run: Run, target: Target) -> tuple[str, bool]:
    closing = not target.reused
    version = "HTTP/1.1"
    if run.has_variable("force-proxy-request-1.0"):
        version, closing = "HTTP/1.0", True
    if run.has_variable("proxy-nokeepalive"):
        closing = True
    return version, closing


def _upgrade(run: Run, target: Target) -> Entry | None:
    """The client's Upgrade where the upstream may be asked for that protocol: upgrade=NAME or ANY says so, and ws:// of
    itself (ap_proxy_worker_can_upgrade)."""
    asked = run.headers_in.entry("Upgrade")
    if asked is None or not asked.value.text:
        return None
    allowed = "websocket" if target.url.scheme in ("ws", "wss") else ""
    for word in _parameters(run):
        if word.lower().startswith("upgrade="):
            allowed = word.partition("=")[2].lower()
    return asked if allowed in ("any", "*", asked.value.text.lower()) else None


def _parameters(run: Run) -> tuple[str, ...]:
    """The key=value words of the line that makes the worker: of ProxyPass, or of the balancer's first member."""
    url = parse_url((run.filename or "").removeprefix("proxy:"))
    if url is not None and url.scheme == "balancer":
        for server in (run.config.main, *run.config.hosts):
            for section in server.section.sections:
                if section.kind == "proxy" and section.pattern.lower().rstrip("/") == f"balancer://{url.host}".lower():
                    return next((line.args for line in section.all("balancermember")), ())
    return run.proxy_line.args if run.proxy_line is not None and run.proxy_line.key.startswith("proxypass") else ()


def _sent(run: Run, entry: Entry) -> SentHeader:
    present = "yes" if entry.value.text is not None or entry.value.present == "yes" else "maybe"
    return SentHeader(entry.name, entry.value, present, fate_of(run, entry.name, entry.value), entry.because)


def _fate(run: Run, name: str, same: bool) -> str:
    given = _client_sent(run, name.lower())
    return (FORWARDED if same else REPLACED) if given else ADDED


def fate_of(run: Run, name: str, value: Value) -> str:
    """What became of the client's header of that name, given the value that is sent under it."""
    given = [text.strip() for key, text in run.shared.request.headers if key.lower() == name.lower()]
    if not given:
        return ADDED
    source = client_header(name).lower()
    if (
        value.text is not None
        and value.text == ", ".join(given)
        and all(segment.source.lower() == source for segment in value.segments)
    ):
        return FORWARDED if len(given) == 1 else CHANGED
    if any(segment.source.lower() == source and segment.text != "" for segment in value.segments):
        return CHANGED
    return REPLACED


def request_target(run: Run, target: Target) -> str:
    """The request line's target: the mapped path, encoded again as canonicalization does, and the query."""
    path = target.url.path or "/"
    if run.notes.get("proxy-nocanon"):
        return path
    return canonical(path, keeps_slashes(run)) + (f"?{run.args}" if run.args is not None else "")


_SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$-_.+!*'(),:@&=/~;")


def canonical(path: str, slashes: bool = False) -> str:
    """ap_proxy_canonenc_ex for a path: what is not allowed there becomes %XX. With `slashes`, %2F stays."""
    if slashes:
        return "".join(part if part[:1] == "%" else canonical(part) for part in re.split("(?i)(%2f)", path))
    return "".join(char if char in _SAFE else f"%{ord(char):02X}" for char in path)
