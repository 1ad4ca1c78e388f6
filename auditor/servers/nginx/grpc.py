"""grpc_pass: an HTTP/2 request (src/http/modules/ngx_http_grpc_module.c). Header names go out in lower case."""

from __future__ import annotations

from auditor.servers.nginx import uri
from auditor.servers.nginx.proxy import (
    forward,
    group_servers,
    header_length,
    header_lines,
    parse_url,
    shadowed_lines,
    unreachable,
)
from auditor.servers.nginx.response import placed
from auditor.servers.nginx.run import Run, by_default
from auditor.servers.nginx.sending import Sending, body_of, fate_of
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.variables import evaluate
from auditor.trace import ADDED, Because
from auditor.values import CLIENT, EMPTY, Value, client_header, literal

_MODULE = "ngx_http_grpc_module"
_DEFAULTS = ("Content-Length", "TE", "Host", "Connection", "Transfer-Encoding", "Keep-Alive", "Expect", "Upgrade")


def build(run: Run, line: Directive) -> Sending | int:
    """The request as it goes out, pseudo-header fields first (RFC 9113, 8.3.1)."""
    text = evaluate(run, line.args[0]).text
    shown = text if text is not None else line.args[0]
    url = parse_url(shown if "://" in shown else f"grpc://{shown}")
    if url is None:
        return 500
    if "$" in line.args[0] and text is not None:
        refused = unreachable(run, line, url)
        if refused is not None:
            return refused
    servers = group_servers(run.shared.http, url) if text is not None else ()
    sending = Sending(line, f"{url.scheme}://{url.host_header}", servers, "HTTP/2", url.scheme == "grpcs")
    sending.method = run.method
    if run.valid_unparsed and run.is_main:
        sending.uri = run.unparsed
    else:
        path = uri.escape(run.uri) if run.quoted or run.internal else run.uri
        sending.uri = path + (f"?{run.args}" if run.args else "")
    sending.body = body_of(run, True)
    lines, outer = header_lines(run.level, "grpc_set_header")
    sending.shadowed = shadowed_lines(run, lines, outer)
    own_host = any(each.args and each.args[0].lower() == "host" for each in lines)
    pseudo = by_default("grpc_pass", _MODULE)
    scheme = "https" if url.scheme == "grpcs" else "http"
    for name, value in (
        (":method", literal(sending.method, CLIENT)),
        (":scheme", literal(scheme)),
        (":path", literal(sending.uri, CLIENT)),
        (":authority", EMPTY if own_host else literal(url.host_header)),
    ):
        sending.add(name, value, ADDED, pseudo)
    covered: dict[str, tuple[Because, ...]] = {}
    for each in lines:
        if len(each.args) >= 2:
            value = evaluate(run, each.args[1])
            because = placed(run, each)
            covered.setdefault(each.args[0].lower(), because)
            sending.add(each.args[0].lower(), value, fate_of(run, each.args[0], value), because)
    for name in _DEFAULTS:
        if name.lower() in covered:
            continue
        value = _default(run, name)
        because = by_default(f"grpc_set_header {name}", _MODULE)
        covered[name.lower()] = because
        sending.add(name.lower(), value, fate_of(run, name, value), because)
    if run.newer(1, 29, 7):
        covered.setdefault("proxy-connection", by_default('grpc_set_header Proxy-Connection ""', _MODULE))
    forward(run, sending, covered, True, None, lower=True)
    return sending


def _default(run: Run, name: str) -> Value:
    if name == "Content-Length":
        return header_length(run)
    if name == "TE":
        value = run.header("te")
        return literal("trailers", client_header("TE")) if value is not None and "trailers" in value.lower() else EMPTY
    return EMPTY
