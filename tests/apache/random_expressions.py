"""Random conditions and strings in httpd's expression language, for a comparison with the real server."""

from __future__ import annotations

from random import Random
from typing import Any

_WORDS = (
    *("%{HTTP:X-A}", "%{HTTP:X-N}", "%{REQUEST_URI}", "%{QUERY_STRING}", "%{HTTP_HOST}", "%{HTTP:X-Nope}", "%{HTTPS}"),
    *("%{reqenv:SE}", "%{REQUEST_METHOD}", "%{REMOTE_ADDR}", "%{HTTP:Cookie}", "$0", "$1", "$2", "$3", "-5", "0", "12"),
    *("'a'", "'Alpha beta'", '"x$1y"', "''", "'10'", "'a%b'", "'%{HTTP:X-N}0'", "'GET'", "'off'", '"it\'s"', "'\\''"),
)
_FUNCTIONS = ("tolower", "toupper", "md5", "base64", "escape", "unescape", "unbase64", "reqenv", "sha1")
_PATTERNS = (
    "a",
    "A",
    "(a)",
    "(A)(l)",
    "^a",
    "x?",
    "(x)?",
    "[0-9]+",
    "([0-9])",
    "$",
    "^$",
    "a(.)",
    "(.*) (.*)",
    "b.t",
    "%",
)
_COMPARE = (*("==", "=", "!=", "<", "<=", ">", ">="), *("-eq", "-ne", "-lt", "-le", "-gt", "-ge", "eq", "lt"))
_GLOBS = ("'*a*'", "'A?pha*'", "'[a-c]*'", "'/e*'", "'/*/*'")
_PIECES = (
    *("a", "$1", "%", "$", "\\x", "}", "{", " ", "-", "\\101", "'", '"', "%{HTTP:X-A}", "%{HTTP:X-N}", "%{HTTPS}"),
    *("%{tolower:%{HTTP:X-A}}", "%{md5:a%{HTTP:X-N}}", "%{escape:%{HTTP:X-A}/?}", "%{base64:%{HTTP:X-A}}"),
)


def word(random: Random, depth: int = 0) -> str:
    kind = random.random()
    if depth < 2 and kind < 0.15:
        return f"{random.choice(_FUNCTIONS)}({word(random, depth + 1)})"
    if depth < 2 and kind < 0.3:
        return f"{word(random, depth + 1)}{random.choice(('.', ' . '))}{word(random, depth + 1)}"
    return random.choice(_WORDS)


def condition(random: Random, depth: int = 0) -> str:
    kind = random.random()
    if depth < 3 and kind < 0.36:
        joint = random.choice((" && ", " and ", "&&", " || ", " or ", "||"))
        return f"{condition(random, depth + 1)}{joint}{condition(random, depth + 1)}"
    if depth < 3 and kind < 0.46:
        return random.choice(("!", "! ", "not ")) + condition(random, depth + 1)
    if depth < 3 and kind < 0.54:
        return f"({condition(random, depth + 1)})"
    if kind < 0.6:
        return random.choice(("true", "false"))
    if kind < 0.72:
        mark = random.choice(("/", "m#", "m,", "m!", "m|"))
        regex = f"{mark}{random.choice(_PATTERNS)}{mark[-1]}{random.choice(('', 'i'))}"
        return f"{word(random)} {random.choice(('=~', '!~'))} {regex}"
    if kind < 0.8:
        return random.choice(("-n ", "-z ", "-T ", "-n")) + word(random)
    if kind < 0.86:
        return f"{word(random)} {random.choice(('-strmatch', '-strcmatch', '-fnmatch'))} {random.choice(_GLOBS)}"
    if kind < 0.92:
        words = ",".join(word(random) for _ in range(random.randint(1, 3)))
        return f"{word(random)} {random.choice(('in', '-in'))} {{{words}}}"
    return f"{word(random)} {random.choice(_COMPARE)} {word(random)}"


def table(seed: int, size: int) -> list[list[Any]]:
    """Rows as those of expressions.json, without results."""
    random = Random(seed)
    found: list[list[Any]] = [["condition", condition(random), None, []] for _ in range(size)]
    strings = ("".join(random.choices(_PIECES, k=random.randint(1, 5))) for _ in range(size // 5))
    return found + [["string", text, None, []] for text in strings]
