"""The deployed machine's files in the sandbox: what is at hand is copied, what a request asks for is stood in for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor.servers.nginx.site import NginxSite, load_file
from auditor.world import Answer, Question
from probes.sandbox.mirror import FILE_TIME, LONGEST_COPY, USER, Collector, Mirror

CONFIG = """\
http {
    root /srv/www;
    auth_basic_user_file users;
    error_page 404 /err/404.html;
    server { location / { alias html2/; auth_jwt_key_file keys.json; } }
}
"""


@pytest.fixture
def site(tmp_path: Path) -> NginxSite:
    folder = tmp_path / "etc"
    for name, text in {"nginx.conf": CONFIG, "users": "alice:{PLAIN}secret", "www/a.txt": "a", "www/long": ""}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    os.truncate(folder / "www/long", LONGEST_COPY + 1)
    os.utime(folder / "www/a.txt", (1_500_000_000, 1_500_000_000))
    return load_file(str(folder / "nginx.conf"), (("/etc/nginx", str(folder)), ("/srv/www", str(folder / "www"))))


def collector(site: NginxSite) -> Collector:
    return Collector(site.known_files, ["/err/404.html"], ["/srv/www"])


def state(world: Collector, path: str) -> str:
    answer = world.ask(Question("file", path))
    assert answer is not None
    return answer.name


def test_what_is_known_is_answered_so(site: NginxSite) -> None:
    world = collector(site)
    assert [state(world, f"/srv/www/{name}") for name in ("a.txt", "none", "")] == ["file", "missing", "directory"]


def test_what_is_not_known_is_as_on_a_sensible_machine(site: NginxSite) -> None:
    world = Collector(None, ["/err/404.html"], ["/data/"])
    world.target = "/x/app.js"
    assert state(world, "/data") == "directory"
    assert state(world, "/data/x/app.js") == "file"  # what the request names
    assert state(world, "/data/x/app.js.gz") == "missing"
    assert state(world, "/data/index.php") == "file"
    assert state(world, "/data/err/404.html") == "file"
    assert state(world, "/data/other.html") == "missing"
    world.target = "/maintenance"
    assert state(world, "/data/maintenance") == "missing"  # a switch, more likely than a page
    assert set(world.files) >= {"/data", "/data/x/app.js", "/data/other.html"}


def fill(site: NginxSite, folder: Path, *paths: str, users: tuple[str, ...] = ()) -> Mirror:
    world = collector(site)
    for path in paths:
        state(world, path)
    world.users.update(users)
    mirror = Mirror(str(folder), site)
    mirror.fill(world, site, "word")
    return mirror


def ask(mirror: Mirror, path: str) -> Answer:
    answer = mirror.world().ask(Question("file", path))
    assert answer is not None
    return answer


def test_files_are_copied_with_their_times(site: NginxSite, tmp_path: Path) -> None:
    mirror = fill(site, tmp_path / "m", "/srv/www/a.txt", "/srv/www/long", "/srv/www/none", "/srv/www/a.txt/")
    here = tmp_path / "m/srv/www"
    assert (here / "a.txt").read_text() == "a"
    assert (here / "a.txt").stat().st_mtime == 1_500_000_000
    assert (here / "long").stat().st_size == LONGEST_COPY + 1
    assert sorted(path.name for path in here.iterdir()) == ["a.txt", "long"]
    assert (ask(mirror, "/srv/www/a.txt").name, ask(mirror, "/srv/www/none").name) == ("file", "missing")
    # What the server sees there is what the predictor is told.
    assert ask(mirror, "/srv/www/a.txt").value == (1_500_000_000, 1)


def test_stand_ins_have_one_known_time(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("http { root /data; }")
    site = load_file(f"{tmp_path}/nginx.conf")
    world = Collector(None, [], ["/data"])
    world.target = "/x.css"
    state(world, "/data/x.css")
    mirror = Mirror(f"{tmp_path}/m", site)
    mirror.fill(world, site, "word")
    assert (tmp_path / "m/data/x.css").stat().st_mtime == FILE_TIME


def test_user_files_have_one_user_more(site: NginxSite, tmp_path: Path) -> None:
    fill(site, tmp_path / "m", users=("/data/users/a.example",))
    own = f"{USER}:{{PLAIN}}word\n"
    assert (tmp_path / "m/etc/nginx/users").read_text() == "alice:{PLAIN}secret\n" + own
    # One whose name is made of variables, as the predictor worked it out.
    assert (tmp_path / "m/data/users/a.example").read_text() == own


def test_user_files_that_are_missing_stay_missing(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("http { server { auth_basic a; auth_basic_user_file users; } }")
    site = load_file(f"{tmp_path}/nginx.conf", (("/etc/nginx", str(tmp_path)),))
    Mirror(f"{tmp_path}/m", site).fill(Collector(site.known_files, [], []), site, "word")
    assert not (tmp_path / "m/etc/nginx/users").exists()


def test_folders_and_keys_are_there(site: NginxSite, tmp_path: Path) -> None:
    fill(site, tmp_path / "m")
    assert (tmp_path / "m/srv/www").is_dir()
    assert (tmp_path / "m/etc/nginx/html2").is_dir()
    assert '"keys"' in (tmp_path / "m/etc/nginx/keys.json").read_text()


@pytest.mark.parametrize("path", ["/../../../../outside.js", "/srv/www/../../../../../outside.js", "//outside.js"])
def test_no_path_leaves_the_mirror(path: str, site: NginxSite, tmp_path: Path) -> None:
    world = Collector(None, [], [])
    world.target = "/outside.js"
    state(world, path)
    Mirror(str(tmp_path / "deep/in/m"), site).fill(world, site, "word")
    found = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("outside.js")}
    assert found == {"deep/in/m/outside.js"}


def test_a_file_and_a_folder_of_one_name(site: NginxSite, tmp_path: Path) -> None:
    """A path below a file cannot be there; the file stays."""
    world = Collector(None, [], [])
    world.target = "/a.php"
    state(world, "/data/a.php")
    world.files["/data/a.php/b.php"] = "file"
    world.files["/data/a.php/c"] = "directory"
    Mirror(str(tmp_path / "m"), site).fill(world, site, "word")
    assert (tmp_path / "m/data/a.php").is_file()


def test_a_path_with_a_null_byte_is_no_path(site: NginxSite, tmp_path: Path) -> None:
    world = Collector(None, [], [])
    world.files["/data/a\0b"] = "file"
    Mirror(str(tmp_path / "m"), site).fill(world, site, "word")
    assert not (tmp_path / "m/data").exists()
