"""A part of a configuration that is audited alone: nothing is reported as missing from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, check
from auditor.findings import INFO

UPSTREAM = "proxy_pass http://127.0.0.1:9000;\n"
PARTS = {
    "a gate whose user file is named further out": 'auth_basic "Area";\n' + UPSTREAM,
    "in a location": 'location /in/ {\n    auth_basic "Area";\n    ' + UPSTREAM + "}\n",
    "a refusal whose challenge is added further out": "return 401;\n",
    "an identity that a gate further out checks": "proxy_set_header X-Remote-User $remote_user;\n" + UPSTREAM,
    "credentials behind a gate further out": 'proxy_set_header Authorization "Basic c2VydmljZTpzM2NyZXQ=";\n'
    + UPSTREAM,
    "a clear behind a gate further out": 'proxy_set_header Authorization "";\n' + UPSTREAM,
    "an answer that is taken over further out": "proxy_set_header X-User $upstream_http_x_user;\n" + UPSTREAM,
    "an answer that is used further out": "auth_request /check;\nauth_request_set $u $upstream_http_x_user;\n",
}


@pytest.mark.parametrize("text", PARTS.values(), ids=PARTS)
def test_what_may_stand_further_out_is_not_missing(text: str, tmp_path: Path) -> None:
    part = tmp_path / "part.conf"
    part.write_text(text)
    assert not {f.rule for f in check([str(part)], Options()).findings if f.severity != INFO} - {"hardcoded-credential"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("proxy_pass_request_headers off;\n" + UPSTREAM, "stripped-authorization"),
        ('proxy_set_header Authorization "Bearer $http_authorization";\n' + UPSTREAM, "malformed-authorization"),
        ("proxy_set_header X-Forwarded-User $http_x_remote_user;\n" + UPSTREAM, "spoofable-identity-header"),
    ],
)
def test_what_it_says_itself_is_judged(text: str, rule: str, tmp_path: Path) -> None:
    part = tmp_path / "part.conf"
    part.write_text(text)
    assert rule in {f.rule for f in check([str(part)], Options()).findings if f.severity != INFO}


def test_with_the_server_block_it_is_missing(tmp_path: Path) -> None:
    part = tmp_path / "part.conf"
    part.write_text("server {\n" + PARTS["in a location"] + "}\n")
    assert "open-gate" in {f.rule for f in check([str(part)], Options()).findings}
