"""What a rewrite rule does beside its substitution: variables (E), cookies (CO), type and handler (T, H)."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.servers.apache.config import Directive
from auditor.servers.apache.rewrite_expand import Context, value_of
from auditor.servers.apache.rewrite_rules import Rule
from auditor.servers.apache.run import Run, Unpredictable, decides
from auditor.servers.apache.urls import part
from auditor.values import EMPTY, SERVER, Segment, Value, join, literal, unknown


def set_variables(context: Context, rule: Rule) -> None:
    """E=NAME:value, E=NAME and E=!NAME (do_expand_env)."""
    run = context.run
    for text in rule.flags.get("E", ()):
        found = value_of(context, text)
        name, value = _first_word(found)
        if name is None:
            raise Unpredictable("the name of a variable that a RewriteRule sets is not known", rule.line.place)
        if name.startswith("!"):
            run.env.unset(name[1:], decides(rule.line))
        elif name:
            run.env.set(name, value, decides(rule.line))


def _first_word(value: Value) -> tuple[str | None, Value]:
    """What stands before the first colon, and the value behind it."""
    name = ""
    for at, segment in enumerate(value.segments):
        if segment.text is None:
            return None, EMPTY
        head, colon, rest = segment.text.partition(":")
        name += head
        if colon:
            return name, Value(((Segment(segment.source, rest),) if rest else ()) + value.segments[at + 1 :])
    return name, EMPTY


def set_cookies(context: Context, rule: Rule) -> None:
    """CO=name:value:domain:minutes:path:secure:httponly:samesite (add_cookie), each name once a request."""
    for text in rule.flags.get("CO", ()):
        value = value_of(context, text)
        if value.text is None:
            value = Value(tuple(Segment(s.source, "" if s.text is None else s.text) for s in value.segments))
        _add_cookie(context, rule, value)


def _add_cookie(context: Context, rule: Rule, whole: Value) -> None:
    top = context.run
    while top.main is not None:
        top = top.main
    separator = ":"
    if (whole.text or "").startswith(";"):
        separator, whole = ";", part(whole, 1)
    words = _words(whole, separator)
    if len(words) < 3:
        return
    name = words[0].text or ""
    done = top.first.notes.setdefault("rewrite cookies", set())
    assert isinstance(done, set)
    if name in done:
        return
    done.add(name)
    pieces = [words[0], literal("="), words[1], literal("; path="), words[4] if len(words) > 4 else literal("/")]
    pieces += [literal("; domain="), words[2]]
    texts = [word.text or "" for word in words]
    if len(texts) > 3 and texts[3].lstrip("+-0 ")[:1].isdigit():
        pieces += [literal("; expires="), unknown(SERVER)]
    if len(texts) > 5 and texts[5].lower() in ("true", "1", "secure"):
        pieces.append(literal("; secure"))
    if len(texts) > 6 and texts[6].lower() in ("true", "1", "httponly"):
        pieces.append(literal("; HttpOnly"))
    if len(texts) > 7 and texts[7].lower() not in ("0", "false"):
        pieces += [literal("; SameSite="), words[7]]
    top.errors_out.add("Set-Cookie", join(pieces), decides(rule.line))


def _words(value: Value, separator: str) -> Sequence[Value]:
    """The words between separators; several of them in a row count as one (apr_strtok)."""
    words: list[Value] = []
    at = 0
    for word in (value.text or "").split(separator):
        if word:
            words.append(part(value, at, at + len(word)))
        at += len(word) + 1
    return words


def force(context: Context, rule: Rule) -> None:
    """T and H, which the last fixup puts in force (force_type_handler)."""
    for flag, note in (("T", "rewrite type"), ("H", "rewrite handler")):
        for text in rule.flags.get(flag, ())[-1:]:
            value = value_of(context, text).text
            if value is None:
                raise Unpredictable("the handler or type that a RewriteRule sets is not known", rule.line.place)
            if value:
                low = value.lower()
                context.run.notes[note] = low if flag == "T" else (low, rule.line)


def forced_handler(run: Run) -> tuple[str, Directive] | None:
    """The handler that H has named, and its line."""
    found = run.notes.get("rewrite handler")
    return found if isinstance(found, tuple) else None


def apply_forced(run: Run) -> None:
    """What T and H have said (hook_mimetype)."""
    forced, kind = forced_handler(run), run.notes.get("rewrite type")
    if forced is not None:
        run.handler, run.handler_line = forced
    if isinstance(kind, str):
        run.content_type = kind
