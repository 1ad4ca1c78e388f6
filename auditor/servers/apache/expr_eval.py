"""The value of httpd's expressions (util_expr_eval.c of 2.4)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from auditor.regex import RegexError
from auditor.servers.apache import expr_functions, variables
from auditor.servers.apache.expr_tree import (
    Binary,
    Both,
    Call,
    Capture,
    Compare,
    Concat,
    Condition,
    Constant,
    Either,
    Matches,
    Not,
    Text,
    Unary,
    Variable,
    Within,
    Word,
)
from auditor.servers.apache.pattern import Groups, sources_of
from auditor.servers.apache.run import Run
from auditor.source import Place
from auditor.values import ADDRESS, EMPTY, SERVER, Segment, Value, join, literal, unknown
from auditor.world import Answer, Question


class Evaluation:
    """One evaluation: captures start empty and last as long as it does."""

    def __init__(self, run: Run, place: Place | None) -> None:
        self.run = run
        self.place = place
        self.groups: Sequence[Value] = ()
        self.vary: list[str] = []

    # --- conditions

    def condition(self, node: Condition) -> bool:
        if isinstance(node, Either):
            return self.condition(node.left) or self.condition(node.right)
        if isinstance(node, Both):
            return self.condition(node.left) and self.condition(node.right)
        if isinstance(node, Not):
            return not self.condition(node.inner)
        if isinstance(node, Constant):
            return node.value
        if isinstance(node, Compare):
            return self.compare(node)
        if isinstance(node, Matches):
            return self.regex(node) is not node.negative
        if isinstance(node, Within):
            return self.listed(node)
        if isinstance(node, Unary):
            return self.unary(node)
        return self.binary(node)

    def undecided(self, source: str, *values: Value) -> bool:
        """What cannot be computed is asked: both ways are walked."""
        if any(segment.text is None and segment.source == ADDRESS for value in values for segment in value.segments):
            yes, no = f"the client's address is one with {source}", f"the client's address is none with {source}"
            question = Question("client-address", detail=source)
            return self.run.ask(question, [Answer("no", no), Answer("yes", yes)], self.place).name == "yes"
        return self.run.truth("variable", source, self.place, f"{source} holds", f"{source} does not hold")

    def pair(self, node: Compare | Binary) -> tuple[Value, Value]:
        """Both words; the right one is looked at first, which the order of names in Vary shows."""
        right = self.word(node.right)
        return self.word(node.left), right

    def compare(self, node: Compare) -> bool:
        left, right = self.pair(node)
        if left.text is not None and right.text is not None:
            return expr_functions.compare(node.operator, left.text, right.text)
        if node.operator in ("==", "!=") and {left.present, right.present} == {"yes", "no"}:
            return node.operator == "!="
        return self.undecided(node.source, left, right)

    def regex(self, node: Matches) -> bool:
        value = self.word(node.word)
        text = value.text
        if text is None:
            found = self.undecided(node.source, value) is not node.negative
            if node.regex.groups:
                self.groups = (unknown(sources_of(value)),) * (node.regex.groups + 1) if found else ()
            return found
        try:
            match = node.regex.search(text)
        except RegexError:
            return self.undecided(node.source, value) is not node.negative
        if node.regex.groups:  # a pattern without groups leaves the captures as they are
            self.groups = () if match is None else Groups(value, match)
        return match is not None

    def listed(self, node: Within) -> bool:
        needle = self.word(node.word)
        if node.words is None:
            return self.undecided(node.source, needle)
        values = []
        for word in reversed(node.words):  # the last one first
            value = self.word(word)
            if needle.text is not None and needle.text == value.text:
                return True
            values.append(value)
        if needle.text is None or any(value.text is None for value in values):
            return self.undecided(node.source, needle, *values)
        return False

    def unary(self, node: Unary) -> bool:
        value = self.word(node.word)
        operator, text = node.operator, value.text
        if operator == "R":
            assert text is not None
            address = variables.client_address(self.run)
            if address.text is None:
                return self.undecided(node.source, address)
            return expr_functions.within(address.text, text)
        if operator in "nz":
            present = value.present
            if present == "maybe":
                return self.undecided(node.source, value)
            return (present == "yes") is (operator == "n")
        if text is None:
            return self.undecided(node.source, value)
        if operator == "T":
            return expr_functions.truth(text)
        if operator in "UA":
            return self.reachable(text)
        return self.file(operator, text, node.source)

    def binary(self, node: Binary) -> bool:
        left, right = self.pair(node)
        if left.text is None or right.text is None:
            return self.undecided(node.source, left, right)
        if node.operator == "ipmatch":
            return expr_functions.within(left.text, right.text)
        return expr_functions.match_pattern(node.operator, left.text, right.text)

    def file(self, operator: str, path: str, source: str) -> bool:
        """-d, -e, -f, -s, -L, -h, -x and -F. Links are taken to be none, and files to have something in them."""
        if not path:
            return False
        if path == self.run.filename and self.run.found in ("file", "directory", "missing"):
            there = self.run.found
        else:
            alternatives = [
                Answer("missing", f"{path} does not exist"),
                Answer("file", f"{path} is a file"),
                Answer("directory", f"{path} is a folder"),
            ]
            there = self.run.ask(Question("file", path), alternatives, self.place).name
        if there in ("missing", "no-folder") or operator in "Lh":
            return False
        if operator == "d":
            return there == "directory"
        if operator in "fs":
            return there != "directory"
        if operator == "x" and there != "directory":
            return self.run.truth("variable", source, self.place, f"{path} may be executed", f"{path} may not")
        return True

    def reachable(self, uri: str) -> bool:
        """-U and -A: what a subrequest for that URI would find (op_url_subr)."""
        run = self.run
        if run.main is not None and run.main.uri == run.uri:
            return False
        phases = importlib.import_module("auditor.servers.apache.phases")  # by name: phases needs this module
        status = phases.lookup(run, uri).status
        return status is None or status < 400

    # --- words

    def word(self, node: Word) -> Value:
        if isinstance(node, Text):
            return literal(node.text)
        if isinstance(node, Variable):
            self.looks_at(variables.HEADERS.get(node.name))
            return variables.lookup(self.run, node.name)
        if isinstance(node, Capture):
            return self.groups[node.number] if node.number < len(self.groups) else EMPTY
        if isinstance(node, Concat):
            return self.concat(node)
        return self.call(node)

    def concat(self, node: Concat) -> Value:
        """Both words. Pieces nested to the left are looked at from the last to the first, others as they stand
        (ap_expr_eval_word)."""
        found = []
        rest: Word = node
        if isinstance(node.left, Concat):
            while isinstance(rest, Concat):
                found.append(self.word(rest.right))
                rest = rest.left
            return join((self.word(rest), *reversed(found)))
        while isinstance(rest, Concat):
            found.append(self.word(rest.left))
            rest = rest.right
        return join((*found, self.word(rest)))

    def looks_at(self, header: str | None) -> None:
        if header is not None and header.lower() != "host":
            self.vary.append(header)

    def call(self, node: Call) -> Value:
        argument = self.word(node.argument)
        text = argument.text
        pure = expr_functions.PURE.get(node.name)
        if pure is not None:
            if text is None or node.name in ("tolower", "toupper", "escape"):  # these work letter by letter
                return Value(
                    tuple(
                        Segment(segment.source, None if segment.text is None else pure(segment.text))
                        for segment in argument.segments
                    )
                )
            return literal(pure(text), sources_of(argument))
        if text is None:
            return unknown(sources_of(argument))
        return self.from_outside(node.name, text)

    def from_outside(self, name: str, argument: str) -> Value:
        run = self.run
        if name in ("req", "http"):
            self.looks_at(argument)
            return variables.request_header(run, argument)
        if name == "req_novary":
            return variables.request_header(run, argument)
        if name == "resp":
            return variables.response_header(run, argument)
        if name == "note":
            return variables.note(run, argument) or EMPTY
        if name == "reqenv":
            return run.env.get(argument) or EMPTY
        if name == "env":
            return variables.environment(run, argument)
        if name == "ssl":
            return variables.ssl(run, argument)
        return unknown(SERVER)  # osenv, file, filesize
