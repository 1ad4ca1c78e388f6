"""Settings: where the file is found, what each key does, what is said of a wrong one, and the schema for editors."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from auditor.cli.main import main
from auditor.globs import below
from auditor.settings import DEFAULT, Settings, SettingsError, find
from auditor.settings_file import KEYS, load, parse, schema, template
from probes.runners.local import Binary
from tests.cli.test_cli import SERVER, modules
from tests.packaging.readme import README, ROOT

Captured = pytest.CaptureFixture[str]
BAD = SERVER % '      proxy_set_header Authorization "";\n'
OPEN = BAD.replace('proxy_set_header Authorization "";', "auth_basic a;")
INNER = (SERVER % "      proxy_set_header X-Remote-User $http_x_remote_user;\n").replace(
    "listen 80;", "listen 80 proxy_protocol;"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a configuration that gives a warning; work begins at its top."""
    top = tmp_path / "repository"
    (top / ".git").mkdir(parents=True)
    (top / "conf").mkdir()
    (top / "conf" / "a.conf").write_text(BAD)
    monkeypatch.chdir(top)
    return top


def read(text: str) -> Settings:
    return parse(tomllib.loads(text), "audit.toml: ", str(Path.cwd()))


def test_what_init_writes_is_the_default(folder: Path, capsys: Captured) -> None:
    assert main(["init"]) == 0
    text = Path("audit.toml").read_text()
    assert load("audit.toml") == DEFAULT._replace(base=str(folder))
    for key in KEYS:
        assert key.name in text
    Path("audit.toml").write_text("# mine\n")
    assert main(["init"]) == 2
    assert "--force" in capsys.readouterr().err
    assert Path("audit.toml").read_text() == "# mine\n"
    assert main(["init", "--force"]) == 0
    assert Path("audit.toml").read_text() == text
    assert main(["init", "conf/audit.toml"]) == 0
    assert main(["init", "no/such/folder"]) == 2


def test_the_examples_can_be_read() -> None:
    lines = template().splitlines()
    for key in KEYS:
        if key.example:
            example = key.example if key.default == "{}" else f"{key.name} = {key.example}"
            assert f"# {example}" in lines
            read(f"[{key.name}]\n{example}" if key.default == "{}" else example)


# Values of each key that are right, and such that are wrong, with what is said of them.
RIGHT = [
    'position = "inner"',
    'fail-on = "info"',
    'nginx-version = "1.24"',
    'nginx-version = "auto"',
    'baseline = "x.json"',
    'exclude = ["a", "**/b"]',
    'watched-headers = ["X-Tenant"]',
    "default-watched-headers = false",
    'identity-headers = ["X-A", "X-B-*"]',
    "default-identity-headers = false",
    '[roots]\n"/etc" = "x"',
    '[rules]\nopen-gate = "off"',
    '[per-path."a/**"]\nopen-gate = "info"',
]
WRONG = [
    ('position = "outer"', 'position: must be one of "auto", "edge", "inner", not "outer"'),
    ("position = 1", 'position: must be one of "auto", "edge", "inner", not 1'),
    ('fail-on = "off"', "fail-on: must be one of"),
    ("nginx-version = 1.25", "nginx-version: must be a string, not 1.25"),
    ('nginx-version = "new"', 'nginx-version: "new" must be a version such as "1.25.3"'),
    ('baseline = ""', "baseline: "),
    ('exclude = "vendor"', 'exclude: must be a list of strings, not "vendor"'),
    ("exclude = [1]", "exclude: must be a string, not 1"),
    ('watched-headers = ["X Tenant"]', 'watched-headers: "X Tenant" is no name of a header'),
    ('identity-headers = ["X-A:"]', 'identity-headers: "X-A:" is no name of a header'),
    ('default-identity-headers = "no"', 'default-identity-headers: must be true or false, not "no"'),
    ('roots = ["/etc"]', "roots: must be a table, not a list"),
    ('[roots]\netc = "x"', 'roots: "etc" must be a path on the deployed machine'),
    ('[roots]\n"/etc" = []', "roots./etc: must be a string, not a list"),
    ('[rules]\nopen-gates = "off"', 'rules: there is no rule "open-gates"; did you mean open-gate?'),
    ("[rules]\nopen-gate = false", 'rules.open-gate: must be one of "off", "info", "warning", "error", not false'),
    ('[per-path]\na = "off"', 'per-path.a: must be a table, not "off"'),
    ('[per-path.a]\nopen-gat = "off"', 'per-path.a: there is no rule "open-gat"; did you mean open-gate?'),
    ('watched_headers = ["X"]', "watched_headers: there is no such key; did you mean watched-headers?"),
    ("zzz = 1", "zzz: there is no such key; `audit init` writes an audit.toml with all keys"),
    ("baseline = 2001-01-01", "baseline: must be a string, not a date"),
]


