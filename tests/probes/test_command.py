"""`audit origin`: starts, says where, answers, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from probes.client import send
from tests.packaging.readme import ROOT

COMMANDS = {"audit": ["-m", "auditor", "origin"], "module": ["-m", "probes.standalone"]}
GET = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"


def start(*arguments: str, command: str = "audit", blocked: str = "") -> subprocess.Popen[str]:
    """The command, in a Python that has not the modules `blocked` (separated by spaces)."""
    words = [sys.executable, *COMMANDS[command]]
    if blocked:
        code = "import sys; [sys.modules.__setitem__(name, None) for name in sys.argv.pop(1).split()]; "
        code += f"import runpy; runpy.run_module({COMMANDS[command][1]!r}, run_name='__main__')"
        words = [sys.executable, "-c", code, blocked, *COMMANDS[command][2:]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*words, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )


@contextmanager
def running(
    *arguments: str, command: str = "audit", blocked: str = ""
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The running command and its addresses by name. It is killed if it has not ended."""
    process = start(*arguments, command=command, blocked=blocked)
    try:
        addresses: dict[str, str] = {}
        assert process.stdout is not None
        while "control" not in addresses:
            line = process.stdout.readline()
            assert line, process.communicate()
            addresses[line.split()[0]] = line.split()[-1]
        yield process, addresses
    finally:
        process.kill()
        process.communicate()


def ends(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    """Exit status and what was written since, after that signal."""
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def port(address: str) -> int:
    return int(address.rstrip("/").rpartition(":")[2])


def read(url: str) -> object:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def refused(number: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", number)) != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_runs_until_it_is_told_to_end(number: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "origin.sock"
    names = ("tls", "fastcgi", "uwsgi", "scgi", "h2")
    ports = [word for name in names for word in (f"--{name}-port", "0")]
    with running("--port", "0", "--unix", str(path), *ports) as (process, addresses):
        assert list(addresses) == ["http", *names, "unix", "control"]
        numbers = [port(address) for name, address in addresses.items() if name != "unix"]
        reply = send(("127.0.0.1", port(addresses["http"])), GET)
        assert json.loads(reply.body)["request_line"] == "GET / HTTP/1.1"
        reply = send(("127.0.0.1", port(addresses["tls"])), GET, tls="localhost")
        assert json.loads(reply.body)["tls"]["server_name"] == "localhost"
        assert len(read(addresses["control"] + "requests")["requests"]) == 2  # type: ignore[index]
        assert path.is_socket()
        # One connection is still open, and one request half sent.
        with socket.create_connection(("127.0.0.1", port(addresses["http"]))) as half:
            half.sendall(b"GET / HTTP/1.1\r\nHost:")
            assert ends(process, number) == (0, "", "")
        assert not path.exists()
        assert all(refused(number) for number in numbers)


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        for option in ("--port", "--control-port", "--scgi-port"):
            path = tmp_path / "origin.sock"
            arguments = [option, str(number), "--unix", str(path)]
            if option != "--port":
                arguments += ["--port", "0"]
            process = start(*arguments)
            out, err = process.communicate(timeout=20)
            assert (process.returncode, out) == (4, "")
            assert err == f"audit origin: cannot listen on 127.0.0.1:{number}: Address already in use\n"
            assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--port", "http"], 2, "'http' is no port"),
        (["--port", "65536"], 2, "'65536' is no port"),
        (["--tls-port", "-1"], 2, "--tls-port"),
        (["surplus"], 2, "unrecognized arguments"),
        (["--host", "192.0.2.1"], 4, "cannot listen on 192.0.2.1:9000: "),
        (["--host", "no such host"], 4, "cannot listen on no such host:9000: "),
        (["--port", "0", "--unix", "/no/such/folder/s"], 4, "cannot listen on /no/such/folder/s: No such file"),
    ],
)
def test_what_cannot_be_done(arguments: list[str], status: int, said: str) -> None:
    for command in COMMANDS:
        process = start(*arguments, command=command)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (status, "")
        assert said in err
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("missing", "arguments"), [("aiohttp", []), ("h2", ["--h2-port", "0"]), ("cryptography", ["--tls-port", "0"])]
)
def test_missing_packages_are_named(missing: str, arguments: list[str]) -> None:
    process = start("--port", "0", *arguments, blocked=missing)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (4, "")
    assert err == f"audit origin: the Python package {missing} is missing: pip install 'header-auditor[probe]'\n"


def test_aiohttp_is_all_it_needs() -> None:
    others = "crossplane pcre2 h2 cryptography docker yaml"
    with running("--port", "0", "--scgi-port", "0", command="module", blocked=others) as (process, addresses):
        assert send(("127.0.0.1", port(addresses["http"])), GET).status == 200
        assert ends(process, signal.SIGTERM) == (0, "", "")


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    with running("--port", "0") as (process, addresses):
        assert re.fullmatch(r"127\.0\.0\.1:\d+", addresses["http"])
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", addresses["control"])
        ends(process, signal.SIGTERM)
    with running("--port", "0", "--host", "127.0.0.3") as (process, addresses):
        assert send(("127.0.0.3", port(addresses["http"])), GET).status == 200
        assert addresses["control"].startswith("http://127.0.0.3:")
        assert ends(process, signal.SIGTERM) == (0, "", "")


def test_help() -> None:
    process = start("--help")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "--control-port" in out
