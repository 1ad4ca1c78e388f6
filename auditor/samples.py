"""Texts that a regular expression matches, made from its own parts. Each is checked with the engine itself."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any

from auditor.regex import RegexError, compile_regex

# re's parser is what the standard library offers to take a pattern apart; its module was renamed in 3.11.
import re._parser as _parser  # type: ignore[import-not-found]  # isort: skip
import re._constants as _c  # type: ignore[import-not-found]  # isort: skip


@lru_cache(maxsize=4096)
def samples(pattern: str, caseless: bool, lead: str = "") -> tuple[str, ...]:
    """Up to two texts that the pattern matches, the first as short as it comes; empty where none can be made.

    `lead` is put in front where the pattern is not anchored, so that a path begins with a slash.
    """
    found: list[str] = []
    try:
        with warnings.catch_warnings():  # of what sets may mean in a later Python: no concern of a sample
            warnings.simplefilter("ignore", FutureWarning)
            tree = _parser.parse(_plain(pattern))
    except (re.error, RecursionError, OverflowError):
        return ()
    try:
        regex = compile_regex(pattern, caseless)
    except RegexError:
        return ()
    for much in (False, True):
        text = _text(tree, much)
        if text is None:
            continue
        for candidate in _candidates(text, pattern, lead):
            try:
                if candidate not in found and regex.search(candidate) is not None:
                    found.append(candidate)
                    break
            except RegexError:
                return tuple(found)
    return tuple(found)


def _candidates(text: str, pattern: str, lead: str) -> list[str]:
    if not lead:
        return [text]
    if text.startswith("/"):
        return [text, lead + text]
    return [lead + text, lead.rstrip("/") + text, "/" + text]


# Classes of POSIX inside of sets, by what Python has for them: enough for a sample.
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "lower": "a-z",
    "space": r"\s",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9a-fA-F",
}


def _plain(pattern: str) -> str:
    """PCRE's named groups in Python's spelling, and without what Python does not know and a sample does not need."""
    pattern = re.sub(r"\(\?<(?![=!])", "(?P<", pattern)
    pattern = re.sub(r"\(\?'(\w+)'", r"(?P<\1>", pattern)
    pattern = re.sub(r"\[:(\w+):\]", lambda found: _CLASSES.get(found[1], found[0]), pattern)
    return re.sub(r"\(\*[A-Z0-9_=]+\)", "", pattern)


def _text(items: Any, much: bool) -> str | None:
    out: list[str] = []
    items = list(items)
    for at, (operator, value) in enumerate(items):
        piece = "." if _is_dot(items, at) else _piece(operator, value, much)
        if piece is None:
            return None
        out.append(piece)
    return "".join(out)


def _is_dot(items: list[Any], at: int) -> bool:
    """Whether any character is meant to be a dot, which has lost its backslash: within a word (`wp-login.php`)."""
    if items[at][0] is not _c.ANY or not 0 < at < len(items) - 1:
        return False
    return _in_word(items[at - 1]) and _in_word(items[at + 1])


def _in_word(item: Any) -> bool:
    operator, value = item
    return operator is _c.SUBPATTERN or (operator is _c.LITERAL and chr(value).isalnum())


def _piece(operator: Any, value: Any, much: bool) -> str | None:
    if operator is _c.LITERAL:
        return chr(value)
    if operator is _c.NOT_LITERAL:
        return "a" if value != ord("a") else "b"
    if operator is _c.ANY:
        return "a"
    if operator is _c.IN:
        return _one_of(value)
    if operator is _c.BRANCH:
        branches = value[1]
        return _text(branches[-1 if much else 0], much)
    if operator is _c.SUBPATTERN:
        return _text(value[-1], much)
    if operator in (_c.MAX_REPEAT, _c.MIN_REPEAT, getattr(_c, "POSSESSIVE_REPEAT", None)):
        low, high, inner = value
        count = int(low) if not much else max(int(low), min(1, int(high)))
        text = _text(inner, much)
        return None if text is None else text * count
    if operator in (_c.AT, _c.ASSERT, _c.ASSERT_NOT, _c.GROUPREF):
        return ""
    if operator is getattr(_c, "ATOMIC_GROUP", None):
        return _text(value, much)
    return None


_BY_CATEGORY = {
    _c.CATEGORY_DIGIT: "1",
    _c.CATEGORY_WORD: "a",
    _c.CATEGORY_SPACE: " ",
    _c.CATEGORY_NOT_DIGIT: "a",
    _c.CATEGORY_NOT_SPACE: "a",
    _c.CATEGORY_NOT_WORD: "-",
}


def _one_of(items: Any) -> str | None:
    if items and items[0][0] is _c.NEGATE:
        taken = set()
        for operator, value in items[1:]:
            if operator is _c.LITERAL:
                taken.add(chr(value))
            elif operator is _c.RANGE:
                taken.update(chr(code) for code in range(value[0], min(value[1], 0x7F) + 1))
            elif operator is _c.CATEGORY and value in (_c.CATEGORY_WORD, _c.CATEGORY_DIGIT):
                taken.update("0123456789" if value is _c.CATEGORY_DIGIT else "abcdefghijklmnopqrstuvwxyz0123456789_")
        return next((char for char in "aZ1-_.~" if char not in taken), None)
    for operator, value in items:
        if operator is _c.LITERAL:
            return chr(value)
        if operator is _c.RANGE:
            return chr(value[0])
        if operator is _c.CATEGORY and value in _BY_CATEGORY:
            return _BY_CATEGORY[value]
    return None
