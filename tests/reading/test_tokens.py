"""Words, quotes, escapes and blocks as nginx reads them; the real server is the judge."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest

from auditor.servers.nginx.tokens import COMMENT, LUA, REST, WORD, tokens
from auditor.source import InputError
from probes.runners import local

from .conftest import read_text

# How a word is written, and what it says; /PATH is the path that is asked for.
WORDS = [
    ("plain", "plain"),
    ('"two words"', "two words"),
    ("'two words'", "two words"),
    (r'"say \"hi\""', 'say "hi"'),
    (r"'say \'hi\''", "say 'hi'"),
    (r"'say \"hi\"'", 'say "hi"'),
    (r'"it\'s"', "it's"),
    (r'"back\\slash"', r"back\slash"),
    (r'"\\\\"', r"\\"),
    (r'"ends \\"', "ends \\"),
    (r'"tab\tand\nline"', "tab\tand\nline"),
    (r"tab\tbare", "tab\tbare"),
    (r"bare\ space", r"bare\ space"),
    (r"bare\;semicolon", r"bare\;semicolon"),
    (r"bare\{brace", r"bare\{brace"),
    (r"\d+\.\w", r"\d+\.\w"),
    (r"\"quoted", '"quoted'),
    ('in"side', 'in"side'),
    ("it's", "it's"),
    ('"a;b{c}#d"', "a;b{c}#d"),
    ("a#b", "a#b"),
    (r"\#a", r"\#a"),
    ("a}b", "a}b"),
    ("a}", "a}"),
    ("a}}b}", "a}}b}"),
    ("${uri}", "/PATH"),
    ("${uri} ", "/PATH"),
    ("${uri}\n", "/PATH"),
    ("a${uri}b${uri}}", "a/PATHb/PATH}"),
    (r"a\ }b", r"a\ }b"),
    ('"line one\n  line two"', "line one\n  line two"),
    ("caf\xc3\xa9", "caf\xc3\xa9"),
    ("\xc3\xa0\xc2\x85", "\xc3\xa0\xc2\x85"),  # bytes that Python takes for white space in latin-1
    ("\xff\xfe", "\xff\xfe"),
    ("a\x0bb", "a\x0bb"),
    ('""', ""),
]


def words_of(text: str) -> list[str]:
    """The words of a text, in which no word is cut."""
    words: list[str] = []
    for kind, token, _, _ in tokens("t", text):
        if kind == WORD:
            words.append(token)
        elif kind == REST:
            words[-1] += token
    return words


@pytest.mark.parametrize(("written", "said"), WORDS)
def test_word(written: str, said: str) -> None:
    said = said.replace("/PATH", "${uri}")
    assert words_of(f"return 200 {written};\nreturn 404;\n") == ["return", "200", said, "return", "404"]


@pytest.mark.live
def test_words_are_those_of_the_server(nginx: local.Binary) -> None:
    (port,) = local.free_ports(1)
    locations = "".join(f"location = /{at} {{ return 200 {written}; }}\n" for at, (written, _) in enumerate(WORDS))
    server = f"server {{ listen 127.0.0.1:{port};\n{locations} }}"
    config = f"daemon off; master_process off; events {{}}\nhttp {{ access_log off; {server} }}\n"
    with local.Server(nginx, config, listens=[("127.0.0.1", port)]):
        for at, (written, said) in enumerate(WORDS):
            assert get(port, f"/{at}") == said.replace("/PATH", f"/{at}"), written


def get(port: int, path: str) -> str:
    """The body of the answer."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode("latin-1"))
        data = b""
        while piece := connection.recv(65536):
            data += piece
    return data.decode("latin-1").partition("\r\n\r\n")[2]


# Texts that nginx refuses: the line that it names, the line that we name (where something begins rather than where the
# file ends), and what we say.
REFUSED = [
    ("events {}\nhttp {\n  server {\n    listen 80\n  }\n}\n", 5, 5, 'directive "listen" of line 4 lacks its ";"'),
    ("events {}\n}\n", 2, 2, 'unexpected "}"'),
    ("events {}\nhttp {\n  log_format a 'b\n c;\n}\n", 6, 3, "not closed"),
    ("events {}\nworker_rlimit_nofile 100", 2, 2, 'lacks its ";"'),
    ("events {}\nhttp {\n  server {\n", 4, 3, 'the block "server" that begins here'),
    ('events {}\nhttp { log_format a "b"c; }\n', 2, 2, 'unexpected "c" behind a quoted word'),
    ("events {}\n;\n", 2, 2, 'unexpected ";"'),
    ("events {}\n{}\n", 2, 2, 'unexpected "{"'),
    ("events {}\nhttp {\n  map $uri $a {\n    b {\n", 4, 4, 'unexpected "{"'),
    ("events {}\nuser a b }\n", 2, 2, 'unexpected "}"'),
    ("include;\nevents {}\n", 1, 1, "include takes one argument"),
    ("events {}\nhttp {\n  include a b;\n}\n", 3, 3, "include takes one argument"),
    ("events {}\nuser www\\", 2, 2, "a backslash ends the file"),
]


