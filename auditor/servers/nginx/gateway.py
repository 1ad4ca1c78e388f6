"""fastcgi_pass, uwsgi_pass and scgi_pass: parameters instead of header lines."""

from __future__ import annotations

from auditor.servers.nginx.proxy import (
    Url,
    announced_length,
    check_captures,
    group_servers,
    header_lines,
    parse_url,
    shadowed_lines,
    unreachable,
)
from auditor.servers.nginx.response import placed
from auditor.servers.nginx.run import Run, by_default, decides
from auditor.servers.nginx.sending import Sending, body_of, fate_of
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.variables import evaluate, variable
from auditor.trace import ADDED, CHANGED, FORWARDED, SUPPRESSES, Because, LostHeader, SentHeader
from auditor.values import CONFIG, EMPTY, SERVER, Segment, Value, client_header, literal

_CONDITIONAL = (
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MATCH",
    "HTTP_RANGE",
    "HTTP_IF_RANGE",
)


def build(run: Run, line: Directive, family: str, cached: bool) -> Sending | int:
    """The request as the application receives it."""
    level = run.level
    text = evaluate(run, line.args[0]).text
    address = text if text is not None else line.args[0]
    address = address.removeprefix(f"{family}://").removeprefix("suwsgi://").removeprefix("uwsgi://")
    if "$" in line.args[0] and text is not None:
        refused = unreachable(run, line, parse_url(f"http://{address}"))
        if refused is not None:
            return refused
    sending = Sending(line, f"{family}://{address}", _servers(run, address), family)
    sending.method = run.method
    sending.uri = run.unparsed if run.valid_unparsed else run.uri + (f"?{run.args}" if run.args else "")
    sending.body = body_of(run, level.flag(f"{family}_pass_request_body", True))
    if family == "scgi":
        length = announced_length(run)
        counts = length.segments and (run.role != "auth" or run.newer(1, 29))
        value = length if counts else literal("0", SERVER)
        sending.add("CONTENT_LENGTH", value, ADDED, by_default("scgi_param CONTENT_LENGTH", "ngx_http_scgi_module"))
    lines, outer = header_lines(level, f"{family}_param")
    sending.shadowed = shadowed_lines(run, lines, outer)
    covered: dict[str, tuple[Because, ...]] = {}
    captures = run.captures
    for each in lines:
        if len(each.args) >= 2:
            _param(run, sending, each, covered)
    check_captures(run, captures, lines)
    if run.newer(1, 29) and "HTTP_HOST" not in covered:
        _default_host(run, sending, covered, family)
    if cached:
        for name in _CONDITIONAL:
            covered.setdefault(name, by_default(f"{family}_cache", f"ngx_http_{family}_module"))
    _forward(run, sending, covered, level.flag(f"{family}_pass_request_headers", True), family)
    return sending


def _servers(run: Run, address: str) -> tuple[str, ...]:
    if address.startswith("unix:"):
        return (address,)
    host, _, port = address.rpartition(":") if ":" in address else (address, "", "")
    return group_servers(run.shared.http, Url("http", host, port or "80", address, "", bool(port)))


def _param(run: Run, sending: Sending, line: Directive, covered: dict[str, tuple[Because, ...]]) -> None:
    name = line.args[0]
    because = placed(run, line)
    http = name.startswith("HTTP_") and len(name) > 5
    if http:
        covered.setdefault(name.upper(), because)
        if line.args[1] == "":
            return  # a constant empty HTTP_ parameter is not sent at all (NGX-102)
    value = evaluate(run, line.args[1])
    present = value.present
    if "if_not_empty" in line.args[2:]:
        if present == "no":
            return
    else:
        present = "yes"
    fate = fate_of(run, _client_name(run, name), value) if http else ADDED
    sending.headers.append(SentHeader(name, value, present, fate, because))


def _client_name(run: Run, parameter: str) -> str:
    """The client's header that would become this parameter."""
    for name, _ in run.headers:
        if _parameter(name) == parameter.upper():
            return name
    return parameter[5:].replace("_", "-")


def _parameter(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")


def _default_host(run: Run, sending: Sending, covered: dict[str, tuple[Because, ...]], family: str) -> None:
    """Newer versions send HTTP_HOST of their own: the host that they understood, with the port as sent."""
    host = variable(run, "host")
    port = variable(run, "request_port")
    value = Value((*host.segments, *((Segment(CONFIG, ":"), *port.segments) if port.segments else ())))
    because = by_default(f"{family}_param HTTP_HOST $host$is_request_port$request_port", f"ngx_http_{family}_module")
    covered["HTTP_HOST"] = because
    sending.add("HTTP_HOST", value, fate_of(run, "Host", value), because)


def _forward(run: Run, sending: Sending, covered: dict[str, tuple[Because, ...]], passes: bool, family: str) -> None:
    """HTTP_* of the client's lines; since 1.23.0 lines of one name are joined, before each is sent."""
    line = run.level.line(f"{family}_pass_request_headers")
    why = by_default(f"{family}_pass_request_headers on", f"ngx_http_{family}_module")
    sent = {header.name for header in sending.headers}
    lost: dict[str, LostHeader] = {}
    joined: set[str] = set()
    for name, text in run.headers:
        parameter = _parameter(name)
        low = name.lower()
        if parameter in covered:
            if parameter not in sent:
                because = tuple(b._replace(role=SUPPRESSES) if b.place is not None else b for b in covered[parameter])
                lost.setdefault(low, LostHeader(name, because))
            continue
        if not passes:
            lost.setdefault(low, LostHeader(name, decides(line) if line is not None else ()))
            continue
        if run.newer(1, 23):
            if low in joined:
                continue
            joined.add(low)
            same = [value for key, value in run.headers if key.lower() == low]
            separator = "; " if low == "cookie" else ", "
            source = client_header(name)
            text = separator.join(same)
            fate = FORWARDED if len(same) == 1 else CHANGED
            value = Value((Segment(source, text),)) if text else EMPTY
            sending.headers.append(SentHeader(parameter, value, "yes", fate, why))
        else:
            value = Value((Segment(client_header(name), text),)) if text else EMPTY
            sending.headers.append(SentHeader(parameter, value, "yes", FORWARDED, why))
    sending.lost = [*lost.values(), *run.shared.lost]


def build_memcached(run: Run, line: Directive) -> Sending | int:
    """memcached_pass: a key is asked for, no header goes along."""
    sending = Sending(line, f"memcached://{line.args[0]}", (line.args[0],), "memcached")
    sending.method = run.method
    sending.lost = [LostHeader(name, decides(line)) for name, _ in run.headers]
    return sending
