"""The command line: what goes where, and the exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditor import rules
from auditor.cli.main import COMMANDS, main

SERVER = (
    "events {}\nhttp {\n  server {\n    listen 80;\n    location / {\n"
    "      proxy_pass http://127.0.0.1:1;\n%s    }\n  }\n}\n"
)
BAD = SERVER % "      proxy_pass_request_headers off;\n"
GOOD = SERVER % ""
INFO_ONLY = SERVER % "      auth_basic a;\n      auth_basic_user_file /etc/nginx/users;\n"

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bad.conf").write_text(BAD)
    (tmp_path / "good.conf").write_text(GOOD)
    (tmp_path / "info.conf").write_text(INFO_ONLY)
    (tmp_path / "broken.conf").write_text("http {\n  server {\n    listen 80;\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_errors_are_told_and_the_rest_is_audited(folder: Path, capsys: Captured) -> None:
    (folder / "nginx.conf").write_text("events {}\nhttp { include a.inc; include b.inc; include c.inc; }\n")
    (folder / "a.inc").write_text("server { auth_basic; location / { proxy_pass; } }\n")
    (folder / "b.inc").write_text("server { listen 81 }\n")
    (folder / "c.inc").write_text("server { listen 82; location / { return 401; } }\n")
    assert main(["nginx.conf"]) == 3
    out, err = capsys.readouterr()
    assert [line.split(": ")[1] for line in err.splitlines()] == ["a.inc:1", "a.inc:1", "b.inc:1"]
    assert "warning[missing-challenge]" in out
    assert "2 inputs could not be read" in out  # files, however much is wrong in them


def test_the_version_of_the_image(folder: Path, capsys: Captured) -> None:
    (folder / "nginx.conf").write_text(GOOD)
    (folder / "Dockerfile").write_text("FROM docker.io/library/nginx:1.24.0-alpine AS web\n")
    assert main(["nginx.conf", "--nginx-version", "auto", "--show", "info"]) == 0
    assert "nginx 1.24.0, as the tag of an image in this tree says" in capsys.readouterr().out
    (folder / "compose.yaml").write_text("services:\n  web:\n    image: nginx:1.27\n")
    assert main(["nginx.conf", "--nginx-version", "auto", "--show", "info"]) == 0
    assert "several (1.24.0, 1.27)" in capsys.readouterr().out


def test_files_of_other_programs_are_passed_over(folder: Path, capsys: Captured) -> None:
    (folder / "redis.conf").write_text("bind 127.0.0.1\nport 6379\n")
    assert main(["redis.conf"]) == 3
    capsys.readouterr()
    assert main(["redis.conf", "bad.conf", "--known-only", "--show", "info"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert "redis.conf does not look like a configuration" in out


def test_position(folder: Path, capsys: Captured) -> None:
    text = SERVER % "      proxy_set_header X-Remote-User $http_x_remote_user;\n"
    (folder / "inner.conf").write_text(text.replace("listen 80;", "listen 80 proxy_protocol;"))
    assert main(["inner.conf"]) == 0
    assert main(["inner.conf", "--position", "edge"]) == 1


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["good.conf"], 0),
        (["check", "good.conf"], 0),
        (["bad.conf"], 1),
        (["bad.conf", "--exit-zero"], 0),
        (["info.conf"], 0),
        (["info.conf", "--fail-on", "info"], 1),
        (["bad.conf", "--fail-on", "error"], 1),
        (["broken.conf"], 3),
        (["broken.conf", "--exit-zero"], 3),
        (["absent.conf"], 3),
        (["bad.conf", "broken.conf"], 3),
        (["--no-such-option"], 2),
        (["good.conf", "--root", "nonsense"], 2),
        (["good.conf", "--nginx-version", "new"], 2),
        (["good.conf", "--output", "a", "--output", "b"], 2),
        (["good.conf", "--format", "text", "--format", "json"], 2),
        (["good.conf", "--output", "no/such/folder/x"], 2),
        (["explain", "open-gate"], 0),
        (["explain", "open-gates"], 2),
        (["rules"], 0),
        (["trace", "good.conf"], 2),
        (["trace", "good.conf", "http://a/"], 0),
        (["trace", "good.conf", "a.example/"], 2),
        (["trace", "good.conf", "a.example/", "--format", "json"], 2),
        (["trace", "good.conf", "http://a/", "-H", "nonsense"], 2),
        (["trace", "broken.conf", "http://a/"], 3),
        (["trace", "good.conf", "--requests", "absent"], 2),
        (["routes", "good.conf"], 0),
        (["--help"], 0),
        (["trace", "--help"], 0),
        (["--version"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_exit_status(arguments: list[str], status: int, capsys: Captured) -> None:
    assert main(arguments) == status
    if status in (2, 3):
        assert capsys.readouterr().err


def test_results_and_complaints_are_apart(capsys: Captured) -> None:
    main(["bad.conf", "broken.conf"])
    out, err = capsys.readouterr()
    assert "stripped-authorization" in out
    assert "broken.conf" not in out.replace("could not be read", "")
    assert err.startswith("audit: broken.conf:2:")


def test_this_folder_is_audited_without_arguments(capsys: Captured) -> None:
    assert main([]) == 3  # one of the files here is broken
    assert "bad.conf:7:" in capsys.readouterr().out


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    run = audit("-", "--stdin-filename", "site.conf", "--format", "concise", input=BAD)
    assert run.returncode == 1
    assert run.stdout.startswith("site.conf:7:")


def test_several_formats_at_once(folder: Path, capsys: Captured) -> None:
    main(["bad.conf", "--format", "json", "--output", "report.json", "--format", "concise"])
    assert capsys.readouterr().out.startswith("bad.conf:7:")
    assert json.loads((folder / "report.json").read_text())["schema"] == "findings/1"


def test_json_goes_to_standard_output_alone(capsys: Captured) -> None:
    main(["bad.conf", "--format", "json"])
    assert [item["rule"] for item in json.loads(capsys.readouterr().out)["findings"]] == ["stripped-authorization"]


def test_no_color_wins(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    main(["bad.conf", "--color", "always"])
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["bad.conf", "--color", "always"])
    assert "\x1b[" not in capsys.readouterr().out


def test_trace_answers_in_the_order_asked(folder: Path, capsys: Captured) -> None:
    (folder / "requests").write_text('{"url": "http://a/1"}\n\nnonsense\n{"url": "a"}\n[]\n{"url": "http://a/2"}\n')
    assert main(["trace", "good.conf", "--requests", "requests"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer.get("request", {}).get("url") for answer in answers] == [
        "http://a/1",
        None,
        None,
        None,
        "http://a/2",
    ]
    assert ["error" in answer for answer in answers] == [False, True, True, True, False]
    assert {answer["schema"] for answer in answers} == {"trace/1"}


def test_trace_knows_what_it_is_told(capsys: Captured) -> None:
    main(
        [
            "trace",
            "good.conf",
            "http://a/x",
            "-X",
            "PUT",
            "-H",
            "X-A: 1",
            "--upstream-status",
            "418",
            "--format",
            "json",
        ]
    )
    (outcome,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert outcome["status"] == 418
    (exchange,) = outcome["exchanges"]
    assert (exchange["method"], exchange["uri"]) == ("PUT", "/x")
    assert ("X-A", "1") in [(header["name"], header["value"]) for header in exchange["headers"]]


def test_every_command_has_help() -> None:
    for name in COMMANDS:
        assert main([name, "--help"]) == 0


def audit(*arguments: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-m", "auditor", *arguments], input=input, capture_output=True, text=True, env=environment
    )


def test_a_reader_that_stops_early_is_no_error(folder: Path) -> None:
    (folder / "many").write_text('{"url": "http://a/"}\n' * 3000)
    root = Path(__file__).parents[2]
    command = f"{sys.executable} -m auditor trace good.conf --requests many | head -1"
    run = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert run.stderr == ""
    assert run.returncode == 0
    assert json.loads(run.stdout)["schema"] == "trace/1"


def modules(*arguments: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    code = (
        "import sys; from auditor.cli.main import main; "
        f"status = main({list(arguments)!r}); print('\\n' + '\\n'.join(sys.modules), file=sys.stderr)"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
    )
    return set(run.stderr.split("\n"))


HEAVY = {
    "inspect",
    "dataclasses",
    "subprocess",
    "tempfile",
    "socket",
    "asyncio",
    "yaml",
    "rich",
    "docker",
    "aiohttp",
    "email",
}


def test_the_static_side_stays_light() -> None:
    """Start-up time is part of what a hook at each commit feels."""
    assert not modules("bad.conf") & HEAVY


def test_each_command_imports_its_own_part_only() -> None:
    listing = modules("rules")
    assert not {name for name in listing if name.startswith("auditor.servers.nginx.")}
    assert len({name for name in listing if name.startswith("auditor.rules.")}) >= len(rules.NAMES)
    checking = modules("bad.conf")
    assert not {name for name in checking if name.startswith("auditor.reports.trace")}
