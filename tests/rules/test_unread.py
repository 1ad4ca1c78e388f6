"""What is missing where a file was not read is no alarm: it may stand in that file."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, check

CONFIG = """
events {{}}
http {{
    server {{
        listen 8080;
        {outside}
        location /area/ {{
            {inside}
        }}
        location /docs/ {{
            auth_basic "Docs";
            auth_basic_user_file /etc/nginx/docs.users;
            proxy_pass http://127.0.0.1:9002;
        }}
        location = /check {{
            internal;
            proxy_pass http://127.0.0.1:9001;
            {asks}
        }}
    }}
}}
"""
PROXY = "proxy_pass http://127.0.0.1:9000;"
REMOTE = f"proxy_set_header X-Forwarded-User $remote_user; {PROXY}"
ADDRESS = f"proxy_set_header X-Real-IP $remote_addr; {PROXY}"
UPGRADE = f"proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; {PROXY}"


@pytest.mark.parametrize(
    ("rule", "outside", "inside", "asks", "severity"),
    [
        ("open-gate", "", f'auth_basic "Area"; {PROXY}', "", "error"),
        ("open-gate", "", f'auth_basic "Area"; include /opt/auth.conf; {PROXY}', "", "info"),
        ("open-gate", "include /opt/auth.conf;", f'auth_basic "Area"; {PROXY}', "", "info"),
        ("open-gate", "include /opt/ssl.conf;", f'auth_basic "Area"; {PROXY}', "", "error"),
        ("open-gate", "", f'auth_basic "Area"; include /opt/proxy.conf; {PROXY}', "", "error"),
        ("spoofable-identity-header", "", REMOTE, "", "error"),
        ("spoofable-identity-header", "include /opt/auth.conf;", REMOTE, "", "info"),
        ("spoofable-client-address", "", ADDRESS, "", "warning"),
        ("spoofable-client-address", "", f"include /opt/proxy.conf; {ADDRESS}", "", "info"),
        # Header lines of the server's do not count beside those of the block.
        ("spoofable-client-address", "include /opt/proxy.conf;", ADDRESS, "", "warning"),
        ("broken-upgrade", "", UPGRADE, "", "warning"),
        ("broken-upgrade", "", f"include /opt/proxy.conf; {UPGRADE}", "", "info"),
        ("starved-auth-subrequest", "", f"auth_request /check; {PROXY}", "proxy_pass_request_body off;", "error"),
        ("starved-auth-subrequest", "", f"auth_request /check; {PROXY}", "include /opt/proxy.conf;", "info"),
    ],
)
def test_severity(tmp_path: Path, rule: str, outside: str, inside: str, asks: str, severity: str) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text(CONFIG.format(outside=outside, inside=inside, asks=asks))
    found = [one for one in check([str(path)], Options()).findings if one.rule == rule]
    assert [one.severity for one in found] == [severity]
    assert ("this file was not read" in str(found[0].related)) == (severity == "info")
