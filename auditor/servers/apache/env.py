"""Variables of the request that the configuration sets: mod_setenvif and mod_env."""

from collections.abc import Sequence
from typing import NamedTuple

from auditor.patterns import lazy_re
from auditor.regex import RegexError
from auditor.servers.apache import variables
from auditor.servers.apache.config import Directive, Layers, Section
from auditor.servers.apache.expr import ExprError, compile_condition, matched
from auditor.servers.apache.pattern import ANYTHING, Groups, compile_pattern, sources_of, substituted
from auditor.servers.apache.run import Run, Unpredictable, decides
from auditor.servers.apache.table import Table
from auditor.values import ADDRESS, EMPTY, SERVER, Value, literal, unknown
from auditor.world import Answer, Question

_KEYS = ("setenvif", "setenvifnocase", "setenvifexpr", "browsermatch", "browsermatchnocase")
_SPECIAL = {
    "remote_addr": "REMOTE_ADDR",
    "remote_host": "REMOTE_HOST",
    "server_addr": "SERVER_ADDR",
    "request_uri": "REQUEST_URI",
    "request_method": "REQUEST_METHOD",
    "request_protocol": "SERVER_PROTOCOL",
    "remote_user": "REMOTE_USER",
}
_HEADER_NAME = lazy_re(r"[-A-Za-z0-9_]*\Z")
_GROUP = lazy_re(r"(?<!\\)\$[0-9]")
_META = frozenset("^.$|()[]*+?{}")


class Rule(NamedTuple):
    """A line of mod_setenvif. `name` is what is looked at ("" for an expression), `pattern` the regular expression or
    the expression, `plain` the text that it is where it has no metacharacter; `features` are variables and values."""

    line: Directive
    name: str
    pattern: str
    plain: str | None
    caseless: bool
    features: tuple[tuple[str, str], ...]


# --- mod_setenvif


def match_headers(run: Run, server: bool) -> None:
    """SetEnvIf and its like (match_headers in mod_setenvif.c): the server's lines when the request has been read, or
    (`server` false) those of the sections, when its headers are parsed.

    Raises Unpredictable for a line that httpd would refuse.
    """
    if server:
        groups = run.server.base.memo("setenvif", lambda layers: _rules(layers.sections))
    else:
        start = len(run.server.base.sections)
        groups = run.layers.memo("setenvif sections", lambda layers: _rules(layers.sections[start:]))
    for rules in groups:
        last, value, overwritten = "", EMPTY, False
        for rule in rules:
            if not rule.name:
                _by_expression(run, rule)
                overwritten = overwritten or ("~" in rule.pattern and "(" in rule.pattern)
                continue
            # A value is kept for the lines that follow with the same name, even if a variable of that name is new.
            if rule.name.lower() != last:
                last, value, overwritten = rule.name.lower(), _looked_at(run, rule), False
            elif overwritten:
                raise Unpredictable(
                    f"an expression before this line has left its own text for {rule.name}", rule.line.place
                )
            _by_value(run, rule, value)


def _rules(sections: tuple[Section, ...]) -> list[list[Rule]]:
    found = []
    for section in sections:
        lines = [line for line in section.directives if line.key in _KEYS]
        if lines:
            found.append([_rule(line) for line in lines])
    return found


def _rule(line: Directive) -> Rule:
    args = line.args
    if line.key == "setenvifexpr":
        name, pattern, features = "", *_split(line, args, 1)
    elif line.key.startswith("browsermatch"):
        name, pattern, features = "User-Agent", *_split(line, args, 1)
    else:
        name, pattern, features = args[0] if args else "", *_split(line, args, 2)
    caseless = line.key.endswith("nocase")
    return Rule(line, name, pattern, _plain(pattern), caseless, tuple(_feature(word) for word in features))


def _split(line: Directive, args: tuple[str, ...], before: int) -> tuple[str, tuple[str, ...]]:
    if len(args) <= before or not args[before - 1]:
        raise Unpredictable(f"{line.name} lacks an argument", line.place)
    return args[before - 1], args[before:]


