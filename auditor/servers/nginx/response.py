"""The way of the answer: finalizing, error pages, redirects, and the header filters
(src/http/ngx_http_special_response.c, ngx_http_header_filter_module.c, ngx_http_headers_filter_module.c)."""

from __future__ import annotations

from typing import NamedTuple

from auditor.servers.nginx.config import Level
from auditor.servers.nginx.run import OutHeader, Run, Unpredictable, by_default, decides
from auditor.servers.nginx.script import REDIRECTS
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.uri import split_args
from auditor.servers.nginx.variables import evaluate, text_of
from auditor.trace import DECIDES, INHERITED, Because, Shadowed
from auditor.values import EMPTY, SERVER, Segment, Value, literal, unknown

OK = 0
ERROR = -1
DONE = -4
CLOSE = 444

# Statuses for which add_header works without `always` (NGX-403).
SAFE = frozenset((200, 201, 204, 206, 301, 302, 303, 304, 307, 308))

# nginx's own codes, which the client sees as 400.
_SHOWN_AS_400 = frozenset((494, 495, 496, 497))


def finalize(run: Run, status: int) -> None:
    """End the request with what a handler returned (ngx_http_finalize_request)."""
    if status in (OK, DONE):
        return
    if status in (ERROR, CLOSE):
        run.final_status = 0
        run.final_level = run.level
        if run.is_main:
            run.shared.action = "closed"
        return
    if status >= 300 or status in (201, 204):
        special(run, status)
        return
    raise Unpredictable(f"the status {status} is returned without an answer")


def special(run: Run, status: int) -> None:
    """An answer of nginx's own: an error page, if there is one for the status, else the built-in page."""
    from auditor.servers.nginx import phases

    run.err_status = status
    lines = run.level.lines("error_page")
    if not run.error_page and lines and run.uri_changes != 0:
        if not run.level.flag("recursive_error_pages", False):
            run.error_page = True
        page = find_error_page(lines, status)
        if page is not None:
            line, overwrite, target = page
            if overwrite >= 0:
                run.err_status = overwrite
            _send_error_page(run, line, overwrite, target, phases)
            return
    if status in _SHOWN_AS_400:
        run.err_status = 400
    send(run, run.err_status)


def find_error_page(lines: list[Directive], status: int) -> tuple[Directive, int, str] | None:
    """The line for a status, its `=code` (-1: none, 0: a bare `=`), and its target."""
    wanted = str(status)
    for line in lines:
        codes, overwrite = line.args[:-1], -1
        if codes and codes[-1].startswith("="):
            overwrite = int(codes[-1][1:]) if codes[-1][1:].isdigit() else 0
            codes = codes[:-1]
        if wanted in codes:
            if overwrite == -1 and status in _SHOWN_AS_400:
                overwrite = 400
            return line, overwrite, line.args[-1]
    return None


def _send_error_page(run: Run, line: Directive, overwrite: int, target: str, phases) -> None:  # type: ignore[no-untyped-def]
    text = text_of(run, target, "error_page")
    if text.startswith("/"):
        path, args = split_args(text)
        if run.method != "HEAD":
            run.method = "GET"
        run.step(line, f"the error page {text} answers")
        phases.internal_redirect(run, path, args)
    elif text.startswith("@"):
        run.step(line, f"{text} answers")
        phases.named_location(run, text, line)
    else:
        if overwrite not in REDIRECTS:
            run.err_status = 302
        if run.location is not None and run.location in run.out:
            run.out.remove(run.location)
        run.location = OutHeader("Location", evaluate(run, target), decides(line))
        run.out.append(run.location)
        run.step(line, f"redirect {run.err_status}")
        send(run, run.err_status)


def send(run: Run, status: int | None, action: str = "answered") -> None:
    """Send the header: the status and header lines are settled now, by the settings that count at this moment."""
    if run.final_level is not None:
        return
    if run.err_status:
        status = run.err_status
    run.final_level = run.level
    run.final_status = status
    if run.is_main:
        run.shared.action = action
        run.final_headers = _filter(run, status)


# --- header filters


def _filter(run: Run, status: int | None) -> list[OutHeader]:
    _more_headers(run, status)
    _expires(run, status)
    _add_headers(run, status)
    out = list(run.out)
    location = run.location
    if location is not None and location in out:
        text = location.value.text
        if text is not None and text.startswith("/") and run.level.flag("absolute_redirect", True):
            out.remove(location)
            out.insert(0, location._replace(value=Value((Segment(SERVER, _base(run)), *location.value.segments))))
    return out


def _base(run: Run) -> str:
    """Scheme, host and port that a relative Location is completed with."""
    request = run.shared.request
    if run.level.flag("server_name_in_redirect", False):
        host = run.server.server_name
    else:
        host = run.host or run.shared.listener.listen.address
    default = 443 if request.tls else 80
    port = "" if request.port == default or not run.level.flag("port_in_redirect", True) else f":{request.port}"
    return f"{request.scheme}://{host}{port}"


class _Added(NamedTuple):
    line: Directive
    outer: Level | None  # where it stands, if further out


def add_header_lines(run: Run, level: Level) -> tuple[list[Directive], list[Shadowed]]:
    """The add_header lines that count at a level, and those of outer levels that do not (add_header_inherit)."""
    own = level.own.get("add_header")
    if own is None:
        if level.outer is None or (run.newer(1, 29, 3) and _inherit(level) == "off"):
            return [], []
        return add_header_lines(run, level.outer)
    if level.outer is None:
        return own, []
    outer, shadowed = add_header_lines(run, level.outer)
    mode = _inherit(level) if run.newer(1, 29, 3) else "on"
    if mode == "merge":
        return outer + own, shadowed
    by = own[0].place
    shadowed = shadowed + [
        Shadowed("response", line.args[0], evaluate(run, line.args[1]) if len(line.args) > 1 else EMPTY, line.place, by)
        for line in outer
        if line.args
    ]
    return own, shadowed