@pytest.mark.parametrize("text", RIGHT)
def test_right(text: str) -> None:
    assert read(text) != DEFAULT


def test_every_key_is_tried() -> None:
    tried = {name for text in RIGHT for name in tomllib.loads(text)}
    assert tried == {key.name for key in KEYS}


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[text for text, _ in WRONG])
def test_wrong(text: str, words: str, capsys: Captured) -> None:
    with pytest.raises(SettingsError) as error:
        read(text)
    assert str(error.value).startswith(f"audit.toml: {words}")
    Path("audit.toml").write_text(text)
    assert main(["conf"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"audit: audit.toml: {words}")


def test_the_schema_for_editors_is_the_parsers() -> None:
    """Where a key or a rule was added: audit init --schema > schemas/audit.schema.json"""
    assert (ROOT / "schemas" / "audit.schema.json").read_text(encoding="utf-8") == schema()


def test_the_schema_and_the_parser_agree() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="install the extra dev")
    checker: Any = jsonschema.Draft7Validator(json.loads(schema()))
    checker.check_schema(checker.schema)
    assert checker.is_valid(tomllib.loads(template()))
    for text in RIGHT:
        assert checker.is_valid(tomllib.loads(text)), text
    for text, _ in WRONG:
        assert not checker.is_valid(tomllib.loads(text)), text


def test_the_schema_can_be_printed(capsys: Captured) -> None:
    assert main(["init", "--schema"]) == 0
    assert capsys.readouterr().out == schema()
    assert not Path("audit.toml").exists()


SILENT = '[rules]\nstripped-authorization = "off"\n'


def test_the_nearest_file_upwards(folder: Path) -> None:
    assert main(["conf/a.conf"]) == 1
    Path("audit.toml").write_text(SILENT)
    assert main(["conf/a.conf"]) == 0
    assert main(["conf"]) == 0
    Path("conf/audit.toml").write_text("")
    assert main(["conf/a.conf"]) == 1
    # Of several paths, what they have in common counts.
    Path("b.conf").write_text(BAD)
    assert main(["conf/a.conf", "b.conf"]) == 0


def test_not_further_than_the_repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "audit.toml").write_text(SILENT)
    assert main(["conf/a.conf"]) == 1
    # Without a repository, up to the folder that one works in.
    (folder / ".git").rmdir()
    assert main(["conf/a.conf"]) == 1
    monkeypatch.chdir(folder.parent)
    assert main(["repository/conf/a.conf"]) == 0
    monkeypatch.chdir(folder / "conf")
    assert main(["a.conf"]) == 1
    assert main([str(folder / "conf")]) == 1


def test_pyproject(folder: Path, capsys: Captured) -> None:
    Path("pyproject.toml").write_text('[tool.audit.rules]\nstripped-authorization = "off"\n')
    Path("conf/pyproject.toml").write_text('[project]\nname = "audit-of-something"\n')
    assert find(["conf/a.conf"]) == "pyproject.toml"
    assert main(["conf/a.conf"]) == 0
    Path("pyproject.toml").write_text("[tool.audit]\nfail_on = 1\n")
    assert main(["conf/a.conf"]) == 2
    assert "pyproject.toml: tool.audit.fail_on: there is no such key; did you mean fail-on?" in capsys.readouterr().err
    Path("pyproject.toml").write_text("[tool]\naudit = 1\n")
    assert main(["conf/a.conf"]) == 2
    assert "pyproject.toml: tool.audit must be a table, not 1" in capsys.readouterr().err
    Path("audit.toml").write_text(SILENT)  # wins in the same folder
    assert main(["conf/a.conf"]) == 0


def test_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(["-"]) is None
    Path("audit.toml").write_text("")
    assert find(["-"]) == "audit.toml"
    Path("conf/audit.toml").write_text("")
    assert find(["conf/gone.conf"]) == "conf/audit.toml"


def test_a_byte_order_mark_is_no_error() -> None:
    Path("audit.toml").write_bytes(b"\xef\xbb\xbf" + SILENT.replace("\n", "\r\n").encode())
    assert main(["conf"]) == 0


