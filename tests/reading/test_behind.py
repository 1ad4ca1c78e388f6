"""Requests for what lies behind a redirect that everybody gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.behind import sayings
from auditor.check import Options, load_sites

NGINX = """events {{}}
http {{
    server {{
        listen 80;
        server_name site.example;
        {}
        location / {{ proxy_pass http://127.0.0.1:9000; }}
    }}
}}
"""
HTTPD = """Listen 80
<VirtualHost *:80>
    ServerName site.example
    RewriteEngine On
    {}
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
"""
HTTPS = "RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]"


def reaching(text: str, name: str, folder: Path) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """The URLs and header lines of the routes that get to an upstream or a program."""
    path = folder / name
    path.write_text(text)
    (site,), errors, _ = load_sites([str(path)], Options())
    assert not errors
    return {
        (route.request.url, route.request.headers[1:])
        for route in site.routes()
        if any(outcome.main is not None for outcome in site.trace(route.request))
    }


@pytest.mark.parametrize(
    ("lines", "header"),
    [
        ('if ($http_x_forwarded_proto != "https") { return 301 https://$host$request_uri; }', "X-Forwarded-Proto"),
        ('if ($http_x_forwarded_proto !~ "^https$") { return 301 https://$host$request_uri; }', "X-Forwarded-Proto"),
        ("if ($http_x_forwarded_ssl != on) { rewrite ^ https://$host$request_uri permanent; }", "X-Forwarded-Ssl"),
    ],
)
def test_nginx(lines: str, header: str, tmp_path: Path) -> None:
    found = reaching(NGINX.format(lines), "nginx.conf", tmp_path)
    assert {name for _, headers in found for name, _ in headers} == {header}


@pytest.mark.parametrize(
    ("lines", "headers"),
    [
        (f"RewriteCond %{{HTTP:X-Forwarded-Proto}} !https\n{HTTPS}", (("X-Forwarded-Proto", "https"),)),
        (f"RewriteCond %{{HTTP:X-Forwarded-Ssl}} !^on$\n{HTTPS}", (("X-Forwarded-Ssl", "on"),)),
        (
            "<If \"req('X-Forwarded-Proto') != 'https'\">\nRedirect permanent / https://site.example/\n</If>",
            (("X-Forwarded-Proto", "https"),),
        ),
        # Both lines are asked for, each by a rule of its own.
        (
            f"RewriteCond %{{HTTP:X-Forwarded-Proto}} !https\n{HTTPS}\n"
            f"RewriteCond %{{HTTP:X-Forwarded-Port}} !443\n{HTTPS}",
            (("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "443")),
        ),
    ],
)
def test_httpd(lines: str, headers: tuple[tuple[str, str], ...], tmp_path: Path) -> None:
    found = reaching(HTTPD.format(lines), "httpd.conf", tmp_path)
    assert ("http://site.example/audit-probe", headers) in found


def test_the_other_port_of_a_virtual_host(tmp_path: Path) -> None:
    text = HTTPD.format(f"RewriteCond %{{SERVER_PORT}} !=443\n{HTTPS}").replace("*:80>", "*:80 *:443>")
    text = text.replace("Listen 80\n", "Listen 80\nListen 443 https\n")
    assert ("https://site.example/audit-probe", ()) in reaching(text, "httpd.conf", tmp_path)


@pytest.mark.parametrize(
    ("condition", "url"),
    [
        ("%{HTTPS} off", "https://localhost/audit-probe"),
        ("%{SERVER_PORT} 80", "https://localhost/audit-probe"),
        (r"%{HTTP_HOST} !^www\.", "https://www.localhost/audit-probe"),
    ],
)
def test_htaccess_alone(condition: str, url: str, tmp_path: Path) -> None:
    to = "https://www.%{HTTP_HOST}/$1" if "www" in url else "https://%{HTTP_HOST}/$1"
    text = f"""RewriteEngine On
RewriteCond {condition}
RewriteRule ^(.*)$ {to} [R=301,L]
FallbackResource /index.php
"""
    assert (url, ()) in reaching(text, ".htaccess", tmp_path)


def test_one_part_alone_is_sent_away(tmp_path: Path) -> None:
    text = """RewriteEngine On
RewriteCond %{HTTPS} off
RewriteRule ^account/ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]
RewriteRule ^(account|shop)/ /index.php [L]
"""
    found = {url for url, _ in reaching(text, ".htaccess", tmp_path)}
    assert {"https://localhost/account/", "http://localhost/shop/"} <= found
    assert "https://localhost/shop/" not in found


@pytest.mark.parametrize(
    "lines",
    [
        HTTPS,  # for good: nothing lies behind
        "RewriteRule ^ https://elsewhere.example/ [R=302,L]",
    ],
)
def test_nothing_lies_behind(lines: str, tmp_path: Path) -> None:
    assert reaching(HTTPD.format(lines), "httpd.conf", tmp_path) == set()


def test_only_what_the_configuration_names_is_said() -> None:
    assert sayings(["map $http_x_forwarded_proto $secure {}"]) == [("X-Forwarded-Proto", "https")]
    assert sayings(["RewriteCond %{HTTP:CF-Visitor} !https"]) == [("CF-Visitor", '{"scheme":"https"}')]
    assert sayings(["listen 80;"]) == []
