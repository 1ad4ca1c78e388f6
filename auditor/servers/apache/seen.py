"""Which sections a route's requests meet, whatever their headers and methods are: what its
traits are told from.

A request's way depends on its path, on what is not known (both ways are walked), and on conditions of RewriteRule and
<If> on headers and the like, which rules of this product vary. Where there are such conditions, the way without any
rewriting and the ways of all fixed targets are met, too; where that is not enough, nothing is told.
"""

import re
from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING, NamedTuple

from auditor.http import Request
from auditor.predictor import TOO_MANY
from auditor.regex import RegexError
from auditor.servers.apache.config import Section, Server
from auditor.servers.apache.pattern import compile_pattern
from auditor.servers.apache.rewrite_rules import Rule, own_rules, varies
from auditor.world import Answer, Question, Unknowns, World

if TYPE_CHECKING:
    from auditor.servers.apache.site import ApacheSite

MAX_TARGETS = 20
# Flags by which a rule without substitution counts all the same.
_STEERING = ("L", "END", "N", "S", "C", "PT", "H", "T")
_CONDITIONS = frozenset(("if", "elseif", "else"))
_VARIED_REQUIRES = frozenset(("env", "expr", "method"))


class _Admits:
    """A world in which every user is accepted."""

    def ask(self, question: Question) -> Answer | None:
        return Answer("accepted", "the credentials are accepted", True) if question.kind == "credentials" else None


ADMITS = _Admits()
NOTHING = Unknowns()
BASIC = ("Authorization", "Basic YXVkaXQ6cHJvYmU=")


class Seen(NamedTuple):
    """What a route's requests meet: the sections, None where that cannot be told, and whether any of them may reach a
    program or an upstream."""

    sections: Set[Section] | None
    sends: bool


class Eyes:
    """Tells what routes meet. To be made when the .htaccess files have been read."""

    def __init__(self, site: "ApacheSite") -> None:
        self._site = site
        self._rules = {id(one): own_rules(one) for _, one in site.sections() if one.all("rewriterule")}
        self._varied = [
            rule
            for rules in self._rules.values()
            for rule in rules
            if (rule.changes or rule.has(*_STEERING)) and any(map(varies, rule.conditions))
        ]

    def of_server(self, server: Server, judged: Sequence[tuple[str, Section]], base: Request) -> "_ServerEyes":
        """For the routes of one server; `judged` are the .htaccess sections below it, with the path of each."""
        sections = [*_all(server.section, "")]
        if server.main is not None:
            sections += _all(server.main.section, "")
        sections += [pair for prefix, section in judged for pair in _all(section, prefix)]
        told = not any(section.kind in _CONDITIONS or varied_gate(section) for _, section in sections)
        targets: list[str] = []
        varied = any(not _excluded(rule, base) for rule in self._varied)
        for prefix, section in sections:
            for line in (*section.all("errordocument"), *section.all("fallbackresource")):
                # What is missing is so for all headers and methods: where no condition is about these, the requests
                # themselves get to the page for it.
                missing = line.args[:1] == ("404",) and not varied
                if line.args[-1:] and line.args[-1].startswith("/") and not missing:
                    targets.append(line.args[-1])
            for rule in self._rules.get(id(section), ()) if varied else ():
                target = _internal(rule)
                if target is None:
                    continue
                told = told and "$" not in target and "%" not in target
                bases = [line.args[0] for line in section.all("rewritebase") if line.args]
                starts = [""] if target.startswith("/") else [one.rstrip("/") + "/" for one in (*bases, prefix)]
                targets += [start + target for start in starts]
        targets = [target for target in dict.fromkeys(targets) if re.fullmatch(r"/[!-~]*", target)]
        requests = [base._replace(target=target) for target in targets]
        return _ServerEyes(self._site, varied, requests, told and len(requests) <= MAX_TARGETS)


class _ServerEyes:
    def __init__(self, site: "ApacheSite", varied: bool, targets: Sequence[Request], told: bool) -> None:
        self._site = site
        self._varied = varied
        self._targets = targets
        self._told = told
        self._elsewhere: Seen | None = None

    def look(self, request: Request) -> Seen:
        """What that request meets, whatever headers it has beside its own."""
        if not self._told:
            return Seen(None, True)
        if self._elsewhere is None:
            found = [self._meet(target) for target in self._targets]
            self._elsewhere = Seen(
                frozenset().union(*(one.sections or () for one in found)), any(o.sends for o in found)
            )
        here = self._meet(request)
        if here.sections is None or self._elsewhere.sections is None:
            return Seen(None, True)
        return Seen(here.sections | self._elsewhere.sections, here.sends or self._elsewhere.sends)

    def _meet(self, request: Request) -> Seen:
        sections: set[Section] = set()
        sends = False
        todo: list[tuple[Request, World, bool]] = [(request, NOTHING, False)]
        if self._varied:
            todo.append((request, NOTHING, True))
        for asked, world, unrewritten in todo:
            outcomes, met = self._site.met(asked, world, unrewritten)
            if outcomes is TOO_MANY:
                return Seen(None, True)
            sections |= met.sections
            if world is NOTHING and any(gate.needs == "credentials" for one in outcomes for gate in one.gates):
                todo.append((request.with_headers(BASIC), ADMITS, unrewritten))
            sends = sends or any(one.exchanges or one.action in ("proxied", "cgi", "unknown") for one in outcomes)
        return Seen(sections, sends)


def _excluded(rule: Rule, base: Request) -> bool:
    """Whether a condition on the scheme or the port keeps all requests of this listener from the rule."""
    known = {"%{HTTPS}": "on" if base.tls else "off", "%{SERVER_PORT}": str(base.port)}
    known["%{REQUEST_SCHEME}"] = base.scheme
    for at, condition in enumerate(rule.conditions):
        text = known.get(condition.subject)
        either = "OR" in condition.flags or (at > 0 and "OR" in rule.conditions[at - 1].flags)
        if text is None or either or condition.test not in ("regex", "="):
            continue
        if condition.test == "regex":
            try:
                holds = compile_pattern(condition.pattern, "NC" in condition.flags).search(text) is not None
            except RegexError:
                continue
        else:
            holds = condition.pattern.lower() == text
        if holds is condition.negated:
            return True
    return False


def _internal(rule: Rule) -> str | None:
    """The path that a rule leads to, where that is one of the same server; None for redirects and upstreams."""
    if rule.answers or rule.output == "-" or rule.has("R", "P") or re.match(r"[a-z]+://", rule.output):
        return None
    return rule.output.partition("?")[0]


def varied_gate(section: Section) -> bool:
    """Whether a gate of the section asks for what the rules vary, so that a request may go further with it."""
    for line in section.lines():
        if line.key == "require":
            words = [word.lower() for word in line.args[:2]]
            if not _VARIED_REQUIRES.isdisjoint(words[1:] if words[:1] == ["not"] else words[:1]):
                return True
        if line.key in ("allow", "deny") and any(word.lower().startswith("env=") for word in line.args):
            return True
    return False


def _all(section: Section, prefix: str) -> Iterator[tuple[str, Section]]:
    yield prefix, section
    for inner in section.sections:
        yield from _all(inner, prefix)
