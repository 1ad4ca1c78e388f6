"""Regular expressions, run by PCRE2: the engine of nginx and Apache.

A pattern has a match limit, so that one that explodes is an answer ("not knowable") instead of a hang. Patterns and
subjects are bytes in latin-1, as the servers see them without (*UTF).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

MATCH_LIMIT = 500_000
MAX_FOUND = 512  # subjects whose match a pattern remembers
DOLLAR_ENDONLY = 0x10  # PCRE2_DOLLAR_ENDONLY, which the binding has no name for


class RegexError(ValueError):
    """The pattern does not compile, or a match of it exceeded the limit."""


class Match:
    """A match: the subject, and for each group up to the highest that took part its text ("" if it did not)."""

    __slots__ = ("_found", "groups", "names")

    def __init__(self, groups: tuple[str, ...], names: dict[str, str], found: Any = None) -> None:
        self.groups = groups
        self.names = names
        self._found = found

    def span(self, number: int) -> tuple[int, int]:
        """Where a group begins and ends in the subject; (-1, -1) where it did not take part."""
        start, end = self._found.span(number)
        return start, end


class Regex:
    """A compiled pattern. `groups` is how many groups it has, `names` the numbers of those with a name."""

    __slots__ = ("_compiled", "_found", "groups", "names", "pattern")

    def __init__(self, pattern: str, caseless: bool, whole: bool = False) -> None:
        import pcre2  # here, because many configurations have no pattern at all

        self.pattern = pattern
        flags = (pcre2.IGNORECASE if caseless else 0) | (pcre2.DOTALL | DOLLAR_ENDONLY if whole else 0)
        try:
            source = f"(*LIMIT_MATCH={MATCH_LIMIT}){pattern}".encode("latin-1")
            self._compiled: Any = pcre2.compile(source, flags)
        except Exception as error:  # the binding raises several unrelated classes
            raise RegexError(f"pattern {pattern!r} does not compile: {error}") from error
        self._found: dict[str, Match | None] = {}  # the same paths are asked about again and again
        self.groups: int = self._compiled.groups
        self.names: dict[str, int] = {_text(name): number for name, number in self._compiled.groupindex.items()}

    def search(self, subject: str) -> Match | None:
        """The first match in `subject`, or None. Raises RegexError where the match limit is exceeded."""
        if subject not in self._found:
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            self._found[subject] = self._search(subject)
        return self._found[subject]

    def _search(self, subject: str) -> Match | None:
        try:
            found = self._compiled.search(subject.encode("latin-1"))
        except Exception as error:
            raise RegexError(f"pattern {self.pattern!r} exceeds the match limit") from error
        if found is None:
            return None
        groups = [found.group(0), *found.groups()]
        # A server counts the groups up to the last one that took part; a later $n stays as it is, empty here.
        while groups[-1] is None:
            groups.pop()
        texts = tuple("" if group is None else group.decode("latin-1") for group in groups)
        names = {name: texts[number] if number < len(texts) else "" for name, number in self.names.items()}
        return Match(texts, names, found)


def _text(name: Any) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)


@lru_cache(maxsize=4096)
def compile_regex(pattern: str, caseless: bool = False, whole: bool = False) -> Regex:
    """The compiled pattern; `whole`: a line break is a character like others (PCRE2_DOTALL, PCRE2_DOLLAR_ENDONLY).
    Raises RegexError where PCRE2 refuses it."""
    return Regex(pattern, caseless, whole)
