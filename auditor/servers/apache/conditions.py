"""Conditional requests: 304 and 412 in the place of an answer (http_protocol.c: ap_meets_conditions)."""

from __future__ import annotations

from auditor.http import Response
from auditor.servers.apache.run import Run
from auditor.world import Question


def status_of(run: Run, modified: int | None, etag: str | None) -> int:
    """200, or 304 or 412 where the request's conditions say so (RFC 9110, 13.2), for something that was changed then
    (seconds since 1970; None for now) and has that ETag."""
    if run.status != 200:
        return 200
    modified = int(_now()) if modified is None else modified
    match = run.header("if-match")
    if match is not None and match[:1] != "*" and (etag is None or not _lists(match, etag)):
        return 412
    unmodified = _time(run, "if-unmodified-since")
    if unmodified is not None and modified > unmodified:
        return 412
    fresh: bool | None = None
    none_match = run.header("if-none-match")
    if none_match is not None:
        if none_match[:1] == "*" or (etag is not None and _lists(none_match.replace("W/", ""), etag)):
            if run.method not in ("GET", "HEAD"):
                return 412
            fresh = True
        else:
            fresh = False
    if run.header("if-modified-since") is not None:
        since = _time(run, "if-modified-since")
        held = since is not None and modified <= since <= _now()
        if not held:
            fresh = False
        elif fresh is None and run.method in ("GET", "HEAD"):
            fresh = True
    return 304 if fresh else 200


def of_file(run: Run) -> int:
    """The same for the file that the request has come to; its ETag is made of size and time (FileETag)."""
    known = run.shared.path.known(Question("file", run.filename or ""))
    if known is None or not isinstance(known.value, tuple):
        return 200
    modified, size = known.value
    return status_of(run, modified, f'"{size:x}-{modified * 1000000:x}"')


def is_told(response: Response) -> bool:
    """Whether a program has a Status line for its 200: beside Location, since without one that means 302."""
    return any(name.lower() == "location" for name, _ in response.headers)


def of_answer(run: Run, response: Response) -> int:
    """The same for the answer of a program (ap_scan_script_header_err_core)."""
    if is_told(response):  # the program's word counts
        return 200
    said = {name.lower(): value for name, value in response.headers}
    return status_of(run, parse_time(said.get("last-modified")), said.get("etag"))


def _lists(header: str, etag: str) -> bool:
    return etag in (part.strip() for part in header.split(","))


def _time(run: Run, name: str) -> int | None:
    return parse_time(run.header(name))


def parse_time(text: str | None) -> int | None:
    """A date in seconds since 1970; None for no date (RFC 9110, 5.6.7)."""
    if text is None:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError):
        return None


def _now() -> float:
    import time

    return time.time()
