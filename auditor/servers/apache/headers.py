"""mod_headers: RequestHeader on the request's headers, Header on the answer's.

Lines add up over the server and all sections that apply, in the order of merging (APA-007); each is carried out in its
turn (APA-008). `always` lines work on a table of their own, err_headers_out: they neither see nor replace what `set`
without `always` sets (do_headers_fixup in mod_headers.c).
"""

from collections.abc import Sequence
from typing import NamedTuple

from auditor.regex import Regex, RegexError
from auditor.servers.apache import variables
from auditor.servers.apache.config import Directive, Layers
from auditor.servers.apache.expr import Expr, compile_condition, compile_string, holds, string
from auditor.servers.apache.pattern import compile_pattern, edited
from auditor.servers.apache.run import Run, Unpredictable, decides
from auditor.servers.apache.table import Entry, Table
from auditor.trace import LostHeader
from auditor.values import CONFIG, EMPTY, SERVER, Segment, Value, join, literal

# The actions, and whether they take a value.
_ACTIONS = {
    "set": True,
    "append": True,
    "merge": True,
    "add": True,
    "setifempty": True,
    "note": True,
    "edit": True,
    "edit*": True,
    "unset": False,
    "echo": False,
}
_NUMBERS = "tDlib"  # time of the request, its duration, load, idle and busy workers: as in "t=1795315417765564"


class Tag(NamedTuple):
    """A format specifier: %{argument}e and its like."""

    letter: str
    argument: str


class Rule(NamedTuple):
    """A line. `side` is in, out or always. `value` is an expression or a format; `regex` that of edit and echo. It
    counts where `variable` is set (not set, if it begins with `!`), where `condition` holds, or, `early`, at first."""

    line: Directive
    side: str
    action: str
    name: str
    value: Expr | tuple[str | Tag, ...]
    regex: Regex | None
    variable: str
    condition: Expr | None
    early: bool


def early(run: Run) -> None:
    """The server's lines that say `early`: when the request has just been read (ap_headers_early)."""
    rules = run.server.base.memo("headers", _rules)
    for side in ("in", "always", "out"):
        _apply(run, [rule for rule in rules if rule.early and rule.side == side])


def fixup(run: Run) -> None:
    """RequestHeader: the last thing before the answer is made (ap_headers_fixup)."""
    _apply(run, [rule for rule in run.layers.memo("headers", _rules) if rule.side == "in" and not rule.early])


def output(run: Run, error: bool) -> None:
    """Header: as the answer is sent. `error`: it was made by the server because something failed or was refused, so
    that `always` lines only count (ap_headers_error_filter)."""
    rules = [rule for rule in run.layers.memo("headers", _rules) if not rule.early]
    _apply(run, [rule for rule in rules if rule.side == "always"])
    if not error:
        _apply(run, [rule for rule in rules if rule.side == "out"])


# --- reading a line


def _rules(layers: Layers) -> list[Rule]:
    return [_rule(line) for line in layers.all("header", "requestheader")]


def _rule(line: Directive) -> Rule:
    """The line, read. Raises Unpredictable for one that httpd refuses (header_cmd)."""
    try:
        return read(line)
    except (ValueError, RegexError) as error:  # an ExprError is a ValueError
        raise Unpredictable(f"{line.name}: {error}", line.place) from error


