"""Authorization: the tree of Require lines that holds for a request, and what it says (mod_authz_core and the modules
that bring its providers)."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from auditor.servers.apache.config import WALKS, Directive, Layers, Section
from auditor.servers.apache.require import DENIED, ERROR, GRANTED, NEUTRAL, NO_USER, Node, ask
from auditor.servers.apache.run import Run
from auditor.servers.apache.syntax import next_word

_CONTAINERS = {"requireall": ("and", False), "requireany": ("or", False), "requirenone": ("or", True)}


class Rules(NamedTuple):
    """authz_core_dir_conf: how it is merged, its tree, and whether a known user is refused by 403."""

    merging: str  # "", off, and, or
    tree: Node | None
    forbids: bool | None


def rules_of(layers: Layers) -> Rules:
    """What holds in these sections together."""
    return layers.memo("authz", _merged)  # type: ignore[no-any-return]


def _merged(layers: Layers) -> Rules:
    """Each walk (directories, files, locations, conditions) merges its own sections before they are merged with what
    was there (ap_directory_walk, ap_file_walk, ap_location_walk, ap_if_walk)."""
    whole: Rules | None = None
    aliases = {line.args[1].lower(): line for line in layers.all("<authzprovideralias") if len(line.args) > 1}
    for _, group in groupby(layers.sections, key=lambda section: WALKS.get(section.kind, section.kind)):
        walk: Rules | None = None
        for section in group:
            walk = _merge(walk, _own(section, aliases))
        whole = _merge(whole, walk)
    return whole or Rules("", None, None)


def _merge(base: Rules | None, new: Rules | None) -> Rules | None:
    """merge_authz_core_dir_config()."""
    if base is None or new is None:
        return base if new is None else new
    forbids = base.forbids if new.forbids is None else new.forbids
    if not new.merging and new.tree is None and base.tree is not None:
        return Rules(base.merging, base.tree, forbids)
    if new.merging in ("", "off") or (base.tree is None and new.tree is None):
        return Rules(new.merging, new.tree, forbids)
    tree = new.tree or base.tree
    if base.tree is not None and new.tree is not None:
        tree = Node(new.merging, False, None, children=(base.tree, new.tree), limits=base.tree.limits + new.tree.limits)
    return Rules(new.merging, tree, forbids)


def _own(section: Section, aliases: Mapping[str, Directive]) -> Rules | None:
    """What a section itself says; None where it says nothing of the kind."""
    merging = section.last("authmerging")
    forbids = section.last("authzsendforbiddenonfailure")
    lines = [line for line in section.directives if _is_authz(line)]
    if merging is None and forbids is None and not lines:
        return None
    word = merging.args[0].lower() if merging is not None and merging.args else ""
    tree = _container("or", False, None, lines, aliases)
    return Rules(word, tree, None if forbids is None else forbids.args[0].lower() == "on")


def _is_authz(line: Directive) -> bool:
    return line.key == "require" or line.key.lstrip("<") in _CONTAINERS


def _container(
    op: str, negate: bool, line: Directive | None, lines: Sequence[Directive], aliases: Mapping[str, Directive]
) -> Node | None:
    """A container with its lines; one of the same kind inside of another is no own one (add_authz_section: "be
    associative"). None where it is empty."""
    children: list[Node] = []
    for inner in lines:
        if inner.key == "require":
            children.append(_require(inner, aliases))
        elif _is_authz(inner):
            kind, negated = _CONTAINERS[inner.key.lstrip("<")]
            node = _container(kind, negated, inner, inner.children, aliases)
            if node is not None and kind == op and not negated:
                children.extend(node.children)
            elif node is not None:
                children.append(node)
    if not children:
        return None
    limits = tuple(limit for child in children for limit in child.limits)
    return Node(op, negate, line, children=tuple(children), limits=limits)


def _require(line: Directive, aliases: Mapping[str, Directive]) -> Node:
    word, rest = next_word(line.rest)
    negate = word.lower() == "not"
    if negate:
        word, rest = next_word(rest)
    alias = aliases.get(word.lower())
    if alias is not None:
        word, rest = alias.args[0], alias.args[2] if len(alias.args) > 2 else ""
    return Node("", negate, line, word.lower(), rest, limits=(line.limit,))


def mentions(section: Section) -> bool:
    """Whether a section has an authorization line of its own."""
    return any(_is_authz(line) for line in section.directives)


def tree_of(section: Section) -> Node | None:
    """What a section itself says."""
    rules = _own(section, {})
    return None if rules is None else rules.tree


def asking(node: Node, method: str) -> Directive | None:
    """The last line for that method that asks who the client is."""
    if not node.op:
        return node.line if node.needs_user(method) else None
    found = (asking(child, method) for child in reversed(node.children) if child.covers(method))
    return next((line for line in found if line is not None), None)


class Verdict:
    """What a tree says, and which lines said what, `not` and <RequireNone> included."""

    def __init__(self) -> None:
        self.result = NEUTRAL
        self.said: list[tuple[Node, str]] = []

    def line(self, *results: str) -> Node | None:
        """The last line that had one of these results."""
        return next((node for node, result in reversed(self.said) if result in results), None)


def judge(run: Run, tree: Node) -> Verdict:
    """What the tree says of the request, with the user it has by now (apply_authz_sections)."""
    verdict = Verdict()
    verdict.result = _apply(run, tree, "and", verdict)
    return verdict


def _apply(run: Run, node: Node, parent: str, verdict: Verdict) -> str:
    if not node.covers(run.method):
        return GRANTED if parent == "and" else NEUTRAL
    if node.op:
        before = len(verdict.said)
        result = _apply_children(run, node, verdict)
        if node.negate:
            verdict.said[before:] = [(one, _negated(said)) for one, said in verdict.said[before:]]
            result = _negated(result)
        return result
    result = ask(run, node)
    if node.negate:
        result = _negated(result)
    verdict.said.append((node, result))
    return result


def _negated(result: str) -> str:
    """That somebody is not refused does not let him in."""
    return {GRANTED: DENIED, DENIED: NEUTRAL, NO_USER: NEUTRAL}.get(result, result)


def _apply_children(run: Run, node: Node, verdict: Verdict) -> str:
    result = NEUTRAL
    final, weak = (DENIED, GRANTED) if node.op == "and" else (GRANTED, DENIED)
    for child in node.children:
        one = _apply(run, child, node.op, verdict)
        if one in (ERROR, final):
            return one
        if one != NEUTRAL and (result == NEUTRAL or (one == NO_USER and result == weak)):
            result = one
    return result


__all__ = [
    "DENIED",
    "ERROR",
    "GRANTED",
    "NO_USER",
    "Node",
    "Rules",
    "Verdict",
    "asking",
    "judge",
    "rules_of",
    "tree_of",
]