def test_a_file_that_is_named_and_none() -> None:
    Path("audit.toml").write_text(SILENT)
    Path("other.toml").write_text("")
    assert main(["conf", "--settings", "other.toml"]) == 1
    assert main(["conf", "--config", "other.toml"]) == 1
    assert main(["conf", "--no-settings"]) == 1
    assert main(["conf", "--no-config"]) == 1
    assert main(["conf", "--settings", "other.toml", "--no-settings"]) == 2
    assert main(["conf", "--settings", "absent.toml"]) == 2


@pytest.mark.parametrize(
    "command",
    [
        ["conf/a.conf"],
        ["trace", "conf/a.conf", "http://a/"],
        ["routes", "conf/a.conf"],
        ["probe", "conf/a.conf"],
        ["probe", "--url", "http://127.0.0.1:1/"],
    ],
    ids=lambda command: " ".join(command),
)
@pytest.mark.parametrize(
    ("text", "words"), [(b"position = ", "is no TOML"), (b"x = '\xff'", "is no TOML"), (b"x = 1", "no such key")]
)
def test_every_command_that_reads_takes_the_settings(
    command: list[str], text: bytes, words: str, capsys: Captured
) -> None:
    Path("audit.toml").write_bytes(text)
    assert main(command) == 2
    assert words in capsys.readouterr().err


def test_the_command_line_wins(folder: Path, capsys: Captured) -> None:
    Path("conf/a.conf").write_text(INNER)
    Path("audit.toml").write_text('position = "edge"\nfail-on = "error"\nnginx-version = "1.24.0"\n')
    assert main(["conf"]) == 1
    assert main(["conf", "--position", "auto"]) == 0
    assert main(["conf", "--position", "inner", "--fail-on", "info"]) == 1
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    Path("audit.toml").write_text('[roots]\n"/srv" = "one"\n"/var" = "two"\n')
    Path("one/x.inc").write_text('proxy_set_header Authorization "";\n')
    Path("two/x.inc").write_text("\n")
    Path("conf/a.conf").write_text(BAD.replace('proxy_set_header Authorization "";', "include /srv/x.inc;"))
    assert main(["conf"]) == 1
    assert main(["conf", "--root", f"/srv={folder / 'two'}"]) == 0
    assert main(["conf", "--root", f"/var={folder / 'one'}"]) == 1


def test_severities(capsys: Captured) -> None:
    Path("audit.toml").write_text('[rules]\nstripped-authorization = "info"\n')
    assert main(["conf"]) == 0
    assert "1 info hidden" in capsys.readouterr().out
    # The rule itself takes this one for less than its default, which is an error: that stays.
    Path("audit.toml").write_text('[rules]\nstripped-authorization = "error"\n')
    assert main(["conf", "--fail-on", "error"]) == 0
    Path("conf/a.conf").write_text(SERVER % "      auth_basic a;\n      auth_basic_user_file /etc/users;\n")
    assert main(["conf"]) == 0
    Path("audit.toml").write_text('[rules]\nleaked-credentials = "error"\n')
    assert main(["conf"]) == 1


def test_severities_for_some_files(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("legacy").mkdir()
    Path("legacy/b.conf").write_text(BAD)
    Path("audit.toml").write_text(SILENT.replace("off", "warning") + SILENT.replace("[rules]", "[per-path.legacy]"))
    assert main(["."]) == 1
    out = capsys.readouterr().out
    assert "conf/a.conf" in out
    assert "legacy/b.conf" not in out
    monkeypatch.chdir("legacy")
    assert main(["b.conf"]) == 0
    Path("b.conf").write_text(BAD.replace("location", "# audit: ignore[stripped-authorization] why\n    location"))
    assert main(["b.conf"]) == 0  # and a comment that is not needed now is no finding


def test_exclude(folder: Path, capsys: Captured) -> None:
    Path("audit.toml").write_text('exclude = ["conf", "**/old/*.conf"]\n')
    Path("new/old").mkdir(parents=True)
    Path("new/old/b.conf").write_text(BAD)
    Path("new/good.conf").write_text(SERVER % "")
    assert main(["."]) == 0
    assert "1 file" in capsys.readouterr().out
    assert main(["conf/a.conf"]) == 1  # what is named is meant,
    assert main(["conf/a.conf", "--known-only"]) == 0  # but for a hook, which names what has changed


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("conf", "conf", True),
        ("conf", "conf/x/a.conf", True),
        ("conf/", "conf/a.conf", True),
        ("./conf/**", "conf/a.conf", True),
        ("conf", "other/conf/a.conf", False),
        ("**/conf", "other/conf/a.conf", True),
        ("**/conf", "conf/a.conf", True),
        ("*.conf", "a.conf", True),
        ("*.conf", "x/a.conf", False),
        ("**/*.conf", "x/y/a.conf", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b/z", True),
        ("a/**/b", "a/xb", False),
        ("con", "conf", False),
        ("conf.d", "conf-d", False),
        ("**", "x", True),
        ("**", "../x", False),
        ("*", "../x", False),
        ("[ab]", "b/x", True),
        ("[b-a]", "b", False),
    ],
)
def test_patterns(pattern: str, path: str, covered: bool) -> None:
    assert below("/srv/top", (pattern,), f"/srv/top/{path}") is covered