@pytest.mark.live
@pytest.mark.parametrize(("text", "line"), [case[:2] for case in REFUSED])
def test_refused_by_the_server(nginx: local.Binary, tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text(text)
    command = [nginx.path, "-t", "-p", str(tmp_path), "-c", str(path), "-e", str(tmp_path / "log")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert f"in {path}:{line}" in run.stderr


@pytest.mark.parametrize(("text", "line", "says"), [(case[0], *case[2:]) for case in REFUSED])
def test_refused(text: str, line: int, says: str) -> None:
    (error,) = read_text(text).errors
    assert (error.file, error.line) == ("nginx.conf", line)
    assert says in error.message


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("http {\n content_by_lua_block {\n  if {{ {\n }\n}\n", 2, 'block of Lua that begins here lacks its "}"'),
        ("http {\n content_by_lua_block x;\n}\n", 2, 'expecting "{" and a block of Lua'),
        ("a {" * 200 + "}" * 200, 1, "nested more than"),
    ],
)
def test_refused_without_the_server(text: str, line: int, says: str) -> None:
    (error,) = read_text(text).errors
    assert error.line == line
    assert says in error.message


LUA_BLOCKS = [
    ' local t = { a = "}" } -- }\n return t ',
    " --[[ } ]] x = '}' ",
    ' s = [==[ } ]] ]==] .. "\\"}" ',
    " t = {{1, 2}, {3}} ",
    " ngx.say('a;b') ",
    "",
]


@pytest.mark.parametrize("code", LUA_BLOCKS)
@pytest.mark.parametrize("head", ["content_by_lua_block {", "content_by_lua_block{", "access_by_lua_block\n  {"])
def test_lua_block(head: str, code: str) -> None:
    tree = read_text(f"location / {{\n{head}{code}}}\nreturn 200;\n}}\n# audit: ignore[x] y\nevents {{}}\n")
    assert not tree.errors
    lua, after = tree.directives[0].block or []
    assert lua.args == [code]
    assert lua.block is None
    assert (after.name, after.line) == ("return", 3 + head.count("\n") + code.count("\n"))
    assert tree.directives[1].line == tree.comments[0].line + 1 == after.line + 3


@pytest.mark.parametrize(
    "text", ["a content_by_lua_block b;", "a x}y set_by_lua_block b;", "'a' 'init_by_lua_block' b;"]
)
def test_lua_name_as_an_argument(text: str) -> None:
    tree = read_text(text + "\nc;")
    assert not tree.errors
    assert [len(d.args) for d in tree.directives] == [len(text.split()) - 1, 0]


def test_lua_name_in_quotes() -> None:
    tree = read_text("'content_by_lua_block' { } }\nc;")
    assert tree.directives[0].args == [" "]
    assert "no block is open" in tree.errors[0].message


def test_set_by_lua_block() -> None:
    tree = read_text("server { set_by_lua_block $x { return '}' } set $y 1; }\n")
    assert not tree.errors
    assert [(d.name, d.args) for d in tree.directives[0].block or []] == [
        ("set_by_lua_block", ["$x", " return '}' "]),
        ("set", ["$y", "1"]),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a ${b;\nc;", [["a", "${b"], ["c"]]),
        ("a ${ b;\nc;", [["a", "${", "b"], ["c"]]),
        ("a x${\n b;\nc;", [["a", "x${", "b"], ["c"]]),
        ("a ${b} {\nc;}", [["a", "${b}"], ["c"]]),
        ("a $b{ c; }", [["a", "$b"], ["c"]]),
        ("a ${{b;c;", [["a", "${{b"], ["c"]]),
    ],
)
def test_dollar_and_brace(text: str, words: list[list[str]]) -> None:
    tree = read_text(text)
    assert not tree.errors
    assert [[d.name, *d.args] for d in tree.walk()] == words
    assert [d.line for d in tree.walk()] == [1, 1 + text[: text.index("c")].count("\n")]


def test_comments_are_kept_with_their_lines() -> None:
    found = [t for t in tokens("t", "a b; # one\n# two\nc # three\n d;\n# four") if t[0] == COMMENT]
    assert [(token, line) for _, token, line, _ in found] == [("# one", 1), ("# two", 2), ("# three", 3), ("# four", 5)]


def test_offsets_are_those_of_the_text() -> None:
    text = "a  \"b c\" d\\ e;\n\tf{g 'h';}\n"
    for kind, token, line, offset in tokens("t", text):
        if kind == WORD:
            assert text[offset:].lstrip("\"'").startswith(token)
            assert text.count("\n", 0, offset) + 1 == line


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "# a\n# b\n", "\n\n   \t\r\n"])
def test_nothing_is_no_error(text: str) -> None:
    tree = read_text(text)
    assert (tree.directives, tree.errors, tree.notes) == ([], [], [])


def test_lua_is_one_token() -> None:
    kinds = [kind for kind, *_ in tokens("t", "content_by_lua_block { a { b } }")]
    assert kinds == [WORD, LUA]


def test_unclosed_quote_names_where_it_begins() -> None:
    with pytest.raises(InputError, match=re.escape("t:3: ")):
        list(tokens("t", 'a b;\n\n"c\nd;\ne f;\n'))
