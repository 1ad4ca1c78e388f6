"""No format shows a credential, wherever in a configuration it stands."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from auditor.check import Report
from auditor.cli.main import main
from auditor.findings import ERROR, Edit, Finding, Fix
from auditor.reports.masked import masked
from auditor.source import Place, SourceFile

FORMATS = ("text", "concise", "json", "sarif", "github")
# Lines of a location; each `@` becomes a credential.
LINES = (
    'proxy_set_header Authorization "Basic @";',
    "proxy_set_header Authorization 'Bearer @';",
    "proxy_set_header Authorization @;",
    'proxy_set_header Proxy-Authorization "Custom @";',
    "more_set_input_headers 'Authorization: Custom @';",
    "proxy_set_header X-Api-Key @;",
    "proxy_set_header Cookie 'sid=@; a=b';",
    "proxy_set_header Authorization 'Bearer Bearer @';",
    'proxy_set_header X-Auth-Token "@";  # audit: ignore[open-gate] the token=@ is enough',
    "set $backend_password @;",
    "add_header X-Secret @;",
    'if ($http_authorization != "Bearer @") { return 401; }',
    'if ($http_x_api_key != "@") { return 401; }',
    "if ($http_x_api_key !~ ^@) { return 403; }",
    "if ($arg_token = @) { return 401; }",
    "if ($arg_access_token ~* @) { return 401; }",
    'if ($cookie_secret = "@") { return 401; }',
    "proxy_pass http://app:@@127.0.0.1:9000;",
    "proxy_pass http://127.0.0.1:9000/?api_key=@;",
    "return 302 https://b.example/?token=@;",
    "proxy_set_header Authorization ''; # was: Bearer @",
    "fastcgi_param HTTP_AUTHORIZATION 'Bearer @'; fastcgi_pass 127.0.0.1:9001;",
    'grpc_set_header authorization "Basic @"; grpc_pass 127.0.0.1:9002;',
)
MAPS = (
    'map $http_authorization $known { default 0; "Bearer @" 1; "Basic @" 1; "~^Bearer @" 1; }',
    'map $http_x_api_key $keyed { default 0; "@" 1; }',
    "map $arg_token $given { default 0; @ 1; }",
)
ALPHABET = string.ascii_letters + string.digits + "-._~+/="


def planted(seed: int) -> tuple[str, list[str]]:
    """A configuration with credentials in it, and these."""
    chosen = random.Random(seed)
    secrets: list[str] = []

    def fill(text: str) -> str:
        parts = text.split("@")
        if "@@" in text:  # before a host
            parts = [parts[0], "@" + parts[2]]
        out = parts[0]
        for part in parts[1:]:
            # A letter in front: what begins with a sign is an operator. A digit: a word alone is no credential.
            secrets.append("Zq" + "".join(chosen.choice(ALPHABET) for _ in range(chosen.randrange(6, 30))) + "7x")
            secret = secrets[-1].replace("/", "-") if "@127" in part else secrets[-1]
            secrets[-1] = secret
            out += secret + part
        return out

    locations = []
    for number in range(12):
        lines = [fill(line) for line in chosen.sample(LINES, chosen.randrange(1, 4))]
        if not any("_pass " in line for line in lines):
            lines.append("proxy_pass http://127.0.0.1:9000;")
        checks = chosen.choice(("", "if ($known = 0) { return 401; }", "if ($keyed = 0) { return 401; }"))
        one_a_line = chosen.choice(("\n      ", " "))
        if any("#" in line for line in lines):
            one_a_line = "\n      "
        locations.append(f"    location /{number}/ {{\n      {one_a_line.join([checks, *lines])}\n    }}\n")
    maps = "".join(f"  {fill(line)}\n" for line in MAPS)
    server = "  server {\n    listen 80;\n    server_name a.example;\n" + "".join(locations) + "  }\n"
    return "events {}\nhttp {\n" + maps + server + "}\n", secrets


@pytest.mark.parametrize("seed", range(30))
def test_no_format_shows_a_credential(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text, secrets = planted(seed)
    Path("nginx.conf").write_text(text)
    arguments = ["nginx.conf", "--show", "info"]
    for name in FORMATS:
        arguments += ["--format", name, "--output", f"out.{name}"]
    assert main(arguments) in (0, 1), capsys.readouterr().err
    main(["nginx.conf", "--write-baseline", "out.baseline"])
    capsys.readouterr()
    reports = {name: Path(f"out.{name}").read_text() for name in (*FORMATS, "baseline")}
    for number in range(12):
        main(["trace", "nginx.conf", f"http://a.example/{number}/", "-H", "Authorization: Bearer x"])
        reports[f"trace of /{number}/"] = capsys.readouterr().out
    for name in ("text", "json"):
        main(["routes", "nginx.conf", "--format", name])
        reports[f"routes, {name}"] = capsys.readouterr().out
    shown = [(name, secret) for name, report in reports.items() for secret in secrets if secret in report]
    assert shown == []
    assert "***" in reports["text"] + reports["sarif"]


def test_what_stands_in_witnesses_made_up_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.conf").write_text(
        'server { listen 80; location / { proxy_set_header Authorization ""; proxy_pass http://127.0.0.1:1; } }\n'
    )
    main(["a.conf"])
    assert "curl -i -H 'Authorization: Bearer audit-probe' http://" in capsys.readouterr().out


def test_an_edit_that_would_write_a_credential_is_left_out() -> None:
    place = Place(SourceFile("a", "x;\n"), 1)

    def report(text: str) -> Report:
        return Report((Finding("open-gate", ERROR, "x", place, fix=Fix(True, (Edit(place.source, 0, 2, text),))),))

    assert masked(report("proxy_set_header X-Api-Key k3y;")).findings[0].fix is None
    assert masked(report("add_header A b always;")) == report("add_header A b always;")
