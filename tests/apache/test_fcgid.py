"""What mod_fcgid, a module of another project, hands to its programs of the client's Authorization."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.check import Options, load_sites
from auditor.http import make_request
from tests.apache import lab

# A program that answers with the parameters it gets (FastCGI 1.0, 3.3 and 3.4).
PROGRAM = """#!/usr/bin/python3
import socket
listening = socket.socket(fileno=0)
while True:
    connection, _ = listening.accept()
    stream, given = connection.makefile("rb"), b""
    while head := stream.read(8):
        size = int.from_bytes(head[4:6], "big")
        content = stream.read(size + head[6])[:size]
        given += content if head[1] == 4 else b""
        if head[1] == 5 and not size:
            break
    body = b"Content-Type: text/plain\\r\\n\\r\\n" + given
    number = head[2:4]
    connection.sendall(b"\\1\\6" + number + len(body).to_bytes(2, "big") + b"\\0\\0" + body)
    connection.sendall(b"\\1\\3" + number + b"\\0\\10\\0\\0" + bytes(8))
    connection.close()
"""
SITE = """{outside}
<Directory @DIR@/www>
    Options ExecCGI
    AddHandler fcgid-script .fcgi
    {inside}
</Directory>
"""
# Lines outside and inside of the section, and whether the program gets HTTP_AUTHORIZATION.
CASES = [
    ("", "", False),
    ("FcgidPassHeader Authorization", "", True),
    ("FcgidPassHeader X-Own", "", False),
    ("", "CGIPassAuth On", True),
    ("", 'SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1', True),
]


@pytest.mark.parametrize(("outside", "inside", "arrives"), CASES)
def test_predicted(tmp_path: Path, outside: str, inside: str, arrives: bool) -> None:
    main = tmp_path / "httpd.conf"
    text = SITE.format(outside=outside, inside=inside).replace("@DIR@", "/srv")
    main.write_text(f"Listen 80\nDocumentRoot /srv/www\nAddType text/plain .txt\n{text}")
    (site,), errors, _ = load_sites([str(main)], Options(kind="apache"))
    assert not errors
    request = make_request("http://a.example/a.fcgi", "GET", [("Authorization", "Bearer t")])
    found = [one.main for one in site.trace(request) if one.main is not None]
    assert found
    assert {one.header("Authorization") is not None for one in found} == {arrives}


@pytest.mark.live
@pytest.mark.parametrize(("outside", "inside", "arrives"), CASES)
def test_measured(outside: str, inside: str, arrives: bool) -> None:
    own = "FcgidIPCDir @DIR@/sock\nFcgidProcessTableFile @DIR@/table\n"
    text = own + SITE.format(outside=outside, inside=inside)
    files, modes = {"www/a.fcgi": PROGRAM}, {"www/a.fcgi": 0o755}
    # It has a process of its own that starts programs, and ends with its group.
    with lab.served(text, files, ("fcgid", "mime", "setenvif"), folders=("sock",), modes=modes, forks=True) as server:
        reply = lab.ask(server.port, ["GET /a.fcgi HTTP/1.1", "Host: a.example", "Authorization: Bearer t"])
    assert reply.status == 200
    assert (b"HTTP_AUTHORIZATIONBearer t" in reply.body) is arrives
