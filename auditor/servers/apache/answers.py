"""What upstreams and programs answer, as it becomes the server's own answer (mod_proxy_http.c, util_script.c)."""

from __future__ import annotations

import re

from auditor.http import Response, is_watched
from auditor.servers.apache.config import Directive
from auditor.servers.apache.run import Run, by_default, decides
from auditor.servers.apache.table import Table
from auditor.servers.apache.urls import authority
from auditor.servers.apache.workers import PAGE, balancer, parse_url
from auditor.trace import Because, LostHeader
from auditor.values import Segment, Value, answer_header
from auditor.world import Answer

_HIDDEN = {"date", "server", "proxy-authenticate", "connection", "keep-alive", "te", "trailer", "upgrade"}


def overrides(line: Directive, status: int) -> bool:
    if line.args[0].lower() != "on":
        return False
    codes = [int(word) for word in line.args[1:] if word.isdigit()]
    return status in codes if codes else status >= 400


def possible(run: Run, upstream: str) -> list[Answer]:
    """What the upstream may answer; a status is made up only where something here depends on it."""
    answers = [Answer("answers", f"{upstream} answers", Response())]
    override = run.layers.last("proxyerroroverride")
    if override is not None and override.args and override.args[0].lower() == "on":
        codes = {
            int(line.args[0]) for line in run.layers.all("errordocument") if line.args[:1] and line.args[0].isdigit()
        }
        for code in sorted(codes):
            if overrides(override, code):
                answers.append(Answer(str(code), f"{upstream} answers {code}", Response(code)))
    return answers


_SCRIPTS = ("cgi", "fastcgi", "scgi")


def take_headers(run: Run, response: Response, kind: str) -> None:
    """The upstream's header lines, but for those that belong to one hop (ap_proxy_clear_connection). What scripts say
    stands among the lines for errors, which `Header` without `always` does not see, and repeated names are joined
    (ap_scan_script_header_err_core)."""
    passed_on = kind in ("http", "uwsgi")
    merged = Table()
    listed = {
        token.strip().lower()
        for name, value in response.headers
        if name.lower() == "connection"
        for token in value.split(",")
    }
    for name, value in response.headers:
        low = name.lower()
        if low == "expires":
            run.notes["expires told"] = True
        if not is_watched(name) and low not in _named(run):
            continue
        if passed_on and (low in _HIDDEN or low in listed):
            run.shared.hidden.append(LostHeader(name, by_default(f"{name} is removed by mod_proxy", PAGE)))
            continue
        source = Value((Segment(answer_header("main", name), value),))
        because: tuple[Because, ...] = ()
        if kind == "http" and low == "location":
            source, because = _reverse(run, source)
        elif kind == "http" and low == "set-cookie":
            source, because = _cookie(run, source)
        if kind in _SCRIPTS and low == "location":
            run.headers_out.set(name, source, because)
        elif kind in _SCRIPTS and low != "set-cookie":
            merged.merge(name, source, because)
        else:
            (merged if kind in _SCRIPTS else run.headers_out).add(name, source, because)
    for entry in merged:
        (run.errors_out.add if entry.name.lower() == "set-cookie" else run.errors_out.merge)(*entry)


def _named(run: Run) -> frozenset[str]:
    """The response headers, in lower case, that lines of the configuration name."""
    names: frozenset[str] = run.layers.memo(
        "named headers",
        lambda layers: frozenset(
            word.lower() for line in layers.all("header") for word in line.args[:3] if re.fullmatch(r"[\w-]+", word)
        ),
    )
    return names


def _reverse(run: Run, value: Value) -> tuple[Value, tuple[Because, ...]]:
    """ProxyPassReverse: the upstream's own URL in Location gives way to this server's."""
    text = value.text or ""
    lines: list[tuple[str, str, Directive]] = []
    for section in run.layers.sections:
        for line in section.all("proxypassreverse"):
            if section.kind == "location" and len(line.args) == 1:
                lines.append((section.pattern, line.args[0], line))
            elif len(line.args) > 1:
                lines.append((line.args[0], line.args[1], line))
    for fake, real, line in lines:
        reals = [real]
        if real.startswith("balancer://"):
            url = parse_url(real)
            if url is not None:
                reals = [member.rstrip("/") + url.path for member in balancer(run.config, url.host)] + [real]
        for one in reals:
            if text.startswith(one):
                rest = text[len(one) :]
                if one.startswith("/") and not one.endswith("/") and rest[:1] not in ("", "/"):
                    continue
                made = Value((*authority(run).segments, Segment("config", fake), *_tail(value, rest)))
                return made, decides(line)
    return value, ()


def _tail(value: Value, rest: str) -> tuple[Segment, ...]:
    return (Segment(value.segments[0].source, rest),) if rest else ()


def _cookie(run: Run, value: Value) -> tuple[Value, tuple[Because, ...]]:
    """ProxyPassReverseCookiePath and its like: the last attribute of the name counts, and all of its value gives way
    where it begins with the line's (ap_proxy_cookie_reverse_map). Domains ignore case."""
    text = value.text or ""
    because: tuple[Because, ...] = ()
    for key, attribute in (("proxypassreversecookiepath", "path"), ("proxypassreversecookiedomain", "domain")):
        found = list(re.finditer(rf"(?i)(?:^|;)\s*{attribute}=([^;]*)", text))
        for line in run.layers.all(key) if found else ():
            if len(line.args) < 2:
                continue
            (start, end), (inner, outer) = found[-1].span(1), line.args[:2]
            given = text[start : start + len(inner)]
            if given == inner or (attribute == "domain" and given.lower() == inner.lower()):
                text, because = text[:start] + outer + text[end:], decides(line)
                break
    return (value if not because else Value((Segment(value.segments[0].source, text),))), because
