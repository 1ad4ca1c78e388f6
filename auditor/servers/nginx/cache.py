"""Whether an answer is stored, under which key (src/http/ngx_http_upstream.c, ngx_http_file_cache.c).

A trace asks an empty cache: the upstream is always asked.
"""

from __future__ import annotations

from typing import NamedTuple

from auditor.http import Response
from auditor.servers.nginx.conditions import Entity, parse_time
from auditor.servers.nginx.config import Level
from auditor.servers.nginx.run import Run, decides
from auditor.servers.nginx.sources import sources_of
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.variables import evaluate
from auditor.trace import Cache
from auditor.values import Value, join, literal, unknown

_PAST = 1640995200  # the beginning of 2022: no clock that asks is behind it
_PLAIN_VALID = {"200", "301", "302"}


class Plan(NamedTuple):
    """The cache that a request uses."""

    line: Directive
    zone: str
    at_once: bool = True  # proxy_cache_min_uses: the first answer is stored already


def plan(run: Run, family: str) -> Plan | None:
    """The cache for this request; None where it is not cacheable (off, or a method that is not cached)."""
    if family in ("grpc", "memcached"):
        return None
    line = run.level.line(f"{family}_cache")
    if line is None or not line.args:
        return None
    zone = evaluate(run, line.args[0]).text
    if zone in (None, "", "off"):
        return None
    methods = run.level.line(f"{family}_cache_methods")
    allowed = {"GET", "HEAD"} | ({word.upper() for word in methods.args} if methods is not None else set())
    uses = run.level.line(f"{family}_cache_min_uses")
    at_once = uses is None or uses.args[:1] in (["0"], ["1"]) or _said(run, f"{family}_cache_bypass")
    return Plan(line, zone or "", at_once) if run.method in allowed else None


def decide(run: Run, family: str, store: Plan, answer: Response) -> Cache:
    """What becomes of the answer."""
    verdict, line = _verdict(run, family, answer) if store.at_once else ("no", None)
    key = _key(run, family)
    if verdict == "yes" and key.text:
        run.shared.kept[store.zone, key.text] = answer
    because = decides(line or store.line)
    return Cache(store.zone, key, verdict, because, _answers(run, family), _depends(run, family), store.line.place)


def _answers(run: Run, family: str) -> str:
    """Whether the request is looked up at all (proxy_cache_bypass)."""
    texts = [evaluate(run, word).text for line in run.level.lines(f"{family}_cache_bypass") for word in line.args]
    if any(text not in (None, "", "0") for text in texts):
        return "no"
    return "maybe" if None in texts else "yes"


def _depends(run: Run, family: str) -> tuple[str, ...]:
    return run.level.memo((family, "cache depends"), lambda level: _sources(run, level, family))  # type: ignore[return-value]


def _sources(run: Run, level: object, family: str) -> tuple[str, ...]:
    assert isinstance(level, Level)
    names = (f"{family}_cache_key", f"{family}_cache_bypass", f"{family}_no_cache")
    return sources_of(run.shared.http, [word for name in names for line in level.lines(name) for word in line.args])


def kept(run: Run, family: str, store: Plan) -> Response | None:
    """The answer that this request itself, on an earlier part of its way, has left in the cache."""
    if not run.shared.kept or _said(run, f"{family}_cache_bypass"):
        return None
    return run.shared.kept.get((store.zone, _key(run, family).text or ""))


def _said(run: Run, name: str) -> bool:
    """Whether one of the words of a directive such as proxy_cache_bypass is neither empty nor 0."""
    return any(evaluate(run, word).text not in ("", "0") for line in run.level.lines(name) for word in line.args)


def entity_of(run: Run, family: str, answer: Response) -> Entity | None:
    """What the request's conditions are compared with: an answer that may be stored is one that nginx answers for."""
    ignored = {word.lower() for line in run.level.lines(f"{family}_ignore_headers") for word in line.args}
    headers = {name.lower(): value for name, value in answer.headers}
    if _forbidden(headers, ignored) or _freshness(headers, ignored) == "no":
        return None
    modified = headers.get("last-modified")
    return Entity(parse_time(modified) if modified is not None else None, headers.get("etag"))


def _forbidden(headers: dict[str, str], ignored: set[str]) -> bool:
    if "x-accel-redirect" in headers and "x-accel-redirect" not in ignored:
        return True  # another location answers instead
    if "set-cookie" in headers and "set-cookie" not in ignored:
        return True
    return headers.get("vary", "").strip() == "*" and "vary" not in ignored


def _key(run: Run, family: str) -> Value:
    line = run.level.line(f"{family}_cache_key")
    if line is not None and line.args:
        return evaluate(run, line.args[0])
    if f"{family}_cache_path" not in run.shared.http.own:
        return unknown()  # part of a configuration: where the zone is defined there may be a key, too
    if family == "proxy" and run.proxy_host is not None:
        return join((literal(f"http://{run.proxy_host[0]}"), evaluate(run, "$uri$is_args$args")))
    return Value()


def _verdict(run: Run, family: str, answer: Response) -> tuple[str, Directive | None]:
    for line in run.level.lines(f"{family}_no_cache"):
        for word in line.args:
            text = evaluate(run, word).text
            if text is None:
                return "origin decides", line
            if text not in ("", "0"):
                return "no", line
    ignored = {word.lower() for line in run.level.lines(f"{family}_ignore_headers") for word in line.args}
    if answer.status is None:
        return "origin decides", None
    headers = {name.lower(): value for name, value in answer.headers}
    if _forbidden(headers, ignored):
        return "no", None
    fresh = _freshness(headers, ignored)
    if fresh is not None:
        return fresh, None
    for line in run.level.lines(f"{family}_cache_valid"):
        *codes, _ = line.args
        wanted = set(codes) or _PLAIN_VALID
        if "any" in wanted or str(answer.status) in wanted:
            return ("no" if line.args[-1] in ("0", "0s") else "yes"), line
    return "no", None


def _freshness(headers: dict[str, str], ignored: set[str]) -> str | None:
    """What the origin's own headers say: "yes", "no", or None where they say nothing."""
    accel = headers.get("x-accel-expires")
    if accel is not None and "x-accel-expires" not in ignored:
        return "no" if accel.strip() in ("0", "off") else "yes"
    control = headers.get("cache-control")
    if control is not None and "cache-control" not in ignored:
        low = control.lower()
        if any(word in low for word in ("no-cache", "no-store", "private")):
            return "no"
        for word in ("s-maxage=", "max-age="):
            if word in low:
                digits = low.partition(word)[2].split(",")[0].strip()
                return "no" if digits in ("0", "") else "yes"
    expires = headers.get("expires")
    if expires is not None and "expires" not in ignored:
        when = parse_time(expires)
        return "no" if when is None or when < _PAST else "origin decides"
    return None
