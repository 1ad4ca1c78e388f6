"""nginx text to tokens: crossplane's lexer over text in memory, with the server's own rules where the two differ.

The rules are those of ngx_conf_read_token() in src/core/ngx_conf_file.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import length_hint

from crossplane.lexer import _lex_file_object

from auditor.patterns import lazy_re
from auditor.source import InputError

WORD, END, OPEN, LUA, CLOSE, COMMENT, REST = range(7)  # up to LUA: what a directive is made of, and its ends
Token = tuple[int, str, int, int]  # what it is, its text, its line, the offset where it begins

# Only these four separate words in nginx; crossplane takes all that Python calls white space, and in a latin-1 reading
# that is also a part of UTF-8 letters ("à" is C3 A0). Hidden from it behind private characters.
_ODD = "\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0"
_HAS_ODD = lazy_re(f"[{_ODD}]")
_HIDE = {ord(char): 0xE000 + ord(char) for char in _ODD}
_SHOW = {0xE000 + ord(char): ord(char) for char in _ODD}

_ESCAPE = lazy_re(r"\\([\"'\\trn])")
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n"}
_WORD = lazy_re(r"(?:\\.|\$\{+|[^\s;{\\])*", re.DOTALL)  # how far a word without quotes goes on
_LUA_START = lazy_re(r"\s*(\$\w+)?\s*\{")
_LUA_PIECE = lazy_re(
    r"""--\[(=*)\[.*?\]\1\] | --[^\n]* | \[(=*)\[.*?\]\2\] | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | [{}]""",
    re.DOTALL | re.VERBOSE,
)


def decode(word: str) -> str:
    r"""The word with the escapes resolved that nginx knows, quoted or not: `\" \' \\ \t \r \n`; others stay."""
    if "\\" not in word:
        return word
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), word)


def tokens(name: str, text: str) -> Iterator[Token]:
    """The tokens of `text`, words decoded. A Lua block (`*_by_lua_block`) is one LUA token behind its name and, for
    `set_by_lua_block`, its variable; it ends its directive.

    Raises InputError (with `name` and the line) where nginx would refuse the text.
    """
    odd = _HAS_ODD.search(text) is not None
    # crossplane drops what the end of the file cuts off, without a word; the last comment tells whether it came so far.
    full = (text.translate(_HIDE) if odd else text) + "\n#\n"
    size = len(full)
    # A string's iterator knows how much of it is left, which gives the offsets that crossplane does not tell, and it
    # can be set forward, over a block of Lua.
    chars = iter(full)
    skipped = 0  # lines in front of where crossplane was started
    first = True  # whether the next word is a directive's name
    last = 0
    while True:
        restart = -1
        word_line = 0
        for token, line, quoted in _lex_file_object([chars]):
            line += skipped
            at = size - length_hint(chars)
            if quoted:
                if full[at] not in " \t\r\n;{)":
                    raise InputError(name, line + token.count("\n"), f'unexpected "{full[at]}" behind a quoted word')
                start = at - 2 - len(token) - token.count(full[at - 1])
            elif token == ";":
                yield END, token, line, at - 1
                first = True
                last = at
                continue
            elif token == "{":
                yield OPEN, token, line, at - 1
                first = True
                last = at
                continue
            elif token == "}":
                if last == at and not first:
                    # Inside a word a brace is a letter like any other; crossplane cut the word here.
                    restart = _WORD.match(full, at).end()  # type: ignore[union-attr]
                    rest = full[at - 1 : restart]
                    yield REST, decode(rest.translate(_SHOW) if odd else rest), line, at - 1
                    skipped = line + rest.count("\n") - 1
                    break
                yield CLOSE, token, line, at - 1
                first = True
                last = at
                continue
            elif token[0] == "#":
                if at == size:
                    return
                yield COMMENT, token, line, at - 1 - len(token)
                last = at
                continue
            else:
                start = at - 1 - len(token)
                if "${" in token:
                    # crossplane takes what follows `${`, up to a brace, and the character behind it for a part of the
                    # word, even where that ends the word or the line.
                    end = _WORD.match(full, start).end()  # type: ignore[union-attr]
                    if end < start + len(token):
                        restart = end
                        token = full[start:end]
                        skipped = line + token.count("\n") - 1
            if token.endswith("_by_lua_block"):
                # crossplane would go on in Lua by itself here, with rules of its own, and even for an argument.
                restart = at if quoted else at - 1
                skipped = line - 1
                if first:
                    word_line = line
            if "\\" in token:
                token = decode(token)
            if odd:
                token = token.translate(_SHOW)
            yield WORD, token, line, start
            first = False
            last = at
            if restart != -1:
                break
        if restart == -1:
            if last > len(text):
                raise InputError(name, text.count("\n") + 1, "a backslash ends the file")
            begin = last + len(full[last:]) - len(full[last:].lstrip())
            raise InputError(name, full.count("\n", 0, begin) + 1, "a quoted word that begins here is not closed")
        if word_line:
            opened = _LUA_START.match(full, restart)
            if opened is None:
                raise InputError(name, word_line, 'expecting "{" and a block of Lua')
            if opened[1]:
                yield WORD, opened[1], word_line, opened.start(1)
            end = _end_of_lua(full, opened.end())
            if end == -1:
                raise InputError(name, word_line, 'the block of Lua that begins here lacks its "}"')
            code = full[opened.end() : end]
            yield LUA, code.translate(_SHOW) if odd else code, word_line, opened.end() - 1
            skipped = word_line + full.count("\n", restart, end) - 1
            restart = end + 1
            first = True
        last = restart
        chars = iter(full)
        chars.__setstate__(restart)  # type: ignore[attr-defined]


def _end_of_lua(text: str, start: int) -> int:
    """The offset of the brace that closes the block whose content starts there; -1 if none does."""
    depth = 1
    for match in _LUA_PIECE.finditer(text, start):
        piece = match.group()
        if piece == "{":
            depth += 1
        elif piece == "}":
            depth -= 1
            if not depth:
                return match.start()
    return -1
