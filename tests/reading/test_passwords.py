"""User files: judged here as the real server judges them."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor import passwords
from auditor.file_world import FileWorld
from auditor.files import Files
from auditor.passwords import check_hash, decode_basic, verify
from auditor.source import SourceFile, read_source
from auditor.world import Question
from probes.runners import local

from .conftest import needs

Write = Callable[[dict[str, str | bytes]], Path]

LONG = "a much longer password of more than thirty-two bytes"

# Written by OpenSSL and by libxcrypt, none by our own code: hash, password.
GOOD = {
    "apr1": ("$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0", "secret"),
    "apr1, short salt": ("$apr1$ab$jiiV6N7hIIuIoJbc1hxOE/", "secret"),
    "apr1, long password": ("$apr1$saltsalt$HUxWjXe03sqA37WojGrtM1", LONG),
    "apr1, empty password": ("$apr1$saltsalt$a8ml/vK5HEjiZ5oypDWA7/", ""),
    "md5": ("$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "secret"),
    "sha256": ("$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA", "secret"),
    "sha512": (
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
        "secret",
    ),
    "sha512, rounds": (
        "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/",
        "secret",
    ),
    "bcrypt 2a": ("$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "secret"),
    "bcrypt 2b": ("$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "secret"),
    "bcrypt 2y": ("$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "secret"),
    "des": ("abNANd1rDfiNc", "secret"),
    "SHA": ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret"),
    "SSHA": ("{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0", "secret"),
    "PLAIN": ("{PLAIN}secret", "secret"),
    "PLAIN, empty": ("{PLAIN}", ""),
    "PLAIN, not ASCII": ("{PLAIN}gr\xfc\xdfe", "gr\xfc\xdfe"),
    "des, only eight letters count": ("abNANd1rDfiNc", "secret\0more"),
}
BAD = {
    "{SHA256}": "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
    "plain text": "secret",
    "plain text of thirteen letters": "secretsecrets",
    "nothing": "",
    "SHA without its padding": "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ",
    "SHA in small letters": "{sha}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "apr1, other salt": "$apr1$saltsals$LrttParrLPdxvgutaSXWJ0",
    "apr1 with a blank behind": "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0 ",
    "PLAIN with a blank behind": "{PLAIN}secret ",
    "unknown": "$9$saltsalt$xxxxxxxxxxxxxxxxxxxxxx",
}
# The server's C library decides: libxcrypt has them, musl has not.
DEPENDS = {"yescrypt": "$y$j9T$abcdefgh12345678$5sAznj4WEIGgyua2AXu2NRSCMeWB3V6LpE45tV7hHM8"}

# A user file, user and password, and whether nginx lets them in.
FILES = {
    "found": ("alice:{PLAIN}secret\n", "alice", "secret", True),
    "other user": ("alice:{PLAIN}secret\n", "bob", "secret", False),
    "other case": ("alice:{PLAIN}secret\n", "ALICE", "secret", False),
    "beginning of a name": ("alice2:{PLAIN}secret\nalice:{PLAIN}other\n", "alice", "secret", False),
    "no line feed at the end": ("alice:{PLAIN}secret", "alice", "secret", True),
    "carriage returns": ("a:{PLAIN}x\r\n\r\nalice:{PLAIN}secret\r\n", "alice", "secret", True),
    "comments": ("# c\n\n#alice:{PLAIN}no\nalice:{PLAIN}secret:a comment\n", "alice", "secret", True),
    "commented out": ("#bob:{PLAIN}secret\n", "#bob", "secret", False),
    "first line counts": ("alice:{PLAIN}other\nalice:{PLAIN}secret\n", "alice", "secret", False),
    "blank in front": (" alice:{PLAIN}secret\n", "alice", "secret", False),
    "blank behind the name": ("alice :{PLAIN}secret\n", "alice", "secret", False),
    "no colon": ("alice\n", "alice", "", False),
    "byte order mark": ("\xef\xbb\xbfalice:{PLAIN}secret\n", "alice", "secret", False),
    "plain ends at the colon": ("alice:{PLAIN}se:cret\n", "alice", "se", True),
    "plain with a colon": ("alice:{PLAIN}se:cret\n", "alice", "se:cret", False),
    "user with blanks": ("al ice:{PLAIN}secret\n", "al ice", "secret", True),
    "long comment before": ("#" * 5000 + "\nalice:{PLAIN}secret\n", "alice", "secret", True),
    "hash across the buffer's end": ("#" * 2030 + "\nalice:{PLAIN}secretsecretsecret\n", "alice", "secret" * 3, True),
    "empty file": ("", "alice", "secret", False),
}

# An Authorization header's value, and what nginx finds in it.
HEADERS = {
    "Basic YWxpY2U6c2VjcmV0": ("alice", "secret"),
    "basic YWxpY2U6c2VjcmV0": ("alice", "secret"),
    "BASIC    YWxpY2U6c2VjcmV0": ("alice", "secret"),
    "Basic\tYWxpY2U6c2VjcmV0": None,
    "BasicYWxpY2U6c2VjcmV0": None,
    "Basic YWxpY2U6c2VjcmV0IQ": ("alice", "secret!"),
    "Basic YWxpY2U6c2VjcmV0IQ=": ("alice", "secret!"),
    "Basic YWxpY2U6c2VjcmV0IQ==": ("alice", "secret!"),
    "Basic YWxpY2U6c2VjcmV0IQ==garbage": ("alice", "secret!"),
    "Basic YWxpY2U6c2VjcmV0I": None,
    "Basic YWxpY2U6 c2VjcmV0": None,
    "Basic YWxpY2U6c2VjcmV-": None,
    "Basic !!!": None,
    "Basic": None,
    "Basic ": None,
    "Basic =": None,
    "Basic YWxpY2U=": None,
    "Basic OnNlY3JldA==": None,
    "Basic YWxpY2U6": ("alice", ""),
    "Basic YWxpY2U6c2U6Y3JldA==": ("alice", "se:cret"),
    "Basic YWxpY2U6c2VjcmV0AHg=": ("alice", "secret\0x"),
    "Bearer YWxpY2U6c2VjcmV0": None,
    "": None,
}


@pytest.fixture
def crypt() -> None:
    if passwords._load_crypt() is None:
        pytest.skip("no libcrypt.so.1 on this machine")


@pytest.mark.usefixtures("crypt")
@pytest.mark.parametrize(("stored", "password"), GOOD.values(), ids=GOOD)
def test_hash(stored: str, password: str) -> None:
    assert check_hash(stored, password) is True
    assert check_hash(stored, "x" + password) is False


@pytest.mark.usefixtures("crypt")
@pytest.mark.parametrize("stored", BAD.values(), ids=BAD)
def test_hash_that_the_server_refuses(stored: str) -> None:
    assert check_hash(stored, "secret") is False


@pytest.mark.parametrize("stored", DEPENDS.values(), ids=DEPENDS)
def test_hash_that_only_the_server_can_judge(stored: str) -> None:
    assert check_hash(stored, "secret") is None


@pytest.mark.parametrize("stored", ["$2y$31$" + "a" * 53, "$6$rounds=999999999$s$" + "a" * 86])
def test_hash_that_would_take_hours(stored: str) -> None:
    assert check_hash(stored, "secret") is None


def test_without_a_libcrypt_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_libcrypt", False)
    assert check_hash(GOOD["bcrypt 2y"][0], "secret") is None
    assert check_hash(GOOD["apr1"][0], "secret") is True
    assert check_hash(BAD["plain text"], "secret") is False


@pytest.mark.parametrize(("text", "user", "password", "admitted"), FILES.values(), ids=FILES)
def test_file(text: str, user: str, password: str, admitted: bool) -> None:
    assert verify(text, user, password) is admitted


@pytest.mark.parametrize(("value", "found"), HEADERS.items())
def test_header(value: str, found: tuple[str, str] | None) -> None:
    assert decode_basic(value) == found


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode("latin-1")).decode()


def status(port: int, path: str, authorization: str) -> int:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nAuthorization: {authorization}\r\n\r\n".encode("latin-1"))
        return int(connection.recv(65536).split()[1])


def serve(program: local.Binary, files: list[str]) -> tuple[local.Server, int]:
    """A server with one gate for each user file's text: 401 or 404."""
    (port,) = local.free_ports(1)
    gates = "".join(
        f'location = /{at} {{ auth_basic "R"; auth_basic_user_file @DIR@/users/{at}; }}\n' for at in range(len(files))
    )
    user = "user root; " if os.geteuid() == 0 else ""
    server = f"server {{ listen 127.0.0.1:{port};\n{gates} }}"
    config = f"{user}daemon off; master_process off; events {{}}\nhttp {{ access_log off; {server} }}\n"
    texts = {f"users/{at}": text for at, text in enumerate(files)}
    return local.Server(program, config, texts, listens=[("127.0.0.1", port)]), port


