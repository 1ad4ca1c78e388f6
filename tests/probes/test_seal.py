"""The sealed form of a configuration: each directive that is moved or taken out, and what must never be started."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auditor.servers.nginx.site import NginxSite, load_file
from auditor.source import Place
from probes.log import Answer, Log
from probes.sandbox import tables
from probes.sandbox.check import Unsafe, check_sealed
from probes.sandbox.seal import Plan, Sealed, seal
from probes.sandbox.targets import CATCH_ALL, Names, Targets
from tests.differential.words import CERTIFICATE

PLAN = Plan(
    "/box",
    "/box",
    "127.0.0.1",
    {("*", 80): 20080, ("*", 443): 20443, ("10.0.0.1", 8080): 28080},
    "/box/certificate.pem",
    {},
)
Seal = Callable[..., tuple[str, Sealed]]


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[Targets]:
    made = Targets(Log(), Names(), lambda: CERTIFICATE, lambda _: Answer(), "127.0.0.1", str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def sealing(tmp_path: Path, targets: Targets) -> Seal:
    """Seals a text; gives the sealed main file with the names of upstreams put back, and the whole."""

    def run(
        text: str, plan: Plan = PLAN, evaluated: dict[str, set[tuple[str, str]]] | None = None
    ) -> tuple[str, Sealed]:
        path = tmp_path / "nginx.conf"
        path.write_text(text, encoding="latin-1", newline="")
        site = load_file(str(path), (("/etc/nginx", str(tmp_path)),))
        known: dict[Place, set[tuple[str, str]]] = {
            each.place: (evaluated or {})[each.name] for each in site.tree.walk() if each.name in (evaluated or {})
        }
        sealed = seal(site, plan._replace(evaluated=known), targets)
        return targets.names.back(sealed.files["conf/0-nginx.conf"]), sealed

    return run


def http(text: str) -> str:
    return f"http {{\n{text}\n}}\n"


def server(text: str) -> str:
    return http(f"server {{ location / {{\n{text}\n}} }}")


def written(text: str, at: int = 2) -> str:
    """The line of that number (from 1) of the sealed text."""
    return text.split("\n")[at - 1].strip()


@pytest.mark.parametrize("name", sorted(tables.HOUSEKEEPING - {"events"}))
def test_housekeeping_is_left_to_the_sandbox(name: str, sealing: Seal) -> None:
    assert written(sealing(http(f"{name} a b;"))[0]) == ""


@pytest.mark.parametrize("name", [*sorted(tables.TAKEN), "zone_sync_server", "opentelemetry_config"])
def test_what_is_taken_out_is_told(name: str, sealing: Seal) -> None:
    text, sealed = sealing(http(f"{name} a b;"))
    assert written(text) == ""
    assert [(one.place.line, bool(one.why)) for one in sealed.taken] == [(2, True)]
    assert {place.line for place in sealed.changed} == {2}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("ssl_certificate /etc/ssl/a.pem;", "ssl_certificate /box/certificate.pem;"),
        ("ssl_certificate $ssl_server_name.pem;", "ssl_certificate /box/certificate.pem;"),
        ("ssl_certificate_key /etc/ssl/a.key;", "ssl_certificate_key /box/certificate.pem;"),
        ("proxy_ssl_certificate /a.pem;", "proxy_ssl_certificate /box/certificate.pem;"),
        ("grpc_ssl_certificate_key /a.pem;", "grpc_ssl_certificate_key /box/certificate.pem;"),
        ("ssl_client_certificate /a.pem;", "ssl_client_certificate /box/certificate.pem;"),
        ("proxy_ssl_trusted_certificate /a.pem;", "proxy_ssl_trusted_certificate /box/certificate.pem;"),
        ("ssl_dhparam /a.pem;", ""),
        ("ssl_verify_client on;", "ssl_verify_client on;"),
        ("proxy_ssl_verify on;", ""),
        ("ssl_stapling on;", ""),
        ("ssl_password_file /a;", ""),
        ("ssl_protocols TLSv1.3;", "ssl_protocols TLSv1.3;"),
        ("proxy_ssl_server_name on;", "proxy_ssl_server_name on;"),
        ("root /srv/www;", "root /box/root/srv/www;"),
        ("root html;", "root /box/root/etc/nginx/html;"),
        ("root $document_root/x;", "root /box/root$document_root/x;"),
        ('alias "/srv/a b/";', 'alias "/box/root/srv/a b/";'),
        ("auth_basic_user_file users;", "auth_basic_user_file /box/root/etc/nginx/users;"),
        ("auth_basic_user_file off;", "auth_basic_user_file off;"),
        ("auth_jwt_key_file /k.json;", "auth_jwt_key_file /box/root/k.json;"),
        ("proxy_cache_path /var/c keys_zone=z:1m;", "proxy_cache_path /box/cache/1 keys_zone=z:1m;"),
        (
            "fastcgi_cache_path c levels=1:2 keys_zone=z:1m;",
            "fastcgi_cache_path /box/cache/1 levels=1:2 keys_zone=z:1m;",
        ),
        ("keyval_zone zone=a:1m state=/var/a;", "keyval_zone zone=a:1m;"),
        ("js_import main.js;", ""),
        ("js_set $a main.a;", 'map "" $a { default ""; }'),
        ("js_var $a b;", "js_var $a b;"),
        ("perl_modules x;", ""),
        ("lua_package_path x;", ""),
        ("set_by_lua_block $a { return ngx.var.b }", 'map "" $a { default ""; }'),
        ("add_header X-Port $server_port;", "add_header X-Port $audit_server_port;"),
        ('add_header X "${server_addr}s $proxy_port";', 'add_header X "${audit_server_addr}s $audit_proxy_port";'),
        ("add_header X $server_portal;", "add_header X $server_portal;"),
        ("add_header X $remote_addr; # $http_host", "add_header X $remote_addr; # $http_host"),
        ("proxy_set_header Host $proxy_host;", "proxy_set_header Host $audit_proxy_host;"),
    ],
)
def test_a_line_of_the_http_block(line: str, wanted: str, sealing: Seal) -> None:
    assert written(sealing(http(line))[0]) == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("proxy_pass http://app:8080;", "proxy_pass http://app:8080;"),
        ("proxy_pass http://app/x?y=1;", "proxy_pass http://app/x?y=1;"),
        ("proxy_pass https://app;", "proxy_pass https://app;"),
        ("proxy_pass http://[2001:db8::1]:81/;", "proxy_pass http://[2001:db8::1]:81/;"),
        ("proxy_pass http://10.0.0.9;", "proxy_pass http://10.0.0.9;"),
        ("proxy_pass http://unix:/run/a.sock:/x;", "proxy_pass http://unix:/run/a.sock:/x;"),
        ("grpc_pass app:50051;", "grpc_pass app:50051;"),
        ("grpc_pass grpc://app:50051;", "grpc_pass grpc://app:50051;"),
        ("fastcgi_pass php:9000;", "fastcgi_pass php:9000;"),
        ("fastcgi_pass unix:/run/php.sock;", "fastcgi_pass unix:/run/php.sock;"),
        ("uwsgi_pass uwsgi://app:3031;", "uwsgi_pass uwsgi://app:3031;"),
        ("uwsgi_pass app:3031;", "uwsgi_pass app:3031;"),
        ("scgi_pass app:4000;", "scgi_pass app:4000;"),
        ("memcached_pass cache:11211;", "memcached_pass cache:11211;"),
    ],
)
def test_an_upstream_keeps_its_name(line: str, wanted: str, sealing: Seal, targets: Targets) -> None:
    text, sealed = sealing(server(line))
    assert written(text, 3) == wanted  # when the names are put back
    raw = written(sealed.files["conf/0-nginx.conf"], 3)
    assert raw != line
    assert re.search(r"127\.0\.0\.1:\d+|unix:/\S+/origin\d*\.sock", raw)
    assert len(sealed.addresses) == 1


def test_a_group_keeps_its_name_and_its_servers_get_stand_ins(sealing: Seal) -> None:
    text, sealed = sealing(
        http(
            "upstream app {\n server a.internal:81 weight=2;\n server b.internal backup resolve;\n"
            " server unix:/run/a.sock max_fails=1;\n keepalive 4;\n}\n"
            "server { location / {\n proxy_pass https://app/x; } }"
        )
    )
    assert [written(text, at) for at in (3, 4, 5, 6, 9)] == [
        "server a.internal:81 weight=2;",
        "server b.internal:443 backup;",
        "server unix:/run/a.sock max_fails=1;",
        "keepalive 4;",
        "proxy_pass https://app/x; } }",
    ]
    assert len(sealed.addresses) == 3


def maps(sealed: Sealed) -> list[str]:
    """The tables that the sandbox puts in the http block."""
    return re.findall(r"map \S+ \$audit_to_\d+ \{.*?; +\}", sealed.files["conf/0-nginx.conf"])


def test_a_target_of_variables_is_looked_up(sealing: Seal, targets: Targets) -> None:
    text = http("resolver 10.0.0.2;\nserver { location / {\nproxy_pass http://$where/x$uri;\n} }")
    text, sealed = sealing(text, evaluated={"proxy_pass": {("http://app:81", "/x/")}})
    assert written(text, 4) == "proxy_pass http://$audit_to_0/x$uri;"
    assert "resolver " not in text
    (table,) = maps(sealed)
    assert targets.names.back(table).startswith(
        f"map $where $audit_to_0 {{ volatile; default {CATCH_ALL}; app:81 app:81;"
    )


@pytest.mark.parametrize(
    "line", ["proxy_pass http://$where/x;", "proxy_pass $where;", "grpc_pass $where;", "fastcgi_pass $where;"]
)
def test_without_a_resolver_a_name_leads_nowhere(line: str, sealing: Seal) -> None:
    """No value of a variable is taken as it is, but one that no directive could follow."""
    _, sealed = sealing(server(line))
    (table,) = maps(sealed)
    default = re.search(r"default (\S+);", table)
    assert default is not None
    if line == "proxy_pass $where;":  # nginx itself refuses what begins in another way
        assert default[1] == "$where"
        assert "~*^https?:// http://0.no-resolver.invalid;" in table
    else:
        assert default[1].removesuffix(":1") == "0.no-resolver.invalid"


def test_the_resolver_counts_where_it_stands(sealing: Seal) -> None:
    _, sealed = sealing(
        http(
            "server { location / {\nproxy_pass http://a.internal$uri;\n} }\n"
            "server { resolver 10.0.0.2; location / {\nproxy_pass http://a.internal$uri;\n} }\n"
            "server { location / {\nproxy_pass http://10.0.0.7$uri;\n} location /b { proxy_pass http://b.internal/; }\n"
            "location /c {\nproxy_pass http://b.internal$uri;\n} }"
        )
    )
    raw = [line for line in sealed.files["conf/0-nginx.conf"].split("\n") if line.startswith("proxy_pass")]
    assert raw[0] == "proxy_pass http://1.no-resolver.invalid$uri;"
    assert [bool(re.fullmatch(r"proxy_pass http://127\.0\.0\.1:\d+\$uri;", line)) for line in raw[1:]] == [True] * 3


def test_listeners(sealing: Seal) -> None:
    text, _ = sealing(
        http(
            "server { listen 80; }\nserver { listen *:80 default_server; listen [::]:80; server_name a; }\n"
            "server { listen 443 ssl http2; }\nserver { listen 10.0.0.1:8080 reuseport; }\nserver { }\n"
            "server { listen unix:/run/nginx.sock; }"
        )
    )
    found = [re.findall(r"listen ([^;]*);", line) for line in text.split("\n") if line.lstrip().startswith("server {")]
    assert found[:5] == [
        ["127.0.0.1:20080"],
        ["127.0.0.1:20080 default_server"],
        ["127.0.0.1:20443 ssl default_server"],
        ["127.0.0.1:28080 default_server"],
        ["127.0.0.1:20080"],
    ]
    assert re.fullmatch(r"unix:/box/listen\S+\.sock", found[5][0])


def test_tests_of_files_and_conditions(sealing: Seal) -> None:
    text, _ = sealing(server("if (-f /srv/off) {\nreturn 503;\n}\nif (!-e $request_filename) {\nreturn 404;\n}"))
    assert written(text, 3) == "if (-f /box/root/srv/off) {"
    assert written(text, 6) == "if (!-e $request_filename) {"


def test_redirects_of_upstreams_are_known_by_their_addresses(sealing: Seal) -> None:
    lines = "proxy_redirect http://app:81/ /via/;\nproxy_redirect http://other/ /;\nproxy_pass http://app:81/x/;"
    text, sealed = sealing(server(lines))
    assert written(text, 3) == "proxy_redirect http://app:81/ /via/;"
    raw = sealed.files["conf/0-nginx.conf"].split("\n")
    assert re.fullmatch(r"proxy_redirect http://127\.0\.0\.1:\d+/ /via/;", raw[2])
    assert raw[3] == "proxy_redirect http://other/ /;"


def test_what_lies_in_tables_is_no_directive(sealing: Seal) -> None:
    text, _ = sealing(http("map $a $b {\n listen x;\n user y;\n root z;\n}\ntypes {\n text/pid pid;\n}"))
    assert [written(text, at) for at in (3, 4, 5, 8)] == ["listen x;", "user y;", "root z;", "text/pid pid;"]


def test_what_the_server_lacks_is_taken_out(sealing: Seal) -> None:
    text, sealed = sealing(
        http("brotli on;\nhttp2 on;\n"), PLAN._replace(lacking=frozenset({"brotli"}), undefined=("geoip_country",))
    )
    assert (written(text), written(text, 3)) == ("", "http2 on;")
    assert [one.place.line for one in sealed.taken] == [2]
    assert 'map "" $geoip_country { default ""; }' in text


def test_code_runs_where_that_is_wanted(sealing: Seal) -> None:
    text, _ = sealing(http("js_import main.js;"), PLAN._replace(code=True))
    assert written(text) == "js_import /box/root/etc/nginx/main.js;"


def test_lines_stay_where_they_are(sealing: Seal, tmp_path: Path) -> None:
    lines = (
        "http {| access_log /a|  b;| server {|  listen|   80;|  location / {|   proxy_pass|  http://a;|   return 418;"
    )
    source = f"{lines}|  }}| }}|}}|".replace("|", "\r\n")
    text, _ = sealing(source)
    assert text.count("\n") == source.count("\n")
    assert next(at for at, line in enumerate(text.split("\n")) if "418" in line) == 9


def test_includes_are_read_from_the_sandbox(sealing: Seal, tmp_path: Path) -> None:
    for name, inside in {"b": "server b.internal:81;", "m": "a listen;", "s": "include l;", "l": "root /srv;"}.items():
        (tmp_path / name).write_text(inside)
    os.symlink("s", tmp_path / "s2")
    text, sealed = sealing(
        http(
            "upstream u { include b; }\nmap $a $c { include m; }\nserver { include s*; location / { include l; } }\n"
            "server { include /etc/nginx/l; include none*; }"
        )
    )
    names = {source.name.rpartition("/")[2]: name for name, source in sealed.sources.items()}
    assert f"include /box/{names['b']};" in text
    assert f"include /box/{names['m']};" in text
    assert f"include /box/{names['s']}; include /box/{names['s2']};" in text
    assert text.count(f"include /box/{names['l']};") == 2
    assert "none" not in text
    assert sealed.files[names["m"]] == "a listen;"
    assert sealed.files[names["l"]] == "root /box/root/srv;"
    assert re.fullmatch(r"server 127\.0\.0\.1:\d+;", sealed.files[names["b"]])


GOOD = Sealed("", {}, {}, (), frozenset(), frozenset({"127.0.0.1:9", "unix:/tmp/o.sock"}))


@pytest.mark.parametrize(
    "line",
    [
        "http { server { listen 80; } }",
        "http { server { listen 0.0.0.0:80; } }",
        "http { server { listen unix:/run/x.sock; } }",
        "http { upstream a { server b.internal; } }",
        "http { upstream a { server 127.0.0.1:10; } }",
        "http { resolver 10.0.0.1; }",
        "load_module x.so;",
        "stream { }",
        "mail { }",
        "http { ssl_stapling on; }",
        "http { access_log /var/log/a.log; }",
        "http { access_log syslog:server=10.0.0.1; }",
        "error_log /var/log/a.log;",
        "error_log stderr;",
        *(
            f"http {{ upstream group {{ server 127.0.0.1:9; }} server {{ location / {{ {line} }} }} }}"
            for line in (
                "proxy_pass http://b.internal;",
                "proxy_pass http://127.0.0.1:91;",
                "proxy_pass http://$host;",
                "proxy_pass http://a$audit_to_0;",
                "proxy_pass http://group.internal;",
                "proxy_pass http://no-resolver.invalid;",
                "proxy_pass http://1.no-resolver.invalid;",
                "proxy_pass http://1.no-resolver.invalid.example$uri;",
                "proxy_pass http://unix:/run/app.sock;",
                "grpc_pass 127.0.0.1:10;",
                "fastcgi_pass unix:/run/php.sock;",
                "uwsgi_pass $a;",
                "scgi_pass b:1;",
                "memcached_pass b:1;",
            )
        ),
    ],
)
def test_what_leaves_the_sandbox_is_not_started(line: str, tmp_path: Path) -> None:
    with pytest.raises(Unsafe) as refused:
        check_sealed(site_of(tmp_path, line), GOOD, PLAN)
    assert str(refused.value).endswith(f" in {tmp_path}/nginx.conf:1")


@pytest.mark.parametrize(
    "line",
    [
        "proxy_pass http://127.0.0.1:9/x;",
        "proxy_pass http://127.0.0.1:9$uri;",
        "proxy_pass http://group/x;",
        "proxy_pass $audit_to_0;",
        "proxy_pass http://$audit_to_1$uri;",
        "proxy_pass http://3.no-resolver.invalid$uri;",
        "proxy_pass http://unix:/tmp/o.sock:/x;",
        "fastcgi_pass unix:/tmp/o.sock;",
        "access_log off;",
        "error_log /box/error.log;",
    ],
)
def test_what_stays_in_the_sandbox_is_started(line: str, tmp_path: Path) -> None:
    text = (
        f"http {{ upstream group {{ server 127.0.0.1:9; }} server {{ listen 127.0.0.1:80; location / {{ {line} }} }} }}"
    )
    check_sealed(site_of(tmp_path, text), GOOD, PLAN)


def site_of(folder: Path, text: str) -> NginxSite:
    (folder / "nginx.conf").write_text(text)
    return load_file(f"{folder}/nginx.conf")
