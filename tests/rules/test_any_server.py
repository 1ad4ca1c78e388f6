"""Rules know nothing of nginx: they judge a made-up server kind just as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from auditor.check import judge
from auditor.settings import DEFAULT, EDGE, INNER, Settings
from tests.toy import ToySite


def found(text: str, settings: Settings = DEFAULT) -> list[tuple[str, str, int]]:
    return [(f.severity, f.rule, f.place.line) for f in judge([ToySite(text)], settings).findings]


def test_stripped_authorization() -> None:
    assert found("route /\n  set Authorization -\n  to app\n") == [("error", "stripped-authorization", 2)]
    assert found("route /\n  set Authorization other\n  to app\n") == [("info", "overwritten-authorization", 2)]
    assert found("route /\n  gate door\n  set Authorization -\n  to app\n") == []


def test_malformed_user_file() -> None:
    assert found("route /\n  gate plain\n  set Authorization -\n  to app\n") == [("warning", "malformed-user-file", 2)]


def test_empty_identity_header() -> None:
    empty = "route /\n  set {} nobody\n  to app\n"
    assert found(empty.format("X-Remote-User")) == [("warning", "empty-identity-header", 2)]
    assert found(empty.format("X-Color")) == []


def test_lost_header() -> None:
    text = "route /\n  set X-Tenant -\n  to app\n"
    assert found(text) == []
    assert found(text, Settings(watched=("Authorization", "X-Tenant"))) == [("warning", "lost-header", 2)]


def test_gated_public_path() -> None:
    # The toy's gates stand in the very block, so they are meant.
    assert found("route /healthz\n  gate door\n  set Authorization -\n  to app\n") == []


def test_broken_upgrade() -> None:
    assert found("route /\n  set Connection close\n  set Upgrade websocket\n  to app\n") == [
        ("warning", "broken-upgrade", 3)
    ]
    assert found("route /\n  set Connection upgrade\n  set Upgrade websocket\n  to app\n") == []


def test_credential_dropping_redirect() -> None:
    moved = "route /api/x\n  answer 308\n  add Location {}/api/x\n  add Access-Control-Allow-Headers {}\n"
    line = [("info", "credential-dropping-redirect", 3)]
    assert found(moved.format("https://other.example", "Authorization")) == line
    assert found(moved.format("https://toy.example", "Authorization")) == []
    assert found(moved.format("https://other.example", "Content-Type")) == []


def test_competing_credentials() -> None:
    text = "route /\n  gate door\n  set Authorization {}\n  to app.internal\n"
    line = ("info", "competing-credentials", 2)
    assert line in found(text.format("pass"))
    assert line not in found(text.format("-"))
    assert line not in found(text.format("other"))


def test_ungated_service_credential() -> None:
    attached = "  set Authorization Basic c2VydmljZTpzZWNyZXQ=\n  to app\n"
    assert ("warning", "ungated-service-credential", 3) in found("public\nroute /\n" + attached)
    assert ("info", "ungated-service-credential", 4) in found("public\ninner\nroute /\n" + attached)
    assert ("warning", "ungated-service-credential", 4) not in found("public\nroute /\n  gate door\n" + attached)
    # Only for programs of the same machine.
    assert ("warning", "ungated-service-credential", 2) not in found("route /\n" + attached)


def test_cleartext_credentials() -> None:
    text = "route /\n  gate door\n  set Authorization -\n  to app\n"
    assert found("public\n" + text) == [("info", "cleartext-credentials", 3)]
    assert found("public\ninner\n" + text) == []
    assert found(text) == []


def test_published_user_file() -> None:
    text = "route /in\n  gate door\n  set Authorization -\n  to app\nroute /{}\n{}"
    assert found(text.format("door", "")) == [("error", "published-user-file", 2)]
    assert ("warning", "published-user-file", 2) in found(text.format("door", "  gate door\n"))
    assert found(text.format("door", "  answer 403\n")) == []
    assert found(text.format("other", "")) == []


def test_malformed_authorization() -> None:
    assert ("error", "malformed-authorization", 2) in found("route /\n  set Authorization off\n  to app\n")
    assert ("error", "malformed-authorization", 2) in found("route /\n  set Authorization Bearer\n  to app\n")
    assert found("route /\n  gate door\n  set Authorization tok123\n  to app\n") == []


def test_leaked_credentials() -> None:
    assert found("route /\n  gate door\n  to app\n") == [("info", "leaked-credentials", 3)]
    assert found("route /\n  gate door\n  to app.internal\n") == [("info", "leaked-credentials", 3)]
    assert found("route /\n  gate door\n  to 192.168.1.9\n") == [("info", "leaked-credentials", 3)]
    assert found("route /\n  gate door\n  to app.example.com\n") == [("warning", "leaked-credentials", 3)]
    assert found("route /\n  gate door\n  to 8.8.8.8\n") == [("warning", "leaked-credentials", 3)]


def test_open_gate() -> None:
    assert found("route /\n  gate -\n  to app\n") == [("error", "open-gate", 2)]
    assert found("route /\n  gate -\n  answer 403\n") == []


LOCAL = "route /in\n  gate door\n  set Authorization -\n  set X-Remote-User {}\n  to app\nroute /out\n{}  to {}\n"
IDENTITY = LOCAL + "public\n"


def test_spoofable_identity_header() -> None:
    spoofed = ("error", "spoofable-identity-header", 7)
    # Under either spelling: applications that know headers as CGI variables take both for one.
    assert spoofed in found(IDENTITY.format("user", "", "app"))
    elsewhere = found(IDENTITY.format("user", "", "other"))
    assert ("error", "spoofable-identity-header", 5) in elsewhere
    assert spoofed not in elsewhere
    assert found(LOCAL.format("fixed", "", "app")) == []
    # Where only programs of the same machine can ask, it is a proxy in front that does.
    assert ("info", "spoofable-identity-header", 7) in found(LOCAL.format("user", "", "app"))


def test_an_inner_proxy_may_pass_identities_through() -> None:
    severities = {item[0] for item in found(IDENTITY.format("user", "", "app"), Settings(position=INNER))}
    assert severities == {"info"}


def test_missing_challenge() -> None:
    assert found("route /\n  answer 401\n") == [("warning", "missing-challenge", 2)]
    assert found("route /\n  add WWW-Authenticate Bearer\n  answer 401\n") == []
    assert found("route /\n  answer 403\n") == []


def test_hidden_challenge() -> None:
    assert found("route /\n  hide WWW-Authenticate\n  to app\n") == [("error", "hidden-challenge", 2)]
    assert found("route /\n  hide Server\n  to app\n") == []
    assert found("route /\n  hide WWW-Authenticate\n  add WWW-Authenticate Bearer\n  to app\n") == []


def test_redirected_unauthorized() -> None:
    moved = "route {}\n  gate door\n  page 401 302\n{}  to app.internal\n"
    away = "  add Location https://login.example/\n"
    assert ("error", "redirected-unauthorized", 3) in found(moved.format("/pages", ""))
    assert ("warning", "redirected-unauthorized", 3) in found(moved.format("/api/", away))
    assert "redirected-unauthorized" not in {rule for _, rule, _ in found(moved.format("/pages", away))}


def test_throttled_as_unauthorized() -> None:
    assert found("route /\n  limit 401\n") == [("warning", "throttled-as-unauthorized", 2)]
    assert found("route /\n  limit 429\n") == []


def test_unauthorized_as_success() -> None:
    page = ("error", "unauthorized-as-success", 3)
    assert page in found("route /\n  gate door\n  page 401 200\n  to app.internal\n")
    assert page in found("route /\n  hide Server\n  page 401 200\n  to app\n")
    assert found("route /\n  hide Server\n  page 401 404\n  page 403 200\n  to app\n") == []


CORS = "route /\n  gate door\n  set Authorization -\n  add Access-Control-Allow-Origin *\n{}  to app\n"


def test_gated_preflight() -> None:
    assert found(CORS.format("  add Access-Control-Allow-Headers Authorization\n")) == [("error", "gated-preflight", 2)]
    assert found(CORS.format("")) == []


def test_cors_missing_on_401() -> None:
    text = "route /\n  add Access-Control-Allow-Origin https://a.example{}\n{}  to app\n"
    allowed = "  add Access-Control-Allow-Headers authorization\n"
    assert found(text.format(" unless 401", allowed)) == [("warning", "cors-missing-on-401", 2)]
    assert found(text.format("", allowed)) == []
    assert found(text.format(" unless 401", "")) == []


def test_cors_authorization_not_allowed() -> None:
    text = "route /\n  add Access-Control-Allow-Origin *\n  add Access-Control-Allow-Headers {}\n{}  to app\n"
    passed = "  set Authorization pass\n"
    line = ("warning", "cors-authorization-not-allowed", 3)
    assert line in found(text.format("Content-Type", passed))
    assert line in found(text.format("*", passed))
    assert line not in found(text.format("Content-Type, Authorization", passed))
    assert found(text.format("Content-Type", "")) == []


def test_cors_credentials_wildcard() -> None:
    allowed = "route /\n  add Access-Control-Allow-Origin {}\n  add Access-Control-Allow-Credentials {}\n  to app\n"
    assert found(allowed.format("*", "true")) == [("error", "cors-credentials-wildcard", 2)]
    assert found(allowed.format("*", "false")) == []
    assert found(allowed.format("https://app.example", "true")) == []


def test_cached_unauthorized() -> None:
    assert found("route /\n  to app\n  keep 200 401\n") == [("error", "cached-unauthorized", 3)]
    assert found("route /\n  to app\n  keep 200 404\n") == []
    assert found("route /\n  to app\n  keep 200 401 apart\n") == []


def test_shared_authenticated_response() -> None:
    shared = "route /\n  gate door\n  set Authorization -\n{}  to app\n  keep 200{}\n"
    line = ("error", "shared-authenticated-response", 6)
    assert line in found(shared.format("  set X-Remote-User user\n", ""))
    assert line not in found(shared.format("  set X-Remote-User user\n", " apart"))
    assert found(shared.format("", "")) == []


def test_hardcoded_credential() -> None:
    assert found("route /\n  set X-Api-Key k3y0f0thers\n  to app\n") == [("warning", "hardcoded-credential", 2)]
    assert found("route /\n  set X-Api-Key changeme-1\n  to app\n") == []


def test_duplicated_challenge() -> None:
    text = "route /\n  gate door\n  set Authorization -\n  add WWW-Authenticate {}\n  to app\n"
    assert found(text.format("Basic door")) == [("info", "duplicated-challenge", 4)]
    assert found(text.format("Digest door")) == []


def test_forbidden_for_unauthenticated() -> None:
    forbidden = ("info", "forbidden-for-unauthenticated", 3)
    assert forbidden in found("route /\n  gate door\n  page 401 403\n  to app.internal\n")
    assert forbidden not in found("route /\n  gate door\n  page 401 404\n  to app.internal\n")
    assert found("route /\n  answer 403\n") == []
    assert found("route /\n  answer 407\n") == [("info", "forbidden-for-unauthenticated", 2)]


def test_missing_user_file() -> None:
    assert ("error", "missing-user-file", 2) in found("route /\n  gate gone\n  set Authorization -\n  to app\n")


def test_ineffective_directive() -> None:
    assert found("route /in\n  gate door\n  set Authorization -\n  to app\nroute /x\n  set Authorization -\n") == [
        ("info", "ineffective-directive", 6)  # no request leaves from there
    ]


def test_severities_can_be_set() -> None:
    text = "route /\n  set Authorization -\n  to app\n"
    settings = Settings(severities=(("stripped-authorization", "info"),))
    assert found(text, settings) == [("info", "stripped-authorization", 2)]
    assert found(text, Settings(severities=(("stripped-authorization", "off"),))) == []


def test_position_is_told_from_the_configuration() -> None:
    text = "inner\n" + IDENTITY.format("user", "", "app")
    assert {severity for severity, _, _ in found(text)} == {"info"}
    assert "error" in {severity for severity, _, _ in found(text, Settings(position=EDGE))}
    (note,) = judge([ToySite(text)]).notes
    assert note.place is not None and note.place.line == 1
    assert judge([ToySite(text)], Settings(position=EDGE)).notes == ()


def test_what_holds_in_one_version_only_counts_for_less() -> None:
    (older,) = judge([ToySite("route /\n  add WWW-Authenticate Bearer since 2\n  answer 401\n")]).findings
    assert (older.severity, older.place.line) == ("info", 3)
    assert older.message.endswith("This is so only before version 2.0 of the server.")
    (newer,) = judge([ToySite("route /\n  set Authorization - since 2\n  to app\n")]).findings
    assert (newer.rule, newer.severity) == ("stripped-authorization", "warning")
    assert newer.message.endswith("This is so only from version 2.0 of the server on.")
    (both,) = judge([ToySite("route /\n  answer 401\n  add X y since 2\n")]).findings
    assert (both.severity, "version" in both.message) == ("warning", False)


def test_rules_import_no_server_kind() -> None:
    code = (
        "import sys; from auditor import rules; [rules.load(name) for name in rules.NAMES]; "
        "above = ('auditor.servers.', 'auditor.reports', 'auditor.cli'); "
        "print([name for name in sys.modules if name.startswith(above)])"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert run.stdout == "[]\n"


def test_fixes() -> None:
    """Lines are deleted and words replaced wherever they stand; what only nginx writes is not written elsewhere."""
    text = "route /in\n  limit 401\n  set Authorization -\nroute /\n  set Authorization -\n  to app\n"
    fixes = {f.rule: f.fix for f in judge([ToySite(text)], DEFAULT).findings}
    edits = {rule: [text[: e.start] + e.text + text[e.end :] for e in fix.edits] for rule, fix in fixes.items() if fix}
    assert edits == {
        "throttled-as-unauthorized": [text.replace("401", "429")],
        "ineffective-directive": [text.replace("  set Authorization -\n", "", 1)],
    }
    (found,) = judge([ToySite("route /\n  gate door\n  to app\n")], DEFAULT).findings
    assert (found.rule, found.fix) == ("leaked-credentials", None)
