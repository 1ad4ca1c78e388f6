"""--fix, --diff and --unsafe-fixes: which files are changed, what is said, and the exit status."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from auditor import fixes
from auditor.cli.main import main

MAIN = "events {}\nhttp {\n  server {\n    listen 8080;\n    server_name a.example;\n%s  }\n}\n"
# An info, and a line without which nothing changes.
PASSED = "    location /a/ {\n      proxy_pass_header Authorization;\n      proxy_pass http://127.0.0.1:9000;\n    }\n"
# A warning that has a safe fix, one that has an unsafe one, and one that has none.
LATE = "    location /b/ {\n      add_header WWW-Authenticate 'Bearer realm=\"b\"';\n      return 401;\n    }\n"
CLEARED = (
    "    location /c/ {\n      proxy_set_header Authorization '';\n      proxy_pass http://127.0.0.1:9000;\n    }\n"
)
BARE = "    location /d/ {\n      return 401;\n    }\n"

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("latin-1"))
    return path


def test_fix_writes_and_reports_what_is_left(capsys: Captured) -> None:
    path = write("a.conf", MAIN % (PASSED + LATE + CLEARED))
    assert main(["a.conf"]) == 1
    out, _ = capsys.readouterr()
    assert "= fix: available with --fix\n" in out
    assert "= fix: available with --fix --unsafe-fixes\n" in out
    assert out.endswith("shows them; 2 fixable with --fix; 1 fixable with --fix --unsafe-fixes)\n")
    assert main(["a.conf", "--fix"]) == 1
    out, err = capsys.readouterr()
    assert err == "audit: fixed 2 findings in 1 file (1 ineffective-directive, 1 missing-challenge)\n"
    assert "stripped-authorization" in out and "missing-challenge" not in out
    assert path.read_text() == MAIN % (PASSED + LATE + CLEARED).replace(
        "      proxy_pass_header Authorization;\n", ""
    ).replace("b\"';", "b\"' always;")
    assert main(["a.conf", "--fix", "--unsafe-fixes"]) == 0
    assert capsys.readouterr().err == "audit: fixed 1 finding in 1 file (1 stripped-authorization)\n"
    assert "proxy_set_header" not in path.read_text()
    stamp = path.stat()
    assert main(["a.conf", "--fix", "--unsafe-fixes"]) == 0
    assert capsys.readouterr() == ("no findings in 1 file\n", "audit: fixed nothing\n")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (stamp.st_ino, stamp.st_mtime_ns)


def test_what_was_fixed_is_no_finding_any_more_and_the_rest_is() -> None:
    write("a.conf", MAIN % LATE)
    assert main(["a.conf", "--fix"]) == 0
    write("b.conf", MAIN % BARE)
    assert main(["b.conf", "--fix"]) == 1
    assert main(["b.conf", "--fix", "--exit-zero"]) == 0


def test_diff_changes_nothing(capsys: Captured) -> None:
    path = write("conf/a.conf", MAIN % LATE)
    before = path.read_bytes()
    assert main(["conf", "--diff"]) == 1
    out, err = capsys.readouterr()
    assert out == (
        "--- conf/a.conf\n+++ conf/a.conf\n@@ -4,7 +4,7 @@\n     listen 8080;\n     server_name a.example;\n"
        "     location /b/ {\n-      add_header WWW-Authenticate 'Bearer realm=\"b\"';\n"
        "+      add_header WWW-Authenticate 'Bearer realm=\"b\"' always;\n       return 401;\n     }\n   }\n"
    )
    assert err == "audit: would fix 1 finding in 1 file (1 missing-challenge)\n"
    assert path.read_bytes() == before
    assert main(["conf", "--diff", "--exit-zero"]) == 0
    assert main(["conf", "--fix"]) == 0
    assert main(["conf", "--diff"]) == 0


def test_diff_and_what_is_not_safe(capsys: Captured) -> None:
    write("a.conf", MAIN % CLEARED)
    assert main(["a.conf", "--diff"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["a.conf", "--diff", "--unsafe-fixes"]) == 1
    write("broken.conf", "http {\n")
    assert main(["a.conf", "broken.conf", "--diff", "--unsafe-fixes"]) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--unsafe-fixes"],
        ["--fix", "--diff"],
        ["--diff", "--format", "json"],
        ["--diff", "--output", "x"],
        ["--fix", "--write-baseline", "x"],
    ],
)
def test_usage(arguments: list[str]) -> None:
    write("a.conf", MAIN % LATE)
    assert main(["a.conf", *arguments]) == 2
    assert Path("a.conf").read_text() == MAIN % LATE


def standard_input(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    standard_input(monkeypatch, MAIN % LATE)
    assert main(["-", "--fix"]) == 2
    write("site.conf", "what is on the disk\n")
    for name, arguments in (("-", []), ("site.conf", ["--stdin-filename", "site.conf"])):
        standard_input(monkeypatch, MAIN % LATE)
        capsys.readouterr()
        assert main(["-", "--diff", *arguments]) == 1
        assert capsys.readouterr().out.startswith(f"--- {name}\n+++ {name}\n@@ -4,7 +4,7 @@\n     listen 8080;\n")
    dump = "# configuration file /etc/nginx/nginx.conf:\n" + MAIN % LATE
    standard_input(monkeypatch, dump)
    assert main(["-", "--diff"]) == 0
    path = write("dump.txt", dump)
    capsys.readouterr()
    assert main(["dump.txt", "--fix"]) == 1
    out, err = capsys.readouterr()
    assert "fix:" not in out and "fixable" not in out
    assert err == "audit: fixed nothing\n"
    assert path.read_text() == dump


def test_what_is_not_to_be_reported_is_not_fixed(capsys: Captured) -> None:
    silenced = LATE.replace("return 401;", "return 401;  # audit: ignore[missing-challenge] a test")
    write("a.conf", MAIN % silenced)
    write("b.conf", MAIN % LATE)
    write("settings/c.conf", MAIN % LATE)
    write("settings/audit.toml", '[rules]\nmissing-challenge = "off"\n')
    write("settings/x/d.conf", MAIN % LATE)
    assert main(["b.conf", "--write-baseline", "base.json"]) == 0
    assert main(["a.conf", "--fix"]) == 0
    assert main(["b.conf", "--fix", "--baseline", "base.json"]) == 0
    assert main(["settings", "--fix"]) == 0
    write("settings/audit.toml", 'exclude = ["x"]\n')
    assert main(["settings/c.conf", "settings/x/d.conf", "--fix"]) == 1
    assert "always" in Path("settings/c.conf").read_text()
    for name in ("a.conf", "b.conf", "settings/x/d.conf"):
        assert "always" not in Path(name).read_text()


def test_only_what_is_named(capsys: Captured) -> None:
    text = MAIN % "    include snippets/late.conf;\n"
    write("conf/nginx.conf", text)
    snippet = write("conf/snippets/late.conf", LATE)
    assert main(["conf/nginx.conf", "--fix"]) == 1
    assert capsys.readouterr().err == (
        "audit: fixed nothing\naudit: conf/snippets/late.conf has something to fix, too, but was not named\n"
    )
    assert snippet.read_text() == LATE
    # Named alone, it is judged where it is included.
    assert main(["conf/snippets/late.conf", "--fix"]) == 0
    assert "always" in snippet.read_text()
    snippet.write_text(LATE)
    assert main(["conf", "--fix"]) == 0
    assert "always" in snippet.read_text()


def test_a_link_is_written_through(folder: Path) -> None:
    target = write("sites-available/a.conf", MAIN % LATE)
    outside = write("other/b.conf", MAIN % LATE)
    enabled = folder / "sites-enabled"
    enabled.mkdir()
    (enabled / "a.conf").symlink_to("../sites-available/a.conf")
    (enabled / "b.conf").symlink_to("../other/b.conf")
    target.chmod(0o640)
    assert main(["sites-enabled", "sites-available", "--fix"]) == 1
    assert "always" in target.read_text() and "always" not in outside.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert (enabled / "a.conf").is_symlink()
    assert sorted(os.listdir("sites-available")) == ["a.conf"]
    # The link itself is named.
    assert main(["sites-enabled/b.conf", "--fix"]) == 0
    assert "always" in outside.read_text() and (enabled / "b.conf").is_symlink()


def test_read_only(capsys: Captured) -> None:
    path = write("a.conf", MAIN % LATE)
    other = write("b.conf", MAIN % LATE)
    path.chmod(0o444)
    assert main(["a.conf", "b.conf", "--fix"]) == 3
    out, err = capsys.readouterr()
    assert "audit: a.conf: is read-only: not fixed\n" in err
    assert "fixed 1 finding in 1 file" in err
    assert "a.conf:8" in out and "b.conf" not in out  # the report is on what is there
    assert "always" not in path.read_text() and "always" in other.read_text()


def test_a_file_that_changes_meanwhile(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    path = write("a.conf", MAIN % LATE)
    real = fixes.write

    def late(change: fixes.Change) -> None:
        path.write_text("# another hand\n")
        real(change)

    monkeypatch.setattr("auditor.cli.fixing.write", late)
    assert main(["a.conf", "--fix", "--kind", "nginx"]) == 3
    assert "audit: a.conf: has changed since it was read: not fixed\n" in capsys.readouterr().err
    assert path.read_text() == "# another hand\n"
    assert os.listdir(".").count("a.conf") == 1 and not [name for name in os.listdir(".") if name.startswith(".audit")]


def test_a_file_that_is_read_by_two_configurations() -> None:
    """In one of them the line keeps what stands further out from counting."""
    snippet = write(
        "conf/snippets/api.conf",
        "location /a/ {\n  proxy_set_header Authorization $http_authorization;\n  proxy_pass http://127.0.0.1:9000;\n}\n",
    )
    include = "    include snippets/api.conf;\n"
    before = snippet.read_text()
    write("conf/nginx.conf", MAIN % include)
    write("conf/nginx-b.conf", MAIN % ("    proxy_set_header Authorization '';\n" + include))
    main(["conf", "--fix"])
    assert snippet.read_text() == before
    write("conf/nginx-b.conf", MAIN % include)
    assert main(["conf", "--fix"]) == 0
    assert snippet.read_text() == "location /a/ {\n  proxy_pass http://127.0.0.1:9000;\n}\n"


def test_a_file_that_is_read_twice_by_one_configuration() -> None:
    snippet = write("conf/snippets/auth.conf", "proxy_set_header Authorization $http_authorization;\n")
    location = (
        "    location /%s/ {\n      include snippets/auth.conf;\n      proxy_pass http://127.0.0.1:9000;\n    }\n"
    )
    inner = "    server_tokens off;\n    location /in/ {\n      proxy_set_header Authorization '';\n%s    }\n"
    write("conf/nginx.conf", MAIN % (location % "a" + inner % (location % "in/b")))
    main(["conf", "--fix"])
    assert snippet.read_text() != ""
    write("conf/nginx.conf", MAIN % (location % "a" + location % "b"))
    assert main(["conf", "--fix"]) == 0
    assert snippet.read_text() == ""


@pytest.mark.parametrize("line", ["", "    include /etc/elsewhere/absent.conf;\n"])
def test_a_line_has_an_effect_on_what_was_not_read(line: str, capsys: Captured) -> None:
    text = MAIN % (line + PASSED.replace("proxy_pass_header Authorization", "proxy_set_header X-A $http_x_a"))
    part = text.partition("http {\n")[2].removesuffix("}\n")
    path = write("site.conf", text if line else part)
    assert main(["site.conf", "--fix"]) == 0
    assert "proxy_set_header" in path.read_text()


def test_a_copy_of_a_header_that_may_come_twice(capsys: Captured) -> None:
    """Two lines of one name become one: only where nginx takes no second one is the copy without effect on all."""
    copies = "".join(
        f"      proxy_set_header {name} $http_{name.replace('-', '_')};\n" for name in ("authorization", "x-a")
    )
    path = write("a.conf", MAIN % PASSED.replace("      proxy_pass_header Authorization;\n", copies))
    assert main(["a.conf", "--fix", "--nginx-version", "1.31.3"]) == 0
    assert "$http_authorization" not in path.read_text() and "$http_x_a" in path.read_text()
    assert main(["a.conf", "--fix", "--unsafe-fixes"]) == 0
    assert "$http_x_a" not in path.read_text()


def test_templates() -> None:
    text = MAIN % (LATE + LATE.replace("/b/", "/e/").replace('realm="b"', "realm={{ realm }}"))
    path = write("a.conf.j2", "{% if x %}\n# {{ y }}\n{% endif %}\n" + text)
    assert main(["a.conf.j2", "--fix"]) == 1
    assert path.read_text().count("always") == 1
    assert "realm={{ realm }}';" in path.read_text()


def test_a_comment_that_silences_nothing() -> None:
    silent = "# audit: ignore[missing-challenge] no more"
    text = MAIN % PASSED.replace("proxy_pass_header", f"{silent}\n      proxy_hide_header").replace(
        ":9000;", f":9000;\t{silent}, it is done"
    )
    path = write("a.conf", text)
    assert main(["a.conf", "--fix"]) == 0
    assert "audit:" not in path.read_text() and "proxy_pass http://127.0.0.1:9000;\n" in path.read_text()
    # Of several names one may be needed, a wrong name was meant otherwise, and a part is not everything.
    for other in ("missing-challenge, open-gate", "missing-chalenge"):
        write("a.conf", text.replace("missing-challenge", other))
        main(["a.conf", "--fix"])
        assert Path("a.conf").read_text().count("audit:") == 2
    part = write("site.conf", text.partition("http {\n")[2].removesuffix("}\n"))
    assert main(["site.conf", "--fix"]) == 1
    assert part.read_text().count("audit:") == 2


def test_a_line_that_something_worse_is_said_about_stays(capsys: Captured) -> None:
    """It changes nothing, and goes with the error if it is deleted; the defect would stay."""
    line = "proxy_set_header X-Forwarded-User $http_x_forwarded_user"
    path = write("a.conf", MAIN % PASSED.replace("proxy_pass_header Authorization", line))
    main(["a.conf", "--format", "json"])
    found = {item["rule"]: item for item in json.loads(capsys.readouterr().out)["findings"]}
    assert set(found) == {"ineffective-directive", "spoofable-identity-header"}
    assert found["ineffective-directive"]["fix"] is None
    assert main(["a.conf", "--fix", "--unsafe-fixes"]) == 1
    assert line in path.read_text()


def test_a_fix_that_brings_another_warning_is_taken_back(capsys: Captured) -> None:
    gated = "    proxy_set_header Authorization '';\n    location / {\n      proxy_set_header X-B b;\n"
    text = MAIN % (gated + "      proxy_pass http://127.0.0.1:9000;\n    }\n")
    path = write("a.conf", text)
    assert main(["a.conf", "--fix", "--unsafe-fixes"]) == 1
    out, err = capsys.readouterr()
    assert err == "audit: fixed nothing\naudit: 1 fix is not made: another warning would take the finding's place\n"
    assert "= fix:" not in out
    assert path.read_text() == text


def test_one_fix_makes_the_next_possible() -> None:
    text = MAIN % PASSED.replace(
        "proxy_pass_header Authorization", 'proxy_set_header Authorization "Bearer $http_authorization"'
    )
    path = write("a.conf", text)
    assert main(["a.conf", "--fix", "--unsafe-fixes"]) == 0
    assert "Authorization" not in path.read_text()


def test_many_fixes_in_one_file() -> None:
    many = "".join(PASSED.replace("/a/", f"/{at}/").replace("9000", str(9000 + at)) for at in range(40))
    path = write("a.conf", (MAIN % many).replace("\n", "\r\n"))
    assert main(["a.conf", "--fix"]) == 0
    wanted = (MAIN % many).replace("      proxy_pass_header Authorization;\n", "").replace("\n", "\r\n")
    assert path.read_bytes() == wanted.encode()


def test_json_and_sarif_show_the_edits(capsys: Captured) -> None:
    write("a.conf", (MAIN % PASSED).replace("a.example;", "a.example; # caf\xc3\xa9"))
    main(["a.conf", "--format", "json"])
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    whole = {"file": "a.conf", "line": 7, "column": 1, "end_line": 8, "end_column": 1, "text": ""}
    assert finding["fix"] == {"safe": True, "edits": [whole]}
    write("a.conf", (MAIN % LATE.replace("add", '  set $x "caf\xc3\xa9"; add')))
    main(["a.conf", "--format", "sarif"])
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    (fix,) = result["fixes"]
    assert fix["description"]["text"].startswith("Safe")
    (change,) = fix["artifactChanges"]
    assert change["artifactLocation"]["uri"] == "a.conf"
    (replacement,) = change["replacements"]
    column = Path("a.conf").read_text().splitlines()[6].rindex(";") + 1
    assert replacement == {
        "deletedRegion": {"startLine": 7, "startColumn": column, "endLine": 7, "endColumn": column},
        "insertedContent": {"text": " always"},
    }


def test_a_line_that_displaces_others_has_an_effect(capsys: Captured) -> None:
    """Lists of hidden headers are inherited by levels that have none."""
    outer = "    proxy_hide_header X-Powered-By;\n"
    hidden = PASSED.replace("pass_header", "hide_header")
    main([str(write("a.conf", MAIN % (outer + hidden))), "--diff"])
    assert capsys.readouterr().out == ""
    main([str(write("b.conf", MAIN % (outer + hidden.replace("      proxy_p", outer + "      proxy_p")))), "--diff"])
    assert "-      proxy_hide_header Authorization;\n" in capsys.readouterr().out


def test_a_challenge_that_other_blocks_get_too() -> None:
    outer, inner = LATE.split("\n")[1] + "\n", LATE.replace(LATE.split("\n")[1] + "\n", "")
    path = write("a.conf", MAIN % (outer + inner + CLEARED))
    assert main(["a.conf", "--fix"]) == 1
    assert "always" not in path.read_text()
    main(["a.conf", "--fix", "--unsafe-fixes"])
    assert "always" in path.read_text()
