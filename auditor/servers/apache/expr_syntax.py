"""The syntax of httpd's expressions: text to a tree (manual: "Expressions in Apache HTTP Server"; util_expr_scan.l and
util_expr_parse.y of 2.4). What is refused here keeps httpd from starting, or answers 500 in a .htaccess.
"""

from __future__ import annotations

import re
from functools import reduce
from typing import NoReturn

from auditor.patterns import lazy_re
from auditor.regex import Regex, RegexError
from auditor.servers.apache import variables
from auditor.servers.apache.expr import ExprError
from auditor.servers.apache.expr_functions import PURE, network_of
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
from auditor.servers.apache.pattern import compile_pattern

_LOOKING = ("osenv", "env", "resp", "req", "http", "note", "reqenv", "req_novary", "ssl", "file", "filesize")
_RESTRICTED = ("file", "filesize")
_UNARY = frozenset("nzRTdefsLhxFUA")
_BINARY = ("ipmatch", "fnmatch", "strmatch", "strcmatch")
_INTEGER = ("eq", "ne", "lt", "le", "gt", "ge")
_KEYWORDS = frozenset((*_INTEGER, "in", "and", "or", "not", "true", "false"))

_SPACE = lazy_re(r"[ \t\n]*")
_NAME = lazy_re(r"[a-zA-Z][a-zA-Z0-9_]*")
_DASHED = lazy_re(r"-[a-zA-Z_][a-zA-Z_0-9]*")
_DIGITS = lazy_re(r"-?[0-9]+")
_SYMBOL = lazy_re(r"=~|==?|!=|!~|<=?|>=?")
_REGEX = lazy_re(r"m([/#$%^|?!'\",;:.-])|(/)")
_ESCAPE = lazy_re(r"\\([0-9]+|[^0-9])", re.DOTALL)
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def parse_condition(text: str, restricted: bool) -> Condition:
    """The tree of a boolean expression. `restricted`: it stands in a .htaccess. Raises ExprError."""
    parser = _Parser(text, restricted)
    tree = parser.either()
    parser.blank()
    if parser.at < len(text):
        parser.fail()
    return tree


def parse_string(text: str, restricted: bool) -> Word:
    """The tree of a string expression: text with %{...} and $1. Raises ExprError."""
    return _Parser(text, restricted).string("")


