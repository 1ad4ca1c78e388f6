"""mod_cache: whether an answer is kept, and who is answered from what is kept (mod_cache.c, cache_util.c; RFC 9111)."""

from __future__ import annotations

import re

from auditor.http import Response
from auditor.servers.apache.config import Directive
from auditor.servers.apache.run import Run, by_default, decides
from auditor.trace import Because, Cache
from auditor.values import CLIENT, SERVER, Segment, Value

PAGE = "mod/mod_cache.html"
# Statuses that may be kept without a word of the origin about how long (cache_save_filter).
_STATUSES = (200, 203, 206, 300, 301, 304, 404, 405, 410, 414, 501)


def enabled(run: Run) -> Directive | None:
    """The CacheEnable line that takes this request, None where none does or where this request goes round the cache."""
    if not run.config.modules.has("cache") or run.method not in ("GET", "HEAD") or run.main is not None:
        return None
    uri = run.first.uri
    for line in [*run.layers.all("cachedisable"), *run.server.all("cachedisable")]:
        if _covers(line.args[0] if line.args else "/", uri) or line.args[:1] == ("on",):
            return None
    for section in reversed(run.layers.sections):
        for line in section.all("cacheenable"):
            if section.kind != "server" or len(line.args) < 2 or _covers(line.args[1], uri):
                return _asked(run, line)
    return None


def _covers(prefix: str, uri: str) -> bool:
    path = re.sub(r"(?i)^[a-z]*://[^/]*", "", prefix) or "/"
    return uri.startswith(path)


def _asked(run: Run, line: Directive) -> Directive | None:
    """The quick handler, which is the default, leaves requests with credentials alone (cache_quick_handler)."""
    return None if quick(run) and run.headers_in.get("Authorization") is not None else line


def quick(run: Run) -> bool:
    """Whether the cache answers before any section and any gate."""
    return run.server.on("cachequickhandler", True)


def decide(run: Run, line: Directive, answer: Response) -> Cache:
    """What becomes of an answer whose header lines are made, and what the key is made of: the URL, nothing of the
    client's header lines but Host."""
    key = Value((Segment(CLIENT, run.shared.request.url),))
    store, because = _store(run, line, answer)
    zone = line.args[0] if line.args else "disk"
    sources = tuple(dict.fromkeys((CLIENT,)))
    return Cache(zone, key, store, because, "maybe", sources, line.place, quick(run))


def _store(run: Run, line: Directive, answer: Response) -> tuple[str, tuple[Because, ...]]:
    why = decides(line)
    # Behind Header lines and mod_expires: what they say of the answer counts (cache_save_filter).
    lines = [*run.errors_out, *run.headers_out]
    control = ",".join(entry.value.text or "" for entry in lines if entry.name.lower() == "cache-control").lower()
    names = {part.strip().partition("=")[0] for part in control.split(",") if part.strip()}
    if "no-store" in names and not run.layers.on("cachestorenostore"):
        return "no", by_default("CacheStoreNoStore Off", PAGE)
    if "private" in names and not run.layers.on("cachestoreprivate"):
        return "no", by_default("CacheStorePrivate Off", PAGE)
    if answer.status is None:
        return "origin decides", why + by_default("Cache-Control of the answer decides", PAGE)
    headers = {name.lower() for name, _ in answer.headers} | {entry.name.lower() for entry in lines}
    fresh = bool(names & {"max-age", "s-maxage"}) or "expires" in headers
    if answer.status not in _STATUSES and not fresh:
        return "no", by_default(f"status {answer.status} is not kept", PAGE)
    if run.headers_in.get("Authorization") is not None and not names & {"public", "s-maxage", "must-revalidate"}:
        return "no", by_default("answers to Authorization are not kept", PAGE)
    dated = fresh or "last-modified" in headers or "etag" in headers
    if not dated and not run.layers.on("cacheignorenolastmod"):
        return "no", by_default("CacheIgnoreNoLastMod Off", PAGE)
    if run.first.args is not None and not fresh:
        return "no", by_default("a query without Expires or max-age is not kept", PAGE)
    return "yes", why


def tell(run: Run) -> None:
    """CacheHeader: X-Cache, whose value depends on what was asked before."""
    line = run.layers.last("cacheheader")
    if line is not None and line.args[:1] and line.args[0].lower() == "on":
        run.headers_out.add("X-Cache", Value((Segment(SERVER, None),)), decides(line))
