"""A configuration without some of its lines: it keeps what has none of them, and is the same as one read without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor.check import Options, load_sites
from auditor.http import Request, make_request
from auditor.servers.apache.config import Server
from auditor.servers.apache.site import ApacheSite
from auditor.source import Place

SHARED = """RequestHeader set X-Shared 1
"""
MAIN = """Listen 80
ServerName main.example
RequestHeader set X-Main 1
<VirtualHost *:80>
    ServerName a.example
    DocumentRoot /var/www/html
    Include shared.conf
    RequestHeader unset Authorization
    ProxyPass /up/ http://127.0.0.1:9000/
</VirtualHost>
<VirtualHost *:80>
    ServerName b.example
    DocumentRoot /var/www/html
    Include shared.conf
    <Location /up/>
        <RequireAny>
            Require all denied
        </RequireAny>
    </Location>
    ProxyPass /up/ http://127.0.0.1:9001/
</VirtualHost>
<VirtualHost *:80>
    ServerName c.example
    <Location /other/>
        <Limit BREW2>
            Require all granted
        </Limit>
    </Location>
    ProxyPass /up/ http://127.0.0.1:9002/
</VirtualHost>
"""
HOSTS = ("a.example", "b.example", "c.example", "main.example")


def site_of(folder: Path, text: str, shared: str = SHARED) -> ApacheSite:
    folder.mkdir()
    (folder / "httpd.conf").write_text(text)
    (folder / "shared.conf").write_text(shared)
    (site,), errors, _ = load_sites([str(folder / "httpd.conf")], Options(kind="apache"))
    assert not errors
    assert isinstance(site, ApacheSite)
    return site


def asked() -> list[Request]:
    return [
        make_request(f"http://{host}{path}", method, [("Authorization", "Bearer t")])
        for host in HOSTS
        for path in ("/up/x", "/other/x")
        for method in ("GET", "BREW2")
    ]


def told(site: ApacheSite) -> list[object]:
    """What requests are told of, whatever the numbers of lines are."""
    return [
        [
            (one.action, one.status, [(sent.name, sent.value.text) for sent in one.main.headers] if one.main else None)
            for one in site.trace(request)
        ]
        for request in asked()
    ]


def place(site: ApacheSite, text: str) -> Place:
    """The first line that holds the text."""
    for server in (site.config.main, *site.config.hosts):
        for section in (server.section, *server.section.sections):
            for line in section.directives:
                if text in line.place.text:
                    return line.place
    raise AssertionError(text)


# A line, what goes with it, and the servers that have none of that.
LINES = [
    ("RequestHeader unset Authorization", "", "main b c"),
    ("<RequireAny>", "            Require all denied\n        </RequireAny>\n", "main a c"),
    ("ProxyPass /up/ http://127.0.0.1:9002/", "", "main a b"),
    # By which a method is known to all of them.
    ("<Limit BREW2>", "            Require all granted\n        </Limit>\n", "main a b"),
    ("RequestHeader set X-Main 1", "", ""),  # which all of them have
    ("RequestHeader set X-Shared 1", "", "main c"),  # one line of two virtual hosts
]


@pytest.mark.parametrize(("line", "rest", "kept"), LINES)
def test_a_line_less(tmp_path: Path, line: str, rest: str, kept: str) -> None:
    site = site_of(tmp_path / "whole", MAIN)
    whole = told(site)  # what has been found out about the servers stays right for those that are kept
    if line.startswith("<Limit"):
        (section,) = site.config.hosts[2].section.sections
        removed = next(one.limit.place for one in section.directives if one.limit is not None)
    else:
        removed = place(site, line)
    twin = site.without(removed)
    pairs = zip(("main", "a", "b", "c"), _servers(site), _servers(twin), strict=True)
    assert " ".join(name for name, before, after in pairs if before is after) == kept
    less = (re.sub(rf" *{re.escape(line)}\n{re.escape(rest)}", "", text) for text in (MAIN, SHARED))
    read = site_of(tmp_path / "less", *less)
    assert told(twin) == told(read)
    assert told(twin) != whole
    assert told(site) == whole


def _servers(site: ApacheSite) -> list[Server]:
    return [site.config.main, *site.config.hosts]