class _Parser:
    def __init__(self, text: str, restricted: bool) -> None:
        self.text = text
        self.at = 0
        self.restricted = restricted

    def fail(self, reason: str = "") -> NoReturn:
        near = self.text[self.at : self.at + 12]
        raise ExprError(
            f"{reason or 'syntax error'} near {near!r} in {self.text!r}" if near else reason or "it ends early"
        )

    def blank(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()

    def take(self, symbol: str) -> bool:
        """Whether that is what comes next behind blanks; goes behind it."""
        self.blank()
        if not self.text.startswith(symbol, self.at):
            return False
        self.at += len(symbol)
        return True

    def keyword(self, *names: str) -> str:
        """The next word if it is one of these, else ""."""
        self.blank()
        match = _NAME.match(self.text, self.at)
        if match is None or match[0] not in names:
            return ""
        self.at = match.end()
        return match[0]

    # --- conditions

    def either(self) -> Condition:
        tree = self.both()
        while self.take("||") or self.keyword("or"):
            tree = Either(tree, self.both())
        return tree

    def both(self) -> Condition:
        tree = self.negation()
        while self.take("&&") or self.keyword("and"):
            tree = Both(tree, self.negation())
        return tree

    def negation(self) -> Condition:
        if self.take("!") or self.keyword("not"):
            return Not(self.negation())
        if self.take("("):
            tree = self.either()
            if not self.take(")"):
                self.fail()
            return tree
        constant = self.keyword("true", "false")
        if constant:
            return Constant(constant == "true")
        start = self.at
        dashed = _DASHED.match(self.text, self.at)
        if dashed is not None:
            return self.unary(dashed, start)
        return self.comparison(start)

    def unary(self, dashed: re.Match[str], start: int) -> Condition:
        operator = dashed[0][1:]
        if operator not in _UNARY:
            self.fail(f"unary operator {dashed[0]} does not exist,")
        self.at = dashed.end()
        word = self.word()
        if operator == "R":
            self.network(operator, word)
        return Unary(operator, word, self.text[start : self.at])

    def comparison(self, start: int) -> Condition:
        left = self.word()
        self.blank()
        operator = self.operator()
        if operator in ("=~", "!~"):
            regex = self.regex()
            return Matches(left, regex, operator == "!~", self.text[start : self.at])
        if operator == "in":
            words = self.words()
            return Within(left, words, self.text[start : self.at])
        right = self.word()
        source = self.text[start : self.at]
        if operator in _BINARY:
            if operator == "ipmatch":
                self.network(operator, right)
            return Binary(operator, left, right, source)
        return Compare("==" if operator == "=" else operator, left, right, source)

    def operator(self) -> str:
        symbol = _SYMBOL.match(self.text, self.at)
        if symbol is not None:
            self.at = symbol.end()
            return symbol[0]
        name = self.keyword(*_INTEGER, "in")
        if name:
            return name
        dashed = _DASHED.match(self.text, self.at)
        if dashed is None:
            self.fail()
        operator = dashed[0][1:]
        if operator not in (*_INTEGER, "in"):
            operator = operator.lower()
            if operator not in _BINARY:
                self.fail(f"binary operator {dashed[0]} does not exist,")
        self.at = dashed.end()
        return operator

    def words(self) -> tuple[Word, ...] | None:
        """The list behind -in."""
        if not self.take("{"):
            # The one function that gives a list is mod_ssl's: what a client certificate says.
            if not self.keyword("PeerExtList"):
                self.fail()
            if not self.take("("):
                self.fail()
            self.word()
            if not self.take(")"):
                self.fail()
            return None
        found = [self.word()]
        while self.take(","):
            found.append(self.word())
        if not self.take("}"):
            self.fail()
        return tuple(found)

    def regex(self) -> Regex:
        self.blank()
        opening = _REGEX.match(self.text, self.at)
        if opening is None:
            self.fail("a regular expression is expected")
        mark = opening[1] or opening[2]
        end = self.text.find(mark, opening.end())  # no escape makes it part of the pattern
        if end == -1:
            self.fail("unterminated regular expression")
        pattern = self.text[opening.end() : end]
        self.at = end + 1
        caseless = self.text.startswith("i", self.at)
        self.at += caseless
        try:
            return compile_pattern(pattern, caseless)
        except RegexError as error:
            raise ExprError(str(error)) from error

    def network(self, operator: str, word: Word) -> None:
        if not isinstance(word, Text):
            self.fail(f"-{operator} requires a constant")
        try:
            network_of(word.text)
        except ValueError as error:
            raise ExprError(f"{word.text!r} is no network") from error

    # --- words

    def word(self) -> Word:
        left = self.part()
        return Concat(left, self.word()) if self.take(".") else left

    def part(self) -> Word:
        self.blank()
        char = self.text[self.at : self.at + 1]
        if char and char in "'\"":
            self.at += 1
            found = self.string(char)
            self.at += 1
            return found
        if self.text.startswith("%{", self.at):
            return self.variable()
        if char == "$" and self.text[self.at + 1 : self.at + 2].isdigit():
            self.at += 2
            return Capture(int(self.text[self.at - 1]))
        digits = _DIGITS.match(self.text, self.at)
        if digits is not None:
            self.at = digits.end()
            return Text(digits[0])
        name = _NAME.match(self.text, self.at)
        if name is None or name[0] in _KEYWORDS:
            self.fail()
        self.at = name.end()
        if not self.take("("):
            self.fail()
        argument = self.word()
        if not self.take(")"):
            self.fail()
        return self.call(name[0], argument)

    def string(self, stop: str) -> Word:
        """Text with variables and captures up to `stop`: a quote, "}", or "" for all the text."""
        parts: list[Word] = []
        literal: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == stop:
                break
            follows = self.text[self.at + 1 : self.at + 2]
            piece: Word | None = None
            if char == "\\":
                literal.append(self.escape())
            elif char == "$" and follows.isdigit():
                self.at += 2
                piece = Capture(int(follows))
            elif char == "%" and follows == "{":
                piece = self.variable()
            elif char == "\n" or (stop == "}" and char in "'\""):  # a quote there ends the process
                self.fail("unterminated string or variable")
            else:
                literal.append(char)
                self.at += 1
            if piece is not None:
                if literal:
                    parts.append(Text("".join(literal)))
                    literal = []
                parts.append(piece)
        if stop and self.at >= len(self.text):
            self.fail("unterminated string")
        if literal:
            parts.append(Text("".join(literal)))
        return reduce(Concat, parts) if parts else Text("")

    def escape(self) -> str:
        match = _ESCAPE.match(self.text, self.at)
        if match is None:
            self.fail("a backslash at the end")
        self.at = match.end()
        found = match[1]
        if not found[0].isdigit():
            return _CONTROL.get(found, found)
        if len(found) > 3 or not all("0" <= digit <= "7" for digit in found) or int(found, 8) > 255:
            self.fail("bad escape sequence")
        return chr(int(found, 8))

    def variable(self) -> Word:
        self.at += 2
        name = _NAME.match(self.text, self.at)
        if name is None:
            self.fail("a variable's name is expected")
        self.at = name.end()
        if self.text.startswith("}", self.at):
            self.at += 1
            upper = name[0].upper()
            if not variables.is_variable(upper):
                raise ExprError(f"variable {name[0]!r} does not exist")
            return Variable(upper)
        if not self.text.startswith(":", self.at):
            self.fail("invalid character in a variable's name")
        self.at += 1
        if self.text.startswith("}", self.at):
            self.fail()
        argument = self.string("}")
        self.at += 1
        return self.call(name[0], argument)

    def call(self, name: str, argument: Word) -> Word:
        low = name.lower()
        if low not in _LOOKING and low not in PURE:
            raise ExprError(f"function {name!r} does not exist")
        if self.restricted and low in _RESTRICTED:
            raise ExprError(f"{name} is not available in a .htaccess")
        return Call(low, argument)
