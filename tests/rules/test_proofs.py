"""The real server does what each rule says of its bad example."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from auditor import rules
from auditor.check import judge, load_sites
from auditor.settings import DEFAULT
from probes.compare import Observation
from probes.log import Answer
from probes.probing import Session
from probes.proofs import CONFIRMED, prove, witness_line
from probes.runners.local import Binary
from probes.sandbox.sandbox import Told
from tests.rules.harness import HERE, NAMES, OPTIONS, bare, compare, proof

# A rule's proof, and those of its further configurations (`more`). What a sandbox leaves out is shown by a fact.
PROOFS = [
    (name, each)
    for name in NAMES
    if (whole := proof(name)) is not None
    for each in (whole, *whole.get("more", ()))
    if "fact" not in each
]
MEASURED = HERE.parent / "facts" / "nginx"
FACTS = [(name, whole["fact"]) for name in NAMES if (whole := proof(name)) is not None and "fact" in whole]
# Why findings of these rules have no witness, so that `audit probe` has nothing to ask; proof.yaml has.
WITHOUT_WITNESS = {
    "empty-identity-header": "that a value is empty for everybody takes every client there is",
    "ineffective-directive": "that a line changes nothing takes two servers, one without it",
    "malformed-user-file": "who is refused by it depends on the passwords",
    "misplaced-gate": "one finding is that a prefix was meant to be a regular expression: what it was to guard is open",
    "missing-user-file": "it is about a file of the deployed machine; here only its copy is missing",
    "oversized-token-rejected": "a request of 8,000 characters in a report helps nobody",
    "uncaptured-auth-response": "that a variable is empty takes an auth service that fills it",
    "unreadable-user-file": "it is about a file of the deployed machine; here only its copy cannot be read",
}
each_proof = pytest.mark.parametrize(
    ("name", "described"), PROOFS, ids=[f"{name}-{described['config']}" for name, described in PROOFS]
)


def site_of(path: Path) -> Any:
    sites, errors, _ = load_sites([str(path)], OPTIONS)
    assert not errors and len(sites) == 1, errors
    return sites[0]


@each_proof
def test_proof(name: str, described: dict[str, Any], nginx: Binary, tmp_path: Path) -> None:
    path = HERE / name / described["config"]
    seen = ask(nginx, path, described["requests"])
    for item, observation in zip(described["requests"], seen, strict=True):
        compare(item, observation)
        if "same_without" in item:
            text = path.read_text()
            assert item["same_without"] in text
            without = tmp_path / path.name
            without.write_text(text.replace(item["same_without"], ""))
            assert [bare(observation)] == [bare(again) for again in ask(nginx, without, [item])]


@each_proof
def test_audit_probe_confirms_it(name: str, described: dict[str, Any], nginx: Binary) -> None:
    """What `audit probe` itself makes of the rule's findings: it chooses requests and judges answers without
    proof.yaml."""
    site = site_of(HERE / name / described["config"])
    findings = [finding for finding in judge([site], DEFAULT).findings if finding.rule == name]
    assert findings
    lines = [line for finding in findings if (line := witness_line(finding, nginx.machine)) is not None]
    with Session(site, nginx, witnesses=lines) as session:
        proofs = list(prove(session, findings, DEFAULT))
    assert [(one.status, one.observed) for one in proofs if one.finding.witness and one.status != CONFIRMED] == []
    left = {one.observed for one in proofs if not one.finding.witness}
    assert left == ({"no request shows it"} if name in WITHOUT_WITNESS else set())


@pytest.mark.parametrize(("name", "fact"), FACTS)
def test_fact(name: str, fact: str) -> None:
    """tests/facts asks the real server for all of them."""
    assert fact in {entry["fact"] for path in MEASURED.glob("*.json") for entry in json.loads(path.read_text())}
    assert fact in rules.documentation(name)


def ask(nginx: Binary, path: Path, items: list[dict[str, Any]]) -> list[Observation]:
    """What the real server does with the requests, one after the other; every upstream answers 200, or what `upstream`
    says: status, headers, body."""
    lines = [{**item["request"], "client_ip": "127.0.0.1"} for item in items]
    with Session(site_of(path), nginx, witnesses=lines) as session:
        return [session.sandboxes[0].observe(line, told(item)) for line, item in zip(lines, items, strict=True)]


def told(item: dict[str, Any]) -> Told:
    said = item.get("upstream", {})
    headers = tuple((name, value) for name, value in said.get("headers", ()))
    return Told(Answer(said.get("status", 200), headers, said.get("body", "origin\n").encode()))


def test_every_bad_line_is_asked_about() -> None:
    """A proof asks at least one request of each location that its configuration marks."""
    for name, described in PROOFS:
        text = (HERE / name / described["config"]).read_text()
        marked = len(re.findall(r"# expect: " + name + r"\b", text))
        assert len(described["requests"]) >= marked, name
