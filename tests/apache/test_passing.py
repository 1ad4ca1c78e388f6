"""What is proposed so that a program gets Authorization: what works in that very set-up, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, load_sites
from auditor.http import make_request
from auditor.rules.common import ADMITTED, BEARER, with_header
from auditor.servers.apache.passing import COPY, PASS, RULE, WSGI

HOST = """<VirtualHost *:80>
    ServerName t.example
    DocumentRoot /srv/www
    DirectoryIndex index.php
    <Directory /srv/www>
        AllowOverride {override}
        Require all granted
    </Directory>
    <FilesMatch "\\.php$">
        SetHandler "proxy:fcgi://127.0.0.1:9000"
    </FilesMatch>
    ProxyPass /scgi/ scgi://127.0.0.1:9001/
    ProxyPass /uwsgi/ uwsgi://127.0.0.1:9002/
    WSGIScriptAlias /wsgi /srv/app.wsgi
</VirtualHost>
"""
LATE = f"""RewriteEngine On
RewriteRule ^index\\.php$ - [L]
{RULE}
RewriteCond %{{REQUEST_FILENAME}} !-f
RewriteRule . /index.php [L]
"""


def ways(folder: Path, path: str, override: str = "None", access: str = "") -> list[str]:
    """What is proposed for a request of that path; `access` is the text of the .htaccess."""
    pages = folder / "www"
    pages.mkdir()
    (pages / "index.php").touch()
    if access:
        (pages / ".htaccess").write_text(access)
    (folder / "vhost.conf").write_text(HOST.format(override=override))
    options = Options(kind="apache", roots=(("/srv/www", str(pages)),))
    ((site,), errors, _) = load_sites([str(folder / "vhost.conf")], options)
    assert not errors
    return list(site.ways_to_pass(with_header(make_request(f"http://t.example{path}"), BEARER), ADMITTED))


def test_files_of_a_folder(tmp_path: Path) -> None:
    first, second = ways(tmp_path, "/index.php")
    assert first.startswith(f'<Directory "/srv/www">\n    {PASS}\n</Directory>')
    assert second == f"or in <VirtualHost>: {COPY}"


def test_a_path_that_is_handed_on_has_no_folder(tmp_path: Path) -> None:
    assert ways(tmp_path, "/scgi/x")[0].startswith(f'<Location "/scgi/">\n    {PASS}\n</Location>')


def test_wsgi_has_a_line_of_its_own(tmp_path: Path) -> None:
    assert ways(tmp_path, "/wsgi/x") == [f"{WSGI}  in <VirtualHost>"]


def test_nothing_where_it_arrives(tmp_path: Path) -> None:
    assert ways(tmp_path, "/uwsgi/x") == []


@pytest.mark.parametrize(
    ("override", "proposed", "refused"),
    [
        ("All", [PASS, COPY, RULE], []),
        ("FileInfo", [COPY, RULE], [PASS]),
    ],
)
def test_a_rule_that_comes_too_late(tmp_path: Path, override: str, proposed: list[str], refused: list[str]) -> None:
    told = ways(tmp_path, "/some/page", override, LATE)
    there = [one for one in told if not one.startswith(("(", "<", "or in <VirtualHost>"))]
    assert [line for line in (PASS, COPY, RULE) if any(line in one for one in there)] == proposed
    assert [line for line in (PASS,) if any(one.startswith(f"({line}") for one in told)] == refused
    assert "REDIRECT_HTTP_AUTHORIZATION" in told[-1]


def test_a_htaccess_alone_says_what_must_be_allowed(tmp_path: Path) -> None:
    (tmp_path / ".htaccess").write_text(LATE)
    (tmp_path / "index.php").touch()
    ((site,), errors, _) = load_sites([str(tmp_path / ".htaccess")], Options())
    assert not errors
    told = site.ways_to_pass(with_header(make_request("http://localhost/some/page"), BEARER), ADMITTED)
    assert told[0] == f"{PASS}  in .htaccess  (needs AllowOverride AuthConfig)"
    assert told[1] == f"or: {COPY}  in .htaccess  (needs AllowOverride FileInfo)"
    assert told[2] == f"or before all other rules: {RULE}"
