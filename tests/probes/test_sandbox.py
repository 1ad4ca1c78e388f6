"""Configurations whose sealing is delicate, in the sandbox: as predicted from the user's text, and nothing missed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from auditor.check import Options, load_sites
from probes.probing import ServerRefused, Session
from probes.questions import Line
from probes.runners.local import Binary
from tests.live import disagreements

SERVER = "events {}\nhttp {\n%s\nserver {\nlisten 8080;\nserver_name a.example;\nroot /srv/www;\n%s\n}\n}\n"
HERE = Path(__file__).parent / "sandboxed"
# Each is a file, or a folder with nginx.conf; its first line names the upstreams that must have been reached.
CASES = sorted([path.stem for path in HERE.glob("*.conf")] + [path.parent.name for path in HERE.glob("*/nginx.conf")])


def sites(folder: Path, files: dict[str, str]) -> list[Any]:
    """What is found in these files, the main one first."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="latin-1", newline="")
    found, errors, _ = load_sites([str(folder / next(iter(files)))], Options())
    assert not errors
    return list(found)


@pytest.mark.parametrize("name", CASES)
def test_the_sandbox_does_what_the_configuration_says(name: str, nginx: Binary, tmp_path: Path) -> None:
    folder = HERE / name
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True) if folder.is_dir() else shutil.copy(
        f"{folder}.conf", tmp_path
    )
    main = tmp_path / ("nginx.conf" if folder.is_dir() else f"{name}.conf")
    wanted = set(main.read_text("latin-1").splitlines()[0].removeprefix("# reaches: ").split())
    (site,) = sites(tmp_path, {main.name: main.read_bytes().decode("latin-1")})
    reached: set[str] = set()
    with Session(site, nginx, witnesses=further(name)) as session:
        assert disagreements(session, reached) == []
    assert reached == wanted


def further(name: str) -> list[Line]:
    """Requests that no route stands for: values that make a target what it is not meant to be."""
    if not name.startswith("targets"):
        return []
    targets = [f"/k/?port={port}" for port in ("", "0", "65535", "65536", "070000", "80x", "-1")]
    targets += [f"/q/?url={url}" for url in ("", "x", "ftp://b/", "http://", "http:///x", "http://b:0/", "HTTP://b:x")]
    for to in ("", "x", "b.internal:x", "b.internal:0", "10.1.2.3", "b.internal:9"):
        targets += [f"/{place}/?to={to}" for place in "tuvw"]
    base = {"method": "GET", "headers": [], "client_ip": "127.0.0.1", "upstream_response": {"status": 200}}
    return [{**base, "url": f"http://a.example:8080{target}"} for target in targets]


def test_a_dump_is_probed(nginx: Binary, tmp_path: Path) -> None:
    """What `nginx -T` prints, whose files are no longer there."""
    server = "server { listen 127.0.0.1:18080; server_name a.example; location / { proxy_pass http://app; } }"
    files = {
        "nginx.conf": f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\n"
        f"http {{ access_log off; include {tmp_path}/conf.d/*.conf; upstream app {{ include {tmp_path}/servers; }} }}",
        "conf.d/a.conf": server,
        "servers": "server 127.0.0.1:9;\n",
    }
    sites(tmp_path, files)
    command = [nginx.path, "-T", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "log")]
    dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in files:
        (tmp_path / name).unlink()
    reached: set[str] = set()
    (site,) = sites(tmp_path, {"dump.txt": dump})
    with Session(site, nginx) as session:
        assert disagreements(session, reached) == []
    assert reached == {"127.0.0.1:9"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"nginx.conf": "\xef\xbb\xbf" + SERVER % ("", "")}, r'nginx\.conf:1: unknown directive ".*events"'),
        (
            {"nginx.conf": SERVER % ("include x;", ""), "x": "\n\nmap $a $b { a b; a c; }"},
            r"x:3: conflicting parameter",
        ),
        ({"nginx.conf": SERVER % ("", "location /a {\n} location /a { }")}, r'nginx\.conf:9: duplicate location "/a"'),
        (
            {"nginx.conf": SERVER % ("", "proxy_pass http://app/x;")},
            r'nginx\.conf:8: "proxy_pass" directive is not allowed',
        ),
    ],
)
def test_a_refusal_names_the_line_of_the_user(
    files: dict[str, str], message: str, nginx: Binary, tmp_path: Path
) -> None:
    (site,) = sites(tmp_path, files)
    with pytest.raises(ServerRefused) as refused:
        Session(site, nginx)
    assert re.fullmatch(re.escape(str(tmp_path)) + "/" + message + ".*", str(refused.value))
    assert refused.value.own