def test_watched_headers(capsys: Captured) -> None:
    Path("audit.toml").write_text('watched-headers = ["X-Tenant", "host"]\n')
    main(["routes", "conf/a.conf"])
    head = capsys.readouterr().out.splitlines()[0].split()
    assert head[3:] == ["Authorization", "Host", "Cookie", "X-Forwarded-For", "X-Forwarded-Proto", "X-Tenant"]
    Path("audit.toml").write_text('watched-headers = ["X-Tenant"]\ndefault-watched-headers = false\n')
    main(["routes", "conf/a.conf"])
    assert capsys.readouterr().out.splitlines()[0].split()[3:] == ["X-Tenant"]


def test_identity_headers() -> None:
    own = read('identity-headers = ["X-Corp-User", "X-Badge-*"]')
    only = read('identity-headers = ["X-Corp-User", "X-Badge-*"]\ndefault-identity-headers = false')
    for name in ("x-corp-user", "HTTP_X_CORP_USER", "X-Badge-Number"):
        assert own.names_identity(name) and only.names_identity(name) and not DEFAULT.names_identity(name)
    for name in ("X-Remote-User", "X-WebAuth-Anything"):
        assert own.names_identity(name) and not only.names_identity(name)
    assert not own.names_identity("X-Auth-Request-Redirect")
    Path("conf/a.conf").write_text(SERVER % "      proxy_set_header X-Corp-User $http_x_corp_user;\n")
    assert main(["conf"]) == 0
    Path("audit.toml").write_text('identity-headers = ["X-Corp-User"]\n')
    assert main(["conf"]) == 1


def test_the_baseline_lies_beside_the_file(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("audit.toml").write_text('baseline = "known.json"\n')
    assert main(["conf"]) == 2  # there is none yet
    assert "--write-baseline known.json" in capsys.readouterr().err
    assert main(["conf", "--write-baseline", "known.json"]) == 0
    assert main(["conf"]) == 0
    monkeypatch.chdir("conf")
    assert main(["a.conf"]) == 0
    assert main(["a.conf", "--baseline", ""]) == 1
    assert main(["a.conf", "--no-settings"]) == 1


def test_sarif_tells_of_severities(capsys: Captured) -> None:
    Path("audit.toml").write_text(SILENT)
    main(["conf", "--format", "sarif"])
    (invocation,) = json.loads(capsys.readouterr().out)["runs"][0]["invocations"]
    (override,) = invocation["ruleConfigurationOverrides"]
    assert (override["descriptor"]["id"], override["configuration"]) == ("stripped-authorization", {"enabled": False})


def test_nothing_is_read_that_is_not_there() -> None:
    Path("conf/a.conf").write_text(SERVER % "")
    Path("pyproject.toml").write_text('[project]\nname = "audit"\n')
    assert not modules("conf/a.conf") & {"tomllib", "auditor.settings_file", "difflib", "auditor.baseline"}


def test_the_example_of_the_readme() -> None:
    text = README.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    assert read(text).version == "1.24.0"
    assert set(tomllib.loads(text)) == {key.name for key in KEYS if not key.name.startswith("default-")}


def test_a_probe_takes_them(nginx: Binary, capsys: Captured) -> None:
    Path("one").mkdir()
    Path("one/x.inc").write_text('proxy_set_header Authorization "";\n')
    Path("conf/a.conf").write_text(BAD.replace('proxy_set_header Authorization "";', "include /srv/x.inc;"))
    command = ["probe", "conf/a.conf", "--nginx", nginx.path, "--sandboxes", "1"]
    Path("audit.toml").write_text('[roots]\n"/srv" = "one"\n')
    assert main(command) == 1
    assert "1 finding: 1 confirmed" in capsys.readouterr().out
    Path("audit.toml").write_text('fail-on = "error"\n[roots]\n"/srv" = "one"\n')
    assert main(command) == 0
    Path("audit.toml").write_text(SILENT + '[roots]\n"/srv" = "one"\n')
    assert main(command) == 0
    assert "1 finding" not in capsys.readouterr().out.splitlines()[-1]