@pytest.mark.live
def test_the_server_agrees_on_hashes(nginx: local.Binary) -> None:
    cases = [(stored, password, 404) for stored, password in GOOD.values()]
    cases += [(stored, "x" + password, 401) for stored, password in GOOD.values()]
    cases += [(stored, "secret", 401) for stored in BAD.values()]
    server, port = serve(nginx, [f"alice:{stored}\n" for stored, _, _ in cases])
    with server:
        for at, (stored, password, expected) in enumerate(cases):
            assert status(port, f"/{at}", basic("alice", password)) == expected, (stored, password)


@pytest.mark.live
def test_the_servers_differ_where_we_do_not_know() -> None:
    """Which answer is right depends on the C library that the server was built with."""
    answers = set()
    for name in ("wheel", "system"):
        server, port = serve(needs(name), [f"alice:{DEPENDS['yescrypt']}\n"])
        with server:
            answers.add(status(port, "/0", basic("alice", "secret")))
    assert answers == {401, 404}


@pytest.mark.live
def test_the_server_agrees_on_files(nginx: local.Binary) -> None:
    server, port = serve(nginx, [text for text, *_ in FILES.values()])
    with server:
        for at, (_, user, password, admitted) in enumerate(FILES.values()):
            assert status(port, f"/{at}", basic(user, password)) == (404 if admitted else 401), list(FILES)[at]


