"""Parts of a configuration without their main file: which of them are read as one, and which must not be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.check import Options, Report, check
from auditor.discover import discover
from auditor.servers.nginx.parts import _SINGLE
from auditor.together import MAX_FILES, is_in_use
from probes.runners import httpd, local
from tests import live
from tests.reading.conftest import needs

Write = Callable[[dict[str, str | bytes]], Path]
REPOSITORY = {".git/HEAD": ""}


def plain(name: str, port: int = 80, kind: str = "apache") -> str:
    if kind == "nginx":
        return (
            f"server {{\n  listen {port};\n  server_name {name};\n  location / {{ proxy_pass http://10.0.0.5; }}\n}}\n"
        )
    return f"<VirtualHost *:{port}>\n  ServerName {name}\n  ProxyPass / http://10.0.0.5/\n</VirtualHost>\n"


def gated(name: str, port: int = 443, kind: str = "apache") -> str:
    if kind == "nginx":
        gate = "    auth_basic A;\n    auth_basic_user_file /etc/nginx/users;\n    proxy_set_header Authorization '';\n"
        head = f"server {{\n  listen {port} ssl;\n  server_name {name};\n"
        return f"{head}  location /in/ {{\n{gate}    proxy_pass http://10.0.0.5;\n  }}\n}}\n"
    gate = "  <Location />\n    AuthType Basic\n    AuthName A\n    AuthUserFile /etc/users\n    Require valid-user\n"
    gate += "  </Location>\n  RequestHeader unset Authorization\n"
    head = f"<VirtualHost *:{port}>\n  ServerName {name}\n  SSLEngine on\n"
    return f"{head}{gate}  ProxyPass / http://10.0.0.5/\n</VirtualHost>\n"


MOVED = plain("a.example").replace("ProxyPass / http://10.0.0.5/", "Redirect / https://a.example/")


def groups(*paths: str, **options: object) -> list[list[str]]:
    """What is read: for each configuration its files."""
    found = discover(paths, Options(**options))  # type: ignore[arg-type]
    assert not found.errors
    return [[name for _, name in named.parts] or [named.name] for named in found.entries]


def warnings(report: Report) -> list[tuple[str, str, int]]:
    assert not report.errors
    return [(one.rule, one.place.file, one.place.line) for one in report.findings if one.severity != "info"]


TOGETHER = {
    "twins": (
        {"sites-available/a.conf": plain("a.example"), "sites-available/a-ssl.conf": gated("a.example")},
        [["sites-available/a-ssl.conf", "sites-available/a.conf"]],
    ),
    "twins by an alias, in nginx": (
        {"conf.d/b.conf": plain("x.example a.example", 80, "nginx"), "conf.d/c.conf": gated("a.example", 443, "nginx")},
        [["conf.d/b.conf", "conf.d/c.conf"]],
    ),
    "others stay alone": (
        {"vhosts/a.conf": plain("a.example"), "vhosts/b.conf": plain("b.example"), "vhosts/c.conf": gated("a.example")},
        [["vhosts/a.conf", "vhosts/c.conf"], ["vhosts/b.conf"]],
    ),
    "the packages' order": (
        {
            "apache2/ports.conf": "Listen 80\nListen 443\n",
            "apache2/sites-available/a.conf": plain("a.example"),
            "apache2/conf-available/z.conf": "WSGIPassAuthorization On\n",
        },
        [["apache2/ports.conf", "apache2/conf-available/z.conf", "apache2/sites-available/a.conf"]],
    ),
    "a macro": (
        {
            "vhosts/a.conf": f"<Macro Site $n>\n{plain('$n')}</Macro>\n{plain('m.example')}",
            "vhosts/b.conf": "Use Site b.c\n",
        },
        [["vhosts/a.conf", "vhosts/b.conf"]],
    ),
    "a variable": (
        {"vhosts/a.conf": f"Define APP x\n{plain('a.example')}", "vhosts/b.conf": plain("${APP}.example")},
        [["vhosts/a.conf", "vhosts/b.conf"]],
    ),
    "an upstream of a neighbour's": (
        {
            "http.d/a.conf": "upstream app { server 10.0.0.1; }\n" + plain("a.example", 80, "nginx"),
            "http.d/b.conf": plain("b.example", 80, "nginx").replace("10.0.0.5", "app"),
            "http.d/c.conf": plain("c.example", 80, "nginx"),
        },
        [["http.d/a.conf", "http.d/b.conf"], ["http.d/c.conf"]],
    ),
    "conf.d before sites-enabled": (
        {"sites-enabled/a": plain("a.example", 80, "nginx"), "conf.d/z.conf": "proxy_set_header A b;\n"},
        [["conf.d/z.conf", "sites-enabled/a"]],
    ),
    "the same host twice where it is switched on": (
        {
            "sites-enabled/a.conf": plain("a.example"),
            "sites-enabled/b.conf": plain("a.example"),
        },
        [["sites-enabled/a.conf", "sites-enabled/b.conf"]],
    ),
    "a folder that a service mounts": (
        {
            "conf.d/a.conf": plain("a.example", 80, "nginx"),
            "conf.d/b.conf": gated("a.example", 443, "nginx"),
            "compose.yml": "services:\n  web:\n    image: nginx\n    volumes:\n      - ./conf.d:/etc/nginx/conf.d\n",
        },
        [["conf.d/a.conf", "conf.d/b.conf"]],
    ),
    "one set of files for staging": (
        {"vhosts/staging.a.conf": plain("a.example"), "vhosts/staging.a-ssl.conf": gated("a.example")},
        [["vhosts/staging.a-ssl.conf", "vhosts/staging.a.conf"]],
    ),
}


@pytest.mark.parametrize(("files", "expected"), TOGETHER.values(), ids=TOGETHER)
def test_what_belongs_together(write: Write, files: dict[str, str | bytes], expected: list[list[str]]) -> None:
    write({**REPOSITORY, **files})
    assert groups(".") == expected
    for group in expected:
        for name in group:
            assert groups(name, known_only=True) == [group], name
    assert groups(*files, known_only=True) == sorted(
        expected, key=lambda group: min(list(files).index(n) for n in group)
    )


APART = {
    "hosts of their own": {"vhosts/a.conf": plain("a.example"), "vhosts/b.conf": gated("b.example")},
    "another folder": {"site/a.conf": plain("a.example"), "site/b.conf": gated("a.example")},
    "environments": {"prod/vhosts/a.conf": plain("a.example"), "staging/vhosts/a.conf": gated("a.example")},
    "machines": {"vhosts/web1/a.conf": plain("a.example"), "vhosts/web2/a.conf": gated("a.example")},
    "environments in the names": {"vhosts/a.dev.conf": plain("a.example"), "vhosts/a.prod.conf": gated("a.example")},
    "alternatives": {"vhosts/a.conf": plain("a.example"), "vhosts/a2.conf": MOVED + gated("a.example")},
    "two without a name": {
        "vhosts/a.conf": plain("a.example").replace("ServerName a.example", "") + plain("x.example"),
        "vhosts/b.conf": plain("b.example").replace("ServerName b.example", "") + gated("x.example"),
    },
    "old versions": {
        "sites-available/a.conf": gated("a.example"),
        "sites-available/a.conf.bak": plain("a.example"),
        "sites-available/a.disabled": plain("a.example"),
        "sites-available/a-old.conf": plain("a.example"),
        "sites-available/a.orig.conf": plain("a.example"),
    },
    "templates": {
        "templates/a.conf.j2": plain("{{ name }}"),
        "templates/b.conf.j2": gated("{{ name }}"),
        "vhosts/a.conf": plain("a.example") + "# {{ managed }}\n",
        "vhosts/b.conf": gated("a.example"),
    },
    "names that every machine has": {"vhosts/a.conf": plain("localhost"), "vhosts/b.conf": gated("localhost")},
    "files of nginx that it refuses together": {
        "conf.d/a.conf": "upstream app { server 10.0.0.1; }\n" + plain("a.example", 80, "nginx"),
        "conf.d/b.conf": "upstream app { server 10.0.0.2; }\n" + gated("a.example", 443, "nginx"),
    },
    "two default servers": {
        "conf.d/a.conf": plain("a.example", 80, "nginx").replace("80;", "80 default_server;"),
        "conf.d/b.conf": (plain("b.example", 80, "nginx") + gated("a.example", 443, "nginx")).replace(
            "80;", "80 default_server;"
        ),
    },
    "the same Listen line": {
        "vhosts/a.conf": "Listen 8080\n" + plain("a.example", 8080),
        "vhosts/b.conf": "Listen 8080\n" + gated("a.example"),
    },
    "what stands further in": {
        "conf.d/a.conf": plain("a.example", 80, "nginx"),
        "conf.d/headers.conf": "proxy_pass http://10.0.0.7;\nproxy_set_header A b;\n",
        "conf.d/stream.conf": "server {\n  listen 5432;\n  proxy_pass 10.0.0.5:5432;\n}\n",
    },
    "services": {
        "compose.yml": "services:\n"
        "  one:\n    image: nginx\n    volumes:\n      - ./conf.d/a.conf:/etc/nginx/conf.d/default.conf\n"
        "  two:\n    image: nginx\n    volumes:\n      - ./conf.d/b.conf:/etc/nginx/conf.d/default.conf\n",
        "conf.d/a.conf": plain("a.example", 80, "nginx"),
        "conf.d/b.conf": gated("a.example", 443, "nginx"),
    },
    "beside a main file that includes none of them": {
        "etc/apache2/apache2.conf": "ServerRoot /etc/apache2\nListen 80\nInclude other/*.conf\n",
        "etc/apache2/sites-available/a.conf": plain("a.example"),
        "etc/apache2/sites-available/b.conf": gated("a.example"),
    },
    "a file that does not parse": {
        "conf.d/a.conf": plain("a.example", 80, "nginx") + "}\n",
        "conf.d/b.conf": gated("a.example", 443, "nginx"),
    },
}


@pytest.mark.parametrize("files", APART.values(), ids=APART)
def test_what_is_read_one_by_one(write: Write, files: dict[str, str | bytes]) -> None:
    write({**REPOSITORY, **files})
    assert all(len(group) == 1 for group in groups("."))
    report = check(["."], Options())
    assert not [one for one in report.findings if one.rule == "bypassed-gate" and one.severity != "info"]
    for name in files:
        if name.endswith(".conf"):
            assert groups(name) == [[name]]


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("wiki.example.conf", True),
        ("www-example-com.conf", True),
        ("old.wiki.org.conf", True),
        ("wiki", False),
        ("example.conf", False),
        ("vhost-example.conf", False),
        ("wiki.off.conf", False),
        ("wiki.old2.conf", False),
        ("old-wiki.conf", False),
        ("maintenance.conf", False),
        ("wiki.conf~", False),
        (".wiki.conf", False),
    ],
)
def test_names_of_what_is_in_use(name: str, used: bool) -> None:
    assert is_in_use(name, "apache", "sites-available") == used


@pytest.mark.parametrize("kind", ["apache", "nginx"])
def test_findings_are_told_once_and_the_same_whatever_is_named(write: Write, kind: str) -> None:
    folder = "sites-enabled"
    write({**REPOSITORY, f"{folder}/a": plain("b.example", 80, kind), f"{folder}/a.conf": plain("a.example", 80, kind)})
    write({f"{folder}/a-ssl.conf": gated("a.example", 443, kind), f"{folder}/c.conf": plain("c.example", 80, kind)})
    area = "/" if kind == "apache" else "/in/"
    if kind == "nginx":
        text = plain("a.example", 80, kind).replace("location / {", f"location {area} {{")
        write({f"{folder}/a.conf": text})
    expected = [("bypassed-gate", f"{folder}/a.conf")]
    for paths in (["."], [folder], [f"{folder}/a.conf"], [f"{folder}/a-ssl.conf", f"{folder}/a.conf"]):
        report = check(paths, Options(known_only=True))
        found = [place[:2] for place in warnings(report) if place[0] == "bypassed-gate"]
        assert found == expected, paths
        assert len([note for note in report.notes if "are read as one configuration" in note.text]) == 1
    assert warnings(check(["."], Options(), jobs=2)) == warnings(check(["."], Options()))


def test_without_a_repository_only_what_is_named_is_read(write: Write) -> None:
    write({"apache/vhosts/a.conf": plain("a.example"), "apache/vhosts/b.conf": gated("a.example")})
    write({"apache/conf-available/x.conf": "RequestHeader set A b\n"})
    assert groups("apache/vhosts/a.conf") == [["apache/vhosts/a.conf"]]
    assert groups("apache/vhosts") == [["apache/vhosts/a.conf", "apache/vhosts/b.conf"]]
    assert [len(group) for group in groups("apache")] == [3]


def test_links_say_what_is_switched_on(write: Write) -> None:
    folder = write(
        {f"sites-available/{name}.conf": text for name, text in {"a": plain("a.x"), "b": gated("a.x")}.items()}
    )
    write({**REPOSITORY, "sites-available/c.conf": gated("c.x"), "conf-available/x.conf": "RequestHeader set A b\n"})
    (folder / "sites-enabled").mkdir()
    (folder / "sites-enabled/010-b.conf").symlink_to("/etc/apache2/sites-available/b.conf")
    (folder / "sites-enabled/020-a.conf").symlink_to("../sites-available/a.conf")
    together = ["sites-available/b.conf", "sites-available/a.conf"]
    assert groups(".") == [["conf-available/x.conf"], together, ["sites-available/c.conf"]]


def test_a_folder_of_parts_is_judged_in_its_main_file(write: Write) -> None:
    write({**REPOSITORY, "nginx/nginx.conf": "events {}\nhttp { include conf.d/*.conf; }\n"})
    write({"nginx/conf.d/a.conf": plain("a.example", 80, "nginx"), "nginx/conf.d/x.inc": "add_header A b;\n"})
    assert groups("nginx/conf.d") == [["nginx/nginx.conf"], ["nginx/conf.d/x.inc"]]
    assert groups("nginx") == [["nginx/conf.d/x.inc"], ["nginx/nginx.conf"]]


def test_what_is_excluded_is_not_read(write: Write) -> None:
    folder = write({**REPOSITORY, "vhosts/a.conf": plain("a.example"), "vhosts/b.conf": gated("a.example")})
    assert groups("vhosts/a.conf", exclude=("vhosts/b.conf",), base=str(folder)) == [["vhosts/a.conf"]]


def test_standard_input_is_read_alone(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    write({**REPOSITORY, "vhosts/a.conf": plain("a.example"), "vhosts/b.conf": gated("a.example")})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(plain("a.example").encode())))
    assert groups("-", stdin_name="vhosts/a.conf") == [["vhosts/a.conf"]]


def test_suppressions_and_ports_that_no_line_names(write: Write) -> None:
    silent = "  # audit: ignore[bypassed-gate] open on purpose\n  ProxyPass"
    write({**REPOSITORY, "vhosts/a.conf": plain("a.example").replace("  ProxyPass", silent)})
    write({"vhosts/b.conf": gated("a.example"), "vhosts/listen.conf": "Listen 8443\n" + gated("c.example", 8443)})
    write({"conf-available/x.conf": "RequestHeader set X-Forwarded-Proto https\n"})
    report = check(["."], Options())
    assert warnings(report) == []
    assert [one.finding.rule for one in report.suppressed] == ["bypassed-gate"]
    assert [note.text for note in report.notes if "Listen" in note.text] == [
        "no Listen line is at hand for the ports of virtual hosts: 80, 443"
    ]


def test_too_many_are_not_read_as_one(write: Write) -> None:
    files: dict[str, str | bytes] = {f"vhosts/{at:03}.conf": plain(f"s{at}.example") for at in range(MAX_FILES)}
    write({**REPOSITORY, **files, "conf-available/x.conf": "RequestHeader set A b\n"})
    write({"vhosts/007-ssl.conf": gated("s7.example")})
    sizes = [len(group) for group in groups(".")]
    assert (max(sizes), sizes.count(2), len(sizes)) == (2, 1, MAX_FILES + 1)
    notes = discover(["."], Options()).notes
    assert [note.text for note in notes if "conf-available/x.conf is not read together" in note.text]


ARGUMENTS = {
    **dict.fromkeys(("real_ip_header", "auth_basic", "auth_basic_user_file"), "x"),
    **dict.fromkeys(("auth_request", "root"), "/x"),
    **dict.fromkeys(("proxy_read_timeout", "proxy_connect_timeout", "proxy_send_timeout", "keepalive_timeout"), "3s"),
    **dict.fromkeys(("types_hash_max_size", "server_names_hash_bucket_size"), "2048"),
    "resolver": "127.0.0.1",
    "proxy_http_version": "1.1",
    "proxy_cache": "off",
    "proxy_redirect": "off",
    "satisfy": "any",
    "default_type": "text/plain",
    "charset": "utf-8",
    "client_max_body_size": "1m",
    "ssl_session_timeout": "1m",
}


@pytest.mark.parametrize("name", sorted(_SINGLE))
def test_nginx_refuses_a_second_one(name: str, tmp_path: Path) -> None:
    line = f"{name} {ARGUMENTS.get(name, 'on')};\n"
    assert _refused(tmp_path, [line]) == ""
    assert f'"{name}" directive is duplicate' in _refused(tmp_path, [line, line])


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        ("upstream a { server 127.0.0.1; }", "upstream a { server 127.0.0.2; }", 'duplicate upstream "a"'),
        ("log_format a b;", "log_format a c;", 'duplicate "log_format" name "a"'),
        ("server { listen 81 default_server; }", "server { listen 81 default_server; }", "a duplicate default server"),
        ("limit_req_zone $uri zone=a:1m rate=1r/s;", "limit_req_zone $uri zone=a:1m rate=1r/s;", "already bound"),
        ("map $uri $x { default 1; }", "map $uri $x { default 2; }", ""),
        ("server { listen 81; server_name a; }", "server { listen 81; server_name a; }", ""),
    ],
)
def test_nginx_on_what_two_files_define(first: str, second: str, complaint: str, tmp_path: Path) -> None:
    said = _refused(tmp_path, [first, second])
    assert complaint in said
    assert bool(said) == bool(complaint)


def _refused(folder: Path, parts: list[str]) -> str:
    """What nginx says about files that it refuses together."""
    for at, text in enumerate(parts):
        (folder / f"{at}.part").write_text(text)
    main = f"pid {folder}/pid; error_log stderr; events {{}}\nhttp {{ access_log off; include {folder}/*.part; }}\n"
    (folder / "nginx.conf").write_text(main)
    command = [needs("system").path, "-t", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return run.stderr if run.returncode else ""


def test_httpd_refuses_a_second_listen_line(tmp_path: Path) -> None:
    program = httpd.find()
    if program is None:
        live.unavailable("no httpd with loadable modules found: install apache2")
    assert isinstance(program.program, local.Binary)
    modules = Path(next(iter(program.modules.values()))).parent
    text = f"ServerRoot {tmp_path}\nServerName x\nErrorLog /dev/stderr\nPidFile {tmp_path}/pid\n"
    text += "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in ("mpm_prefork", "authz_core"))
    for lines, status in (("Listen 8099\n", 0), ("Listen 8099\nListen 8099\n", 1)):
        (tmp_path / "httpd.conf").write_text(text + lines)
        command = [program.program.path, "-t", "-f", str(tmp_path / "httpd.conf")]
        run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert run.returncode == status, run.stderr
        assert ("multiple Listeners" in run.stderr) == bool(status)
