"""Conditional and range requests: 304, 412, 206 and 416 in the place of a 200
(src/http/modules/ngx_http_not_modified_filter_module.c, ngx_http_range_filter_module.c)."""

from __future__ import annotations

from typing import NamedTuple

from auditor.servers.nginx.run import Run


class Entity(NamedTuple):
    """What a 200 of nginx's own tells of itself: the time of its last change (seconds), its ETag, its size in bytes."""

    modified: int | None = None
    etag: str | None = None
    size: int | None = None


def of_file(value: object) -> Entity:
    """The entity of a file, from what the world says of it: (mtime in seconds, size in bytes)."""
    if isinstance(value, tuple) and len(value) == 2:
        modified, size = value
        return Entity(modified, f'"{modified:x}-{size:x}"', size)
    return Entity()


def status_of(run: Run, entity: Entity) -> int:
    """200, or 304 or 412 where the request's conditions say so (RFC 9110, 13.2)."""
    unmodified = run.header("if-unmodified-since")
    if unmodified is not None and not _unmodified(entity, unmodified):
        return 412
    match = run.header("if-match")
    if match is not None and not _matches(entity, match, weak=False):
        return 412
    since, none_match = run.header("if-modified-since"), run.header("if-none-match")
    if since is None and none_match is None:
        return 200
    if since is not None and _modified(run, entity, since):
        return 200
    if none_match is not None and not _matches(entity, none_match, weak=True):
        return 200
    return 304


def _mode(run: Run) -> str:
    line = run.level.line("if_modified_since")
    return line.args[0] if line is not None and line.args else "exact"


def _unmodified(entity: Entity, text: str) -> bool:
    if entity.modified is None:
        return False
    when = parse_time(text)
    return when is not None and when >= entity.modified


def _modified(run: Run, entity: Entity, text: str) -> bool:
    if entity.modified is None or _mode(run) == "off":
        return True
    when = parse_time(text)
    if when == entity.modified:
        return False
    return _mode(run) == "exact" or when is None or when < entity.modified


def _matches(entity: Entity, header: str, weak: bool) -> bool:
    if header == "*":
        return True
    if entity.etag is None:
        return False
    etag = entity.etag
    for part in header.split(","):
        candidate = part.strip(" ")
        if weak:
            candidate = candidate.removeprefix("W/")
        if candidate == etag:
            return True
    return False


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_time(text: str) -> int | None:
    """An HTTP date in seconds since 1970 (RFC 9110, 5.6.7); None where it is none."""
    import calendar

    words = text.replace("-", " ").replace(",", " ").split()
    try:
        if len(words) >= 5 and words[1].isdigit():
            day, month, year, clock = int(words[1]), words[2], int(words[3]), words[4]
            if year < 70:
                year += 2000
            elif year < 100:
                year += 1900
        else:
            month, day, clock, year = words[1], int(words[2]), words[3], int(words[4])
        hour, minute, second = (int(part) for part in clock.split(":"))
        return calendar.timegm((year, _MONTHS.index(month) + 1, day, hour, minute, second))
    except (ValueError, IndexError):
        return None


def range_of(run: Run, entity: Entity) -> int:
    """200, 206 or 416 for a GET of something whose size is known (RFC 9110, 14.2)."""
    header = run.header("range")
    most = run.level.line("max_ranges")
    if most is not None and most.args[:1] == ["0"]:
        return 200
    if header is None or entity.size is None or run.shared.request.http_version == "0.9":
        return 200
    condition = run.header("if-range")
    if condition is not None:
        if condition.endswith('"'):
            if condition != entity.etag:
                return 200
        elif parse_time(condition) != entity.modified:
            return 200
    if header[:6].lower() != "bytes=" or len(header) < 7:
        return 200
    left = int(most.args[0]) if most is not None and most.args and most.args[0].isdigit() else 1 << 30
    satisfiable = False
    total = 0
    for part in header[6:].split(","):
        first, dash, last = part.strip(" ").partition("-")
        first, last = first.strip(" "), last.strip(" ")
        if not dash or not (first or last) or (first and not first.isdigit()) or (last and not last.isdigit()):
            return 416
        if first:
            start, end = int(first), min(int(last) + 1 if last else entity.size, entity.size)
        else:
            start, end = max(entity.size - int(last), 0), entity.size
        if start < end:
            satisfiable = True
            total += end - start
            left -= 1
            if left < 0:
                return 200
    if total > entity.size:
        return 200
    return 206 if satisfiable else 416
