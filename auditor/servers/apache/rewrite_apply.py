"""Lists of rewrite rules, and one rule of them (mod_rewrite.c: apply_rewrite_list, apply_rewrite_rule)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from auditor.regex import RegexError
from auditor.servers.apache.config import Server
from auditor.servers.apache.intake import alias_matches
from auditor.servers.apache.pattern import Groups, compile_pattern
from auditor.servers.apache.rewrite_conditions import hold
from auditor.servers.apache.rewrite_effects import force, set_cookies, set_variables
from auditor.servers.apache.rewrite_expand import Context, expand
from auditor.servers.apache.rewrite_rules import MAX_ROUNDS, Rule, varies
from auditor.servers.apache.run import Respond, Run, Unpredictable
from auditor.servers.apache.urls import authority, part, scheme_of
from auditor.source import Place
from auditor.values import EMPTY, Value, join, literal

SAFER = (2, 4, 60)  # since then substitutions are distrusted where a client may have made them
PASSED = "HTTP_AUTHORIZATION"  # the variable by which programs get what they are not given
_LONGEST = 16380  # bytes of a path that rules have made, twice the LimitRequestLine


class Result:
    """What a list of rules has come to. `last` is the last rule that substituted; `unescaped`: it has NE."""

    def __init__(self) -> None:
        self.last: Rule | None = None
        self.passes = False
        self.reduced = False
        self.status = 200

    @property
    def unescaped(self) -> bool:
        return self.last is not None and self.last.has("NE") and not self.passes


def apply_list(context: Context, rules: Sequence[Rule]) -> Result:
    """The rules in order, with their flags C, S, N, L and END (apply_rewrite_list)."""
    run, result = context.run, Result()
    rounds, at = 1, 0
    seen: set[tuple[str | None, str | None]] = set()
    while at < len(rules):
        rule = rules[at]
        if (run.main is not None and rule.has("NS", "R")) or (run.shared.options.unrewritten and rule.changes):
            at += 1
            continue
        before = context.path, context.query
        if not _apply(context, rule, result):
            while at < len(rules) and rules[at].has("C"):
                at += 1
            at += 1
            continue
        run.rewritten += 1
        if rule.has("PT", "END", "P", "L"):
            if rule.has("PT"):
                result.passes, result.last = True, rule
            elif rule.has("END"):
                run.first.notes["end"] = True
            _pass_over(context, rules[at + 1 :], rule, before)
            break
        if rule.has("N"):
            rounds += 1
            state = (run.filename, run.args)
            if rounds >= rule.number("N", MAX_ROUNDS) or state in seen or len(run.filename or "") > _LONGEST:
                run.step(rule.line, "the rules with N come to no end: 500")
                end(run, rule, 500)
            seen.add(state)
            at = 0
            continue
        at += 1 + rule.number("S", 0)
    return result


def _pass_over(context: Context, rules: Sequence[Rule], end: Rule, before: tuple[Value, Value | None]) -> None:
    """Notes which rules would hand Authorization on, and do not because `end` ends the list ahead of them."""
    waiting = [rule for rule in rules if any(PASSED in text for text in rule.flags.get("E", ()))]
    if not waiting:
        return
    run, after = context.run, (context.path, context.query)
    saved = context.vary, context.condition_groups, context.rule_groups, run.filename, run.args, run.vary
    run.vary = []
    context.put(*before)
    for rule in waiting:
        with suppress(Unpredictable):
            if _matches(context, rule):
                passed_over(run)[rule.line.place] = end.line.place
    context.put(*after)
    context.vary, context.condition_groups, context.rule_groups, run.filename, run.args, run.vary = saved


def passed_over(run: Run) -> dict[Place, Place]:
    """The rules that would have handed Authorization on, and what ended the rewriting ahead of each."""
    return run.first.notes.setdefault("passed over", {})  # type: ignore[return-value]


def _apply(context: Context, rule: Rule, result: Result) -> bool:
    """One rule (apply_rewrite_rule): whether it applies. Raises Respond for a status of its own."""
    if not _matches(context, rule):
        return False
    run, proxied = context.run, _is_proxied(context)
    expanded = expand(context, rule.output, rule) if rule.substitutes else None
    if expanded is not None and expanded.marked and _unsafe(run, rule):
        run.step(rule.line, "refused: a question mark of the client's would begin the query")
        end(run, rule, 403)
    set_variables(context, rule)
    set_cookies(context, rule)
    if rule.answers:
        run.step(rule.line, f"answers {rule.status}")
        end(run, rule, rule.status)
    if expanded is None:
        force(context, rule)
        return True
    result.last, result.passes = rule, False
    if expanded.value.text is None:
        _unknown_target(run, rule, expanded.value)
    if context.folder is not None and rule.has("DPI"):
        run.path_info = ""
    _split_query(context, rule, expanded.value)
    text = context.path.text or ""
    if context.folder is not None and not proxied and not text.startswith("/") and not scheme_of(text)[0]:
        context.put(join((literal(context.folder), context.path)), context.query)
    elif context.folder is None and not text.startswith("/") and not scheme_of(text)[0]:
        context.put(join((literal("/"), context.path)), context.query)
    if rule.has("P", "R"):
        _qualify(context)
        return True
    _reduce(context, result)
    if not scheme_of(context.path.text or "")[0]:
        force(context, rule)
    return True


def _matches(context: Context, rule: Rule) -> bool:
    """Whether the rule's pattern and conditions match the URL as it is now."""
    subject = context.subject(_is_proxied(context))
    try:
        match = compile_pattern(rule.pattern, rule.has("NC")).search(subject.text or "")
    except RegexError as error:
        raise Unpredictable(str(error), rule.line.place) from error
    if (match is not None) is rule.negated:
        return False
    context.vary = []
    context.condition_groups = ()
    context.rule_groups = Groups(subject, match) if match is not None else ()
    held = hold(context, rule)
    met = context.run.shared.met
    if met is not None and (rule.conditions or rule.has("E")):
        place = rule.line.place
        met.rules[place] = met.rules.get(place, False) or (held and rule.changes and any(map(varies, rule.conditions)))
    return held


