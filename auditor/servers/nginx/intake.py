"""From bytes to a request: listener, virtual host, request line and header lines (src/http/ngx_http_request.c).

The settings that count while a line is read are those of the server known at that moment: the default server until the
Host line has been read, the chosen one afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.http import Request, split_port
from auditor.patterns import lazy_re
from auditor.regex import RegexError, compile_regex
from auditor.servers.nginx import certificates, uri
from auditor.servers.nginx.config import Http, Port, Server
from auditor.servers.nginx.maps import find_wildcard
from auditor.servers.nginx.run import Body, Closed, Run, Unpredictable, by_default, decides
from auditor.trace import LostHeader
from auditor.values import CLIENT, literal
from auditor.world import Answer, Path, Question

SIZES = {"k": 1024, "m": 1024 * 1024, "g": 1024 * 1024 * 1024}

# A second line of one of these is answered 400 ("client sent duplicate header line").
_UNIQUE = {
    "if-modified-since",
    "if-unmodified-since",
    "if-match",
    "if-none-match",
    "content-length",
    "content-range",
    "if-range",
    "transfer-encoding",
    "expect",
    "authorization",
}

NOT_KNOWN = Answer("unknown", "the client's address is not known")

_PLAIN_NAME = lazy_re(r"[0-9A-Za-z-]+\Z")
_METHOD = lazy_re(r"[A-Z_-]+\Z")


def size(text: str, default: int) -> int:
    """A size argument in bytes: `8k`, `1m`."""
    unit = SIZES.get(text[-1:].lower())
    digits = text[:-1] if unit else text
    return int(digits) * (unit or 1) if digits.isdigit() else default


def find_port(http: Http, request: Request, path: Path) -> Port | None:
    """The listener that the request reaches; None where nothing listens there."""
    ports = [port for (_, number), port in http.ports.items() if number == request.port]
    if not ports:
        return None
    for port in ports:
        if port.listen.address == request.host:
            return port
    if len(ports) == 1:
        return ports[0]
    if is_address(request.host):
        return next((port for port in ports if port.listen.address == "*"), None)
    client = path.ask(Question("client-address"), [NOT_KNOWN]).value
    if isinstance(client, str) and client.startswith("127."):
        # Who comes from this machine itself has asked for its loopback address.
        for port in ports:
            if port.listen.address == "127.0.0.1":
                return port
        for port in ports:
            if port.listen.address == "*":
                return port
    known = path.ask(
        Question("listener", str(request.port)),
        [Answer(p.listen.address, f"the request arrives at {p.listen.address}", p.listen.address) for p in ports],
    )
    for port in ports:
        if port.listen.address == known.value:
            return port
    return next((port for port in ports if port.listen.address == "*"), ports[0])


BY_DEFAULT = "chosen: default server"  # why, where no virtual host is called so


def find_server(port: Port, name: str) -> tuple[Server, str, tuple[tuple[str, ...], dict[str, str]] | None]:
    """The virtual host for a name, why, and the groups of the regular expression that chose it
    (https://nginx.org/en/docs/http/request_processing.html)."""
    assert port.default is not None
    found = port.exact.get(name)
    if found is not None:
        return found, "chosen: exact server_name", None
    table_head = {suffix: suffix for suffix in port.head}
    table_tail = {prefix: prefix for prefix in port.tail}
    wild = find_wildcard(name, table_head, table_tail) if table_head or table_tail else None
    if wild is not None:
        return port.head.get(wild) or port.tail[wild], "chosen: wildcard server_name", None
    if name:
        for pattern, server in port.regex:
            try:
                match = compile_regex(pattern, True).search(name)
            except RegexError as error:
                raise Unpredictable(str(error)) from error
            if match is not None:
                return server, f"chosen: server_name ~{pattern}", (match.groups, match.names)
    return port.default, BY_DEFAULT, None


def is_address(host: str) -> bool:
    """Whether a URL's host is an IP literal."""
    return host.startswith("[") or host.replace(".", "").isdigit()


class Refused(Exception):
    """nginx answers this request itself while it is being read."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class _Buffers:
    """How much of the header fits (client_header_buffer_size, large_client_header_buffers).

    A line that does not fit into what is left moves to a large buffer of its own; one longer than a large buffer, or
    one for which no large buffer is left, is refused (ngx_http_alloc_large_header_buffer).
    """

    def __init__(self, first: int) -> None:
        self.free = first
        self.busy = 0

    def take(self, length: int, server: Server) -> bool:
        """Room for a line of `length` bytes, line end included; False where nginx refuses it."""
        if length <= self.free:
            self.free -= length
            return True
        line = server.line("large_client_header_buffers")
        number, large = 4, 8192
        if line is not None and len(line.args) == 2 and line.args[0].isdigit():
            number, large = int(line.args[0]), size(line.args[1], 8192)
        if self.free >= large or self.busy >= number:
            return False
        self.busy += 1
        self.free = large
        if length <= large:
            self.free -= length
            return True
        return False


def read(run: Run) -> None:
    """Read the request into `run`: server, target, headers. Raises Refused with the status nginx answers."""
    request = run.shared.request
    port = run.shared.listener
    assert port.default is not None
    run.server = run.level = port.default
    negotiated = _handshake(run, request) if request.tls else None
    line = run.server.line("client_header_buffer_size")
    buffers = _Buffers(size(line.args[0], 1024) if line is not None and line.args else 1024)
    _request_line(run, request, buffers)
    host_seen = False
    seen: set[str] = set()
    most = _max_headers(run)
    for name, value, length in _lines(request):
        if not buffers.take(length, run.server):
            raise Refused(494, "a header line is longer than large_client_header_buffers allows")
        if name is None:
            raise Refused(400, "a header line is malformed")
        if not _valid(run, name, value):
            continue
        if len(run.headers) >= most:
            raise Refused(494, "more header lines than max_headers allows")
        low = name.lower()
        run.headers.append((name, value))
        if low in seen and (low in _UNIQUE or (low == "proxy-authorization" and run.newer(1, 29))):
            raise Refused(400, f"two {name} lines")
        seen.add(low)
        if low == "host":
            if host_seen:
                raise Refused(400, "two Host lines")
            host_seen = True
            host = uri.validate_host(value, run.newer(1, 29))
            if host is None:
                raise Refused(400, "the Host line is malformed")
            run.host = host
            run.host_port = split_port(value)[1] or ""
            _switch(run, host)
            most = _max_headers(run)
            if negotiated is not None and host != negotiated and run.server.verifies_clients:
                raise Refused(421, "another host than the one that was negotiated, and it asks for certificates")
    if not buffers.take(2, run.server):
        raise Refused(494, "the header is longer than large_client_header_buffers allows")
    if not run.host:
        _switch(run, "")
    _checks(run, request, host_seen)


def _handshake(run: Run, request: Request) -> str | None:
    """The TLS handshake: the name that the client indicates chooses the server, whose settings then count. Gives that
    name where it was looked up and found; a single server's names are not looked at (ngx_http_ssl_servername)."""
    name = "" if is_address(request.host) else request.host.lower()
    if name:
        _switch(run, name)
    line = run.server.line("ssl_reject_handshake")
    if line is not None and line.args[:1] == ["on"]:
        run.step(line, "the TLS handshake is rejected")
        raise Closed
    assert run.shared.listener.default is not None
    found = name and len(run.shared.listener.servers) > 1 and find_server(run.shared.listener, name)[1] != BY_DEFAULT
    return name if found else None


def _max_headers(run: Run) -> int:
    line = run.server.line("max_headers")
    if line is not None and line.args and line.args[0].isdigit():
        return int(line.args[0])
    return 1000 if run.newer(1, 31) else 1 << 20


def _switch(run: Run, host: str) -> None:
    server, why, groups = find_server(run.shared.listener, host)
    if groups is not None:
        run.captures = tuple(literal(text, CLIENT) for text in groups[0])
        for name, text in groups[1].items():
            run.variables[name] = literal(text, CLIENT)
    if server is not run.server or not run.shared.steps:
        run.server = server
        run.level = server
        run.step(server.directive, why, f"server {' '.join(server.names)}".rstrip())


def _request_line(run: Run, request: Request, buffers: _Buffers) -> None:
    line = f"{request.method} {request.target} HTTP/{request.http_version}\r\n"
    if not buffers.take(len(line), run.server):
        raise Refused(414, "the request line is longer than large_client_header_buffers allows")
    run.method = ""
    if not _METHOD.match(request.method):
        raise Refused(400, "the method is malformed")
    if any(char <= " " or char == "\x7f" for char in request.target):
        raise Refused(400, "a control character or space in the request target")
    run.method = request.method
    run.parsed = True
    try:
        target = uri.parse_target(request.target, run.server.flag("merge_slashes", True))
    except uri.BadTarget as error:
        raise Refused(400, str(error)) from error
    run.uri, run.args = target.path, target.args
    run.quoted, run.plus = target.quoted, target.plus
    run.unparsed = request.target


def _lines(request: Request) -> Iterator[tuple[str | None, str, int]]:
    """The header lines as the parser cuts them: name (None where it refuses the line), value, length in bytes."""
    for name, value in request.headers:
        length = len(name) + len(value) + 4
        if _PLAIN_NAME.match(name) and value.isprintable() and value.isascii():
            yield name, value.strip(" "), length
            continue
        text = f"{name}: {value}\r\n"
        start = 0
        while start < len(text):
            end = text.index("\n", start) + 1
            yield (*_parse_line(text[start:end]), end - start)
            start = end


def _parse_line(line: str) -> tuple[str | None, str]:
    """Name and value of one line (ngx_http_parse_header_line); the name is None where it is refused."""
    text = line[:-1].removesuffix("\r")
    if not text:
        return None, ""
    name, colon, value = text.partition(":")
    if not name or any(char <= " " or char == "\x7f" for char in name):
        return None, ""
    if "\0" in value or "\r" in value:
        return None, ""
    return name, value.strip(" ") if colon else ""


def _valid(run: Run, name: str, value: str) -> bool:
    """Whether the line is kept; one with an odd name is dropped without a word, by the settings of this moment."""
    if _PLAIN_NAME.match(name):
        return True
    underscores = run.server.flag("underscores_in_headers", False)
    odd = name.replace("_", "") if underscores else name
    if _PLAIN_NAME.match(odd) or (underscores and not odd):
        return True
    if not run.server.flag("ignore_invalid_headers", True):
        run.odd.add(name)
        return True
    line = run.server.line("underscores_in_headers" if "_" in name else "ignore_invalid_headers")
    because = (
        decides(line)
        if line is not None
        else by_default(
            "underscores_in_headers off" if _PLAIN_NAME.match(name.replace("_", "-")) else "ignore_invalid_headers on"
        )
    )
    run.shared.lost.append(LostHeader(name, because))
    return False


def _checks(run: Run, request: Request, host_seen: bool) -> None:
    """What ngx_http_process_request_header and ngx_http_process_request refuse."""
    if not host_seen and request.http_version not in ("1.0", "0.9"):
        raise Refused(400, "no Host line")
    length = run.header("content-length")
    number = -1
    if length is not None:
        if not length.isdigit() or not length.isascii() or len(length) > 18:
            raise Refused(400, "the Content-Length is malformed")
        number = int(length)
    encoding = run.header("transfer-encoding")
    if encoding is not None:
        if request.http_version in ("1.0", "0.9"):
            raise Refused(400, "Transfer-Encoding in an HTTP/1.0 request")
        if encoding.lower() != "chunked":
            raise Refused(501, "an unknown Transfer-Encoding")
        if number != -1:
            raise Refused(400, "Content-Length and Transfer-Encoding together")
    run.body = Body(number, encoding is not None)
    if request.method == "CONNECT":
        raise Refused(405, "the CONNECT method")
    if request.method == "TRACE":
        raise Refused(405, "the TRACE method")
    listener = run.shared.listener.listen
    if listener.tls and not request.tls:
        raise Refused(497, "a plain request at a TLS listener")
    if request.tls and run.server.verifies_clients:
        refused = certificates.ask(run)
        if refused is not None:
            raise Refused(*refused)
