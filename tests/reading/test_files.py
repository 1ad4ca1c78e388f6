"""Paths of the deployed machine: where they are found here, and what cannot be judged."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.file_world import FileWorld
from auditor.files import NGINX, Files
from auditor.source import SourceFile, read_source
from auditor.surroundings import Surroundings
from auditor.world import Question
from probes.runners import local

from .conftest import read_path

Write = Callable[[dict[str, str | bytes]], Path]
MAIN = "events {}\nhttp {}\n"


def opened(files: Files, path: str) -> str | None:
    found = files.open(path)
    return None if found is None else found.name


def test_roots_longest_first_and_nothing_else_below_them(write: Write) -> None:
    write({"nginx.conf": MAIN, "a/x": "1", "b/y": "2", "a/deep/y": "3", "x": "4"})
    files = Files(read_source("nginx.conf"), [("/etc/nginx", "a"), ("/etc/nginx/deep/", "b")])
    assert opened(files, "/etc/nginx/x") == "a/x"
    assert opened(files, "/etc/nginx/deep/y") == "b/y"
    assert [files.state(path) for path in ("/etc/nginx/x", "/etc/nginx/z", "/etc/nginx/deep", "/etc/other")] == [
        "file",
        "missing",
        "directory",
        None,
    ]
    assert not files.notes


def test_root_of_everything(write: Write) -> None:
    write({"nginx.conf": MAIN, "image/etc/passwd": "x"})
    files = Files(read_source("nginx.conf"), [("/", "image")])
    assert opened(files, "/etc/passwd") == "image/etc/passwd"
    assert files.state("/etc/shadow") == "missing"


def test_root_tells_where_the_main_file_lies(write: Write) -> None:
    write({"conf/nginx.conf": MAIN, "conf/users": "a:b"})
    files = Files(read_source("conf/nginx.conf"), [("/opt/proxy", "conf")])
    assert files.conf_dir == "/opt/proxy"
    assert files.state("users") == "file"
    assert files.state("gone") == "missing"


def test_own_folder_stands_for_the_usual_place_with_a_note(write: Write) -> None:
    write({"nginx.conf": MAIN, "conf.d/a.conf": "a;", "users": ""})
    files = Files(read_source("nginx.conf"))
    assert files.conf_dir == "/etc/nginx"
    assert opened(files, "users") == "users"
    assert not files.notes
    assert files.glob("conf.d/*") == ["conf.d/a.conf"]
    assert files.glob("/etc/nginx/conf.d/*") == ["/etc/nginx/conf.d/a.conf"]
    assert opened(files, "/etc/nginx/conf.d/a.conf") == "conf.d/a.conf"
    assert [note.kind for note in files.notes] == ["assumed"]
    # A repository seldom holds the user files, so that one which is not there says nothing.
    assert files.state("/etc/nginx/.htpasswd") is None
    assert files.state(".htpasswd") is None


def test_part_in_a_folder_of_parts(write: Write) -> None:
    write({"sites-enabled/a.conf": "server { include snippets/x.conf; }", "snippets/x.conf": "x;"})
    tree = read_path("sites-enabled/a.conf")
    assert [source.name for source in tree.files] == ["sites-enabled/a.conf", "snippets/x.conf"]


COMPOSE = """\
services:
  web:
    image: nginx:1.25
    ports:
      - "8080:80"
    volumes:
      - ./proxy/nginx.conf:/etc/nginx/nginx.conf:ro
      - "./sites:/etc/nginx/conf.d"   # the sites
      - type: bind
        source: ./secrets/users
        target: /run/users
      - ${PWD}/more:/srv/more
      - named:/var/lib/named
      - ${ELSEWHERE}:/srv/elsewhere
      - ./wild/*:/srv/wild
  other:
    volumes:
      - ./other:/etc/nginx/conf.d
volumes:
  named:
"""


def test_compose(write: Write) -> None:
    write(
        {
            "compose.yaml": COMPOSE,
            ".git/HEAD": "",
            "proxy/nginx.conf": "events {} http { include /etc/nginx/conf.d/*.conf; }",
            "sites/a.conf": "server { listen 1; }",
            "other/a.conf": "server { listen 2; }",
            "secrets/users": "a:{PLAIN}b",
            "more/x": "",
        }
    )
    files = Files(read_source("proxy/nginx.conf"), tree=".")
    assert files.conf_dir == "/etc/nginx"
    assert files.glob("/etc/nginx/conf.d/*.conf") == ["/etc/nginx/conf.d/a.conf"]
    assert opened(files, "/etc/nginx/conf.d/a.conf") == "sites/a.conf"
    assert opened(files, "/run/users") == "secrets/users"
    assert opened(files, "/srv/more/x") == "more/x"
    assert files.state("/run/users") == "file"
    assert files.state("/srv/more/gone") is None
    said = [note.text for note in files.notes]
    assert "/run/users is taken to be secrets/users, as a Compose file or Dockerfile says" in said


def test_mount_of_a_single_file_matches_a_pattern(write: Write) -> None:
    write(
        {
            "docker-compose.yml": "services:\n  p:\n    volumes:\n      - ./nginx.conf:/etc/nginx/nginx.conf\n"
            "      - ./app.conf:/etc/nginx/conf.d/default.conf\n",
            "nginx.conf": "events {}\nhttp { include /etc/nginx/conf.d/*.conf; }\n",
            "app.conf": "server {}",
        }
    )
    assert [source.name for source in read_path("nginx.conf").files] == ["nginx.conf", "app.conf"]


DOCKERFILE = """\
FROM node AS build
COPY . /etc/nginx
FROM nginx
WORKDIR /etc
COPY --chown=nginx:nginx conf/nginx.conf conf/mime.types nginx/
COPY ["sites", "/etc/nginx/sites"]
COPY --from=build /app /srv/app
ADD users \\
    /run/users
"""


def test_dockerfile(write: Write) -> None:
    folder = write({"Dockerfile": DOCKERFILE, "conf/nginx.conf": MAIN, "sites/a": "", "users": ""})
    groups = Surroundings().mounts(str(folder / "conf"), str(folder))
    assert [(there, os.path.relpath(here)) for there, here in groups[-1].pairs] == [
        ("/etc/nginx/nginx.conf", "conf/nginx.conf"),
        ("/etc/nginx/mime.types", "conf/mime.types"),
        ("/etc/nginx/sites", "sites"),
        ("/run/users", "users"),
    ]


def test_copy_of_a_part_alone(write: Write) -> None:
    """A part that is copied to conf.d belongs to the configuration in the folder above."""
    write({"Dockerfile": "FROM nginx\nCOPY app.conf /etc/nginx/conf.d/\n", "app.conf": "server {}"})
    assert Files(read_source("app.conf")).conf_dir == "/etc/nginx"


def test_same_ending_where_there_is_one(write: Write) -> None:
    write(
        {
            "nginx.conf": MAIN,
            "roles/files/auth/users": "",
            "one/dup/x": "",
            "two/dup/x": "",
            "node_modules/auth/skipped": "",
            "lonely": "",
        }
    )
    files = Files(read_source("nginx.conf"))
    assert opened(files, "/srv/auth/users") == "roles/files/auth/users"
    assert opened(files, "/srv/dup/x") is None
    assert opened(files, "/srv/two/dup/x") == "two/dup/x"
    assert opened(files, "/srv/auth/skipped") is None
    assert opened(files, "/srv/other/lonely") is None
    assert all("which ends alike" in note.text for note in files.notes)
    # A guess is good enough to read a file, not to say that a request finds one.
    assert files.state("/srv/auth/users") is None


def test_link_to_a_path_of_the_deployed_machine(write: Write) -> None:
    folder = write({"nginx.conf": "http { include sites-enabled/*; }", "sites-available/a": "a;"})
    (folder / "sites-enabled").mkdir()
    (folder / "sites-enabled/a").symlink_to("/etc/nginx/sites-available/a")
    (folder / "sites-enabled/loop").symlink_to(folder / "sites-enabled/loop")
    files = Files(read_source("nginx.conf"))
    assert opened(files, "sites-enabled/a") == "sites-available/a"
    assert opened(files, "sites-enabled/loop") is None


def test_own_place_is_judged_on_the_machine(write: Write) -> None:
    folder = write({"nginx/nginx.conf": MAIN, "nginx/d/x": "", "users": "a:{PLAIN}b"})
    own = NGINX._replace(own_places=(str(folder / "nginx"),))
    files = Files(read_source(str(folder / "nginx/nginx.conf")), layout=own)
    assert files.conf_dir == str(folder / "nginx")
    assert files.state("d") == "directory"
    assert files.state("gone") == "missing"
    assert files.state("/gone/altogether") == "missing"
    assert files.glob("/gone/*.conf") == []
    assert opened(files, "d/x") == str(folder / "nginx/d/x")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files that only root can read")
def test_what_only_root_may_read_the_workers_may_not(write: Write) -> None:
    folder = write({"nginx.conf": MAIN, "shut/open": "", "secret": "", "group": "", "worker": "", "open": ""})
    own = NGINX._replace(own_places=(str(folder),))
    up = folder
    while up != up.parent:  # the folders of the tests are root's own
        if not up.stat().st_mode & 0o1:
            up.chmod(up.stat().st_mode | 0o1)
        up = up.parent
    for name, mode, owner, group in (
        ("secret", 0o600, 0, 0),
        ("group", 0o640, 0, 33),
        ("worker", 0o600, 33, 33),
        ("open", 0o644, 0, 0),
        ("shut", 0o700, 0, 0),
    ):
        os.chown(folder / name, owner, group)
        (folder / name).chmod(mode)
    files = Files(read_source(str(folder / "nginx.conf")), layout=own)
    names = ("secret", "group", "worker", "open", "shut/open")
    assert [files.state(name) for name in names] == ["unreadable", "file", "file", "file", "unreadable"]


def test_questions_about_files(write: Write) -> None:
    write({"nginx.conf": MAIN, "www/index.html": ""})
    world = FileWorld(Files(read_source("nginx.conf"), [("/srv/www", "www")]))
    asked = [world.ask(Question("file", f"/srv/www/{name}")) for name in ("index.html", "", "gone")]
    assert [answer and answer.name for answer in asked] == ["file", "directory", "missing"]
    assert world.ask(Question("file", "/srv/other")) is None


def test_standard_input_has_no_place() -> None:
    files = Files(SourceFile("-", MAIN))
    assert files.open("nginx.conf") is None
    assert files.glob("*.conf") is None


def test_a_link_to_what_only_the_deployed_machine_has_is_no_error(write: Write) -> None:
    folder = write({"nginx.conf": "events {}\nhttp { include sites-enabled/*; }"})
    (folder / "sites-enabled").mkdir()
    (folder / "sites-enabled/default").symlink_to("/etc/nginx/sites-available/default-of-no-repository")
    tree = read_path("nginx.conf")
    assert tree.errors == []
    assert [note.kind for note in tree.notes] == ["unread"]
    (folder / "sites-enabled/default").unlink()
    (folder / "sites-enabled/default").symlink_to("../sites-available/gone")
    assert len(read_path("nginx.conf").errors) == 1


NAMES = ["a.conf", "b.conf", "ab", "B", "_x", "[x]", ".h", "a-b", "x!", "sub/a.conf", "sub/.h", "t/a.conf", "é", "a]b"]
PATTERNS = [
    *("*", "*.conf", "?", "??", "[ab]*", "[!a]*", "[^a]*", "[a-c].conf", "[]x]*", "[!]]*", ".*", "*/*", "s*/*.conf"),
    *("[[]x]", r"\[x[]]", "a[-]b", "a[]]b", "*é*", "sub/*", "none/*", "[", "a[", "[a", "x[!]", "[.]h"),
]


def test_range_the_wrong_way_round(write: Write) -> None:
    """The C libraries differ on it; it must not stop the reading."""
    write({"nginx.conf": "http { include [c-a]*; }", "a": ""})
    assert not read_path("nginx.conf").errors


@pytest.mark.live
@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_match_what_the_server_includes(nginx: local.Binary, write: Write, pattern: str) -> None:
    main = f"include 'in/{pattern.replace(chr(92), chr(92) * 2)}';\nevents {{}}\n"
    folder = write({"nginx.conf": main, **{f"in/{name}": "" for name in NAMES}})
    command = [nginx.path, "-T", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "log")]
    run = subprocess.run(command, capture_output=True, check=False)
    prefix = f"# configuration file {folder}/in/".encode()
    included = [line.removeprefix(prefix)[:-1].decode() for line in run.stdout.splitlines() if line.startswith(prefix)]
    if run.returncode:
        assert b"directory" in run.stderr, "only a folder that matches may keep the server from starting"
        return
    assert [source.name.removeprefix("in/") for source in read_path("nginx.conf").files[1:]] == included
