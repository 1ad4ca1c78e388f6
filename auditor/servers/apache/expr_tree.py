"""The tree of an expression."""

from typing import NamedTuple

from auditor.regex import Regex


class Text(NamedTuple):
    """A literal."""

    text: str


class Variable(NamedTuple):
    """%{NAME}; `name` in upper case."""

    name: str


class Call(NamedTuple):
    """%{name:argument} or name(argument); `name` in lower case."""

    name: str
    argument: "Word"


class Capture(NamedTuple):
    """$0 to $9."""

    number: int


class Concat(NamedTuple):
    """One word behind another. Pieces of a string are nested to the left, words joined with a dot to the right."""

    left: "Word"
    right: "Word"


Word = Text | Variable | Call | Capture | Concat


class Constant(NamedTuple):
    """true or false."""

    value: bool


class Not(NamedTuple):
    """Negation."""

    inner: "Condition"


class Both(NamedTuple):
    """`and`: the second is looked at only where the first holds."""

    left: "Condition"
    right: "Condition"


class Either(NamedTuple):
    """`or`: the second is looked at only where the first does not hold."""

    left: "Condition"
    right: "Condition"


class Compare(NamedTuple):
    """Two words compared: as texts (== != < <= > >=) or as integers (eq ne lt le gt ge)."""

    operator: str
    left: Word
    right: Word
    source: str


class Matches(NamedTuple):
    """=~ and !~."""

    word: Word
    regex: Regex
    negative: bool
    source: str


class Within(NamedTuple):
    """-in: `words` is None for a list that a function makes."""

    word: Word
    words: tuple[Word, ...] | None
    source: str


class Unary(NamedTuple):
    """-n, -z, -f and their like; the word of -R is a network."""

    operator: str
    word: Word
    source: str


class Binary(NamedTuple):
    """-ipmatch (the second word is a network), -strmatch, -strcmatch, -fnmatch."""

    operator: str
    left: Word
    right: Word
    source: str


Condition = Constant | Not | Both | Either | Compare | Matches | Within | Unary | Binary
