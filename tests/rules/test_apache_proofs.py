"""The real httpd does what each rule says of its bad example: apache-proof.yaml beside the rule, in the form of
proof.yaml, with `path` in place of `config` below the rule's folder and further `modules` and file `modes`.

An example is played as it is, but for its addresses: its ports become free ones, the hosts that it sends requests on to
become origins of their protocol, and /srv becomes a folder that holds the tests' files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from auditor.check import judge, load_sites
from auditor.http import Pairs
from auditor.settings import DEFAULT
from probes.compare import Observation
from probes.proofs import witness_line
from probes.runners.local import free_ports
from tests.apache import lab
from tests.apache.conftest import fpm, httpd
from tests.apache.play import contradictions, observe, predictor
from tests.differential.play import Origins, Played, attempt
from tests.differential.words import CERTIFICATE
from tests.rules.harness import FILES, HERE, NAMES, bare, compare, options, proof

__all__ = ["fpm", "httpd"]  # fixtures
PROOFS = [
    (name, each)
    for name in NAMES
    if (whole := proof(name, "apache-proof.yaml")) is not None
    for each in (whole, *whole.get("more", ()))
]
HEAD = lab.HEAD.replace("Listen 127.0.0.1:@P1@\n", "") + "LogLevel crit\n"
MODULES = (*lab.MODULES, "auth_digest", "log_config", "ssl")
# The origins that stand for the hosts of an example, by the scheme of its URLs: each in the order of the addresses.
ORIGINS = {
    "http": ("A", "B", "AUTH"),
    "ws": ("A", "B", "AUTH"),
    "https": ("TLS",),
    "fcgi": ("FCGI",),
    "uwsgi": ("UWSGI",),
    "scgi": ("SCGI",),
}
_URL = re.compile(r"(?:unix:[^|\s\"]+\|)?\b(https?|ws|fcgi|uwsgi|scgi)://([\w.-]+(?::\d+)?)")
_FORWARDS = re.compile(r"(?i)^\s*(ProxyPass|BalancerMember|SetHandler|RewriteRule\s.*\[(.*,)?P\b)")


class Lab(NamedTuple):
    """An example that runs: its server, and how its addresses and ports are told from those of this machine."""

    server: lab.Server
    origins: Origins
    ports: Mapping[str, int]
    names: Mapping[str, str]

    def ask(self, item: Mapping[str, Any]) -> tuple[dict[str, Any], Observation]:
        """The request line as it is asked here, and what came of it, in the example's own words."""
        said = item.get("upstream", {})
        response = {"status": said.get("status", 200), "headers": said.get("headers", [])}
        line = {**item["request"], "upstream_response": response, "client_ip": "127.0.0.1"}
        line["url"] = self._here(line["url"])
        if "headers" in line:  # a WebDAV request says in one of them where to
            line["headers"] = [[name, self._here(value)] for name, value in line["headers"]]
        seen = observe(line, self.origins, self.server)
        return line, seen

    def _here(self, url: str) -> str:
        return re.sub(r":(\d+)(?=/)", lambda match: f":{self.ports.get(match[1], match[1])}", url)

    def told(self, seen: Observation) -> Observation:
        """An observation with the example's own ports and addresses."""

        def own(headers: Pairs) -> Pairs:
            for ours, port in self.ports.items():
                headers = tuple((name, value.replace(f":{port}", f":{ours}")) for name, value in headers)
            return headers

        exchanges = [
            one._replace(origin=self.names.get(one.origin, one.origin), headers=own(one.headers))
            for one in seen.exchanges
        ]
        return seen._replace(reply=seen.reply._replace(headers=own(seen.reply.headers)), exchanges=tuple(exchanges))


class Text(NamedTuple):
    """An example's text with placeholders, its ports by placeholder, and the addresses that origins stand for."""

    text: str
    ports: dict[str, str]
    names: dict[str, str]


