"""Handing a request to an upstream, and what its answer becomes (src/http/ngx_http_upstream.c)."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.http import Response, is_watched
from auditor.servers.nginx import cache, content, gzip, proxy, proxy_redirect, response
from auditor.servers.nginx.conditions import Entity
from auditor.servers.nginx.config import Http, Level
from auditor.servers.nginx.run import Answered, OutHeader, Run, Unpredictable, decides
from auditor.servers.nginx.sending import Sending
from auditor.servers.nginx.syntax import Directive
from auditor.trace import Exchange, LostHeader
from auditor.values import Segment, Value, answer_header
from auditor.world import Answer, Question

_HIDDEN = {"date", "server", "x-pad", "status"}


def added_names(http: Http) -> frozenset[str]:
    """The names, in lower case, of all response headers that a line of the configuration adds."""
    return http.memo("added names", _added_names)  # type: ignore[return-value]


def _added_names(http: object) -> frozenset[str]:
    names: set[str] = set()
    for top in http.block:  # type: ignore[attr-defined]
        for line in top.walk():
            if line.name == "add_header" and line.args:
                names.add(line.args[0].lower())
            elif line.name == "more_set_headers":
                names.update(word.partition(":")[0].strip().lower() for word in line.args)
    return frozenset(names)


def pass_on(run: Run, directive: str) -> int:
    """Send the request on and take the answer; the status to finalize with (0: the answer is sent)."""
    line = _pass_line(run, directive)
    if line is None:
        return 500
    family = directive.removesuffix("_pass")
    if run.is_main:
        from auditor.servers.nginx.phases import may_be_too_large

        if not run.body.read and may_be_too_large(run):
            return 413
        run.body = run.body._replace(read=True)
    store = cache.plan(run, family)
    if family == "proxy":
        sending: Sending | int = proxy.build(run, line, store)
    elif family == "grpc":
        from auditor.servers.nginx import grpc

        sending = grpc.build(run, line)
    elif family == "memcached":
        from auditor.servers.nginx import gateway

        sending = gateway.build_memcached(run, line)
    else:
        from auditor.servers.nginx import gateway

        sending = gateway.build(run, line, family, store is not None and store.at_once)
    if isinstance(sending, int):
        return sending
    kept = cache.kept(run, family, store) if store is not None else None
    if kept is not None:
        run.step(line, "the cache answers: it was filled by this very request")
        return _take(run, line, family, kept, cache.entity_of(run, family, kept))
    role = run.role if run.role != "main" else ("fallback" if run.shared.fallback else "main")
    answer = _ask(run, sending, family, role)
    at = len(run.shared.exchanges)
    run.shared.exchanges.append(
        Exchange(
            role,
            sending.upstream,
            sending.servers,
            sending.protocol,
            sending.method,
            sending.uri,
            sending.body,
            tuple(sending.headers),
            tuple(sending.lost),
            line.place,
            sending.tls,
            answer.status if answer is not None else None,
            tuple(sending.shadowed),
        )
    )
    run.step(line, f"sent to {sending.upstream}")
    if run.is_main:
        content.send_mirrors(run)
        run.shared.fallback = True
    if answer is None:
        run.step(line, "the upstream cannot be reached: 502")
        return 502
    if store is not None:
        decided = cache.decide(run, family, store, answer)
        run.shared.exchanges[at] = run.shared.exchanges[at]._replace(cache=decided)
        if run.is_main:
            run.shared.cache = decided
    entity = cache.entity_of(run, family, answer) if store is not None and store.at_once else None
    return _take(run, line, family, answer, entity)


def _pass_line(run: Run, directive: str) -> Directive | None:
    """The line that counts where the request is now; an if or limit_except block without one shares the location's."""
    level: Level | None = run.level
    while level is not None and directive not in level.own:
        level = level.outer if level.noname else None
    return level.own[directive][-1] if level is not None else None


# --- the answer


def _ask(run: Run, sending: Sending, family: str, role: str) -> Response | None:
    """What the upstream answers; a status is made up only where something here depends on it."""
    answers = [Answer("answers", f"{sending.upstream} answers", Response())]
    if run.level.flag(f"{family}_intercept_errors", False):
        for code in _intercepted(run.level.lines("error_page")):
            answers.append(Answer(str(code), f"{sending.upstream} answers {code}", Response(code)))
    number = sum(1 for exchange in run.shared.exchanges if exchange.role == role)
    question = Question("exchange", sending.upstream, f"{role}:{number}")
    answer = run.ask(question, answers, sending.line.place)
    return answer.value if isinstance(answer.value, Response) else None


def _intercepted(lines: Sequence[Directive]) -> list[int]:
    codes: dict[int, None] = {}
    for line in lines:
        for word in line.args[:-1]:
            if word.isdigit() and int(word) >= 300:
                codes[int(word)] = None
    return list(codes)