def _inherit(level: Level) -> str:
    line = level.line("add_header_inherit")
    return line.args[0] if line is not None and line.args else "on"


def _add_headers(run: Run, status: int | None) -> None:
    lines, _ = add_header_lines(run, run.level)
    safe = status is None or status in SAFE
    for line in lines:
        if len(line.args) < 2 or not (safe or "always" in line.args[2:]):
            continue
        value = evaluate(run, line.args[1])
        if value.present == "no":
            continue
        name = line.args[0]
        low = name.lower()
        if low in ("last-modified", "etag"):
            run.out = [header for header in run.out if header.name.lower() != low]
        run.out.append(OutHeader(name, value, placed(run, line)))


def placed(run: Run, line: Directive) -> tuple[Because, ...]:
    """The line, and the block that it is inherited from where that is not the one that answers."""
    home = _block_of(run.level, line)
    if home is None or home is run.level or home.directive is None:
        return decides(line)
    return (Because(DECIDES, line.place), Because(INHERITED, home.directive.place))


def _block_of(level: Level | None, line: Directive) -> Level | None:
    while level is not None:
        if any(line is own for own in level.own.get(line.name, ())):
            return level
        level = level.outer
    return None


def _expires(run: Run, status: int | None) -> None:
    """The expires directive: Expires, and one Cache-Control instead of those that were there."""
    line = run.level.line("expires")
    if line is None or not line.args or not (status is None or status in SAFE):
        return
    word = line.args[-1]
    if "$" in word:
        text = evaluate(run, word).text
        if text is None:
            return
        word = text
    if word in ("off", ""):
        return
    control: Value = unknown(SERVER)
    expires: Value = unknown(SERVER)
    if word == "epoch":
        control, expires = literal("no-cache"), literal("Thu, 01 Jan 1970 00:00:01 GMT")
    elif word == "max":
        control, expires = literal("max-age=315360000"), literal("Thu, 31 Dec 2037 23:55:55 GMT")
    elif not word.startswith("@") and line.args[0] != "modified":
        seconds = _seconds(word)
        if seconds is not None:
            control = literal("no-cache" if seconds < 0 else f"max-age={seconds}")
    run.out = [header for header in run.out if header.name.lower() not in ("cache-control", "expires")]
    run.out.append(OutHeader("Expires", expires, decides(line)))
    run.out.append(OutHeader("Cache-Control", control, decides(line)))


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}


def _seconds(word: str) -> int | None:
    """A time in seconds: `1h30m`, `-1`, `+5d`."""
    sign = -1 if word.startswith("-") else 1
    total, digits = 0, ""
    for char in word.lstrip("+-"):
        if char.isdigit():
            digits += char
        elif char in _UNITS and digits:
            total += int(digits) * _UNITS[char]
            digits = ""
        else:
            return None
    return sign * (total + int(digits or 0))


# --- the headers-more module (https://github.com/openresty/headers-more-nginx-module)


def _more_headers(run: Run, status: int | None) -> None:
    """more_set_headers and more_clear_headers: every level's lines count, the outer ones first."""
    for line in more_lines(run.level, ("more_set_headers", "more_clear_headers")):
        words, statuses = _options(line.args)
        if statuses and (status is None or str(status) not in statuses):
            continue
        for word in words:
            name, colon, text = word.partition(":")
            name = name.strip()
            low = name.lower()
            if line.name == "more_clear_headers":
                colon, text = ":", ""
            kept = [h for h in run.out if not _named(h.name, low)]
            cleared = len(kept) != len(run.out)
            run.out = kept
            value = evaluate(run, text.strip()) if colon else EMPTY
            if value.present != "no":
                run.out.append(OutHeader(name, value, decides(line)))
            elif cleared:
                run.step(line, f"{name} is removed from the answer")


def _named(name: str, pattern: str) -> bool:
    return name.lower().startswith(pattern[:-1]) if pattern.endswith("*") else name.lower() == pattern


def more_lines(level: Level, names: tuple[str, ...]) -> list[Directive]:
    """The lines of headers-more that count at a level: a level's lines are added to the outer ones."""
    outer = more_lines(level.outer, names) if level.outer is not None else []
    own = [line for line in level.block if line.name in names]
    return outer + own


def _options(args: list[str]) -> tuple[list[str], set[str]]:
    """The header words and the statuses of -s; -t narrows by type and is taken to hold."""
    words: list[str] = []
    statuses: set[str] = set()
    at = 0
    while at < len(args):
        if args[at] in ("-s", "-t") and at + 1 < len(args):
            if args[at] == "-s":
                statuses.update(args[at + 1].split())
            at += 2
            continue
        if not args[at].startswith("-"):
            words.append(args[at])
        at += 1
    return words, statuses


def challenge(run: Run, value: Value, line: Directive | None) -> None:
    """A WWW-Authenticate line of nginx's own, beside those that are there already."""
    because = decides(line) if line is not None else by_default("auth_basic", "ngx_http_auth_basic_module")
    header = OutHeader("WWW-Authenticate", value, because)
    run.out.append(header)
    run.challenges.append(header)
