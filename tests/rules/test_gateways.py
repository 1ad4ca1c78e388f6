"""Who can ask at all: what only this machine or one address can send is knowledge, and no alarm."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, check

GATED = """
<Location />
    Require ip 10.1.2.3
    Require local
</Location>
"""
CONFIG = """
Listen {address}
<VirtualHost {address}>
    ServerName site.example
    {gate}
    SetEnvIf X-Auth-User "(.+)" WHO=$1
    RequestHeader set X-Remote-User %{{WHO}}e env=WHO
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
"""


@pytest.mark.parametrize(
    ("address", "gate", "severity"),
    [("*:8080", "", "error"), ("*:8080", GATED, "info"), ("127.0.0.1:8080", "", "info")],
)
def test_who_can_ask(tmp_path: Path, address: str, gate: str, severity: str) -> None:
    path = tmp_path / "site.conf"
    path.write_text(CONFIG.format(address=address, gate=gate))
    found = check([str(path)], Options(kind="apache")).findings
    assert [one.severity for one in found if one.rule == "spoofable-identity-header"] == [severity]
