"""proxy_pass: the HTTP request that goes out (src/http/modules/ngx_http_proxy_module.c)."""

from __future__ import annotations

from typing import NamedTuple

from auditor.servers.nginx import uri
from auditor.servers.nginx.buckets import found_anyway
from auditor.servers.nginx.cache import Plan
from auditor.servers.nginx.config import PASSES, Http, Level
from auditor.servers.nginx.response import placed
from auditor.servers.nginx.run import Run, Unpredictable, by_default, decides
from auditor.servers.nginx.sending import Sending, body_of, fate_of
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.variables import evaluate
from auditor.trace import FORWARDED, SUPPRESSES, Because, LostHeader, SentHeader, Shadowed
from auditor.values import EMPTY, SERVER, Segment, Value, client_header, literal, unknown

MODULE = "ngx_http_proxy_module"

# What nginx sets where no proxy_set_header of that name counts; an empty value takes the client's line away.
_DEFAULTS = ("Host", "Connection", "Content-Length", "Transfer-Encoding", "TE", "Keep-Alive", "Expect", "Upgrade")
_FRAMING = ("Content-Length", "Transfer-Encoding")
_CONDITIONAL = ("If-Modified-Since", "If-Unmodified-Since", "If-None-Match", "If-Match", "Range", "If-Range")


class Url(NamedTuple):
    """The target of a pass directive taken apart. `host_header` is $proxy_host, `uri` what stands behind the host."""

    scheme: str
    host: str
    port: str
    host_header: str
    uri: str
    explicit_port: bool

    @property
    def server(self) -> str:
        return self.host if self.host.startswith("unix:") else f"{self.host}:{self.port}"


def parse_url(text: str) -> Url | None:
    """A URL as ngx_parse_url cuts it; None where nginx refuses it."""
    scheme, sep, rest = text.partition("://")
    scheme = scheme.lower()
    if not sep or scheme not in ("http", "https", "grpc", "grpcs") or not rest:
        return None
    default = "443" if scheme in ("https", "grpcs") else "80"
    if rest.startswith("unix:"):
        path, _, tail = rest[5:].partition(":")
        return Url(scheme, f"unix:{path}", "", "localhost", tail, False)
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at != -1), default=len(rest))
    authority, tail = rest[:cut], rest[cut:]
    if authority.startswith("["):
        host, _, port = authority.partition("]")
        host, colon, port = host + "]", port[:1], port.removeprefix(":")
    else:
        host, colon, port = authority.partition(":")
    if not host or (colon and not (port.isdigit() and 0 < int(port) < 65536)):
        return None
    header = host if not port or port == default else f"{host}:{port}"
    return Url(scheme, host, port or default, header, tail, bool(port))


def group_servers(http: Http, url: Url) -> tuple[str, ...]:
    """The addresses behind a URL: those of an upstream group, or the one that it names."""
    if url.host in http.upstreams and not url.explicit_port:
        if any("_by_lua" in line.name or line.name == "state" for line in http.upstreams[url.host].block or ()):
            return ()  # a program, or a file that the server keeps, says which they are
        return tuple(
            name if name.startswith("unix:") or ":" in name.rpartition("]")[2] else f"{name}:{url.port}"
            for name in http.upstream_servers(url.host)
        )
    return (url.server,)


def build(run: Run, line: Directive, store: Plan | None) -> Sending | int:
    """The request as it goes out; or the status that nginx answers because it cannot go out."""
    level = run.level
    template = line.args[0]
    text = evaluate(run, template).text
    if text is None:
        return _to_unknown(run, line, template, store)
    url = parse_url(text)
    if url is None:
        run.step(line, f"not a valid URL: {text}")
        return 500
    if "$" in template and not _resolvable(run, url):
        run.step(line, f"no resolver for {url.host}: 502")
        return 502
    sending = Sending(
        line, f"{url.scheme}://{url.host_header}", group_servers(run.shared.http, url), "", url.scheme == "https"
    )
    if url.host.startswith("unix:"):
        sending.upstream = f"{url.scheme}://{url.host}"
    run.proxy_host = (url.host_header, url.port)
    sending.uri = request_uri(run, url.uri, "$" in template)
    if not sending.uri:
        return 500
    _fill(run, sending, level, store)
    return sending


def _to_unknown(run: Run, line: Directive, template: str, store: Plan | None) -> Sending | int:
    """The upstream is not knowable, the headers are all the same."""
    sending = Sending(line, template, (), "")
    run.proxy_host = None
    run.scratch["proxy_host"] = unknown(SERVER)
    _, _, rest = template.partition("://")
    has_uri = "/" in rest or (rest.startswith("$") and template.count("$") == 1)
    sending.uri = None if has_uri else request_uri(run, "", True)
    _fill(run, sending, run.level, store)
    return sending


