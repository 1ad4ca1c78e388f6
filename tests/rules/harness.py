"""What the rule tests share: the configurations beside them, the lines that they mark, and the real server.

Configurations read like real ones: port 8080, upstreams such as 127.0.0.1:9000, and files below /srv, which lie in the
folder `files`. Those of httpd are called NAME.apache.conf, or are a folder apache-NAME with a vhost.conf and the pages
with their .htaccess: `htdocs` there is /srv/htdocs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from auditor import rules
from auditor.check import Options, check
from auditor.findings import Finding
from probes.client import Reply
from probes.compare import Observation
from probes.log import Received

HERE = Path(__file__).parent
FILES = HERE / "files"
NAMES = [name for name in rules.NAMES if (HERE / name).is_dir()]
OPTIONS = Options(roots=(("/srv", str(FILES)),))

_EXPECT = re.compile(r"expect(-next|-below)?: ([\w-]+)")


class Case(NamedTuple):
    """A configuration beside a rule."""

    rule: str
    path: Path

    def __str__(self) -> str:
        return f"{self.rule}/{self.path.relative_to(HERE / self.rule)}"

    @property
    def files(self) -> list[Path]:
        """The files that marks may stand in: the configuration itself, and its .htaccess files."""
        return [self.path, *sorted(self.path.parent.glob("htdocs/**/.htaccess"))]


def cases(good: bool, kind: str = "nginx") -> list[Case]:
    """The configurations that must be reported, or those that must stay silent (good*)."""
    return [Case(name, path) for name in NAMES for path in _paths(name, kind) if _stem(path).startswith("good") == good]


def _paths(name: str, kind: str) -> list[Path]:
    folder = HERE / name
    if kind == "apache":
        return sorted([*folder.glob("*.apache.conf"), *folder.glob("apache-*/vhost.conf")])
    return sorted(path for path in folder.glob("*.conf") if not is_apache(path))


def _stem(path: Path) -> str:
    return path.parent.name.removeprefix("apache-") if path.name == "vhost.conf" else path.name


def is_apache(path: Path) -> bool:
    """Whether that configuration is one of httpd."""
    return path.name == "vhost.conf" or path.name.endswith(".apache.conf")


def options(path: Path) -> Options:
    """How that configuration is read: its kind, and where the files that it names lie."""
    if not is_apache(path):
        return OPTIONS
    pages = path.parent / "htdocs"
    roots = (("/srv/htdocs", str(pages)), *OPTIONS.roots) if pages.is_dir() else OPTIONS.roots
    return OPTIONS._replace(kind="apache", roots=roots)


def expected(path: Path) -> set[tuple[str, int]]:
    """The rules and lines that the comments of a configuration mark: their own line, or (`expect-next`) the next that
    is no comment, since httpd has no comments behind a directive. `expect-below` is about the next line, a comment."""
    found = set()
    waiting: list[str] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if waiting and not line.lstrip().startswith("#"):
            found |= {(name, number) for name in waiting}
            waiting = []
        for match in _EXPECT.finditer(line):
            if match.group(1) == "-below":
                found.add((match.group(2), number + 1))
            elif match.group(1):
                waiting.append(match.group(2))
            else:
                found.add((match.group(2), number))
    return found


def findings(path: Path) -> list[Finding]:
    """What is found in that configuration; fails where it cannot be read."""
    report = check([str(path)], options(path))
    assert not report.errors, report.errors
    return list(report.findings)


def proof(rule: str, name: str = "proof.yaml") -> dict[str, Any] | None:
    """The rule's description of what the real server does, None where it has none."""
    path = HERE / rule / name
    return yaml.safe_load(path.read_text()) if path.exists() else None


def compare(item: dict[str, Any], seen: Observation) -> None:
    """Fails where a request of a proof was not treated as that says."""
    reply: Reply = seen.reply
    assert reply.status == item["status"]
    answered = {name.lower() for name, _ in reply.headers}
    for name in item.get("answer_with", ()):
        assert name.lower() in answered
    for name, value in item.get("answers", {}).items():
        wanted = value if isinstance(value, list) else [value]
        assert [text for key, text in reply.headers if key.lower() == name.lower()] == wanted
    for name in item.get("answer_without", ()):
        assert name.lower() not in answered
    if "body" in item:
        assert reply.body.decode() == item["body"]
    assert reply.body.decode().startswith(item.get("body_begins", ""))
    reaches = item.get("reaches") or []
    if isinstance(reaches, dict):
        reaches = [reaches]
    asks = item.get("asks", [one["origin"] for one in reaches])
    assert [one.origin for one in seen.exchanges] == asks
    for wanted, exchange in zip(reaches, seen.exchanges, strict=False):
        headers = {name.lower(): value for name, value in exchange.headers}
        for name in wanted.get("without", ()):
            assert name.lower() not in headers
        for name, value in wanted.get("with", {}).items():
            assert headers.get(name.lower()) == value
        for name, value in wanted.get("without_value", {}).items():
            assert headers.get(name.lower()) != value
        assert exchange.protocol == wanted.get("protocol", exchange.protocol)
        for name, values in wanted.get("all", {}).items():
            assert [value for key, value in exchange.headers if key.lower() == name.lower()] == values
        assert exchange.body_missing == wanted.get("body_missing", False)


def bare(seen: Observation) -> Any:
    """What does not differ from one run of the server to the next."""
    return seen.reply.status, seen.reply.body, [_of(one) for one in seen.exchanges]


def _of(one: Received) -> Any:
    return one.origin, one.method, one.target, sorted((name.lower(), value) for name, value in one.headers)
