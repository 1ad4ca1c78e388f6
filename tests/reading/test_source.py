"""Files as bytes, whatever they hold; dumps of `nginx -T`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor import source
from auditor.files import Files
from auditor.servers.nginx.syntax import read
from auditor.source import InputError, Place, SourceFile, read_source, source_of, split_dump
from probes.runners import local

Write = Callable[[dict[str, str | bytes]], Path]


def test_bytes_are_kept(write: Write) -> None:
    write({"a.conf": bytes(range(1, 10)) + bytes(range(11, 13)) + bytes(range(14, 256))})
    assert [ord(char) for char in read_source("a.conf").text] == [*range(1, 10), 11, 12, *range(14, 256)]


def test_line_ends_and_byte_order_mark(write: Write) -> None:
    write({"a.conf": b"\xef\xbb\xbfa;\r\nb\r;\r\n"})
    found = read_source("a.conf")
    assert (found.text, found.bom) == ("a;\nb\r;\n", True)


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [(b"a;\nb\0;", 2, "NUL byte"), ("user x;".encode("utf-16"), 1, "UTF-16")],
)
def test_no_text(data: bytes, line: int, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        source_of(data, "a.conf")
    assert (caught.value.file, caught.value.line) == ("a.conf", line)


def test_too_long(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 1000)
    write({"a.conf": "#" * 1000, "b.conf": "#" * 1001})
    assert len(read_source("a.conf").text) == 1000
    with pytest.raises(InputError, match="longer than"):
        read_source("b.conf")


def test_a_sparse_terabyte_is_not_read(write: Write) -> None:
    path = write({"a.conf": ""}) / "a.conf"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError):
        read_source("a.conf")


def test_folder_pipe_and_nothing(write: Write) -> None:
    folder = write({"d/x": ""})
    os.mkfifo(folder / "pipe")
    for name, says in (("d", "is a directory"), ("pipe", "not a regular"), ("gone", "No such file"), ("a\0b", "null")):
        with pytest.raises(InputError, match=says):
            read_source(name)


def test_unreadable(write: Write) -> None:
    (write({"a.conf": "a;"}) / "a.conf").chmod(0)
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    with pytest.raises(InputError, match="Permission denied"):
        read_source("a.conf")


def test_pipe_of_the_shell() -> None:
    program = "from auditor.source import read_source; print(read_source('/dev/stdin').text)"
    run = subprocess.run(["python3", "-c", program], input=b"a b;", capture_output=True, check=True)
    assert run.stdout == b"a b;\n"


def test_line_text_is_what_people_read() -> None:
    found = SourceFile("a", "x;\ncaf\xc3\xa9;\n\xff;")
    assert [found.line_text(line) for line in (1, 2, 3)] == ["x;", "café;", "\xff;"]


def test_place_without_offset_looks_for_the_name() -> None:
    place = Place(SourceFile("a", "  b c; b d;\n"), 1, "b", 1)
    assert (place.column, place.text, place.end) == (8, "b d;", (1, 12))


DUMP = """\
nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
nginx: configuration file /etc/nginx/nginx.conf test is successful
# configuration file /etc/nginx/nginx.conf:
events {}
http {
    include conf.d/*.conf;
}

# configuration file /etc/nginx/conf.d/b.conf:

server { listen 81; }

# configuration file /etc/nginx/conf.d/a.conf:
server { listen 80; auth_basic_user_file htpasswd; }

"""


def test_dump() -> None:
    parts = split_dump(SourceFile("-", DUMP))
    assert parts is not None
    assert [(part.name, part.text.count("\n")) for part in parts] == [
        ("/etc/nginx/nginx.conf", 4),
        ("/etc/nginx/conf.d/b.conf", 2),
        ("/etc/nginx/conf.d/a.conf", 1),
    ]
    tree = read(parts[0], Files(parts[0], dump=parts))
    assert not tree.errors
    assert tree.conf_dir == "/etc/nginx"
    listens = [d for d in tree.walk() if d.name == "listen"]
    assert [(d.args, d.source.name, d.line) for d in listens] == [
        (["80"], "/etc/nginx/conf.d/a.conf", 1),
        (["81"], "/etc/nginx/conf.d/b.conf", 2),
    ]


def test_file_that_a_dump_lacks_is_not_looked_for_elsewhere() -> None:
    parts = split_dump(SourceFile("-", DUMP)) or []
    files = Files(parts[0], dump=parts)
    assert files.open("/etc/passwd") is None
    assert files.state("/etc/passwd") is None
    assert files.state("/etc/nginx/htpasswd") is None
    assert files.glob("/etc/*.conf") == []


@pytest.mark.parametrize("text", ["events {}\n# configuration file /a:\n", "", "a;\n"])
def test_no_dump(text: str) -> None:
    assert split_dump(SourceFile("a", text)) is None


@pytest.mark.live
def test_dump_of_the_server(nginx: local.Binary, tmp_path: Path) -> None:
    text = "events {}\nhttp {\n  include sub/*.conf;\n  include sub/b.conf;\n}"
    inner = "map $uri $b {\n  x 'y z';\n}\n\n\n"
    other = "# last line without its end"
    (tmp_path / "sub").mkdir()
    (tmp_path / "nginx.conf").write_text(text)
    (tmp_path / "sub/a.conf").write_text(inner)
    (tmp_path / "sub/b.conf").write_text(other)
    command = [nginx.path, "-T", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "log")]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    parts = split_dump(SourceFile("-", run.stdout))
    assert [(part.name, part.text) for part in parts or []] == [
        (f"{tmp_path}/nginx.conf", text),
        (f"{tmp_path}/sub/a.conf", inner),
        (f"{tmp_path}/sub/b.conf", other),
    ]