def read(line: Directive) -> Rule:
    """The line, read. Raises ValueError (ExprError among them) and RegexError for one that httpd refuses."""
    words = list(line.args)
    side = "in" if line.key == "requestheader" else "out"
    if side == "out" and words and words[0].lower() in ("always", "onsuccess"):
        side = "always" if words.pop(0).lower() == "always" else "out"
    if len(words) < 2:
        raise ValueError("an argument is missing")
    action, name, rest = words[0].lower(), words[1].partition(":")[0], words[2:]
    if action not in _ACTIONS or (side == "in" and action in ("echo", "note")):
        raise ValueError(f"there is no action {words[0]}")
    regex: Regex | None = None
    text = ""
    if action in ("edit", "edit*"):
        if len(rest) < 2:
            raise ValueError("edit needs a pattern and a replacement")
        regex = compile_pattern(rest.pop(0))
    elif action == "echo":
        regex = compile_pattern(words[1])
    if _ACTIONS[action]:
        if not rest:
            raise ValueError("a value is missing")
        text = rest.pop(0)
    if len(rest) > 1:
        raise ValueError("too many arguments")
    variable, condition, is_early = _clause(rest[0] if rest else "")
    value: Expr | tuple[str | Tag, ...]
    if action == "note":
        value = (text,)
    else:
        value = compile_string(text[5:]) if text.startswith("expr=") else tuple(_format(text))
    return Rule(line, side, action, name, value, regex, variable, condition, is_early)


def _clause(text: str) -> tuple[str, Expr | None, bool]:
    """What stands behind the value: early, env=NAME, env=!NAME, expr=CONDITION."""
    low = text.lower()
    if not text:
        return "", None, False
    if low == "early":
        return "", None, True
    if low.startswith("env=") and text[4:] not in ("", "!"):
        return text[4:], None, False
    if low.startswith("expr="):
        return "", compile_condition(text[5:]), False
    raise ValueError(f"unknown parameter {text}")


def _format(text: str) -> Sequence[str | Tag]:
    """A value cut into texts and specifiers (parse_format_string)."""
    parts: list[str | Tag] = []
    plain: list[str] = []
    at = 0
    while at < len(text):
        char, follows = text[at], text[at + 1 : at + 2]
        if char == "\\" and follows and follows in "\\rnt":
            plain.append({"\\": "\\", "r": "\r", "n": "\n", "t": "\t"}[follows])
            at += 2
        elif char != "%":
            plain.append(char)
            at += 1
        elif follows in ("", "%"):
            plain.append("%")
            at += 2
        else:
            argument = ""
            at += 1
            if follows == "{":
                argument, _, _ = text[at + 1 :].partition("}")
                at += len(argument) + 2
            letter = text[at : at + 1]
            if not letter or letter not in f"es{_NUMBERS}":
                raise ValueError(f"unrecognized header format %{letter}")
            if plain:
                parts.append("".join(plain))
                plain = []
            parts.append(Tag(letter, argument))
            at += 1
    if plain:
        parts.append("".join(plain))
    return parts


# --- carrying it out


def _apply(run: Run, rules: Sequence[Rule]) -> None:
    for rule in rules:
        if _counts(run, rule):
            _change(run, rule, _table(run, rule))


def _table(run: Run, rule: Rule) -> Table:
    return {"in": run.headers_in, "out": run.headers_out, "always": run.errors_out}[rule.side]


def _counts(run: Run, rule: Rule) -> bool:
    if rule.condition is not None:
        before = len(run.vary)
        result = holds(run, rule.condition, rule.line.place)
        if rule.side != "in":  # the headers of the answer are made already
            looked_at = run.vary[before:]
            del run.vary[before:]
            if looked_at:
                run.headers_out.merge("Vary", literal(", ".join(looked_at), SERVER), decides(rule.line))
        return result
    if rule.variable.startswith("!"):
        return not run.has_variable(rule.variable[1:], rule.line.place)
    return not rule.variable or run.has_variable(rule.variable, rule.line.place)