def placed(text: str) -> Text:
    """The configuration text, ready for a folder of ours."""
    names: dict[str, str] = {}  # by the origin

    def origin(match: re.Match[str]) -> str:
        scheme, host = match.groups()
        address = host if not match[0].startswith("unix:") else match[0].split("|")[0]
        free = [name for name in ORIGINS[scheme] if names.get(name, address) == address]
        assert free, f"no origin is left for {match[0]}"
        names[free[0]] = address
        return f"{scheme}://@{free[0]}@"

    lines = [_URL.sub(origin, line) if _FORWARDS.match(line) else line for line in text.splitlines(keepends=True)]
    text = "".join(lines)
    found = dict.fromkeys(re.findall(r"(?mi)^\s*Listen\s+(?:\S*:)?(\d+)", text))
    ports = {number: f"P{at}" for at, number in enumerate(found, 1)}
    for number, name in ports.items():
        text = re.sub(rf"(?mi)^(\s*Listen\s+)(?:\S*:)?{number}\b", rf"\g<1>127.0.0.1:@{name}@", text)
        text = re.sub(rf"(?<=:){number}\b", f"@{name}@", text)
    text = re.sub(r"(?mi)^\s*SSLCertificateKeyFile\s.*\n", "", text)
    text = re.sub(r"(?mi)^(\s*SSLCertificateFile\s).*", r"\g<1>@DIR@/tls.pem", text)
    return Text(re.sub(r"(?<![\w/])/(srv|var/log)\b", r"@DIR@/\1", text), ports, names)


def start(stack: ExitStack, httpd: lab.Httpd, origins: Origins, path: Path, described: Mapping[str, Any]) -> Lab:
    """An httpd on that example, until the stack ends."""
    without = described.get("without", "")
    text = path.read_text()
    assert without in text
    made = placed(text.replace(without, "") if without else text)
    numbers = dict(zip(made.ports.values(), free_ports(len(made.ports)), strict=True))
    modules = (*MODULES, *described.get("modules", ()))
    values = {**origins.values(), **numbers, "LOAD": httpd.load(modules)}
    files = {"tls.pem": Path(CERTIFICATE).read_text(), "var/log/.keep": ""}
    pages = path.parent / "htdocs"
    for there, here in (("srv", FILES), ("srv/htdocs", pages)):
        for file in here.rglob("*") if here.is_dir() else ():
            if file.is_file():
                name = f"{there}/{file.relative_to(here)}"
                files[name] = placed(file.read_text()).text if file.name == ".htaccess" else file.read_text()
    server = lab.Server(
        httpd.program, f"{HEAD}@LOAD@\n{made.text}", files, ("srv/cache",), values, described.get("modes")
    )
    stack.enter_context(server)
    ports = {number: numbers[name] for number, name in made.ports.items()}
    return Lab(server, origins, ports, made.names)


each_proof = pytest.mark.parametrize(
    ("name", "described"), PROOFS, ids=[f"{name}-{described['config']}" for name, described in PROOFS]
)


@pytest.mark.live
@each_proof
def test_proof(name: str, described: dict[str, Any], httpd: lab.Httpd, origins: Origins) -> None:
    path = HERE / name / described["config"]
    with ExitStack() as stack:
        running = start(stack, httpd, origins, path, described)
        predict = predictor(running.server.config)
        for item in described["requests"]:
            line, seen = running.ask(item)
            compare(item, running.told(seen))
            # What the rule rests on is what httpd does; what a cache answers afterwards is no request of its own to it.
            assert item.get("cached") or contradictions(Played(0, line, attempt(predict, line), seen)) == []
            if "same_without" in item:
                other = start(stack, httpd, origins, path, {**described, "without": item["same_without"]})
                assert bare(other.told(other.ask(item)[1])) == bare(running.told(seen))


@pytest.mark.live
@each_proof
def test_witnesses(name: str, described: dict[str, Any], httpd: lab.Httpd, origins: Origins) -> None:
    """The requests that the findings name are treated by httpd as predicted."""
    path = HERE / name / described["config"]
    sites, errors, _ = load_sites([str(path)], options(path))
    assert not errors and len(sites) == 1, errors
    findings = [finding for finding in judge(sites, DEFAULT).findings if finding.rule == name]
    assert findings
    with ExitStack() as stack:
        running = start(stack, httpd, origins, path, described)
        predict = predictor(running.server.config)
        for finding in findings:
            witness = witness_line(finding, "127.0.0.1")
            if witness is not None:
                line, seen = running.ask({"request": {**witness, "url": witness["url"]}})
                assert contradictions(Played(0, line, attempt(predict, line), seen)) == [], finding.message
