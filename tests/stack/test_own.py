"""A user's own configuration: what is read out of it, and the real nginx with it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from probes.stack.__main__ import main
from probes.stack.compose import TOP, Failed
from probes.stack.override import ports_inside, services, text
from probes.stack.own import Upstream, read
from probes.stack.relay import READY, listen
from tests.stack.conftest import left

SITE = """
user www-data;
pid /run/nginx.pid;
events {}
http {
    include /etc/nginx/mime.types;
    access_log /var/log/nginx/site.log;
    error_log syslog:server=logs.example:514;
    upstream app { server app-1:3000; server app-2:3000 backup; }
    upstream idle { server idle.example; }
    include conf.d/*.conf;
}
"""
HOST = """
server {
    listen 80;
    listen [::]:80;
    server_name shop.example;
    location / { proxy_pass http://app; }
    location /local/ { proxy_pass http://127.0.0.1:8000/; }
    location /api/ { proxy_set_header Authorization ""; proxy_pass http://api.example:8080; }
    location /php/ { fastcgi_pass php:9000; }
    location /pw/ { auth_basic "x"; auth_basic_user_file htpasswd; proxy_pass http://app; }
    location /sock/ { proxy_pass http://unix:/run/app.sock; }
    location /ip/ { proxy_pass http://192.0.2.1:99; }
    location /var/ { set $u other; proxy_pass http://$u:80; }
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with a folder, a user file, and something that is none of its business beside it."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "nginx.conf").write_text(SITE)
    (tmp_path / "conf.d/host.conf").write_text(HOST)
    (tmp_path / "htpasswd").write_text((TOP / "configs/nginx/users").read_text())
    (tmp_path / "private.key").write_text("none of its business")
    return tmp_path


def test_what_a_configuration_needs(folder: Path) -> None:
    own = read(folder / "nginx.conf")
    assert own.ports == (80,)
    assert set(own.upstreams) == {
        Upstream("app-1", 3000, "http"),
        Upstream("app-2", 3000, "http"),
        Upstream("idle.example", 80, "http"),
        Upstream("127.0.0.1", 8000, "http"),
        Upstream("api.example", 8080, "http"),
        Upstream("php", 9000, "fastcgi"),
    }
    assert set(own.names) == {"app-1", "app-2", "idle.example", "api.example", "php", "logs.example"}
    assert own.mounts == ((folder / "conf.d", "/etc/nginx/conf.d"), (folder / "htpasswd", "/etc/nginx/htpasswd"))
    assert own.missing == (
        "a Unix socket as upstream is not there: unix:/run/app.sock",
        "an address cannot be given to the origin, only a name can: 192.0.2.1:99",
        "made of variables, so that its names are not known: proxy_pass http://$u:80",
    )


def test_the_override(folder: Path) -> None:
    own = read(folder / "nginx.conf")

    class Loader(yaml.SafeLoader):
        pass

    def construct(loader: Loader, node: yaml.Node) -> Any:
        assert isinstance(node, yaml.SequenceNode)
        return loader.construct_sequence(node, deep=True)

    Loader.add_constructor("!override", construct)
    plan = yaml.load(text(own).replace("networks: !override", "networks:"), Loader)["services"]
    assert plan.keys() == {"origin", "door", "nginx", "relay-names", "relay-loopback"} == set(services(own))
    inside = ports_inside(own)
    assert not set(inside.values()) & {80, 3000, 8000, 8080, 9000}
    assert plan["door"]["ports"] == [f"127.0.0.1::{inside['control']}", "127.0.0.1::80"]
    assert all(volume["read_only"] for volume in plan["nginx"]["volumes"])
    assert f"0.0.0.0:9000=127.0.0.1:{inside['fastcgi']}" in plan["relay-names"]["command"]
    assert plan["relay-loopback"]["command"] == [f"127.0.0.1:8000=origin:{inside['http']}"]
    assert set(plan) & {"httpd", "haproxy", "caddy", "traefik", "envoy"} == set()


@pytest.mark.parametrize("content", ["server { listen 80; }", "not { a configuration", ""])
def test_what_is_no_main_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "site.conf"
    path.write_text(content)
    with pytest.raises(Failed, match=r"site\.conf is no main file"):
        read(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="there is no file"):
        read(tmp_path / "nginx.conf")


@pytest.mark.live
def test_the_own_configuration_is_probed(
    project: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NGINX_CONF", str(folder / "nginx.conf"))
    status = main(["probe"])
    said = capsys.readouterr()
    rows = {line.split("  ")[0]: line.split() for line in said.out.splitlines() if line.startswith("http://shop")}
    assert rows["http://shop.example/"][1:5] == ["200", "..", "200", "+A"]
    assert rows["http://shop.example/local/"][1:5] == ["200", "..", "200", "+A"]
    assert rows["http://shop.example/api/"][1:5] == ["200", "..", "200", "-A"]
    assert rows["http://shop.example/php/"][1:5] == ["200", "..", "200", "+A"]
    assert rows["http://shop.example/pw/"][1:4] == ["401", "401", "401"]
    # Nothing is behind these, and nothing leads out of the stack.
    for lost in ("sock", "ip", "var"):
        assert rows[f"http://shop.example/{lost}/"][1:4] == ["502", "502", "502"]
    assert status == 0
    assert main(["down"]) == 0
    assert left(project) == {}


@pytest.mark.live
def test_a_configuration_that_nginx_refuses(
    project: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host = folder / "conf.d/host.conf"
    host.write_text(HOST.replace("server_name", "bogus on;\n    server_name"))
    monkeypatch.setenv("NGINX_CONF", str(folder / "nginx.conf"))
    assert main(["probe"]) == 4
    assert f'unknown directive "bogus" in {host}:5' in capsys.readouterr().err
    assert left(project) == {}


@pytest.mark.live
def test_an_end_half_way_leaves_nothing(project: str, folder: Path) -> None:
    environment = {**os.environ, "NGINX_CONF": str(folder / "nginx.conf"), "PYTHONPATH": str(TOP)}
    command = [sys.executable, "-m", "probes.stack", "up"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while running.poll() is None and "containers" not in left(project):
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
    assert running.returncode == 128 + signal.SIGTERM
    assert left(project) == {}


def test_the_relay_passes_bytes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> bytes:
        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.read()).upper())
            await writer.drain()
            writer.close()

        far = await asyncio.start_server(shout, "127.0.0.1", 0)
        near = await listen(("127.0.0.1", 0), far.sockets[0].getsockname())
        reader, writer = await asyncio.open_connection(*near.sockets[0].getsockname())
        writer.write(b"a\0b\r\n")
        writer.write_eof()
        return await reader.read()

    assert READY.startswith("/tmp/")  # the only place in the container that can be written to
    assert asyncio.run(run()) == b"A\0B\r\n"
