"""The examples in the rules' documentation do what the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor import rules
from auditor.check import Options, check
from auditor.findings import INFO, Finding
from auditor.kinds import context_of
from tests.rules.harness import FILES


def example(name: str, heading: str, kind: str = "nginx") -> str:
    """The configuration below that heading; "" where there is none for that kind of server."""
    section = rules.documentation(name).split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    match = re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL)
    return match.group(1) if match else ""


NGINX = [name for name in rules.NAMES if example(name, "Bad example")]


def findings(text: str, folder: Path, with_files: bool, text_of_users: str = "") -> list[Finding]:
    """What is found in that configuration; `with_files` decides whether the user files that it names exist."""
    deployed = folder / "etc"
    (deployed / "passwords").mkdir(parents=True)
    for path in re.findall(r"auth_basic_user_file /etc/nginx/(\S+);", text) if with_files else ():
        if not (deployed / path).exists():
            (deployed / path).write_text(text_of_users or (FILES / "users").read_text())
    config = folder / "site.conf"
    # Examples show the locations only: a part of a configuration would be judged for what it says itself.
    in_server = context_of(text) in ("server", "location")
    config.write_text(f"server {{\n{text}}}\n" if in_server else text)
    report = check([str(config)], Options(kind="nginx", roots=(("/etc/nginx", str(deployed)),)))
    assert not report.errors, report.errors
    return list(report.findings)


@pytest.mark.parametrize("name", NGINX)
def test_bad_example(name: str, tmp_path: Path) -> None:
    plain = "alice:secret\n" if name == "malformed-user-file" else ""
    found = findings(example(name, "Bad example"), tmp_path, name != "missing-user-file", plain)
    assert name in {finding.rule for finding in found}


def test_every_rule_has_an_example() -> None:
    assert set(NGINX) | set(HTTPD) == set(rules.NAMES)


@pytest.mark.parametrize("name", NGINX)
def test_good_example(name: str, tmp_path: Path) -> None:
    found = findings(example(name, "Good example"), tmp_path, with_files=True)
    assert name not in {finding.rule for finding in found}
    assert not [finding for finding in found if finding.severity != INFO]


# --- httpd: lines of a virtual host, or a .htaccess where the first line says so

HTTPD = [name for name in rules.NAMES if example(name, "Bad example", "apache")]
HOST = """Listen 80
<VirtualHost *:80>
ServerName site.example
DocumentRoot /var/www/html
<Directory /var/www/html>
Require all granted
</Directory>
{}</VirtualHost>
"""
APR1 = "alice:$apr1$auditor0$GpQFDBJQMaCcavegAmJSm0\n"


def of_httpd(text: str, folder: Path, with_files: bool, text_of_users: str = APR1) -> list[Finding]:
    """What is found in that configuration of httpd; `with_files` decides whether the user files that it names exist."""
    deployed = folder / "etc"
    (deployed / "passwords").mkdir(parents=True)
    (folder / "tree").mkdir()
    for path in re.findall(r"AuthUserFile /etc/apache2/(\S+)", text) if with_files else ():
        if not (deployed / path).exists():
            (deployed / path).write_text(text_of_users)
    alone = text.startswith("# .htaccess\n")
    config = folder / "tree" / (".htaccess" if alone else "site.conf")
    config.write_text(text if alone or "<VirtualHost" in text else HOST.format(text))
    roots = (("/etc/apache2", str(deployed)), ("/srv", str(FILES)), ("/var/www/html", str(FILES / "www")))
    report = check([str(config)], Options(kind="apache", roots=roots))
    assert not report.errors, report.errors
    return list(report.findings)


@pytest.mark.parametrize("name", HTTPD)
def test_bad_example_of_httpd(name: str, tmp_path: Path) -> None:
    users = "alice:secret\n" if name == "malformed-user-file" else APR1
    found = of_httpd(example(name, "Bad example", "apache"), tmp_path, name != "missing-user-file", users)
    assert name in {finding.rule for finding in found}


@pytest.mark.parametrize("name", HTTPD)
def test_good_example_of_httpd(name: str, tmp_path: Path) -> None:
    text = example(name, "Good example", "apache")
    assert text, "a bad one only"
    found = of_httpd(text, tmp_path, with_files=True)
    assert name not in {finding.rule for finding in found}
    assert not [finding for finding in found if finding.severity != INFO]