def _feature(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    if value:
        return name, value
    return (name[1:], "!") if name.startswith("!") else (name, "1")


def _plain(pattern: str) -> str | None:
    """The text that a pattern without metacharacters stands for (non_regex_pattern); None where it has some."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char in _META:
            return None
        if char == "\\":
            at += 1
            char = pattern[at : at + 1]
            if char not in _META and char != "\\":
                return None
        out.append(char)
        at += 1
    return "".join(out)


def _looked_at(run: Run, rule: Rule) -> Value:
    """What a line compares: something of the request, a request header, else a variable of that name."""
    low = rule.name.lower()
    special = _SPECIAL.get(low)
    if special is not None:
        return variables.lookup(run, special)
    if low.startswith("oid(") and low.endswith(")"):  # what a client certificate says
        return unknown(SERVER) if run.shared.request.tls else EMPTY
    if _HEADER_NAME.match(rule.name):
        return run.headers_in.get(rule.name) or run.env.get(rule.name) or EMPTY
    try:
        names = compile_pattern(rule.name, rule.caseless)
        found = [entry.value for entry in run.headers_in if names.search(entry.name) is not None]
    except RegexError as error:
        raise Unpredictable(str(error), rule.line.place) from error
    return found[-1] if found else EMPTY


def _by_value(run: Run, rule: Rule, value: Value) -> None:
    text = value.text
    if rule.plain is not None:
        if text is None:
            holds = _ask(run, rule, value)
        elif rule.caseless:
            holds = rule.plain.lower() in text.lower()
        else:
            holds = rule.plain in text
        if holds:
            _set(run, rule, None)
        return
    try:
        regex = compile_pattern(rule.pattern, rule.caseless)
        if text is None:
            if _ask(run, rule, value):
                whole = value if rule.pattern in ANYTHING else unknown(sources_of(value))
                _set(run, rule, (whole,) * (regex.groups + 1))
            return
        match = regex.search(text)
    except RegexError as error:
        raise Unpredictable(str(error), rule.line.place) from error
    if match is not None:
        _set(run, rule, Groups(value, match))


def _ask(run: Run, rule: Rule, value: Value) -> bool:
    if rule.pattern in ("^", ".*", *ANYTHING):
        return True
    subject = f"{rule.name} matches {rule.pattern}"
    kind = "client-address" if ADDRESS in value.sources else "variable"
    question = Question(kind, detail=subject) if kind == "client-address" else Question(kind, subject)
    answers = [Answer("no", f"{rule.name} does not match {rule.pattern}"), Answer("yes", subject)]
    return run.ask(question, answers, rule.line.place).name == "yes"


def _by_expression(run: Run, rule: Rule) -> None:
    try:
        expr = compile_condition(rule.pattern)
    except ExprError as error:
        raise Unpredictable(str(error), rule.line.place) from error
    holds, groups = matched(run, expr, rule.line.place)
    if not holds:
        return
    if not groups and any(_GROUP.search(template) for _, template in rule.features):
        reason = f"{rule.line.name} uses $1 where no group has matched: httpd reads what happens to lie in memory"
        raise Unpredictable(reason, rule.line.place)
    _set(run, rule, groups)


def _set(run: Run, rule: Rule, groups: Sequence[Value] | None) -> None:
    """Set or remove the variables; `groups` is None where the line has no regular expression."""
    for name, template in rule.features:
        if template.startswith("!"):
            if run.env.unset(name, decides(rule.line)):
                run.step(rule.line, f"the variable {name} is removed")
            continue
        value = literal(template) if groups is None else substituted(template, groups)
        run.env.set(name, value, decides(rule.line))
        run.step(rule.line, f"the variable {name} is set")


# --- mod_env


def fixup(run: Run) -> None:
    """SetEnv, PassEnv and UnsetEnv (fixup_env_module): what they set stands behind the variables there are, so that
    one which SetEnvIf or mod_rewrite has set counts where a variable is looked up. UnsetEnv leaves those alone."""
    assigned: Table = run.layers.memo("env", _assigned)
    run.env.extend(assigned)


class _Assigned:
    """What SetEnv and PassEnv set in some sections, and the names that UnsetEnv takes away there."""

    def __init__(self) -> None:
        self.table = Table()
        self.gone: dict[str, Directive] = {}

    def read(self, section: Section) -> "_Assigned":
        """The lines of one section, in order: the last of a name counts."""
        for line in section.directives:
            if line.key == "unsetenv":
                for name in line.args:
                    self.table.unset(name)
                    self.gone[name.lower()] = line
            elif line.key == "passenv":
                for name in line.args:
                    self.put(name, unknown(), line)
            elif line.key == "setenv":
                if not 1 <= len(line.args) <= 2:
                    raise Unpredictable("SetEnv takes one or two arguments", line.place)
                self.put(line.args[0], literal(line.args[1] if len(line.args) > 1 else ""), line)
        return self

    def put(self, name: str, value: Value, line: Directive) -> None:
        self.table.set(name, value, decides(line))
        self.gone.pop(name.lower(), None)

    def merge(self, inner: "_Assigned") -> None:
        """What an inner part says counts (merge_env_dir_configs). What is to be taken away further out is forgotten."""
        for name, line in inner.gone.items():
            self.table.unset(name, decides(line))
        for entry in inner.table:
            self.table.set(*entry)
        self.gone = {}


def _assigned(layers: Layers) -> Table:
    """The variables that the sections set. Those of one walk (folders, files, locations, conditions) are merged with
    each other first: where two of them have lines of this module, an UnsetEnv does not reach outside of the walk."""
    parts: list[_Assigned] = []
    walk = ""
    for section in layers.sections:
        if not any(line.key in ("setenv", "passenv", "unsetenv") for line in section.directives):
            continue
        own = _Assigned().read(section)
        now = _WALKS.get(section.kind, section.kind)
        if parts and now == walk:
            parts[-1].merge(own)
        else:
            parts.append(own)
        walk = now
    whole = _Assigned()
    for part in parts:
        whole.merge(part)
    return whole.table


_WALKS = {
    "directorymatch": "directory",
    "htaccess": "directory",
    "filesmatch": "files",
    "locationmatch": "location",
    "elseif": "if",
    "else": "if",
}
