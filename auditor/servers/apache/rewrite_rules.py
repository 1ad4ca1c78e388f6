"""RewriteRule and RewriteCond lines taken apart, and which of them apply (mod_rewrite.c: parseargline,
cmd_rewriterule, cmd_rewritecond, config_server_merge, config_perdir_merge)."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from auditor.patterns import lazy_re
from auditor.servers.apache.config import Directive, Layers, Section, Server

DIRECTIVES = frozenset(("rewriteengine", "rewriterule", "rewritecond", "rewriteoptions", "rewritebase", "rewritemap"))
# The long names of flags, and others of the same meaning.
_LONG = dict(
    pair.split("=")
    for pair in (
        *("BACKREFESCAPING=B", "BACKREFERNOPLUS=BNP", "CHAIN=C", "COOKIE=CO", "DISCARDPATH=DPI", "D=DPI", "ENV=E"),
        *("FORBIDDEN=F", "GONE=G", "HANDLER=H", "LAST=L", "NEXT=N", "NOCASE=NC", "NOESCAPE=NE", "NOSUBREQ=NS"),
        *("PROXY=P", "PASSTHROUGH=PT", "QSAPPEND=QSA", "QSDISCARD=QSD", "QSLAST=QSL", "REDIRECT=R", "SKIP=S"),
        *("TYPE=T", "ORNEXT=OR", "NOVARY=NV"),
    )
)
_REDIRECTS = {"permanent": 301, "temp": 302, "seeother": 303}
MAX_ROUNDS = 32000
_TESTS = lazy_re(r"-(?:[fsdxhLlUF]\Z|(?:lt|le|gt|ge|eq|ne)(?=.))", re.DOTALL)
# Variables of mod_rewrite that do not change with headers (but Host) and methods.
_STABLE = lazy_re(
    r"%\{(?:HTTPS|HTTP_HOST|HTTP:Host|REQUEST_(?:URI|FILENAME|SCHEME)|SCRIPT_\w+|QUERY_STRING|DOCUMENT_ROOT|PATH_INFO"
    r"|SERVER_(?:NAME|PORT|ADDR|PROTOCOL)|CONTEXT_\w+|ENV:REDIRECT_STATUS)\}"
)


class Cond(NamedTuple):
    """A RewriteCond. `test` is regex, expr, a letter of a file test, an operator (`=`, `<`, ...) or a comparison of
    numbers (eq, lt, ...); `pattern` what stands behind it."""

    line: Directive
    subject: str
    test: str
    pattern: str
    negated: bool
    flags: frozenset[str]


class Rule(NamedTuple):
    """A RewriteRule with its conditions. `status` is that of R, F and G; `answers`: it ends the request with it.
    `drops`: the request's query is dropped."""

    line: Directive
    conditions: tuple[Cond, ...]
    pattern: str
    negated: bool
    output: str
    flags: dict[str, list[str]]
    status: int
    answers: bool
    drops: bool

    def has(self, *names: str) -> bool:
        return not self.flags.keys().isdisjoint(names)

    @property
    def changes(self) -> bool:
        """Whether the path changes by it, or it ends the request."""
        return self.answers or self.output != "-"

    @property
    def substitutes(self) -> bool:
        return not self.answers and self.output != "-"

    def number(self, name: str, default: int) -> int:
        found = self.flags.get(name)
        digits = re.match(r"\s*\d+", found[-1]) if found else None
        return int(digits[0]) if digits else default


def varies(condition: Cond) -> bool:
    """Whether a condition is about headers (but Host), the method or the client."""
    return condition.test == "expr" or "%{" in _STABLE.sub("", condition.subject)


def split_arguments(rest: str) -> list[str]:
    """The two or three arguments; less where httpd would not start. A backslash protects a blank only, and stays."""
    words: list[str] = []
    at = 0
    while at < len(rest) and len(words) < 3:
        if rest[at].isspace():
            at += 1
            continue
        quote = rest[at] if rest[at] in "\"'" else ""
        start = at = at + len(quote)
        while at < len(rest) and not (rest[at] == quote if quote else rest[at].isspace()):
            at += 2 if rest[at] == "\\" and rest[at + 1 : at + 2].isspace() else 1
        words.append(rest[start:at])
        at += 1
    return words


def split_flags(text: str) -> dict[str, list[str]]:
    """`[NAME=value,...]` by short name."""
    flags: dict[str, list[str]] = {}
    for item in text.strip()[1:-1].split(","):
        name, _, value = item.strip().partition("=")
        if name:
            upper = name.upper()
            flags.setdefault(_LONG.get(upper, upper), []).append(value)
    return flags


def make_condition(line: Directive) -> Cond | None:
    """The condition; None for a line that httpd refuses."""
    words = split_arguments(line.rest)
    if len(words) < 2:
        return None
    subject, pattern = words[0], words[1]
    flags = frozenset(split_flags(words[2])) if len(words) > 2 else frozenset()
    negated = pattern.startswith("!")
    pattern = pattern[negated:]
    test = "regex"
    if subject.lower() == "expr":
        test = "expr"
    elif len(pattern) > 1:
        match = _TESTS.match(pattern)
        if match is not None:
            test, pattern = match[0][1:], pattern[match.end() :]
            test = {"h": "L", "l": "L"}.get(test, test)
            if test == "ne":
                test, negated = "eq", not negated
        elif pattern[0] in "<>=":
            test = pattern[:2] if pattern[0] != "=" and pattern[1] == "=" else pattern[0]
            pattern = pattern[len(test) :]
            if test == "=" and pattern == '""':
                pattern = ""
    return Cond(line, subject, test, pattern, negated, flags)