def _resolvable(run: Run, url: Url) -> bool:
    """A name that comes out of a variable must be an address, an upstream, or have a resolver."""
    host = url.host
    if host.startswith(("unix:", "[")) or host.replace(".", "").isdigit() or run.level.line("resolver") is not None:
        return True
    http = run.shared.http
    if host in http.upstreams:
        return True
    known: set[str] = http.memo("static upstreams", _static_upstreams)  # type: ignore[assignment]
    return url.server in known


def unreachable(run: Run, line: Directive, url: Url | None) -> int | None:
    """What is answered where a target of variables that has no default port (all but proxy_pass) cannot be asked; None
    where it can (ngx_http_upstream_init_request)."""
    if url is None:
        run.step(line, "not a valid address")
        return 500
    group = url.host in run.shared.http.upstreams
    if not url.explicit_port and not group and not url.host.startswith("unix:"):
        run.step(line, f"no port for {url.host}: 500")
        return 500
    if not _resolvable(run, url):
        run.step(line, f"no resolver for {url.host}: 502")
        return 502
    return None


def _static_upstreams(http: object) -> set[str]:
    """The servers that lines without variables name: those are looked up when nginx starts."""
    found: set[str] = set()
    for top in http.block:  # type: ignore[attr-defined]
        for line in top.walk():
            if line.name in PASSES and line.args and "$" not in line.args[0]:
                text = line.args[0]
                url = parse_url(
                    text if text.startswith(("http://", "https://")) else f"http://{text.rpartition('://')[2]}"
                )
                if url is not None:
                    found.add(url.server)
    return found


def request_uri(run: Run, part: str, variable: bool) -> str:
    """The URI that goes out (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass)."""
    if variable and part:
        return "/" + part if part.startswith("?") else part
    if not part and run.valid_unparsed and run.is_main:
        return run.unparsed
    cut = len(_location_name(run)) if run.valid_location and part else 0
    if cut > len(run.uri) and not run.newer(1, 29):
        # A copy of minus some bytes: the worker crashes, or what it sends is rubbish.
        place = run.level.location.directive.place if run.level.location and run.level.location.directive else None
        raise Unpredictable("try_files has made the URI shorter than the location's name, which nginx cuts off", place)
    rest = run.uri[cut:]
    if run.quoted or run.internal:
        rest = uri.escape(rest)
    head = part if run.valid_location else ""
    return head + rest + (f"?{run.args}" if run.args else "")


def _location_name(run: Run) -> str:
    """The part of the URI that a proxy_pass with a URI replaces: the name of the location."""
    level = run.level.location
    if level is None or level.modifier in ("~", "~*", "@"):
        return ""
    return level.name


# --- the headers


def header_lines(level: Level, name: str) -> tuple[list[Directive], list[Directive]]:
    """The lines of that name that count at a level, and those further out that they displace."""
    return level.memo(("lines", name), lambda here: _header_lines(here, name))  # type: ignore[return-value]


def _header_lines(level: Level, name: str) -> tuple[list[Directive], list[Directive]]:
    home = level.where((name,))
    if home is None:
        return [], []
    outer: list[Directive] = []
    above = home.outer
    while above is not None:
        outer = above.own.get(name, []) + outer
        above = above.outer
    return home.own[name], outer


def shadowed_lines(run: Run, lines: list[Directive], outer: list[Directive]) -> list[Shadowed]:
    """The displaced lines, with what they would have set."""
    if not lines or not outer:
        return []
    by = lines[0].place
    kept = dict(run.variables), run.captures  # what is only looked at must not be remembered by the request
    found = [
        Shadowed("request", line.args[0], evaluate(run, line.args[1]) if len(line.args) > 1 else EMPTY, line.place, by)
        for line in outer
        if line.args
    ]
    run.variables.clear()
    run.variables.update(kept[0])
    run.captures = kept[1]
    return found


