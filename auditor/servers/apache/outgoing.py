"""The HTTP request that goes out to an upstream (mod_proxy_http.c; proxy_util.c: ap_proxy_create_hdrbrgd)."""

from __future__ import annotations

import re

from auditor.servers.apache.run import Run, by_default, decides
from auditor.servers.apache.table import Entry, Table
from auditor.servers.apache.workers import PAGE, Target, canonical, keeps_slashes, parse_url
from auditor.trace import ADDED, CHANGED, FORWARDED, REPLACED, SUPPRESSES, Because, LostHeader, SentHeader
from auditor.values import ADDRESS, CONFIG, SERVER, Segment, Value, client_header, literal, unknown

_HOP = ("Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade")


def headers_of(run: Run, target: Target) -> tuple[list[SentHeader], list[LostHeader], str]:
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
