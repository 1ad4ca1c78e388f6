"""The tree: includes in their places, what is said of them, places with columns, comments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.servers.nginx import syntax
from auditor.servers.nginx.syntax import Directive, Tree

from .conftest import read_path, read_text

Write = Callable[[dict[str, str | bytes]], Path]


def outline(directives: list[Directive]) -> list[object]:
    """Names and arguments, blocks as lists."""
    return [(d.name, *d.args) if d.block is None else [(d.name, *d.args), *outline(d.block)] for d in directives]


def find(tree: Tree, name: str) -> list[Directive]:
    return [directive for directive in tree.walk() if directive.name == name]


def test_blocks_and_arguments() -> None:
    tree = read_text("a 1;\nb {\n  c 'x y' { d; }\n  e;\n}\nunknown_directive $x;\n")
    assert outline(tree.directives) == [
        ("a", "1"),
        [("b",), [("c", "x y"), ("d",)], ("e",)],
        ("unknown_directive", "$x"),
    ]


@pytest.mark.parametrize(
    ("written", "args"),
    [
        ("if ($a)", ["$a"]),
        ("if ( $a )", ["$a"]),
        ("if ($a = b)", ["$a", "=", "b"]),
        ('if ($a = "b c")', ["$a", "=", "b c"]),
        ('if ($a = "")', ["$a", "=", ""]),
        ('if ($a ~ "(x)")', ["$a", "~", "(x)"]),
        ("if ($a ~ ^(x|y)$)", ["$a", "~", "^(x|y)$"]),
        ('if ($a = "b)" )', ["$a", "=", "b)"]),
        ('if ($a = ")")', ["$a", "=", ")"]),
        ("if (!-f $request_filename)", ["!-f", "$request_filename"]),
    ],
)
def test_condition(written: str, args: list[str]) -> None:
    tree = read_text(f"{written} {{ return 403; }}")
    assert not tree.errors
    assert tree.directives[0].args == args


def test_include_in_its_place_and_context(write: Write) -> None:
    write(
        {
            "nginx.conf": "http {\n a 1;\n include inc.conf;\n b 2;\n server {\n  include inc.conf;\n }\n}\n",
            "inc.conf": "x 1;\ny { z; }\n",
        }
    )
    tree = read_path("nginx.conf")
    assert not tree.errors
    assert outline(tree.directives) == [
        [
            ("http",),
            ("a", "1"),
            ("x", "1"),
            [("y",), ("z",)],
            ("b", "2"),
            [("server",), ("x", "1"), [("y",), ("z",)]],
        ]
    ]
    assert [source.name for source in tree.files] == ["nginx.conf", "inc.conf"]
    first, second = find(tree, "x")
    assert first is not second
    assert first.source is second.source
    assert [first.place.via and first.place.via.line, second.place.via and second.place.via.line] == [3, 6]
    included = [(i.directive.line, [source.name for source in i.files]) for i in tree.includes]
    assert included == [(3, ["inc.conf"]), (6, ["inc.conf"])]


def test_include_is_relative_to_the_main_file_not_to_the_including_one(write: Write) -> None:
    write(
        {
            "conf/nginx.conf": "http { include sub/a.conf; }",
            "conf/sub/a.conf": "include b.conf;",
            "conf/b.conf": "right 1;",
            "conf/sub/b.conf": "wrong 1;",
        }
    )
    tree = read_path("conf/nginx.conf")
    assert outline(tree.directives) == [[("http",), ("right", "1")]]
    assert [source.name for source in tree.files] == ["conf/nginx.conf", "conf/sub/a.conf", "conf/b.conf"]


def test_glob_is_sorted_and_skips_hidden_files(write: Write) -> None:
    write(
        {
            "nginx.conf": "http { include conf.d/*.conf; include none.d/*.conf; include [!a-m]?.x; }",
            "conf.d/b.conf": "b;",
            "conf.d/a.conf": "a;",
            "conf.d/B.conf": "B;",
            "conf.d/10.conf": "ten;",
            "conf.d/9.conf": "nine;",
            "conf.d/.hidden.conf": "hidden;",
            "conf.d/c.conf.bak": "bak;",
            "z1.x": "z1;",
            "a1.x": "a1;",
        }
    )
    tree = read_path("nginx.conf")
    assert not tree.errors
    assert not tree.notes
    assert [d.name for d in tree.directives[0].block or []] == ["ten", "nine", "B", "a", "b", "z1"]


def test_cycle_is_an_error_with_its_chain(write: Write) -> None:
    write({"nginx.conf": "http {\n include a.conf;\n}", "a.conf": "include b.conf;", "b.conf": "\ninclude a.conf;"})
    (error,) = read_path("nginx.conf").errors
    assert (error.file, error.line) == ("b.conf", 2)
    assert "a.conf includes b.conf includes a.conf" in error.message


def test_includes_that_double_are_stopped(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntax, "MAX_TEXT", 100_000)
    files: dict[str, str | bytes] = {f"{at}.conf": f"include {at + 1}.conf;\n" * 2 for at in range(40)}
    write({**files, "40.conf": "a;", "nginx.conf": "http { include 0.conf; }"})
    tree = read_path("nginx.conf")
    assert "too much is included" in tree.errors[0].message


def test_missing_relative_include_is_an_error_of_input(write: Write) -> None:
    write({"nginx.conf": "events {}\ninclude gone.conf;\n"})
    (error,) = read_path("nginx.conf").errors
    assert (error.file, error.line) == ("nginx.conf", 2)
    assert "gone.conf" in error.message


@pytest.mark.parametrize("path", ["/srv/elsewhere/x.conf", "/srv/elsewhere/*.conf"])
def test_missing_absolute_include_is_a_note(write: Write, path: str) -> None:
    write({"nginx.conf": f"events {{}}\ninclude {path};\n"})
    tree = read_path("nginx.conf")
    assert not tree.errors
    (note,) = tree.notes
    assert (note.kind, note.place and note.place.line) == ("unread", 2)
    assert path in note.text


def test_missing_include_of_a_part_is_a_note(write: Write) -> None:
    """Where a part of a configuration will lie is not known, so neither is what its relative paths start from."""
    write({"site.conf": "server {\n include snippets/tls.conf;\n}\n"})
    tree = read_path("site.conf")
    assert not tree.errors
    assert [note.kind for note in tree.notes] == ["unread"]


@pytest.mark.parametrize("path", ["fastcgi_params", "/etc/nginx/fastcgi_params"])
def test_shipped_file_is_known(write: Write, path: str) -> None:
    write({"nginx.conf": f"events {{}}\nhttp {{ include {path}; include {path}; }}\n"})
    tree = read_path("nginx.conf")
    assert not tree.errors
    assert ["REMOTE_USER", "$remote_user"] in [d.args for d in find(tree, "fastcgi_param")]
    assert [note.kind for note in tree.notes] == ["assumed"]


def test_shipped_file_that_includes_another(write: Write) -> None:
    write({"nginx.conf": "events {}\nhttp { include snippets/fastcgi-php.conf; include mime.types; }\n"})
    tree = read_path("nginx.conf")
    assert not tree.errors
    assert ["SCRIPT_FILENAME", "$document_root$fastcgi_script_name"] in [d.args for d in find(tree, "fastcgi_param")]
    assert find(tree, "types")[0].block == []


def test_own_file_goes_before_the_shipped_one(write: Write) -> None:
    write({"nginx.conf": "events {}\nhttp { include proxy_params; }\n", "proxy_params": "proxy_set_header A b;"})
    tree = read_path("nginx.conf")
    assert [d.args for d in find(tree, "proxy_set_header")] == [["A", "b"]]
    assert not tree.notes


def test_error_in_an_included_file_keeps_the_rest(write: Write) -> None:
    write({"nginx.conf": "http {\n include *.inc;\n c;\n}", "a.inc": "a {", "b.inc": "b;"})
    tree = read_path("nginx.conf")
    assert [(error.file, error.line) for error in tree.errors] == [("a.inc", 1)]
    assert {"b", "c"} <= {d.name for d in tree.walk()}


def test_byte_order_mark_is_noted(write: Write) -> None:
    write({"nginx.conf": b"\xef\xbb\xbfevents {}\r\nhttp {\r\n}\r\n"})
    tree = read_path("nginx.conf")
    assert outline(tree.directives) == [[("events",)], [("http",)]]
    assert "byte order mark" in tree.notes[0].text


PLACES = """\
http { server { return 200; } server { return 404; }
\tproxy_set_header\tX-A "return";  return 301 /return; # return
  'quoted' a; "quoted" b;
\tlog_format main 'a "b" ; {'
\t\t'c';
    location ~ "^/x{2}" { deny all; }
    return 200 "a { b; c } # d";
    proxy_set_header Authorization "Basic c2VjcmV0OnNlY3JldA==";
}
"""


@pytest.mark.parametrize(
    ("name", "at", "line", "column", "text", "end"),
    [
        ("server", 0, 1, 8, "server", (1, 16)),
        ("return", 0, 1, 17, "return 200;", (1, 28)),
        ("server", 1, 1, 31, "server", (1, 39)),
        ("return", 1, 1, 40, "return 404;", (1, 51)),
        ("proxy_set_header", 0, 2, 2, 'proxy_set_header X-A "return";', (2, 32)),
        ("return", 2, 2, 34, "return 301 /return;", (2, 53)),
        ("quoted", 0, 3, 3, "'quoted' a;", (3, 14)),
        ("quoted", 1, 3, 15, '"quoted" b;', (3, 26)),
        ("log_format", 0, 4, 2, "log_format main 'a \"b\" ; {' 'c';", (5, 7)),
        ("location", 0, 6, 5, 'location ~ "^/x{2}"', (6, 26)),
        ("deny", 0, 6, 27, "deny all;", (6, 36)),
        ("return", 3, 7, 5, 'return 200 "a { b; c } # d";', (7, 33)),
        ("proxy_set_header", 1, 8, 5, 'proxy_set_header Authorization "Basic ***";', (8, 65)),
    ],
)
def test_place(name: str, at: int, line: int, column: int, text: str, end: tuple[int, int]) -> None:
    place = find(read_text(PLACES), name)[at].place
    assert (place.line, place.column, place.text, place.end) == (line, column, text, end)


def test_equal_directives_on_one_line_are_told_apart() -> None:
    first, second, third = find(read_text("a; a; b; a;"), "a")
    assert len({first.place, second.place, third.place}) == 3
    assert [d.nth for d in (first, second, third)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;\nb; # audit: ignore[x] why\nc;\n", [(2, 2, 2)]),
        ("a;\n# audit: ignore[x] why\n\n# more\nc;\n", [(2, 5, 5)]),
        ("a {\n  # audit: ignore[x] why\n}\n", [(2, 3, 3)]),
        ("a { # audit: ignore[x] why\n  b { c; }\n}\nd;\n", [(1, 1, 3)]),
        ("a\n b\n c; # audit: ignore[x] why\n", [(3, 1, 3)]),
        ("a\n b # audit: ignore[x] why\n c;\n", [(2, 1, 2)]),
        ("a { b; } # audit: ignore[x] why\n", [(1, 1, 1)]),
        ("# audit: ignore-file[x] why", [(1, 1, 1)]),
        ("a; # an audit: of something\n", []),
        ("a 'audit: ignore[x] y'; # other\n", []),
    ],
)
def test_comments(text: str, expected: list[tuple[int, int, int]]) -> None:
    tree = read_text(text)
    assert [(c.line, c.first, c.last) for c in tree.comments] == expected
    assert all(c.text.startswith("audit: ") for c in tree.comments)


def test_comments_of_a_file_that_is_included_twice_are_kept_once(write: Write) -> None:
    write({"nginx.conf": "http { include a.conf; include a.conf; }", "a.conf": "b; # audit: ignore[x] why\n"})
    assert len(read_path("nginx.conf").comments) == 1


def test_very_many_directives_and_blocks() -> None:
    tree = read_text("server { listen 80; }\n" * 5000)
    assert len(tree.directives) == 5000
    assert tree.directives[-1].line == 5000
