"""Each rule finds what it must, where it must, and else stays silent; none lacks a test or its documentation."""

from __future__ import annotations

import re

import pytest

from auditor import rules
from auditor.check import load_sites
from auditor.findings import INFO, Finding, merge
from auditor.rules.common import ADMITTED, BASIC, BEARER, is_told_apart, with_header
from auditor.schemes import tells_apart
from auditor.servers.nginx.versions import CHANGES, OLDEST
from auditor.settings import DEFAULT
from auditor.trace import Outcome
from tests.rules.harness import HERE, NAMES, OPTIONS, Case, cases, expected, findings, options, proof

# No request shows these: they are about files, comments, logs, issuers of keys, or what was not understood.
TEXT_RULES = {
    "logged-credentials",
    "managed-block-edit",
    "pinned-jwt-key",
    "relative-user-file",
    "stray-user-file",
    "suppression-without-reason",
    "unanalysed",
    "unused-suppression",
}
HEADINGS = ["What it does", "Why it is bad", "Bad example", "Good example", "Measured on", "References"]
# The configurations of both kinds of servers.
BAD = cases(good=False) + cases(good=False, kind="apache")
GOOD = cases(good=True) + cases(good=True, kind="apache")


@pytest.mark.parametrize("case", BAD, ids=str)
def test_is_reported(case: Case) -> None:
    files = {str(path): path for path in case.files}
    marked = {(name, line) for name, path in files.items() for rule, line in expected(path) if rule == case.rule}
    assert marked, "the configuration marks no line"
    found = {(f.place.file, f.place.line) for f in findings(case.path) if f.rule == case.rule and f.place.file in files}
    assert found == marked


def test_a_path_in_an_included_file() -> None:
    """It begins at the main file's folder; the mark would stand in the included file."""
    folder = HERE / "relative-user-file"
    found = {(f.place.file, f.place.line) for f in findings(folder / "bad.conf") if f.rule == "relative-user-file"}
    assert (str(folder / "sites" / "beside.conf"), 7) in found


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_is_silent(case: Case) -> None:
    said = [f"{f.place.line}: {f.severity}[{f.rule}] {f.message}" for f in findings(case.path) if f.severity != INFO]
    assert not said
    # An info in such a place is marked, too.
    files = {str(path) for path in case.files}
    found = {(f.rule, f.place.line) for f in findings(case.path) if f.rule == case.rule and f.place.file in files}
    assert not found


@pytest.mark.parametrize("name", rules.NAMES)
def test_has_all_it_needs(name: str) -> None:
    assert name in NAMES, f"no folder {HERE / name}"
    assert [case for case in BAD if case.rule == name], "nothing that must be reported"
    assert [case for case in GOOD if case.rule == name], "nothing that must stay silent"
    assert (proof(name) is not None) != (name in TEXT_RULES), "a proof, or a place among the rules that need none"


@pytest.mark.parametrize("name", [name for name in rules.NAMES if "```apache" in rules.documentation(name)])
def test_has_all_it_needs_for_httpd(name: str) -> None:
    assert [case for case in cases(good=False, kind="apache") if case.rule == name], "nothing that must be reported"
    assert [case for case in cases(good=True, kind="apache") if case.rule == name], "nothing that must stay silent"
    assert "2.4.71" in rules.documentation(name) or name in TEXT_RULES
    assert (proof(name, "apache-proof.yaml") is not None) != (name in TEXT_RULES), "a proof, or a place among those"


@pytest.mark.parametrize("name", rules.NAMES)
def test_documentation(name: str) -> None:
    text = rules.documentation(name)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert len(rules.summary(name)) <= 100
    assert rules.summary(name).endswith(".")


def test_no_folder_without_a_rule() -> None:
    folders = {path.name for path in HERE.iterdir() if path.is_dir() and not path.name.startswith("_")} - {"files"}
    assert folders == set(rules.NAMES)


@pytest.mark.parametrize("case", cases(good=False) + cases(good=True), ids=str)
def test_a_configuration_without_versions_is_the_same_in_all(case: Case) -> None:
    """What nginx's own screen (auditor.servers.nginx.versions) leaves out makes no difference to rules."""
    sites, _, _ = load_sites([str(case.path)], OPTIONS)
    for site in sites:
        if len(site.versions()) == 1 and "add_header_inherit" not in case.path.read_text():
            newest = merge(rules.judge(site, DEFAULT))
            for version in CHANGES:
                assert merge(rules.judge(site.at_version(version), DEFAULT)) == newest
            assert merge(rules.judge(site.at_version(OLDEST), DEFAULT)) == newest


@pytest.mark.parametrize("case", BAD + GOOD, ids=str)
def test_screens_change_nothing(case: Case) -> None:
    sites, errors, _ = load_sites([str(case.path)], options(case.path))
    assert not errors
    for site in sites:
        screened = merge(rules.judge(site, DEFAULT))
        asked = merge(rules.judge(site, DEFAULT, screens=False))
        # Of routes that are alike one is asked, and all are named: a rule may stop at the first one.
        assert [_without_routes(one) for one in screened] == [_without_routes(one) for one in asked]
        for one, other in zip(screened, asked, strict=True):
            assert set(one.routes) >= set(other.routes) and set(one.where) >= set(other.where)


@pytest.mark.parametrize("case", BAD + GOOD, ids=str)
def test_tokens_and_passwords_fare_alike(case: Case) -> None:
    """Where they are not told apart, rules ask with a token only."""
    sites, _, _ = load_sites([str(case.path)], options(case.path))
    for site in sites:
        for route in site.routes():
            if not is_told_apart(site, route):
                token, password = (site.trace(with_header(route.request, one), ADMITTED) for one in (BEARER, BASIC))
                assert [_fare(one) for one in token] == [_fare(one) for one in password]


def _fare(outcome: Outcome) -> object:
    sent = [(each.upstream, [(one.name, one.fate, one.because) for one in each.headers]) for each in outcome.exchanges]
    answer = [(line.name, line.because) for line in outcome.response_headers]
    return outcome.action, outcome.status, outcome.handler, sent, answer, [gate.result for gate in outcome.gates]


def test_most_configurations_do_not_tell_them_apart() -> None:
    assert not tells_apart(["RewriteCond %{HTTP:Authorization} .\nRewriteRule .* - [E=A:%{HTTP:Authorization}]\n"])
    assert not tells_apart(['SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1\nCGIPassAuth On\n'])
    assert not tells_apart(["proxy_set_header Authorization $http_authorization;"])
    assert tells_apart(["RewriteCond %{HTTP:Authorization} ^Bearer\n"])
    assert tells_apart(['SetEnvIf Authorization "^Basic" IS_BASIC\n'])
    assert tells_apart(["map $http_authorization $key { ~^Bearer yes; }"])
    assert tells_apart(["proxy_set_header X-User $remote_user;"])
    assert tells_apart(["RequestHeader edit Authorization ^Token Bearer\n"])


def _without_routes(finding: Finding) -> Finding:
    return finding._replace(routes=(), where=())


def test_a_token_made_of_a_cookie_is_a_question() -> None:
    """A browser's session may be meant to take the place of what programs send, so it is no error."""
    found = findings(HERE / "stripped-authorization" / "cookie.conf")
    assert [f.severity for f in found if f.rule == "stripped-authorization"] == ["warning"]


def test_a_pattern_for_scripts_is_no_application() -> None:
    """`^/(.*.php)$` matches /aphp as well, and means scripts."""
    found = findings(HERE / "stripped-authorization" / "pattern.apache.conf")
    assert [f.severity for f in found if f.rule == "stripped-authorization"] == [INFO]
