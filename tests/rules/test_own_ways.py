"""Ways beside a gate that name paths of their own are no alarm, or a lesser one."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, check

CONFIG = """
server {{
    listen 8080;
    root /srv/site;
    location {prefix} {{
        auth_request /_check;
        proxy_pass http://127.0.0.1:9000;
    }}
    location {way} {{
        {does};
    }}
    location = /_check {{
        internal;
        proxy_pass http://127.0.0.1:9001/check;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }}
}}
"""


@pytest.mark.parametrize(
    ("prefix", "way", "does", "severity"),
    [
        # The service that signs people in, as a pattern of its paths.
        ("/", "~ ^/(login|static)/", "proxy_pass http://127.0.0.1:9001", "info"),
        ("/", "~ ^/\\.well-known/", "proxy_pass http://127.0.0.1:9001", "info"),
        ("/", "~ ^/.+\\.json$", "proxy_pass http://127.0.0.1:9000", "warning"),
        ("/api/", "/api/auth/", "proxy_pass http://127.0.0.1:9001", "info"),
        ("/api/", "/api/webhooks/", "proxy_pass http://127.0.0.1:9000", "info"),
        ("/app/", "/app/assets/", "expires 30d", "info"),
        ("/api/", "/api/reports/", "proxy_pass http://127.0.0.1:9000", "warning"),
        # Folders of that name may lie in the guarded area; scripts do.
        ("/api/", "~ /(media|docs)/.*", "proxy_pass http://127.0.0.1:9000", "warning"),
        ("/api/", "~ /(index|app)\\.php(/|$)", "proxy_pass http://127.0.0.1:9000", "error"),
        ("/api/", "~ \\.php$", "proxy_pass http://127.0.0.1:9000", "error"),
    ],
)
def test_ways(tmp_path: Path, prefix: str, way: str, does: str, severity: str) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text("events {}\nhttp {" + CONFIG.format(prefix=prefix, way=way, does=does) + "}\n")
    found = check([str(path)], Options()).findings
    assert [one.severity for one in found if one.rule == "bypassed-gate"] == [severity]


def test_a_fallback_that_no_block_takes(tmp_path: Path) -> None:
    """`= 404` with a blank is a URI of its own, which the server looks for among its files."""
    path = tmp_path / "nginx.conf"
    config = CONFIG.format(prefix="/api/", way="~ /media/", does="try_files $uri = 404")
    path.write_text("events {}\nhttp {" + config + "}\n")
    report = check([str(path)], Options())
    lines = path.read_text().splitlines()
    found = [lines[one.place.line - 1].split()[0] for one in report.findings if one.rule == "bypassed-gate"]
    assert found == ["location"]


@pytest.mark.parametrize(("upstream", "severities"), [("127.0.0.1:9009", []), ("127.0.0.1:9000", ["warning"])])
def test_another_port(tmp_path: Path, upstream: str, severities: list[str]) -> None:
    """Another application, or another way to the guarded one."""
    path = tmp_path / "nginx.conf"
    other = f"server {{ listen 8081; location /admin/ {{ proxy_pass http://{upstream}; }} }}"
    config = CONFIG.format(prefix="/admin/", way="= /other", does="return 404")
    path.write_text("events {}\nhttp {" + config + other + "}\n")
    found = check([str(path)], Options()).findings
    assert [one.severity for one in found if one.rule == "bypassed-gate"] == severities