def make_rule(line: Directive, conditions: tuple[Cond, ...]) -> Rule | None:
    """The rule; None for a line that httpd refuses."""
    words = split_arguments(line.rest)
    if len(words) < 2:
        return None
    pattern, output = words[0], words[1]
    flags = split_flags(words[2]) if len(words) > 2 else {}
    negated = pattern.startswith("!")
    status, answers = 302, False
    for name, values in flags.items():
        if name in ("F", "G"):
            status, answers = (403 if name == "F" else 410), True
        elif name == "R" and values[-1]:
            digits = re.match(r"\d+", values[-1])
            status = int(digits[0]) if digits else _REDIRECTS.get(values[-1].lower(), 302)
            answers = answers or not 300 <= status < 400
    drops = False
    if output.endswith("?"):
        # A question mark at the end is there to drop the query, and with QSA it does nothing.
        drops = "QSA" not in flags
        output = output[:-1]
    elif "QSD" in flags and "?" not in output:
        drops = True
    return Rule(line, conditions, pattern[negated:], negated, output, flags, status, answers, drops)


def own_rules(section: Section) -> list[Rule]:
    found = _OWN.get(section)
    if found is None:
        found = []
        waiting: list[Cond] = []
        for line in section.directives:
            if line.key == "rewritecond":
                condition = make_condition(line)
                if condition is not None:
                    waiting.append(condition)
            elif line.key == "rewriterule":
                rule = make_rule(line, tuple(waiting))
                waiting = []
                if rule is not None:
                    found.append(rule)
        _OWN[section] = found
    return found


_OWN: WeakKeyDictionary[Section, list[Rule]] = WeakKeyDictionary()


class Rules(NamedTuple):
    """What mod_rewrite's configuration has come to. `folder` is the section's path with a slash at its end, None for
    that of a server; `engine` the line that switched it on."""

    engine: Directive | None
    options: frozenset[str]
    rules: Sequence[Rule]
    folder: str | None
    base: Directive | None


def _options(section: Section) -> frozenset[str] | None:
    lines = section.all("rewriteoptions")
    return frozenset(word.lower() for line in lines for word in line.args) if lines else None


def _inherited(
    options: frozenset[str], above: frozenset[str], own: Sequence[Rule], outer: Sequence[Rule]
) -> Sequence[Rule]:
    down = "ignoreinherit" not in options
    if "inherit" in options or ("inheritdown" in above and down):
        return [*own, *outer]
    if "inheritbefore" in options or ("inheritdownbefore" in above and down):
        return [*outer, *own]
    return own


def _folder_of(section: Section) -> str | None:
    if section.kind == "server":
        return None
    path = section.folder if section.kind == "htaccess" else section.pattern
    if section.kind in ("if", "elseif", "else"):
        path = "*If"
    return path if path.endswith("/") else path + "/"


def directory_rules(layers: Layers) -> Rules:
    """Per-directory configuration, merged over the sections that apply: rules of an inner section displace the outer
    ones, and a section with any line of mod_rewrite counts as one."""
    found: Rules = layers.memo("rewrite", _merge)
    return found


def _merge(layers: Layers) -> Rules:
    merged = Rules(None, frozenset(), (), None, None)
    for section in layers.sections:
        if not any(line.key in DIRECTIVES for line in section.directives):
            continue
        engine = section.last("rewriteengine") or merged.engine
        own = _options(section)
        options = merged.options if own is None else own
        base = section.last("rewritebase") or (merged.base if "mergebase" in options else None)
        # Server-wide rules are no per-directory ones.
        rules = [] if section.kind == "server" else own_rules(section)
        rules = list(_inherited(options, merged.options, rules, merged.rules))
        merged = Rules(engine, options, rules, _folder_of(section), base)
    return merged


def displacing(layers: Layers, line: Directive) -> Directive | None:
    """The line by which rules of a section further in stand in the place of that one, a rule of a section further out:
    the RewriteEngine there, or the first line of mod_rewrite. None where the rule is among those that count."""
    if any(rule.line is line for rule in directory_rules(layers).rules):
        return None
    found = None
    for section in reversed(layers.sections):
        if any(one is line for one in section.directives):
            return found if section.kind != "server" else None
        own = next((one for one in section.directives if one.key in DIRECTIVES), None)
        found = found or section.last("rewriteengine") or own
    return None


def is_on(rules: Rules) -> bool:
    return rules.engine is not None and rules.engine.args[:1] != () and rules.engine.args[0].lower() == "on"


def _touches(section: Section) -> bool:
    return any(line.key in DIRECTIVES for line in section.directives) or any(map(_touches, section.sections))


class ServerRules(NamedTuple):
    """Rules and maps (by name: the line) of a server. `own`: it has a configuration of its own; rules run only then."""

    rules: Sequence[Rule]
    maps: dict[str, Directive]
    own: bool
    options: frozenset[str]


def server_rules(server: Server) -> ServerRules:
    """Server-wide configuration: a virtual host inherits rules and maps only where RewriteOptions say so."""
    found = _SERVERS.get(server)
    if found is None:
        found = _SERVERS[server] = _make_server(server)
    return found


_SERVERS: WeakKeyDictionary[Server, ServerRules] = WeakKeyDictionary()


def _make_server(server: Server) -> ServerRules:
    own = own_rules(server.section)
    maps = {line.args[0]: line for line in server.section.all("rewritemap") if len(line.args) > 1}
    options = _options(server.section)
    if server.main is None:
        return ServerRules(own, maps, True, options or frozenset())
    main = server_rules(server.main)
    if not _touches(server.section):
        return main._replace(own=False)
    merged = main.options if options is None else options
    rules = _inherited(merged, main.options, own, main.rules)
    inherits = rules is not own
    return ServerRules(rules, {**main.maps, **maps} if inherits else maps, True, merged)