def _change(run: Run, rule: Rule, table: Table) -> None:
    name, because = rule.name, decides(rule.line)
    whose = "the request's" if rule.side == "in" else "the answer's"
    if rule.action == "unset":
        if rule.side != "in" and name.lower() == "content-type":
            run.content_type = None
        if table.unset(name, because):
            run.step(rule.line, f"{whose} {name} is removed")
            if rule.side != "in":
                run.shared.hidden.append(LostHeader(name, because))
        return
    if rule.action in ("edit", "edit*"):
        _edit(run, rule, table)
        return
    if rule.action == "echo":
        assert rule.regex is not None
        for entry in run.headers_in:
            if rule.regex.search(entry.name) is not None:
                run.headers_out.add(entry.name, entry.value, because)
        return
    if rule.action == "note":
        assert not isinstance(rule.value, Expr)
        found = table.get(name)
        if found is not None:
            run.notes[f"note {str(rule.value[0]).lower()}"] = found
        return
    there = table.get(name)
    if rule.action == "setifempty" and there is not None:
        return
    value = _value(run, rule)
    if rule.action == "append":
        table.merge(name, value, because)
    elif rule.action == "merge":
        if there is None or not _listed(there, value):
            table.merge(name, value, because)
    elif rule.action == "add":
        table.add(name, value, because)
    else:
        if rule.side != "in" and name.lower() == "content-type":
            run.content_type = value.text  # what counts in the end (ap_set_content_type)
        table.set(name, value, because)
    run.step(rule.line, f"{whose} {name} is set")


def _edit(run: Run, rule: Rule, table: Table) -> None:
    """edit and edit*: all lines of the name are made anew, behind the others. The replacement's own specifiers are
    filled in before the groups are."""
    assert rule.regex is not None
    if rule.side != "in" and rule.name.lower() == "content-type" and run.content_type is not None:
        replacement = _value(run, rule)
        run.content_type = _edited(rule, literal(run.content_type), replacement).text
    low = rule.name.lower()
    old = table.all(rule.name)
    if not old:
        return
    replacement = _value(run, rule)
    made = []
    for entry in old:
        value = _edited(rule, entry.value, replacement)
        made.append(entry if value == entry.value else Entry(entry.name, value, decides(rule.line)))
    table.replace([entry for entry in table if entry.name.lower() != low] + made)
    if made != old:
        run.step(rule.line, f"{rule.name} is edited")


def _edited(rule: Rule, value: Value, replacement: Value) -> Value:
    assert rule.regex is not None
    try:
        return edited(value, rule.regex, replacement, rule.action == "edit*")
    except RegexError as error:
        raise Unpredictable(str(error), rule.line.place) from error


def _listed(there: Value, value: Value) -> bool:
    """Whether a comma-separated list has that member already; commas in quotes do not count."""
    text, wanted = there.text, value.text
    if text is None or wanted is None:
        return False
    at = 0
    while at < len(text):
        while at < len(text) and text[at] in " \t\r\n\v\f":
            at += 1
        start = at
        while at < len(text) and text[at] != ",":
            if text[at] == '"':
                end = text.find('"', at + 1)
                at = len(text) if end == -1 else end
            at += 1
        if text[start:at] == wanted:
            return True
        at += 1
    return False


def _value(run: Run, rule: Rule) -> Value:
    """The text that the line sets. A variable that is not set reads "(null)" (APA-018)."""
    if isinstance(rule.value, Expr):
        return _one_line(string(run, rule.value, rule.line.place))
    parts = []
    for part in rule.value:
        if isinstance(part, str):
            parts.append(literal(part))
        elif part.letter == "e":
            found = run.variable(part.argument)
            there = found is not None and run.has_variable(part.argument, rule.line.place)
            parts.append(_one_line(found) if found is not None and there else literal("(null)"))
        elif part.letter == "s":
            found = variables.ssl(run, part.argument)
            parts.append(literal("(null)") if found == EMPTY else _one_line(found))
        else:
            parts.append(Value((Segment(CONFIG, f"{part.letter}="), Segment(SERVER, None))))
    return join(parts)


def _one_line(value: Value) -> Value:
    """Line breaks become blanks (unwrap_header)."""
    return Value(
        tuple(
            segment._replace(text=segment.text.replace("\r", " ").replace("\n", " ")) if segment.text else segment
            for segment in value.segments
        )
    )


__all__ = ["Rule", "early", "fixup", "output"]
