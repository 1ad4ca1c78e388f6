"""Whatever a configuration says, its sandbox reaches out to nobody, and touches no file but its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from probes.runners import local
from tests.probes.commands import Done, Place, needs_namespaces

KEEP_BODIES = """
import probes.sandbox.sandbox as sandbox
send = sandbox.send
def kept(*args, **options):
    reply = send(*args, **options)
    with open({path!r}, "ab") as file:
        file.write(reply.body + b"\\n")
    return reply
sandbox.send = kept
"""

MAIN = """
user root; daemon on; master_process on; worker_processes 64; pid OUT/nginx.pid; lock_file OUT/lock;
working_directory OUT; env SECRET; env GIVEN=1; error_log OUT/error.log debug; error_log syslog:server=192.0.2.1;
error_log stderr; worker_rlimit_core 1g; worker_rlimit_nofile 1; thread_pool many threads=64; timer_resolution 1ms;
worker_cpu_affinity auto; worker_priority -20; debug_points abort; google_perftools_profiles OUT/profile;
ssl_engine nothing; pcre_jit on; load_module OUT/module.so;
events { use epoll; multi_accept on; accept_mutex on; debug_connection host.example; worker_aio_requests 1; }
stream { server { listen 53 udp; proxy_pass host.example:53; access_log OUT/stream.log; } }
mail { auth_http host.example/auth; server { listen 25; protocol smtp; } }
http { server { listen 80; location / { proxy_pass http://host.example; } } }
"""

NAMES = """
resolver 192.0.2.53 [2001:db8:1::53] dns.example valid=1s;
set_real_ip_from proxy.example; set_real_ip_from 10.0.0.0/8; set_real_ip_from unix:;
access_log syslog:server=log.example,tag=x; error_log syslog:server=192.0.2.1:514 debug;
geo $office { default 0; 192.0.2.0/24 1; }
upstream names { zone z 64k; resolver 192.0.2.53; server a.example resolve; server b.example:81 backup; keepalive 4; }
upstream addresses { least_conn; server 192.0.2.10; server [2001:db8:1::10]:8080 weight=2; server unix:/run/app.sock; }
map $host $chosen { default c.example; x.example 192.0.2.7:8080; }
server {
    listen 192.0.2.80:80; listen [::]:80; listen unix:/run/nginx.sock;
    server_name site.example;
    set $backend d.example:8443;
    location / { proxy_pass http://names; proxy_bind 192.0.2.99; }
    location /addresses/ { proxy_pass http://addresses; }
    location /bare/ { proxy_pass http://e.example:8080/x/; }
    location /address/ { proxy_pass http://192.0.2.20; }
    location /address6/ { proxy_pass http://[2001:db8:1::20]:8080; }
    location /set/ { proxy_pass https://$backend; proxy_ssl_server_name on; proxy_ssl_verify on;
        proxy_ssl_trusted_certificate /etc/ssl/a.pem; }
    location /mapped/ { proxy_pass http://$chosen; }
    location /asked/ { proxy_pass http://$arg_to.example; }
    location /fast/ { fastcgi_pass php.example:9000; }
    location /fast-address/ { fastcgi_pass 192.0.2.21:9000; }
    location /uwsgi/ { uwsgi_pass app.example:3031; }
    location /scgi/ { scgi_pass scgi.example:4000; }
    location /grpc/ { grpc_pass grpc://grpc.example:50051; }
    location /auth/ { auth_request /verdict; proxy_pass http://names; }
    location = /verdict { internal; proxy_pass http://sso.example/check; }
    location /mirrored/ { mirror /mirror; proxy_pass http://names; }
    location = /mirror { internal; proxy_pass http://copy.example$request_uri; }
    location /late/ { proxy_pass http://names; proxy_intercept_errors on; error_page 401 403 = @late; }
    location @late { proxy_pass http://fallback.example; }
}
"""

TLS = """
ssl_certificate /etc/ssl/a.pem; ssl_certificate_key engine:pkcs11:key; ssl_dhparam /etc/ssl/dh.pem;
ssl_session_ticket_key OUT/tickets; ssl_password_file /etc/ssl/words;
server {
    listen 443 ssl; http2 on; server_name site.example;
    ssl_stapling on; ssl_stapling_verify on; ssl_stapling_responder http://ocsp.example/;
    ssl_trusted_certificate /x.pem;
    ssl_ocsp on; ssl_ocsp_responder http://ocsp.example/; ssl_client_certificate /y.pem; ssl_verify_client optional;
    ssl_crl /crl.pem; resolver 192.0.2.53;
    location / { proxy_pass https://app.example; proxy_ssl_certificate /c.pem; proxy_ssl_certificate_key /k.pem;
        proxy_ssl_crl /crl.pem; proxy_ssl_password_file /etc/ssl/words; }
}
"""

ITSELF = """
upstream app { server 192.0.2.1; }
server {
    listen 8080; server_name site.example;
    location / { proxy_pass http://127.0.0.1:8080; }
    location /name/ { proxy_pass http://site.example:8080; }
    location /mirrored/ { mirror /again; mirror /other; proxy_pass http://app; }
    location /again { internal; mirror /mirrored/; proxy_pass http://app; }
    location /other { internal; proxy_pass http://127.0.0.1:8080/mirrored/; }
    location /rewritten/ { rewrite ^ /once; }
    location /once { rewrite ^ /twice last; }
    location /twice { rewrite ^ /once last; }
    location /tried/ { try_files /nothing /tried/; }
    location /failed/ { error_page 404 = /failed/; return 404; }
    location /included/ { ssi on; proxy_pass http://app; }
}
"""

WRITES = """
client_body_temp_path OUT/body; proxy_temp_path OUT/proxy; fastcgi_temp_path OUT/fastcgi;
proxy_cache_path OUT/cache keys_zone=kept:1m; access_log OUT/access.log; open_log_file_cache max=10;
log_format odd "$request"; access_log "|touch OUT/piped"; error_log "|touch OUT/piped";
upstream app { server 192.0.2.1; }
server {
    listen 8080; access_log OUT/$host.log odd; error_log OUT/server.log debug;
    location / { proxy_pass http://app; proxy_cache kept; proxy_cache_valid 1m; client_body_in_file_only on; }
    location /put/ { root OUT; dav_methods PUT DELETE MKCOL COPY MOVE; }
    location /stored/ { proxy_pass http://app; proxy_store on; root OUT; }
    location /stored-there/ { proxy_pass http://app; proxy_store OUT/$uri; proxy_store_access all:rw; }
    location /logged/ { access_log OUT/logged.log; proxy_pass http://app; }
}
"""

READS = """
upstream app { server 192.0.2.1; }
server {
    listen 8080; root /; autoindex on; index none;
    location /page/ { alias ../../../../../../../OUT/; autoindex on; }
    location /up/ { root site/../../../../../..; autoindex on; }
    location /alias { alias OUT/secret.txt; }
    location /self/ { auth_basic a; auth_basic_user_file /proc/self/environ; proxy_pass http://app; }
    location /zero/ { auth_basic a; auth_basic_user_file /dev/zero; proxy_pass http://app; }
    location /pipe/ { auth_basic a; auth_basic_user_file OUT/pipe; proxy_pass http://app; }
    location /linked/ { auth_basic a; auth_basic_user_file link; proxy_pass http://app; }
}
"""

CODE = """
js_path OUT; js_import main from main.js; js_set $by_njs main.value; js_preload_object OUT/object.json;
js_fetch_trusted_certificate /x.pem;
perl_modules OUT; perl_set $by_perl "sub { system('touch OUT/perl'); }";
lua_package_path "OUT/?.lua"; init_by_lua_block { os.execute("touch OUT/lua") }
upstream app { server 192.0.2.1; }
server {
    listen 8080;
    location / { proxy_set_header By "$by_njs$by_perl"; js_header_filter main.filter; proxy_pass http://app; }
    location /content/ { js_content main.content; }
    location /access/ { access_by_lua_block { os.execute("touch OUT/lua") } proxy_pass http://app; }
    location /set/ { set_by_lua_block $by_lua { return 1 } proxy_set_header By $by_lua; proxy_pass http://app; }
}
"""
JS = "export default {value() { return 'from code'; }, filter() {}, content(r) { r.return(200); }}"
CONFIGURATIONS = {"main": MAIN, "names": NAMES, "tls": TLS, "itself": ITSELF, "writes": WRITES, "reads": READS,
                  "code": CODE}  # fmt: skip


class Sealed:
    """A hostile configuration, what lies outside of its sandbox, and what became of that."""

    def __init__(self, place: Place, text: str) -> None:
        self.place = place
        self.outside = place.elsewhere
        (self.outside / "folder").mkdir()
        self.outside.chmod(0o777)
        (self.outside / "secret.txt").write_text("never-to-be-shown")
        (self.outside / "users.txt").write_text("never-to-be-reported:x\n")
        (self.outside / "main.js").write_text(JS)
        os.mkfifo(self.outside / "pipe")
        (place.folder / "link").symlink_to(self.outside / "users.txt")  # a user file like any other
        self.bodies = place.folder / "bodies"
        text = text.replace("OUT", str(self.outside))
        self.config = place.write("nginx.conf", text) if "http {" in text else place.http(text)
        self.before = self.state()

    def state(self) -> dict[str, tuple[int, int, int]]:
        found = {}
        for path in [self.outside, *self.outside.rglob("*")]:
            status = path.lstat()
            found[str(path)] = (status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        return found

    def run(self, *args: object) -> Done:
        """Probes it; nothing outside may have changed by then, and none of it be shown."""
        done = self.place.run(self.config, *args, patch=self.patch)
        self.check(done)
        return done

    @property
    def patch(self) -> str:
        return KEEP_BODIES.format(path=str(self.bodies))

    def check(self, done: Done) -> None:
        assert self.state() == self.before
        assert "never-to-be" not in done.out + done.err
        if self.bodies.exists():
            assert b"never-to-be-shown" not in self.bodies.read_bytes()


@needs_namespaces
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_nothing_leaves_loopback(place: Place, name: str, nginx: local.Binary) -> None:
    sealed = Sealed(place, CONFIGURATIONS[name])
    [result] = listening(place, [place.command(sealed.config, "--nginx", nginx.path, patch=sealed.patch)])
    done = Done(result["status"], result["out"], result["err"])
    assert result["left"] == [], done
    done.assert_probed()
    sealed.check(done)
    place.assert_clean()


def listening(place: Place, commands: list[list[str]]) -> list[dict]:  # type: ignore[type-arg]
    """Runs commands where everything that leaves loopback is seen."""
    script = str(Path(__file__).with_name("listening.py"))
    done = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, script, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=False,
        env=place.environment(),
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@needs_namespaces
def test_what_does_leave_loopback_is_seen(place: Place) -> None:
    """The proof above can fail: a packet and a look-up are seen, by Python, and by each nginx with such a file."""
    python = [sys.executable, "-c"]
    config = place.write("dns.conf", "events {} pid /dev/null; http { server { listen 127.0.0.1:1234; location / {"
                                     " proxy_pass http://app.example; } } }")  # fmt: skip
    commands = [
        [*python, "from socket import *; socket(type=SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))"],
        [*python, "from socket import *; socket(AF_INET6, SOCK_DGRAM).sendto(b'x', ('2001:db8:1::1', 9))"],
        *([entry.path, "-t", "-e", "stderr", "-c", str(config)] for entry in local.find()),
        [*python, "pass"],
    ]
    *seen, nothing = [result["left"] for result in listening(place, commands)]
    assert all(seen) and not nothing


@pytest.mark.parametrize("name", ["reads", "code"])
def test_files_outside_are_not_touched(place: Place, name: str) -> None:
    """Where no namespace can be had, too."""
    done = Sealed(place, CONFIGURATIONS[name]).run()
    done.assert_probed()


def test_a_listing_of_the_root_shows_the_sandbox_only(place: Place) -> None:
    sealed = Sealed(place, READS)
    sealed.run().assert_probed()
    pages = sealed.bodies.read_text("latin-1")
    assert "Index of /" in pages
    for name in ("boot/", "usr/", "home/", "secret.txt"):
        assert f'href="{name}"' not in pages


UP = "/../../../../../../../../../../../../.."


@pytest.mark.parametrize(
    "text",
    [
        f"server {{ listen 80; location / {{ try_files {UP}OUT/secret.txt =404; }} }}",
        f"server {{ listen 80; location / {{ rewrite ^ {UP}OUT/secret.txt break; }} }}",
        f"server {{ listen 80; location / {{ error_page 404 {UP}OUT/secret.txt; return 404; }} }}",
        f"server {{ listen 80; location / {{ index {UP[1:]}OUT/secret.txt; }} }}",
        f"server {{ listen 80; set $up {UP}OUT; location / {{ root /srv$up; try_files /secret.txt =404; }} }}",
        f"map $host $up {{ default {UP}OUT; }} server {{ listen 80; location / {{ root /srv$up; }} }}",
    ],
)
def test_a_path_that_goes_up(place: Place, text: str) -> None:
    """nginx joins it to its root as it is: the sandbox is not started."""
    sealed = Sealed(place, text)
    done = sealed.run()
    done.assert_fails(4, "would leave the sandbox", "nginx.conf:3: ")


@pytest.mark.parametrize("included", ["OUT/pipe", "/dev/zero", "/dev/stdin", "/proc/self/mem", "OUT/folder"])
def test_an_include_of_what_is_no_file(place: Place, included: str) -> None:
    """Neither waited for nor read without an end."""
    sealed = Sealed(place, f"include {included}; server {{ listen 80; location / {{ return 200; }} }}")
    report = json.loads(sealed.run("--format", "json").out)
    included = included.replace("OUT", str(sealed.outside))
    assert any(included in str(note) for note in report["notes"])
    assert [route["probes"][0]["observed"]["status"] for route in report["routes"]] == [200]


@pytest.mark.parametrize("named", ["/dev/zero", "/proc/self/mem"])
def test_an_include_that_the_machine_itself_has(place: Place, named: str) -> None:
    """A configuration that names its own place is the machine's own, and what it includes must be readable."""
    config = place.http(f"include {place.folder}/none*; include {named}; server {{ listen 80; }}")
    place.run(config).assert_fails(3, named, "is not a regular file" if "/dev" in named else "Input/output error")


def test_code_is_not_run_and_is_listed(place: Place) -> None:
    done = Sealed(place, CODE).run("--format", "json")
    report = json.loads(done.out)
    taken = {one["text"].split()[0]: one["why"] for one in report["taken_out"]}
    assert {"js_set", "js_content", "perl_set", "init_by_lua_block", "access_by_lua_block"} <= set(taken)
    assert set(taken.values()) == {"embedded code is not run (--allow-code)"}
    text = Sealed(Place(), CODE)
    shown = text.run()
    assert "js_set: embedded code is not run (--allow-code)" in shown.out
    text.place.close()


def test_code_is_run_where_the_user_says_so(place: Place) -> None:
    place.write("main.js", JS)
    config = place.http(
        "js_import main from main.js; js_set $value main.value; upstream app { server 192.0.2.1; } server { listen 80;"
        " location / { proxy_set_header X-Value $value; proxy_pass http://app; } }"
    )
    report = json.loads(place.run(config, "--format", "json", "--allow-code", "--nginx", "wheel").out)
    headers = report["routes"][0]["probes"][0]["observed"]["exchanges"][0]["headers"]
    assert ["X-Value", "from code"] in headers
    report = json.loads(place.run(config, "--format", "json", "--nginx", "wheel").out)
    headers = report["routes"][0]["probes"][0]["observed"]["exchanges"][0]["headers"]
    assert not any(name == "X-Value" for name, _ in headers)


def test_nothing_is_sent_to_a_server_that_listens_where_the_configuration_says(place: Place) -> None:
    """Even an upstream on this machine's loopback gets no request: a probe is not for the application."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        config = place.http(f"server {{ listen 80; location / {{ proxy_pass http://127.0.0.1:{port}; }} }}")
        place.run(config).assert_probed()
        with pytest.raises(BlockingIOError):
            server.accept()
