"""RewriteCond: what a rule needs beside its pattern (mod_rewrite.c: apply_rewrite_cond)."""

from __future__ import annotations

import importlib
import re

from auditor.regex import RegexError
from auditor.servers.apache import expr
from auditor.servers.apache.config import Directive
from auditor.servers.apache.pattern import Groups, compile_pattern
from auditor.servers.apache.rewrite_expand import Context, value_of
from auditor.servers.apache.rewrite_rules import Cond, Rule
from auditor.servers.apache.run import Run, Unpredictable
from auditor.values import Segment, Value
from auditor.world import Answer, Question

_FILES = ("f", "s", "d", "x", "L")
_COMPARES = ("lt", "le", "gt", "ge", "eq")


def hold(context: Context, rule: Rule) -> bool:
    """Whether the rule's conditions hold; the headers that decided go to `run.vary`."""
    conditions = rule.conditions
    vary: list[str] = []
    at = 0
    while at < len(conditions):
        condition = conditions[at]
        holds = _holds(context, condition)
        if "NV" in condition.flags:
            context.vary = []
        if "OR" in condition.flags:
            if not holds:
                context.vary = []
                at += 1
                continue
            while at + 1 < len(conditions) and "OR" in conditions[at].flags:
                at += 1
        elif not holds:
            return False
        vary += context.vary
        context.vary = []
        at += 1
    context.run.vary += vary
    return True


def _holds(context: Context, condition: Cond) -> bool:
    if condition.test == "expr":
        return _expression(context, condition)
    subject = value_of(context, condition.subject)
    text = subject.text
    if condition.test == "regex":
        return _matches(context, condition, subject)
    if text is None:
        return _ask(context.run, condition)
    if condition.test in _FILES:
        found = _file(context.run, condition, text)
    elif condition.test in ("U", "F"):
        found = bool(text) and _lookup(context.run, condition, text)
    elif condition.test in _COMPARES:
        found = _compare_numbers(condition.test, _number(text), _number(condition.pattern))
    else:
        found = _compare(condition, text)
    return found is not condition.negated


def _ask(run: Run, condition: Cond) -> bool:
    """What depends on something that is not known goes both ways."""
    words = f"{condition.subject} {'!' * condition.negated}{condition.pattern or '-' + condition.test}"
    line = condition.line
    return run.truth("variable", words, line.place, f"RewriteCond {words} holds", f"RewriteCond {words} does not hold")


def _expression(context: Context, condition: Cond) -> bool:
    run = context.run
    before = len(run.vary)
    try:
        holds, groups = expr.matched(run, expr.compile_condition(condition.pattern), condition.line.place)
    except expr.ExprError as error:
        raise Unpredictable(str(error), condition.line.place) from error
    if "NV" in condition.flags:
        del run.vary[before:]
    if holds and not condition.negated:
        context.condition_groups = groups
    return holds is not condition.negated


def _matches(context: Context, condition: Cond, subject: Value) -> bool:
    pattern = condition.pattern
    try:
        regex = compile_pattern(pattern, "NC" in condition.flags)
        match = regex.search(subject.text) if subject.text is not None else None
    except RegexError as error:
        raise Unpredictable(str(error), condition.line.place) from error
    if subject.text is None:
        return _matches_unknown(context, condition, subject)
    if match is not None and not condition.negated:
        context.condition_groups = Groups(subject, match)
    return (match is not None) is not condition.negated


def _matches_unknown(context: Context, condition: Cond, subject: Value) -> bool:
    """A pattern and a text that is not known. Patterns that match anything, or any text at all, are decided."""
    always = condition.pattern in ("", "^", "$", ".*", "^.*", "^.*$", "^(.*)$", "(.*)", "^(.*)")
    some = condition.pattern in (".", ".+", "^.", "^.+", "^.+$", "^(.+)$", "(.+)", "^(.+)")
    none = condition.pattern == "^$"
    if always or ((some or none) and subject.present == "yes"):
        holds = not none
    elif (some or none) and subject.present == "no":
        holds = none
    else:
        return _guess(context, condition, subject)
    if holds and not condition.negated:
        context.condition_groups = (subject, subject)
    return holds is not condition.negated


def _guess(context: Context, condition: Cond, subject: Value) -> bool:
    holds = _ask(context.run, condition)
    if holds and not condition.negated:
        unknown = next(segment for segment in subject.segments if segment.text is None)
        context.condition_groups = (subject, *[Value((Segment(unknown.source, None),))] * 9)
    return holds


# --- comparisons


def _number(text: str) -> int:
    """atoi."""
    found = re.match(r"\s*[+-]?\d+", text)
    return int(found[0]) if found else 0


def _compare_numbers(test: str, left: int, right: int) -> bool:
    return {"lt": left < right, "le": left <= right, "gt": left > right, "ge": left >= right, "eq": left == right}[test]


def _compare(condition: Cond, text: str) -> bool:
    """`=`, `<` and their like: a shorter text comes before a longer one, but for NC (compare_lexicography)."""
    pattern = condition.pattern
    if "NC" in condition.flags:
        left, right = _lower(text), _lower(pattern)
        order = (left > right) - (left < right)
    else:
        one, other = (len(text), text), (len(pattern), pattern)
        order = (one > other) - (one < other)
    return {"=": order == 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[condition.test]


def _lower(text: str) -> bytes:
    return text.encode("latin-1").lower()


# --- files and subrequests


def state_of(run: Run, path: str, line: Directive) -> str:
    """What lies at a path of the deployed machine: file, directory or missing (apr_stat)."""
    if not path.startswith("/"):
        return "missing"
    path = re.sub("//+", "/", path)
    folder = path.endswith("/") and path != "/"
    path = path.rstrip("/") or "/"
    answers = [
        Answer("missing", "nothing is there"),
        Answer("file", "the file exists"),
        Answer("directory", "a directory is there"),
    ]
    name = run.ask(Question("file", path), answers, line.place).name
    if name in ("no-folder", "missing") or (name == "file" and folder):
        return "missing"
    return "directory" if name == "directory" else "file"


def _file(run: Run, condition: Cond, path: str) -> bool:
    line = condition.line
    state = state_of(run, path, line)
    if condition.test == "d":
        return state == "directory"
    if condition.test in ("f", "s"):
        if state != "file" or condition.test == "f":
            return state == "file"
        known = run.ask(Question("file", path), [Answer("file", "the file exists")]).value
        if isinstance(known, tuple) and len(known) == 2:
            return bool(known[1])
        return True  # an empty file is the exception
    if condition.test == "x":
        return state == "directory" or (state == "file" and _ask(run, condition))
    return state != "missing" and _ask(run, condition)


def _lookup(run: Run, condition: Cond, target: str) -> bool:
    """-U and -F: whether a subrequest would be answered. None is made for the subrequest's own path (subreq_ok)."""
    if run.main is not None and run.main.uri == run.uri:
        return False
    if condition.test == "F":
        return state_of(run, target, condition.line) != "missing" and _ask(run, condition)
    phases = importlib.import_module("auditor.servers.apache.phases")  # by name: phases needs this module
    status = phases.lookup(run, target).status
    return status is None or bool(status < 400)
