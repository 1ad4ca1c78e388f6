"""Witnesses that get past the conditions which a configuration asks of everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, load_sites
from auditor.http import Request
from auditor.servers.nginx.admission import altered

CONFIG = """events {{}}
http {{
    {http}
    server {{
        listen 8080;
        server_name site.example;
        {server}
        location / {{ return 404; }}
        location /api/ {{ {location} proxy_pass http://127.0.0.1:9000; }}
    }}
}}
"""
CONDITIONS = [
    ("", 'if ($http_user_agent = "") { return 403; }', "User-Agent: Mozilla/5.0"),
    ("", "if ($http_user_agent !~* Chrome) { return 444; }", "User-Agent: Chrome"),
    ("map $http_x_key $ok { default 0; k1 1; }", "if ($ok = 0) { return 403; }", "X-Key: k1"),
    (
        'map $http_x_key $who { default ""; k1 me; } map $who $no { default 0; "" 1; }',
        "if ($no) { return 401; }",
        "X-Key: k1",
    ),
    ('map "$request_method:$http_x_key" $ok { GET:k1 1; }', "if ($ok != 1) { return 403; }", "X-Key: k1"),
    ("", 'if ($http_x_origin_verify != "k1") { return 403; }', "X-Origin-Verify: k1"),
    ("", "set $wanted k1; if ($http_x_key != $wanted) { return 403; }", "X-Key: k1"),
    ("", 'if ($http_authorization !~ "^Bearer ") { return 401; }', "Authorization: Bearer audit-probe"),
    ("", 'if ($cookie_sid = "") { return 302 /login; }', "Cookie: sid=audit-probe"),
    ("", 'if ($http_cookie !~ "sid=") { return 302 https://login.example/; }', "Cookie: sid="),
    ("", "if ($http_x_forwarded_proto != https) { return 403; }", "X-Forwarded-Proto: https"),
    ("", "valid_referers server_names; if ($invalid_referer) { return 403; }", "Referer: https://site.example/"),
    ("", "if ($content_type !~ json) { return 415; }", "Content-Type: json"),
    (
        "",
        "set $flag ''; if ($http_user_agent !~ Chrome) { set $flag A; } "
        "if ($http_cookie !~ ok=1) { set $flag ${flag}B; } if ($flag = AB) { return 403; }",
        "User-Agent: Chrome",
    ),
    (
        "",
        'if ($http_user_agent = "") { return 403; } if ($http_x_key != "k1") { return 401; }',
        "User-Agent: Mozilla/5.0, X-Key: k1",
    ),
]


def witnesses(text: str, folder: Path) -> set[str]:
    """The targets of the requests that reach the upstream, with their header lines but Host."""
    path = folder / "nginx.conf"
    path.write_text(text)
    (site,), errors, _ = load_sites([str(path)], Options())
    assert not errors
    return {
        f"{route.request.target} {', '.join(f'{name}: {value}' for name, value in route.request.headers[1:])}".strip()
        for route in site.routes()
        if any(outcome.main is not None for outcome in site.trace(route.request))
    }


@pytest.mark.parametrize(("http", "lines", "headers"), CONDITIONS)
def test_of_the_server(http: str, lines: str, headers: str, tmp_path: Path) -> None:
    assert f"/api/ {headers}" in witnesses(CONFIG.format(http=http, server=lines, location=""), tmp_path)


@pytest.mark.parametrize(("http", "lines", "headers"), CONDITIONS)
def test_of_the_location(http: str, lines: str, headers: str, tmp_path: Path) -> None:
    assert f"/api/ {headers}" in witnesses(CONFIG.format(http=http, server="", location=lines), tmp_path)


def test_an_argument_stays_with_the_path(tmp_path: Path) -> None:
    text = CONFIG.format(http="", server='if ($arg_token = "") { return 403; }', location="")
    assert "/api/?token=audit-probe" in witnesses(text, tmp_path)


@pytest.mark.parametrize("text", ["$secure_link_expires$uri k", "$secure_link_expires$uri$remote_addr k", "$uri k"])
def test_a_link_with_a_hash(text: str, tmp_path: Path) -> None:
    lines = (
        f'secure_link $arg_md5{",$arg_expires" if "expires" in text else ""}; secure_link_md5 "{text}"; '
        'if ($secure_link = "") { return 403; } if ($secure_link = "0") { return 410; }'
    )
    found = witnesses(CONFIG.format(http="", server="", location=lines), tmp_path)
    assert any(each.startswith("/api/?md5=") for each in found)


def test_a_condition_behind_a_rewrite(tmp_path: Path) -> None:
    lines = 'rewrite ^/(.*)/$ /$1 permanent; if ($http_x_key = "") { return 401; }'
    found = witnesses(CONFIG.format(http="", server="", location=lines), tmp_path)
    assert "/api/audit-probe X-Key: audit-probe" in found


def test_a_rewrite_of_the_first_path(tmp_path: Path) -> None:
    text = CONFIG.format(http="", server="", location="rewrite ^/(.*)/$ /$1 permanent;")
    assert "/api/audit-probe" in witnesses(text, tmp_path)


def test_the_same_snippet_in_another_virtual_host(tmp_path: Path) -> None:
    """A name that leads elsewhere is no way past a condition."""
    (tmp_path / "api.inc").write_text("location /api/ { proxy_pass http://127.0.0.1:9000; }\n")
    path = tmp_path / "nginx.conf"
    path.write_text(
        "events {}\nhttp {\n"
        "server { listen 8080; server_name one.example; include api.inc; }\n"
        "server { listen 8080; server_name two.example; if ($host = two.example) { return 403; } "
        "include api.inc; }\n}\n"
    )
    (site,), _, _ = load_sites([str(path)], Options())
    assert {route.request.host for route in site.routes() if route.server == "two.example"} <= {"two.example"}


@pytest.mark.parametrize(
    ("name", "text", "headers", "target"),
    [
        ("cookie_b", "2", (("Cookie", "a=1; b=2"),), "/?x=1"),
        ("cookie_a", "", (), "/?x=1"),
        ("arg_y", "2", (("Cookie", "a=1"),), "/?x=1&y=2"),
        ("arg_x", "", (("Cookie", "a=1"),), "/"),
        ("remote_user", "any", (("Cookie", "a=1"), ("Authorization", "Basic YXVkaXQ6cHJvYmU=")), "/?x=1"),
    ],
)
def test_altered(name: str, text: str, headers: tuple[tuple[str, str], ...], target: str) -> None:
    request = Request(target="/?x=1", headers=(("Cookie", "a=1"),))
    assert altered(request, name, text) == request._replace(headers=headers, target=target)


@pytest.mark.parametrize(("name", "text"), [("http_x_key", "a\nb"), ("request_method", "get it"), ("remote_addr", "1")])
def test_what_no_client_chooses(name: str, text: str) -> None:
    assert altered(Request(), name, text) is None


def test_names_that_begin_with_a_dot(tmp_path: Path) -> None:
    """`/.` alone is normalized to `/`, which another location answers."""
    path = tmp_path / "nginx.conf"
    path.write_text(
        "events {}\nhttp { server { listen 8080; server_name site.example;\n"
        "location ~ /\\. { deny all; }\nlocation / { proxy_pass http://127.0.0.1:9000; } } }\n"
    )
    (site,), _, _ = load_sites([str(path)], Options())
    targets = {route.request.target for route in site.routes() if route.pattern == r"location ~ /\."}
    hosts = (("Host", "site.example"),)
    requests = [Request("GET", False, "site.example", 8080, target, "1.1", hosts) for target in targets]
    assert requests and all(site.trace(request)[0].status == 403 for request in requests)
