"""mod_remoteip: who is believed about the client's address. Each prediction beside the real server's answer."""

from __future__ import annotations

import json

import pytest

from probes.runners.local import fill
from tests.apache import lab
from tests.apache.play import contradictions, observe, predictor, serving
from tests.differential.play import Case, Origins, Played, attempt

CONFIG = (
    lab.HEAD
    + """@LOAD@
RemoteIPHeader X-Forwarded-For
{lists}
RequestHeader set X-Real-IP expr=%{{REMOTE_ADDR}}
ProxyPass / http://@A@/
"""
)
# What the lines believe, by what the client says; None: nobody is believed.
TOLD: dict[str, dict[str, str | None]] = {
    "198.51.100.99": {"": "198.51.100.99", "internal": "198.51.100.99", "trusted": "198.51.100.99"},
    "10.1.2.3": {"": None, "internal": "10.1.2.3", "trusted": None},
    "198.51.100.99, 203.0.113.5": {"": "198.51.100.99", "internal": "203.0.113.5", "trusted": "198.51.100.99"},
    "198.51.100.99, 10.1.2.3": {"": None, "internal": "198.51.100.99", "trusted": None},
    "nobody": {"": None, "internal": None, "trusted": None},
    "nobody, 198.51.100.99": {"": "198.51.100.99", "internal": "198.51.100.99", "trusted": "198.51.100.99"},
    "": {"": None, "internal": None, "trusted": None},
}
LISTS = {
    "": "",
    "internal": "RemoteIPInternalProxy 127.0.0.1 10.0.0.0/8",
    "trusted": "RemoteIPTrustedProxy 127.0.0.1 203.0.113.0/24\nRemoteIPProxiesHeader X-By",
    "others": "RemoteIPInternalProxy 10.9.9.9",
}


@pytest.mark.live
@pytest.mark.parametrize("name", LISTS)
def test_who_is_believed(name: str, httpd: lab.Httpd, origins: Origins) -> None:
    lines = [
        {"url": "http://t.example:@P1@/x", "headers": [["X-Forwarded-For", said]], "client_ip": "127.0.0.1"}
        for said in TOLD
    ]
    case = Case(CONFIG.format(lists=LISTS[name]), {}, lines)
    with serving(case, httpd, origins) as (server, places):
        predict = predictor(server.config)
        for raw, told in zip(lines, TOLD.values(), strict=True):
            line = json.loads(fill(json.dumps(raw), places))
            seen = observe(line, origins, server)
            assert contradictions(Played(0, line, attempt(predict, line), seen)) == []
            real = dict(seen.exchanges[0].headers)["X-Real-IP"]
            assert real == (told.get(name) or "127.0.0.1")