def _fill(run: Run, sending: Sending, level: Level, store: Plan | None) -> None:
    version = level.line("proxy_http_version")
    newest = run.newer(1, 29, 7)
    number = version.args[0] if version is not None and version.args else ("1.1" if newest else "1.0")
    sending.protocol = "HTTP/2" if number == "2" else f"HTTP/{number}"
    method = level.line("proxy_method")
    sending.method = run.method
    if store is not None and run.method == "HEAD" and level.flag("proxy_cache_convert_head", True):
        sending.method = "GET"
    elif method is not None and method.args:
        sending.method = evaluate(run, method.args[0]).text or run.method
    set_body = level.line("proxy_set_body")
    passes = level.flag("proxy_pass_request_body", True)
    if set_body is not None:
        sending.body = "none" if evaluate(run, set_body.args[0]).present == "no" else "sent"
    else:
        sending.body = body_of(run, passes)
    lines, outer = header_lines(level, "proxy_set_header")
    sending.shadowed = shadowed_lines(run, lines, outer)
    covered: dict[str, tuple[Because, ...]] = {}
    captures = run.captures
    for line in lines:
        if len(line.args) < 2:
            continue
        name = line.args[0]
        value = evaluate(run, line.args[1])
        because = placed(run, line)
        covered.setdefault(name.lower(), because)
        sending.add(name, value, fate_of(run, name, value), because)
    check_captures(run, captures, lines)
    streams = (
        not level.flag("proxy_request_buffering", True) and number == "1.1" and run.body.chunked and set_body is None
    )
    for name in (*_DEFAULTS, *(_CONDITIONAL if store is not None and store.at_once else ())):
        if name.lower() in covered:
            continue
        value, default = _default(run, name, newest, set_body, streams)
        because = by_default(f"proxy_set_header {name} {default}", MODULE)
        covered[name.lower()] = because
        if sending.add(name, value, fate_of(run, name, value), because) and streams and name in _FRAMING:
            # Whether the whole body has come with the header decides which of the two it is.
            sending.headers[-1] = sending.headers[-1]._replace(present="maybe")
    if newest and "proxy-connection" not in covered:
        covered["proxy-connection"] = by_default('proxy_set_header Proxy-Connection ""', MODULE)
    forward(
        run, sending, covered, level.flag("proxy_pass_request_headers", True), level.line("proxy_pass_request_headers")
    )


def check_captures(run: Run, before: tuple[Value, ...], lines: list[Directive]) -> None:
    """Raises Unpredictable where a line uses $1 and another one's map matched a pattern meanwhile: nginx measures all
    values before it writes them, and the measures no longer fit."""
    if run.captures is not before:
        for line in lines:
            if any(f"${digit}" in arg for arg in line.args for digit in "123456789"):
                raise Unpredictable("a capture is used beside a map that changes the captures", line.place)


def _default(run: Run, name: str, newest: bool, set_body: Directive | None, streams: bool) -> tuple[Value, str]:
    if name == "Host":
        if run.proxy_host is None:
            return unknown(SERVER), "$proxy_host"
        return literal(run.proxy_host[0]), "$proxy_host"
    if name == "Connection" and not newest:
        return literal("close", SERVER), "close"
    if name == "Content-Length":
        if set_body is not None:
            text = evaluate(run, set_body.args[0]).text
            return (unknown(SERVER) if text is None else literal(str(len(text)), SERVER)), "(the body's length)"
        return announced_length(run), "(the body's length)"
    if name == "Transfer-Encoding" and streams:
        return literal("chunked", client_header("Transfer-Encoding")), "chunked"
    return EMPTY, '""'


def announced_length(run: Run) -> Value:
    """The length that goes with the request: what the client announced, or what was read of a chunked body."""
    if run.body.discarded:
        return literal("0", SERVER)
    return header_length(run)


def header_length(run: Run) -> Value:
    """The same where the server goes by the header line, which outlives the body."""
    if run.body.length >= 0:
        return literal(str(run.body.length), client_header("Content-Length"))
    if run.body.chunked and run.body.read:
        return Value((Segment(SERVER, None),))
    return EMPTY


def forward(
    run: Run,
    sending: Sending,
    covered: dict[str, tuple[Because, ...]],
    passes: bool,
    line: Directive | None,
    lower: bool = False,
) -> None:
    """The client's own lines that nothing covers; and the list of those that are lost."""
    why_passed = by_default("proxy_pass_request_headers on", MODULE)
    sent = {header.name.lower() for header in sending.headers}
    lost: dict[str, LostHeader] = {}
    for name, text in run.headers:
        low = name.lower()
        if low in covered and (name not in run.odd or found_anyway(list(covered), name)):
            if low not in sent:
                because = tuple(b._replace(role=SUPPRESSES) if b.place is not None else b for b in covered[low])
                lost.setdefault(low, LostHeader(name, because))
        elif passes:
            value = Value((Segment(client_header(name), text),)) if text else EMPTY
            sending.headers.append(SentHeader(low if lower else name, value, "yes", FORWARDED, why_passed))
        else:
            lost.setdefault(low, LostHeader(name, decides(line) if line is not None else ()))
    sending.lost = [*lost.values(), *(dropped for dropped in run.shared.lost)]