@pytest.mark.live
def test_the_server_agrees_on_headers(nginx: local.Binary) -> None:
    found = sorted({user_and_password for user_and_password in HEADERS.values() if user_and_password})
    stored = [f"{user}:{{PLAIN}}{password.partition(':')[0].partition(chr(0))[0]}" for user, password in found]
    server, port = serve(nginx, stored)
    with server:
        for value, wanted in HEADERS.items():
            for at, pair in enumerate(found):
                expected = 404 if wanted and _c_string(wanted[1]) == _c_string(pair[1].partition(":")[0]) else 401
                assert status(port, f"/{at}", value) == expected, (value, pair)


def _c_string(text: str) -> str:
    return text.partition("\0")[0]


GOOD_HEADER = basic("alice", "secret")


@pytest.mark.parametrize(
    ("path", "header", "expected"),
    [
        ("/etc/nginx/users", GOOD_HEADER, "accepted"),
        ("/etc/nginx/users", basic("alice", "wrong"), "refused"),
        ("/etc/nginx/users", "Bearer x", "refused"),
        ("/etc/nginx/yescrypt", GOOD_HEADER, None),
        ("/etc/nginx/marked", GOOD_HEADER, "refused"),
        ("/etc/nginx/gone", GOOD_HEADER, "no-file"),
        ("/etc/nginx/folder", GOOD_HEADER, "unreadable"),
        ("/srv/users", GOOD_HEADER, None),
    ],
)
def test_world_of_files(write: Write, path: str, header: str, expected: str | None) -> None:
    write(
        {
            "nginx.conf": "events {}",
            "root/users": "alice:{PLAIN}secret",
            "root/marked": b"\xef\xbb\xbfalice:{PLAIN}secret",
            "root/yescrypt": "alice:" + DEPENDS["yescrypt"],
            "root/folder/x": "",
        }
    )
    world = FileWorld(Files(read_source("nginx.conf"), [("/etc/nginx", "root")]))
    answer = world.ask(Question("credentials", path, header))
    assert (answer and answer.name) == expected


def test_world_of_files_leaves_other_questions_open() -> None:
    assert FileWorld(Files(SourceFile("-", ""))).ask(Question("client-address")) is None
