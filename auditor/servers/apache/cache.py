"""mod_cache: whether an answer is kept, and who is answered from what is kept (mod_cache.c, cache_util.c; RFC 9111)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from auditor.http import Response
from auditor.servers.apache.config import Directive
from auditor.servers.apache.run import Run, by_default, decides
from auditor.servers.apache.table import Entry
from auditor.trace import Because, Cache
from auditor.values import CLIENT, SERVER, Segment, Value

PAGE = "mod/mod_cache.html"
# Statuses that are kept without a word about how long, and those that never are; the others are where there is one.
_STATUSES = (200, 203, 300, 301)
_NEVER = (204, 206, 304)


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
    return Cache(zone, key, store, because, "yes", (CLIENT,), line.place, quick(run))


def _store(run: Run, line: Directive, answer: Response) -> tuple[str, tuple[Because, ...]]:
    """What cache_save_filter makes of an answer. Dates are not compared with a clock: an Expires that can be read
    counts as one to come."""
    why = decides(line)
    # Behind Header lines and mod_expires: what they say of the answer counts.
    lines = [*run.errors_out, *run.headers_out]
    said = _said(lines, "cache-control")
    names = {word.partition("=")[0] for word in said}
    told = {name.lower() for name, _ in answer.headers} | {entry.name.lower() for entry in lines}
    for name, switch in (("no-store", "CacheStoreNoStore"), ("private", "CacheStorePrivate")):
        if name in names and not run.layers.on(switch.lower()):
            return "no", by_default(f"{switch} Off", PAGE)
    values = [(name.lower(), value.lower().strip()) for name, value in answer.headers]
    expired = "max-age=0" in said or any(name == "expires" and not value[:1].isalpha() for name, value in values)
    asks_again = "no-cache" in names or ("cache-control" not in told and ("pragma", "no-cache") in values)
    if expired or asks_again or "*" in _said(lines, "vary"):
        return "no", by_default("the answer itself says that it is for once", PAGE)
    if run.method == "HEAD":
        return "no", by_default("answers to HEAD are not kept", PAGE)
    if answer.status is None:
        return "origin decides", why + by_default("Cache-Control of the answer decides", PAGE)
    fresh = bool(names & {"max-age", "s-maxage"}) or "expires" in told
    if answer.status in _NEVER or (answer.status not in _STATUSES and not (fresh or "public" in names)):
        return "no", by_default(f"status {answer.status} is not kept", PAGE)
    if run.headers_in.get("Authorization") is not None and not names & {"public", "s-maxage", "must-revalidate"}:
        return "no", by_default("answers to Authorization are not kept", PAGE)
    dated = fresh or "last-modified" in told or "etag" in told
    if answer.status == 200 and not dated and not run.layers.on("cacheignorenolastmod"):
        return "no", by_default("CacheIgnoreNoLastMod Off", PAGE)
    if run.first.args is not None and not fresh and not run.layers.on("cacheignorequerystring"):
        return "no", by_default("CacheIgnoreQueryString Off", PAGE)
    lasting = [entry for entry in lines if entry.name.lower() in ("cache-control", "expires") and entry.because]
    return "yes", tuple(one for entry in lasting for one in entry.because) + why


def _said(lines: Sequence[Entry], name: str) -> set[str]:
    """The words of a response header, without blanks, in lower case."""
    text = ",".join(entry.value.text or "" for entry in lines if entry.name.lower() == name)
    return {word.replace(" ", "").lower() for word in text.split(",")} - {""}


def tell(run: Run) -> None:
    """CacheHeader: X-Cache, whose value depends on what was asked before."""
    line = run.layers.last("cacheheader")
    if line is not None and line.args[:1] and line.args[0].lower() == "on":
        run.headers_out.add("X-Cache", Value((Segment(SERVER, None),)), decides(line))
