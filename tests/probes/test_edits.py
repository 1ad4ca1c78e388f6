"""Edits of a configuration's text: what is not edited stays, byte for byte and line for line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from auditor.files import Files
from auditor.servers.nginx.site import load_file
from auditor.servers.nginx.syntax import Directive, read
from auditor.servers.nginx.tokens import WORD, tokens
from auditor.source import SourceFile
from probes.client import request_bytes, send
from probes.runners import local
from probes.sandbox.edits import Edits, line, quoted, spans

TREES = Path(__file__).resolve().parents[1] / "trees"
ODD = [
    "", " ", "a b", ";", "{", "}", "{}", "#", "#a", "a#b", '"', "'", "it's", 'say "x"', "\\", "a\\", "\\d", "\\\\",
    "\t", "\r", "\n", "a\nb", "caf\xe9", "\xff\xfe", "\x01", "\x0b", "\x85", "~^/a{1,2}$", "(a|b)", "a;b",
    "\\;", "\\n", "\\t",
]  # fmt: skip


def edited(text: str, name: str, new: str, how: str = "replace") -> str:
    """The text with the first directive of that name edited."""
    source = SourceFile("nginx.conf", text)
    edits = Edits(source)
    getattr(edits, how)(first(source, name), new)
    return edits.text()


def first(source: SourceFile, name: str) -> Directive:
    return next(each for each in read(source, Files(source)).walk() if each.name == name)


@pytest.mark.parametrize(
    ("text", "name", "new", "wanted"),
    [
        ("user a; pid b;\n", "user", "", " pid b;\n"),
        ("user a; # it; {\npid b;\n", "user", "x;", "x; # it; {\npid b;\n"),
        ("user\n  a\n;\npid b;\n", "user", "x;", "x;\n\n\npid b;\n"),
        ("user a;\r\npid b;\r\n", "user", "", "\r\npid b;\r\n"),
        ('user "a;}b"; pid b;', "user", "x;", "x; pid b;"),
        ("http { a '}'; # }\n b { c d; }\n}\npid b;", "http", "", "\n\n\npid b;"),
        ("http { x_by_lua_block { a = '}' -- }\n } }\npid b;", "x_by_lua_block", "", "http { \n }\npid b;"),
        ("http { x_by_lua_block { a = {} } pid b; }", "pid", "x;", "http { x_by_lua_block { a = {} } x; }"),
        ("\xa0\x85user a; pid b;", "pid", "x;", "\xa0\x85user a; x;"),
    ],
)
def test_a_directive_is_replaced_where_it_stands(text: str, name: str, new: str, wanted: str) -> None:
    assert edited(text, name, new) == wanted


def test_the_opening_of_a_block_and_what_stands_behind_it() -> None:
    text = "http {\n  if ($a\n  = b) { set $c d; } # e\n}\n"
    assert edited(text, "if", "if (x) {", "replace_opening") == "http {\n  if (x) {\n set $c d; } # e\n}\n"
    assert edited(text, "if", " y;", "behind_opening") == "http {\n  if ($a\n  = b) { y; set $c d; } # e\n}\n"


def test_an_edit_goes_with_the_block_that_it_is_in() -> None:
    source = SourceFile("nginx.conf", "http {\n a b;\n}\npid c;\n")
    edits = Edits(source)
    edits.replace(first(source, "a"), "x;")
    edits.replace(first(source, "http"), "")
    assert edits.text() == "\n\n\npid c;\n"


@pytest.mark.parametrize("path", sorted(TREES.glob("*/nginx.conf")), ids=lambda path: path.parent.name)
def test_of_a_real_configuration_only_what_is_edited_changes(path: Path) -> None:
    site = load_file(str(path))
    pick = random.Random(path.parent.name)
    for source in site.files:
        directives = [each for each in site.tree.walk() if each.source is source and each.block is None]
        chosen = [each for each in directives if pick.random() < 0.3]
        edits = Edits(source)
        for each in chosen:
            edits.replace(each, "edited;")
        text = edits.text()
        assert text.count("\n") == source.text.count("\n")
        known = spans(source)
        taken = {each.offset for each in chosen}
        kept = [
            (number, word)
            for kind, word, number, offset in tokens(source.name, source.text)
            if kind == WORD and not any(at <= offset < known[at].end for at in taken if at is not None)
        ]
        left = [(number, word) for kind, word, number, _ in tokens(source.name, text) if kind == WORD]
        assert [entry for entry in left if entry[1] != "edited"] == kept


def words() -> list[str]:
    """Odd words, and random ones of odd characters."""
    pick = random.Random(1)
    alphabet = " ;{}#\"'\\\t\r\nab$~*/().,\xe9\x0b\x85\xa0\xff"
    return ODD + ["".join(pick.choices(alphabet, k=pick.randint(1, 8))) for _ in range(300)]


def test_a_quoted_word_is_read_as_that_word() -> None:
    for word in words():
        assert [entry[1] for entry in tokens("", line("x", [word, "y"])) if entry[0] == WORD] == ["x", word, "y"]


def test_nginx_reads_a_quoted_word_as_that_word(nginx: local.Binary) -> None:
    """As the body of an answer, where `$` would begin a variable."""
    asked = [word for word in words() if "$" not in word and word]
    (port,) = local.free_ports(1)
    pairs = "".join(f"{number} {quoted(word)};\n" for number, word in enumerate(asked))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path tmp/{kind};" for kind in kinds)
    config = (
        "daemon off; master_process off; error_log error.log; events {} http { access_log off;\n"
        f"{temporary} map_hash_max_size 65536; map_hash_bucket_size 1024;\n"
        f"map $arg_n $word {{ default ''; {pairs} }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 $word; }} }} }}\n"
    )
    with local.Server(nginx, config):
        for number, word in enumerate(asked):
            reply = send(("127.0.0.1", port), request_bytes({"url": f"http://a.example:{port}/?n={number}"}))
            assert reply.body.decode("latin-1") == word