def _is_proxied(context: Context) -> bool:
    """Whether an earlier rule of this section has sent the request to an upstream."""
    run = context.run
    return context.folder is not None and run.is_proxy and (run.filename or "").startswith("proxy:")


def _unsafe(run: Run, rule: Rule) -> bool:
    return run.shared.options.version >= SAFER and not rule.has("UNSAFEALLOW3F")


def _unknown_target(run: Run, rule: Rule, target: Value) -> NoReturn:
    """A substitution of which a part is not known: a redirect is sent all the same."""
    first = target.segments[0].text or ""
    absolute = scheme_of(first + "......")[0] != 0
    if rule.has("P") or not (absolute or rule.has("R")):
        raise Unpredictable("what a RewriteRule makes of the path is not known", rule.line.place)
    if not absolute:
        target = join((authority(run), literal("" if first.startswith("/") else "/"), target))
    send_away(run, rule, target)


def _split_query(context: Context, rule: Rule, target: Value) -> None:
    """The query of a substitution (splitout_queryargs)."""
    query = context.query
    text = target.text or ""
    skip, may = scheme_of(text)
    if rule.drops or (skip and not may):
        context.put(target, None)
        return
    if rule.has("QSD"):
        query = None
    mark = text.rfind("?", skip) if rule.has("QSL") else text.find("?", skip)
    if mark != -1:
        own, target = part(target, mark + 1), part(target, 0, mark)
        if not rule.has("QSA"):
            query = own
        elif own.text:
            query = join((own, literal("&"), query or EMPTY))
        text = (query or EMPTY).text or ""
        if not text:
            query = None
        elif query is not None and text.endswith("&"):
            query = part(query, 0, len(text) - 1)
    context.put(target, query)


def _qualify(context: Context) -> None:
    """fully_qualify_uri."""
    text = context.path.text or ""
    if context.run.method != "CONNECT" and not scheme_of(text)[0]:
        slash = literal("" if text.startswith("/") else "/")
        context.put(join((authority(context.run), slash, context.path)), context.query)


def _reduce(context: Context, result: Result) -> None:
    """A URL of this very server becomes a path (reduce_uri)."""
    text = context.path.text or ""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() != context.run.shared.request.scheme:
        return
    host, slash, _ = rest.partition("/")
    name, colon, port = host.partition(":")
    number = int(port) if port.isdigit() else {"https": 443}.get(scheme.lower(), 80)
    if colon and not port.isdigit():
        number = 0
    if not _is_here(context.run.server, name, number):
        return
    result.reduced = True
    context.put(part(context.path, len(text) - len(rest) + len(host)) if slash else literal("/"), context.query)


def _is_here(server: Server, host: str, port: int) -> bool:
    """ap_matches_request_vhost: an address of the virtual host, or its name where ServerName tells that port."""
    low = host.lower()
    for address in server.addresses:
        if address.port in (None, port) and address.host.lower() == low:
            return True
    return server.name_port == port and (
        low == server.name or low in server.aliases or any(alias_matches(alias, low) for alias in server.aliases)
    )


def send_away(run: Run, rule: Rule, target: Value) -> NoReturn:
    run.step(rule.line, f"redirect {rule.status}")
    end(run, rule, rule.status, target)


def end(run: Run, rule: Rule, status: int, target: Value | None = None) -> NoReturn:
    """A status that a rule has come to is one of its own even while the page of an error is made (hook_uri2file and
    hook_fixup set r->status to HTTP_OK)."""
    run.status = 200
    raise Respond(status, rule.line, target)
