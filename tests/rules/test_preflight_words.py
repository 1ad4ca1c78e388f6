"""What the refusal of a preflight is put down to."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, check

CONFIG = """
events {{}}
http {{
    server {{
        listen 8080;
        location /api/ {{
            {gate}
            add_header Access-Control-Allow-Origin https://app.example always;
            add_header Access-Control-Allow-Headers "Authorization, X-Key" always;
            proxy_pass http://127.0.0.1:9000;
        }}
    }}
}}
"""


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ("limit_except GET POST { deny all; }", "because of its method."),
        ('if ($http_x_key != "k3y-of-billing") { return 403; }', "because a preflight carries no credentials"),
    ],
)
def test_why(tmp_path: Path, gate: str, why: str) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text(CONFIG.format(gate=gate))
    found = [one for one in check([str(path)], Options()).findings if one.rule == "gated-preflight"]
    assert len(found) == 1
    assert why in found[0].message
