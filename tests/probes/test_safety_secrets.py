"""What a configuration keeps secret is told to nobody: not by reports or messages, and not to other users meanwhile."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.probes.commands import Place, needs_superuser
from tests.probes.test_safety_ends import FOREVER, stop

HASH = "$apr1$Zb7Xk0pq$kHq2YhB1eWQHhYq9VvCzV0"
WORD = "Kq7mX2pVw9"  # part of every secret below
USERS = f"alice:{HASH}\nbob:{{PLAIN}}user-{WORD}\n"
SECRET = f"""
upstream app {{ server 192.0.2.1; }}
map $http_x_api_key $known {{ default 0; "key-{WORD}" 1; }}
server {{
    listen 8080; server_name site.example;
    ssl_password_file words;
    location / {{ proxy_set_header Authorization "Basic basic-{WORD}"; proxy_pass http://app; }}
    location /bearer/ {{ proxy_set_header Authorization "Bearer bearer-{WORD}"; proxy_pass http://app; }}
    location /key/ {{ proxy_set_header X-Api-Key key-{WORD}; proxy_pass http://app; }}
    location /cookie/ {{ proxy_set_header Cookie "session=cookie-{WORD}"; proxy_pass http://app; }}
    location /fast/ {{ fastcgi_param HTTP_AUTHORIZATION "Basic fast-{WORD}"; fastcgi_pass app.example:9000; }}
    location /answer/ {{ add_header X-Auth-Token token-{WORD}; return 200; }}
    location /users/ {{ auth_basic area; auth_basic_user_file users; proxy_pass http://app; }}
    location /checked/ {{ if ($known = 0) {{ return 403; }} proxy_pass http://app; }}
    location /compared/ {{
        if ($http_authorization != "Bearer compared-{WORD}") {{ return 401; }} proxy_pass http://app; }}
    location /code/ {{ js_content secret.{WORD}; }}
}}
"""


def secret(place: Place) -> Path:
    place.write("users", USERS)
    place.write("words", f"word-{WORD}\n")
    return place.http(SECRET)


@pytest.mark.parametrize("options", [(), ("--show", "info"), ("--format", "json")])
def test_no_report_shows_a_secret(place: Place, options: tuple[str, ...]) -> None:
    patch = f"""
import types, probes.probing as probing
probing.secrets = types.SimpleNamespace(token_hex=lambda size: "probe-user-{WORD}")
"""
    done = place.run(secret(place), *options, patch=patch)
    assert done.status in (0, 1), done
    said = (done.out + done.err).replace(f"js_content secret.{WORD}", "")  # a line that was taken out: no secret
    assert WORD not in said and HASH not in said, [line for line in said.splitlines() if WORD in line]
    assert "***" in said or "json" not in options


def test_no_difference_shows_a_secret(place: Place) -> None:
    """Where prediction and observation part, both are shown: here everything that was sent."""
    patch = """
from probes.sandbox.nginx import NginxKit
differences = NginxKit.differences
def bare(outcome):
    return {**outcome, "exchanges": [{**each, "headers": []} for each in outcome["exchanges"]]}
def nothing_predicted(predicted, seen):
    return differences({**predicted, "outcomes": [bare(one) for one in predicted["outcomes"]]}, seen)
NginxKit.differences = staticmethod(nothing_predicted)
"""
    done = place.run(secret(place), patch=patch)
    assert done.status == 1 and "does not do what was predicted" in done.out, done
    said = done.out.replace(f"js_content secret.{WORD}", "")
    assert WORD not in said and HASH not in said, [line for line in said.splitlines() if WORD in line]


REFUSED = {
    "a key twice": f'map $http_x_key $ok {{ "key-{WORD}" 1; "key-{WORD}" 1; }} server {{ listen 80; }}',
    "a wrong number": f'server {{ listen 80; location / {{ proxy_set_header Authorization "Basic b-{WORD}" x; }} }}',
    "no end": f'server {{ listen 80; location / {{ proxy_set_header Authorization "Basic b-{WORD}; }} }}',
    "a bad value": f'server {{ listen 80; location / {{ proxy_read_timeout "password=b-{WORD}"; }} }}',
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_message_shows_a_secret(place: Place, name: str) -> None:
    done = place.run(place.http(REFUSED[name]))
    assert done.status == 3 and done.out == "", done
    assert WORD not in done.err, done


def test_other_users_see_nothing_meanwhile(place: Place) -> None:
    """Neither in the folder of the sandbox, nor in the arguments and environment of any process."""
    place.write("users", USERS)
    process = place.start(secret(place), patch=FOREVER, environment={"AUDIT_TEST_SECRET": f"environment-{WORD}"})
    stop(place)
    folders = [path.parent for path in place.temporary.glob("*/nginx.pid")]
    assert folders
    for folder in folders:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    users = [path for path in folders[0].rglob("users") if path.is_file()]
    assert users and WORD in users[0].read_text(), "nothing to be kept secret"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes()
            if int(entry.name) != os.getpid():
                assert WORD.encode() not in arguments
            if str(place.temporary).encode() in arguments and b"nginx" in arguments:
                assert WORD.encode() not in (entry / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
    if os.geteuid() == 0:
        looks = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", "ls", str(folders[0])]
        assert subprocess.run(looks, capture_output=True, check=False).returncode != 0
    process.send_signal(signal.SIGTERM)
    place.end(process)


@needs_superuser
def test_a_superusers_server_is_nobody_without_any_group_or_power(place: Place) -> None:
    process = place.start(secret(place), patch=FOREVER)
    stop(place)
    number = place.wait_for("audit-*/nginx.pid").read_text().strip()
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{number}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == status["Gid"].split() == ["65534"] * 4
    assert status["Groups"].split() in ([], ["65534"])
    assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
    process.send_signal(signal.SIGTERM)
    place.end(process)


def test_the_password_of_the_probes_user_is_another_one_each_time(place: Place) -> None:
    """And no report holds it: two runs give the same bytes but for the place that they ran in."""
    config = secret(place)
    first, second = (json.loads(place.run(config, "--format", "json").out) for _ in range(2))
    assert first == second
