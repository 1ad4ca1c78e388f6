"""The way of the answer: finalizing, error pages, redirects, and the header filters
(src/http/ngx_http_special_response.c, ngx_http_header_filter_module.c, ngx_http_headers_filter_module.c)."""

from __future__ import annotations

from auditor.servers.nginx import gzip
from auditor.servers.nginx.conditions import Entity, status_of
from auditor.servers.nginx.config import Level
from auditor.servers.nginx.headers_more import change_output_headers
from auditor.servers.nginx.run import Closed, OutHeader, Run, Unpredictable, by_default, decides
from auditor.servers.nginx.script import REDIRECTS
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.uri import split_args
from auditor.servers.nginx.variables import evaluate, server_address, text_of
from auditor.trace import DECIDES, INHERITED, Because, LostHeader, Replaced, Shadowed
from auditor.values import EMPTY, SERVER, Segment, Value, client_header, literal, unknown

OK = 0
ERROR = -1
DONE = -4

# A handler's 408, 444 and 499 close the connection without an answer, as does an error.
_CLOSES = frozenset((ERROR, 408, 444, 499))

# Statuses for which add_header works without `always` (NGX-403).
SAFE = frozenset((200, 201, 204, 206, 301, 302, 303, 304, 307, 308))

# nginx's own codes, which the client sees as 400.
_SHOWN_AS_400 = frozenset((494, 495, 496, 497))


def finalize(run: Run, status: int) -> None:
    """End the request with what a handler returned (ngx_http_finalize_request)."""
    if status in (OK, DONE):
        return
    if status in _CLOSES:
        raise Closed  # also for a subrequest: the main request goes down with it
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
            run.shared.replaced.append(Replaced(status, line.place, run.role))
            if overwrite >= 0:
                run.err_status = overwrite
            _send_error_page(run, line, overwrite, target, phases)
            return
    if status in _SHOWN_AS_400:
        run.err_status = 400
    if run.body.chunked and not run.body.read:
        run.body = run.body._replace(length=0)  # it is thrown away
    send(run, run.err_status, body=gzip.BUILT_IN)


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


def send(
    run: Run,
    status: int | None,
    action: str = "answered",
    entity: Entity | None = None,
    body: gzip.Body | None = None,
) -> None:
    """Send the header: the status and header lines are settled now, by the settings that count at this moment.

    `entity` is there for an answer that conditions of the request apply to, `body` where its type and length are known.
    """
    if run.final_level is not None:
        return
    if run.err_status:
        status = run.err_status
    if status == 200 and entity is not None and run.is_main:
        status = status_of(run, entity)
        if status == 412:
            run.out, run.location, run.challenges = [], None, []
            special(run, 412)
            return
    run.final_level = run.level
    run.final_status = status
    if run.is_main:
        run.shared.action = action
        run.final_headers = _filter(run, status, body)
        vary = gzip.vary(run, status, body)
        if vary is not None:
            run.final_headers.insert(0, vary)


# --- header filters


def _filter(run: Run, status: int | None, body: gzip.Body | None) -> list[OutHeader]:
    change_output_headers(run, status, body.type if body is not None else _answered_type(run))
    _user_id(run)
    _expires(run, status)
    _add_headers(run, status)
    out = list(run.out)
    location = run.location
    if location is not None and location in out:
        text = location.value.text
        if text is not None and text.startswith("/") and run.level.flag("absolute_redirect", True):
            out.remove(location)
            out.insert(0, location._replace(value=Value((*_base(run), *location.value.segments))))
    return out


def _answered_type(run: Run) -> str | None:
    """The media type of an upstream's answer, without its parameters; None where it is not known."""
    answer = run.answer
    if answer is None or answer.headers is None or run.shared.action != "proxied":
        return None
    text = next((value for name, value in answer.headers if name.lower() == "content-type"), "")
    return text.partition(";")[0].strip()


def _user_id(run: Run) -> None:
    """userid: a cookie for clients that have none yet; its value counts up."""
    line = run.level.line("userid")
    if line is not None and line.args[:1] in (["on"], ["v1"]):
        run.out.append(OutHeader("Set-Cookie", unknown(SERVER), decides(line)))


def _base(run: Run) -> tuple[Segment, ...]:
    """Scheme, host and port that a relative Location is completed with."""
    request = run.shared.request
    if run.level.flag("server_name_in_redirect", False):
        host = literal(run.server.server_name, SERVER)
    else:
        host = literal(run.host, client_header("Host")) if run.host else server_address(run)
    default = 443 if request.tls else 80
    port = "" if request.port == default or not run.level.flag("port_in_redirect", True) else f":{request.port}"
    return (Segment(SERVER, f"{request.scheme}://"), *host.segments, *((Segment(SERVER, port),) if port else ()))


def add_header_lines(run: Run, level: Level) -> tuple[list[Directive], list[tuple[Directive, Directive]]]:
    """The add_header lines that count at a level, and the pairs of an outer line that does not and the line because of
    which it does not (add_header_inherit, since 1.29.3)."""
    merges = run.newer(1, 29, 3)
    return level.memo(("add_header", merges), lambda here: _add_header_lines(here, merges))  # type: ignore[return-value]


def _add_header_lines(level: Level, merges: bool) -> tuple[list[Directive], list[tuple[Directive, Directive]]]:
    own = level.own.get("add_header")
    mode = _inherit(level) if merges else "on"
    if level.outer is None:
        return own or [], []
    if own is None:
        return ([], []) if mode == "off" else _add_header_lines(level.outer, merges)
    outer, shadowed = _add_header_lines(level.outer, merges)
    if mode == "merge":
        return own + outer, shadowed
    return own, shadowed + [(line, own[0]) for line in outer if line.args]


def shadowed_headers(run: Run, level: Level) -> tuple[Shadowed, ...]:
    """The add_header lines further out that do not count at a level, with what they would have set."""
    return tuple(
        Shadowed(
            "response", line.args[0], evaluate(run, line.args[1]) if len(line.args) > 1 else EMPTY, line.place, by.place
        )
        for line, by in add_header_lines(run, level)[1]
    )


def _inherit(level: Level) -> str:
    line = level.line("add_header_inherit")
    return line.args[0] if line is not None and line.args else "on"


def _add_headers(run: Run, status: int | None) -> None:
    lines, _ = add_header_lines(run, run.level)
    safe = status is None or status in SAFE
    for line in lines:
        if len(line.args) < 2:
            continue
        if not safe and "always" not in line.args[2:]:
            run.shared.withheld.append(LostHeader(line.args[0], placed(run, line)))
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
    return run.level.memo(("placed", id(line)), lambda level: _placed(level, line))  # type: ignore[return-value]


def _placed(level: Level, line: Directive) -> tuple[Because, ...]:
    home = _block_of(level, line)
    if home is None or home is level or home.directive is None:
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


def challenge(run: Run, value: Value, line: Directive | None) -> None:
    """A WWW-Authenticate line of nginx's own, beside those that are there already."""
    because = decides(line) if line is not None else by_default("auth_basic", "ngx_http_auth_basic_module")
    header = OutHeader("WWW-Authenticate", value, because)
    run.out.append(header)
    run.challenges.append(header)
