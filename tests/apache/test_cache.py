"""Which answers mod_cache keeps: asked twice, the real 2.4.71 sent the upstream one request or two."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, load_sites
from auditor.world import Unknowns
from probes.plan import predict

CONFIGURATION = """Listen 80
ServerName a.example
CacheRoot /var/cache/x
CacheEnable disk /
CacheQuickHandler {quick}
ProxyPass / http://127.0.0.1:9000/
ExpiresDefault "access plus 1 hour"
<Location /expires>
    ExpiresActive On
</Location>
<Location /set>
    Header set Cache-Control max-age=600
</Location>
<Location /never>
    ExpiresActive On
    Header set Cache-Control no-store
</Location>
"""
KEPT = {"/expires": "yes", "/expires?x": "yes", "/set": "yes", "/never": "no", "/plain": "no", "/plain?x": "no"}


@pytest.mark.parametrize("target", KEPT)
@pytest.mark.parametrize("quick", ["on", "off"])
def test_what_the_server_itself_says_of_an_answer_counts(quick: str, target: str, tmp_path: Path) -> None:
    main = tmp_path / "httpd.conf"
    main.write_text(CONFIGURATION.format(quick=quick))
    sites, _, _ = load_sites([str(main)], Options(kind="apache"))
    asked = {"method": "GET", "url": f"http://a.example{target}", "headers": [["Host", "a.example"]]}
    line = {**asked, "client_ip": "127.0.0.1", "upstream_response": {"status": 200, "headers": []}}
    (outcome,), _ = predict(sites[0], Unknowns(), line)
    assert outcome.cache is not None and outcome.cache.store == KEPT[target]
