"""In which order <Directory> sections with regular expressions are merged: the number of slashes decides, then the
order in which they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, load_sites
from auditor.http import make_request
from tests.apache import lab

SHORT, LONG = "dir$", "/www/dir$"
# Patterns and what each says, in the order in which they are written; who has the last word.
CASES = [
    ((LONG, "denied"), (SHORT, "granted"), 403),
    ((SHORT, "granted"), (LONG, "denied"), 403),
    ((SHORT, "denied"), (LONG, "granted"), 301),
    (("/dir$", "denied"), ("/di", "granted"), 301),
    (("/di", "granted"), ("/dir$", "denied"), 403),
]


@pytest.mark.live
@pytest.mark.parametrize("words", ["<DirectoryMatch", "<Directory ~"])
@pytest.mark.parametrize(("first", "second", "status"), CASES)
def test_slashes_decide(
    tmp_path: Path, words: str, first: tuple[str, str], second: tuple[str, str], status: int
) -> None:
    close = words.split()[0].replace("<", "</")
    text = "".join(f'{words} "{pattern}">\nRequire all {who}\n{close}>\n' for pattern, who in (first, second))
    main = tmp_path / "httpd.conf"
    (tmp_path / "www" / "dir").mkdir(parents=True)
    main.write_text(f"Listen 80\nDocumentRoot {tmp_path}/www\n{text}")
    (site,), errors, _ = load_sites([str(main)], Options(kind="apache", roots=((str(tmp_path), str(tmp_path)),)))
    assert not errors
    assert {one.status for one in site.trace(make_request("http://a/dir", "GET", ()))} == {status}
    with lab.served(text, {"www/dir/a.txt": "x"}, ("mime", "dir")) as server:
        assert lab.ask(server.port, ["GET /dir HTTP/1.1", "Host: a", "Connection: close"]).status == status
