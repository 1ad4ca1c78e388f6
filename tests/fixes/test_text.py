"""Every other byte stays: what edits make of a file's text and of its bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from auditor.findings import Edit
from auditor.fixes import Change, diff, edited
from auditor.rules.repairs import Edits, beside, with_part, with_word, without
from auditor.source import Place, SourceFile, source_of

Repair = Callable[[Place], Edits]


def repaired(data: bytes, name: str, repair: Repair) -> bytes | None:
    """The bytes after the repair of the first directive of that name; None where there is none."""
    source = source_of(data, "a.conf")
    line = source.position(source.text.index(name))[0]
    edits = repair(Place(source, line, name.strip()))
    return edited(data, edits) if edits else None


def word(line: Place) -> Edits:
    return with_word(line, "always")


def below(line: Place) -> Edits:
    return beside(line, 'set X "";', "set Y z;")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a {\n\tx y;\n\tb;\n}\n", b"a {\n\tb;\n}\n"),
        (b"a {\r\n  x y;\r\n  b;\r\n}\r\n", b"a {\r\n  b;\r\n}\r\n"),
        (b"\xef\xbb\xbfx y;\nb;\n", b"\xef\xbb\xbfb;\n"),
        (b"b;\nx y;", b"b;\n"),  # the last line has no end
        (b"b;\r\nx y;", b"b;\r\n"),
        (b"b; x y; c;\n", b"b; c;\n"),
        (b"a { x y; }\n", b"a { }\n"),
        (b"b; x y;  \n", b"b;\n"),
        (b"\t x y; b;\n", b"\t b;\n"),
        (b"  x y;  # why\n", b"  # why\n"),
        (b"b; x y; # why\n", b"b; # why\n"),
        (b"# why\nx y;\nb;\n", b"# why\nb;\n"),
        (b"  x\n    y\n    ;\nb;\n", b"b;\n"),
        (b"  x 'a;\r\n b';\r\nb;\r\n", b"b;\r\n"),
        (b"# caf\xe9 \xc3\xa9\nx '\xff\xc3\xa9';\n# \xe9\n", b"# caf\xe9 \xc3\xa9\n# \xe9\n"),
        (b"x y;\rb;\n", b"b;\n"),  # a carriage return alone is a blank
        (b"x {\n}\n", None),
        (b"x  # why\n  y;\n", None),
        (b"x y;  # audit: ignore[open-gate] why\nb;\n", None),
        (b"# audit: ignore[open-gate] why\n# more\nx y;\nb;\n", None),
    ],
)
def test_without(before: bytes, after: bytes | None) -> None:
    assert repaired(before, "x", without) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"x 'a b' ;\r\nb;", b"x 'a b' always ;\r\nb;"),
        (b"b; x y; c;\n", b"b; x y always; c;\n"),
        (b"x ';\xe9';\n", b"x ';\xe9' always;\n"),
        (b"\xef\xbb\xbfb;\r\n\tx y;", b"\xef\xbb\xbfb;\r\n\tx y always;"),
        (b"x y # why\n;\n", None),
    ],
)
def test_with_word(before: bytes, after: bytes | None) -> None:
    assert repaired(before, "x", word) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a {\n\tx y;\n}\n", b'a {\n\tx y;\n\tset X "";\n\tset Y z;\n}\n'),
        (b"a {\r\n  x y;  # why\r\n}", b'a {\r\n  x y;  # why\r\n  set X "";\r\n  set Y z;\r\n}'),
        (b"b;\r\nx y;", b'b;\r\nx y;\r\nset X "";\r\nset Y z;'),
        (b"x y;", b'x y;\nset X "";\nset Y z;'),
        (b"b; x y;\n", None),
        (b"x y; b;\n", None),
    ],
)
def test_beside(before: bytes, after: bytes | None) -> None:
    assert repaired(before, "x", below) == after


def test_with_part() -> None:
    assert repaired(b"x 200 401;\n", "x", lambda line: with_part(line, r"\s401", "")) == b"x 200;\n"
    assert repaired(b"x 401 401;\n", "x", lambda line: with_part(line, r"\s401", "")) is None


def test_several_edits_of_one_file() -> None:
    data = b"\xef\xbb\xbfa;\r\nb;\nc;\r\nd;"
    source = source_of(data, "a.conf")
    starts = [source.text.index(name) for name in "abcd"]
    edits = [Edit(source, at, at + 1, name) for at, name in zip(starts, ("A\nA", "B\nB", "C\nC", "D\nD"), strict=True)]
    assert edited(data, edits[::-1]) == b"\xef\xbb\xbfA\r\nA;\r\nB\nB;\nC\r\nC;\r\nD\r\nD;"


def test_a_diff_shows_no_credential_and_every_line_end() -> None:
    old = b"a;\r\nproxy_set_header X-Api-Key s3cret1;\r\nb;\x85\r\nc;"
    text = diff(Change("conf/a.conf", "/a.conf", old, old.replace(b"b;", b"b always;").replace(b"c;", b"c;\n")))
    assert text == (
        "--- conf/a.conf\n+++ conf/a.conf\n@@ -1,4 +1,4 @@\n a;\r\n proxy_set_header X-Api-Key ***;\r\n"
        "-b;\x85\r\n-c;\n\\ No newline at end of file\n+b always;\x85\r\n+c;\n"
    )


def test_an_insertion_has_its_place_to_itself() -> None:
    from auditor.fixes import _overlap

    source = SourceFile("a.conf", "0123456789")
    assert not _overlap(Edit(source, 0, 3, ""), Edit(source, 3, 5, ""))
    assert _overlap(Edit(source, 0, 3, ""), Edit(source, 2, 5, ""))
    assert _overlap(Edit(source, 3, 3, "a"), Edit(source, 3, 3, "a"))
    assert _overlap(Edit(source, 0, 3, ""), Edit(source, 3, 3, "a"))
    assert not _overlap(Edit(source, 0, 3, ""), Edit(source, 4, 4, "a"))
