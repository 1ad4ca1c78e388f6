"""Where the real server looks for a user file with a relative path: what the rule relative-user-file rests on."""

from __future__ import annotations

import os

import pytest

from probes.client import request_bytes, send
from probes.questions import basic
from probes.runners.local import Binary, Server, free_ports

USERS = "alice:{PLAIN}secret\n"
SITE = (
    'server { listen 127.0.0.1:@P@; location / { auth_basic "R"; auth_basic_user_file users; try_files /none =404; } }'
)


@pytest.mark.live
@pytest.mark.parametrize(("place", "status"), [("users", 404), ("sites/users", 403)])
def test_a_relative_path_begins_at_the_main_files_folder(place: str, status: int, nginx: Binary) -> None:
    """Not beside the included file in which it stands: there the file is not found, which is 403 with credentials."""
    (port,) = free_ports(1)
    user = "user root; " if os.geteuid() == 0 else ""
    config = f"{user}daemon off; master_process off; events {{}} http {{ access_log off; include sites/*.conf; }}\n"
    with Server(nginx, config, {"sites/a.conf": SITE, place: USERS}, values={"P": port}):
        line = {"url": f"http://127.0.0.1:{port}/", "headers": [["Authorization", basic("alice:secret")]]}
        assert send(("127.0.0.1", port), request_bytes(line)).status == status
