"""Lines about a provider of passwords that no AuthBasicProvider chooses: a user file is asked, which no line names."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, load_sites
from auditor.http import make_request
from tests.apache import lab

GATE = """<Location />
    AuthType Basic
    AuthName Area
    {line}
    Require valid-user
</Location>
"""
BASIC = "Basic YWxpY2U6c2VjcmV0"
CASES = [
    ('AuthLDAPURL "ldap://127.0.0.1:1/dc=example?uid"', ("ldap", "authnz_ldap")),
    ("AuthDBMUserFile @DIR@/staff.dbm", ("authn_dbm",)),
]


@pytest.mark.live
@pytest.mark.parametrize(("line", "modules"), CASES, ids=["ldap", "dbm"])
def test_the_user_file_is_asked(tmp_path: Path, line: str, modules: tuple[str, ...]) -> None:
    text = GATE.format(line=line)
    main = tmp_path / "httpd.conf"
    main.write_text(f"Listen 80\nDocumentRoot /srv/www\n{text.replace('@DIR@', '/srv')}")
    (site,), errors, _ = load_sites([str(main)], Options(kind="apache"))
    assert not errors
    loaded = ("auth_basic", "authn_core", "authn_file", "authz_user", "mime", *modules)
    with lab.served(text, {"www/a.txt": "x"}, loaded) as server:
        for headers, status in ((), 401), ((("Authorization", BASIC),), 500):
            predicted = {one.status for one in site.trace(make_request("http://a/a.txt", "GET", headers))}
            assert predicted == {status}
            lines = [f"{name}: {value}" for name, value in headers]
            answer = lab.ask(server.port, ["GET /a.txt HTTP/1.1", "Host: a", "Connection: close", *lines])
            assert answer.status == status
