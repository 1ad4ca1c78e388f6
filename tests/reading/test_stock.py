"""The shipped files that are known without being there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from auditor.servers.nginx.stock import TEXTS, stock_text
from probes.runners import local

from .conftest import SERVERS, read_text


@pytest.mark.live
@pytest.mark.parametrize("name", TEXTS)
def test_the_server_accepts_them(name: str, nginx: local.Binary, tmp_path: Path) -> None:
    for other, text in TEXTS.items():
        path = tmp_path / other
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    place = "" if name == "mime.types" else "server { location / {"
    main = f"events {{}}\nhttp {{ {place} include {name}; {'} }' if place else ''} }}\n"
    if name.startswith("letsencrypt/"):
        main = f"events {{}}\nhttp {{ include {name}; }}\n"
    (tmp_path / "nginx.conf").write_text(main)
    command = [nginx.path, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "log")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.live
@pytest.mark.parametrize("name", ["fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params"])
def test_they_say_what_the_installed_ones_say(name: str) -> None:
    """Debian's own have one more line since a security update: HTTP_HOST."""
    path = Path("/etc/nginx") / name
    if "system" not in SERVERS or not path.exists():
        pytest.skip("no nginx package is installed here")
    installed = [d.args for d in read_text(path.read_text()).walk() if d.args[0] != "HTTP_HOST"]
    assert [d.args for d in read_text(TEXTS[name]).walk()] == installed


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("fastcgi_params", True),
        ("/usr/local/nginx/conf/fastcgi_params", True),
        ("snippets/fastcgi-php.conf", True),
        ("my_fastcgi_params", False),
        ("fastcgi-php.conf", False),
    ],
)
def test_known_by_the_end_of_the_path(path: str, known: bool) -> None:
    assert (stock_text(path) is not None) is known
