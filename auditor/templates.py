"""Templates of configurations (Jinja, ERB, Go, envsubst): text that becomes a configuration when it is filled in.

Each piece of the template language gives way to something of the same length, so that lines and columns stay: what
inserts a value becomes a variable of nginx whose value is not known, everything else becomes blanks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_ENDINGS = (".j2", ".jinja", ".jinja2", ".erb", ".tmpl", ".tpl", ".template", ".ctmpl", ".gotmpl", ".mustache")
# Pieces are short; without the limit a text full of opening braces would take quadratic time.
_PIECE = r"(?s)\{\{.{0,1000}?\}\}|\{%.{0,1000}?%\}|\{\#.{0,1000}?\#\}|<%.{0,1000}?%>"
# In Go's templates statements and values look alike.
_STATEMENT = r"\{\{-?\s*(if|else|end|range|with|define|block|template|break|continue|/\*|\$\w+\s*:?=)|\{\{[#/^!>]"


def has_template_name(name: str) -> bool:
    """Whether the file's name says that it is a template."""
    return name.endswith(_ENDINGS)


def looks_like_template(text: str) -> bool:
    """Whether the text holds any piece of a template language (`{{ }}`, `{% %}`, `<% %>`)."""
    return ("{{" in text or "{%" in text or "<%" in text) and re.search(_PIECE, text) is not None


def placeholders(text: str) -> str:
    """The text with its pieces of template language replaced: `{{ name }}` by `${_name__}`, `{% if x %}` by blanks."""
    out: list[str] = []
    at = 0
    for match in re.finditer(_PIECE, text):
        piece = match.group()
        out.append(text[at : match.start()])
        at = match.end()
        value = piece.startswith("{{") or (piece.startswith("<%=") and len(piece) > 5)
        if value and not re.match(_STATEMENT, piece) and not _stands_alone(text, match.start(), match.end()):
            inner = re.sub(r"\W", "_", piece[2:-2]).strip("_")
            out.append("${_" + inner[: len(piece) - 4].ljust(len(piece) - 4, "_") + "}")
            if "\n" in piece:  # lines must stay where they are
                out[-1] = re.sub(r"[^\n]", " ", piece)
        else:
            out.append(re.sub(r"[^\n]", " ", piece))
    out.append(text[at:])
    return "".join(out)


_SECRET = r"(?i)token|secret|passw|pwd|key|auth|cred"


def fill_in(word: str, values: Mapping[str, str]) -> str:
    """The word of a configuration with what envsubst makes of `$NAME` and `${NAME}` in it.

    Names whose value is not known, or is more than one word, or that are called like a secret, stay: as variables of
    nginx that nobody knows.
    """
    if "$" not in word or not values:
        return word

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        known = values.get(name, "") if not re.search(_SECRET, name) else ""
        return known if re.fullmatch(r"[\w.:/@%+*,~-]+", known) else match.group()

    return re.sub(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", value, word)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether the piece fills its line where a directive would begin: it inserts lines, not a word."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    if text[line_start:start].strip() or text[end : len(text) if line_end == -1 else line_end].strip():
        return False
    at = line_start
    while at > 0:  # the nearest line above that says something
        above = text.rfind("\n", 0, at - 1) + 1
        line = text[above : at - 1].strip()
        if line:
            return line[-1] in ";{}" or line.startswith("#")
        at = above
    return True