def _take(run: Run, line: Directive, family: str, answer: Response, entity: Entity | None) -> int:
    """Intercepted errors, X-Accel-Redirect, and the headers that pass (ngx_http_upstream_process_headers)."""
    known = answer.headers if answer.status is not None else None
    status = answer.status
    run.answer = Answered(status, known, run.role)
    run.answer_statuses.append(status)
    if status is not None and status >= 300 and run.level.flag(f"{family}_intercept_errors", False):
        page = response.find_error_page(run.level.lines("error_page"), status)
        if page is not None:
            run.step(page[0], f"the upstream's {status} is intercepted")
            if status == 401:
                _keep_challenges(run, known or ())
            return status
    if status == 200 and run.header("range") is not None and run.level.flag(f"{family}_force_ranges", False):
        raise Unpredictable("a range of an answer whose size is not known", line.place)
    if known is None:
        response.send(run, status, "proxied")
        return 0
    redirect = next((value for name, value in known if name.lower() == "x-accel-redirect"), None)
    ignored = {word.lower() for each in run.level.lines(f"{family}_ignore_headers") for word in each.args}
    if redirect is not None and "x-accel-redirect" not in ignored and family != "memcached":
        return _accelerate(run, line, family, redirect, known)
    _pass_headers(run, line, family, known)
    response.send(run, status, "proxied", entity, gzip.of_answer(run, status, known))
    return 0


def _keep_challenges(run: Run, headers: Sequence[tuple[str, str]]) -> None:
    """An intercepted 401 keeps the challenge: before 1.23.0 the first line only (NGX-404). Those that were kept before
    are sent, too, but an auth subrequest does not hand them on."""
    run.challenges = []
    values = [value for name, value in headers if name.lower() == "www-authenticate"]
    for value in values if run.newer(1, 23) else values[:1]:
        source = answer_header("main", "WWW-Authenticate")
        run.challenges.append(OutHeader("WWW-Authenticate", Value((Segment(source, value),)), (), True))
    run.out += run.challenges


def _accelerate(run: Run, line: Directive, family: str, target: str, headers: Sequence[tuple[str, str]]) -> int:
    """X-Accel-Redirect: another location of this server answers (NGX-603)."""
    from auditor.servers.nginx import phases
    from auditor.servers.nginx.uri import parse_unsafe

    for name, value in headers:
        if name.lower() in ("set-cookie", "cache-control"):
            source = answer_header("main", name)
            text = Value((Segment(source, value),))
            if name.lower() == "set-cookie" and family == "proxy":
                text = proxy_redirect.rewrite_cookie(run, text)
            run.out.append(OutHeader(name, text, (), True))
    run.step(line, f"X-Accel-Redirect: {target} answers")
    if target.startswith("@"):
        phases.named_location(run, target, line)
        return response.DONE
    if run.role == "mirror" and run.main.method not in ("GET", "HEAD"):
        raise Unpredictable("a mirrored request is redirected while the other one may become a GET", line.place)
    parts = parse_unsafe(target)
    if parts is None:
        return 404
    if run.method != "HEAD":
        run.method = "GET"
    phases.internal_redirect(run, *parts)
    return response.DONE


def _pass_headers(run: Run, line: Directive, family: str, headers: Sequence[tuple[str, str]]) -> None:
    hidden = dict.fromkeys(_HIDDEN)
    lines: dict[str, Directive] = {}
    for each in run.level.lines(f"{family}_hide_header"):
        if each.args:
            hidden[each.args[0].lower()] = None
            lines[each.args[0].lower()] = each
    for each in run.level.lines(f"{family}_pass_header"):
        if each.args:
            hidden.pop(each.args[0].lower(), None)
    for name, value in headers:
        low = name.lower()
        if not is_watched(name) and low not in added_names(run.shared.http):
            continue
        if low in hidden:
            run.step(lines.get(low), f"{name} of the upstream's answer is hidden")
            if low in lines and run.is_main:
                run.shared.hidden.append(LostHeader(name, decides(lines[low])))
            continue
        source = Value((Segment(answer_header("main", name), value),))
        if low == "location" and family == "proxy":
            _location(run, line, name, source)
        elif low == "set-cookie" and family == "proxy":
            run.out.append(OutHeader(name, proxy_redirect.rewrite_cookie(run, source), (), True))
        else:
            run.out.append(OutHeader(name, source, (), True))


def _location(run: Run, line: Directive, name: str, value: Value) -> None:
    """proxy_redirect; an answer that none of its patterns touches goes on as it is, relative or not."""
    rewritten = proxy_redirect.rewrite_location(run, value)
    header = OutHeader(name, rewritten[0] if rewritten else value, rewritten[1] if rewritten else (), True)
    run.out.append(header)
    text = value.text or ""
    if rewritten is not None or not (text.startswith("/") or proxy_redirect.redirects(run.level, run)):
        run.location = header
