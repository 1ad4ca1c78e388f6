"""`audit probe --url` alone: what is said of servers of every manner, and that nobody else is contacted."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probes.peer import Peer, Target, Unreachable
from probes.remote import Options, Visitor
from probes.runners.local import Binary
from tests.differential.words import CERTIFICATE
from tests.probes.controlled import Controlled
from tests.probes.servers import Behaviour, Odd, drips, floods, hangs, says
from tests.probes.stage import PASSWORD, Ran, ask, nginx_with, run

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GATE = 'auth_basic "Staff"; auth_basic_user_file USERS;'


def answering(choose: Callable[[bytes], bytes]) -> Behaviour:
    """Answers each request with what `choose` makes of its bytes."""
    return lambda connection, data: connection.sendall(choose(data))


def refusing(data: bytes) -> bytes:
    return b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="a, Digest b"\r\nContent-Length: 0\r\n\r\n'


def test_a_gate(nginx: Binary, origin: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_PASSWORD", PASSWORD)
    origin.origin.respond(200, (), b"a page")
    with nginx_with(nginx, origin, f"location / {{ {GATE} proxy_pass http://ORIGIN; }}") as proxy:
        ran = ask("--url", proxy.url(), "--user", "alice")
    assert ran.status == 0
    assert ran.text("answer") == "Without credentials, it answers 401 and asks for Basic."
    assert ran.text("gated-preflight") == "The preflight is refused with 401: browsers will not send the request."
    assert "cannot be told from outside" in ran.text("identity-headers")
    assert ran.probe("basic")["status"] == 200
    assert ran.probe("wrong-basic")["status"] == 401
    assert all(probe["reached"] is None and probe["exchanges"] is None for probe in ran.target["probes"])
    # What needs an origin that does as it is told is not asked.
    names = {probe["name"] for probe in ran.target["probes"]}
    assert not {"origin-401", "origin-403"} & names
    assert PASSWORD not in ran.out + ran.err


def test_a_cache_behind_which_a_gate_stands(nginx: Binary, origin: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application refuses strangers, and the cache in front of it gives them what alice got."""
    monkeypatch.setenv("AUDIT_PASSWORD", PASSWORD)
    inner = "http://127.0.0.1:$server_port/inner$request_uri"
    cached = f"location / {{ proxy_cache z; proxy_cache_valid 200 1m; proxy_pass {inner}; }}"
    lines = cached + f"location /inner/ {{ {GATE} proxy_pass http://ORIGIN; }}"
    origin.origin.respond(200, (), b"alice's page")
    with nginx_with(nginx, origin, lines, "proxy_cache_path @DIR@/cache keys_zone=z:1m;") as proxy:
        ran = ask("--url", proxy.url("/page"), "--user", "alice")
    # The probe itself asks before alice does, so that the plain URL is refused.
    assert (ran.probe("bearer")["status"], ran.probe("repeat-first")["status"]) == (401, 200)
    assert (ran.status, ran.verdicts["answer-of-another-user"]) == (1, "error")


def test_credentials_that_nobody_checks() -> None:
    def choose(data: bytes) -> bytes:
        return OK if b"\r\nAuthorization: Bearer" in data else refusing(data)

    with Odd(answering(choose)) as server:
        ran = ask("--url", server.url)
    assert (ran.status, ran.verdicts["open-gate"]) == (1, "error")
    assert "with made-up Bearer ones 200" in ran.text("open-gate")
    assert ran.text("answer").endswith("asks for Basic.")  # the realm names no scheme


def test_a_401_without_a_challenge() -> None:
    with Odd(says(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")) as server:
        ran = ask("--url", server.url)
        hidden = ask("--url", server.url, "--fail-on", "error")
    assert (ran.status, ran.verdicts["missing-challenge"]) == (1, "warning")
    assert hidden.status == 0


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"", "does not admit https://audit-probe.example"),
        (b"Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: *\r\n", "not the header Authorization"),
        (
            b"Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: X, authorization\r\n",
            "admits requests with",
        ),
    ],
)
def test_preflights(head: bytes, said: str) -> None:
    with Odd(says(b"HTTP/1.1 204 No Content\r\n" + head + b"\r\n")) as server:
        ran = ask("--url", server.url)
    assert said in ran.text("preflight")
    assert ran.status == 0


def test_any_page_may_read_with_credentials() -> None:
    head = b"Access-Control-Allow-Origin: https://audit-probe.example\r\nAccess-Control-Allow-Credentials: true\r\n"
    with Odd(says(OK.replace(b"\r\n\r\n", b"\r\n" + head + b"\r\n"))) as server:
        ran = ask("--url", server.url)
    assert (ran.status, ran.verdicts["open-cors"]) == (1, "error")


def test_a_claim_that_is_believed() -> None:
    def choose(data: bytes) -> bytes:
        return OK if b"\r\nx-remote-user:" in data.lower() else refusing(data)

    with Odd(answering(choose)) as server:
        ran = ask("--url", server.url)
    assert (ran.status, ran.verdicts["spoofable-identity-header"]) == (1, "error")


@pytest.mark.parametrize("which", ["every", "with a claim", "without"])
def test_a_page_that_changes_by_itself_proves_nothing(which: str) -> None:
    count = iter(range(1, 1000))

    def choose(data: bytes) -> bytes:
        changes = which == "every" or (b"user:" in data.lower()) == (which == "with a claim")
        body = b"x" * next(count) if changes else b""
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    with Odd(answering(choose)) as server:
        ran = ask("--url", server.url)
    assert ran.status == 0
    assert ran.text("identity-headers").startswith("The answer changes from one request to the next")


def test_a_claim_that_is_read() -> None:
    def choose(data: bytes) -> bytes:
        return OK.replace(b"2\r\n\r\nok", b"5\r\n\r\nhello") if b"\r\nX-Remote-User:" in data else OK

    with Odd(answering(choose)) as server:
        ran = ask("--url", server.url)
    assert ran.status == 0
    assert "(200 with 2 bytes, then 200 with 5 bytes; twice the same)" in ran.text("identity-headers")


def test_a_public_page_is_the_same_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_PASSWORD", PASSWORD)
    with Odd(says(OK)) as server:
        ran = ask("--url", server.url, "--user", "alice")
    assert ran.probe("repeat-first")["body_size"] == ran.probe("repeat-other")["body_size"] == 2
    assert (ran.status, "answer-of-another-user" in ran.verdicts) == (0, False)


def test_a_redirect_to_another_host_is_not_followed() -> None:
    with Odd(says(OK)) as other:
        place = f"Location: {other.url}login?token=hunter2\r\n".encode()
        with Odd(says(b"HTTP/1.1 302 Found\r\n" + place + b"Content-Length: 0\r\n\r\n")) as server:
            ran = ask("--url", server.url)
        assert other.connections == 0
    assert len(server.requests) == ran.report["requests"] == server.connections
    assert ran.text("answer") == f"Without credentials, it redirects to {other.url}login; this was not followed."
    assert "hunter2" not in ran.out


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with Odd(says(OK)) as other, Odd(says(OK)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        ran = ask("--url", server.url)
    assert (ran.status, other.connections) == (0, 0)
    assert any("HTTP_PROXY" in note for note in ran.report["notes"])


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (hangs, "no answer within 0.3 s"),
        (drips(b""), "no answer within 0.3 s"),
        (drips(b"HTTP/1.1 200 OK\r\nX-Slow: "), "no answer within 0.3 s"),
        (says(b""), "every connection is closed without an answer"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "this is no answer of HTTP: b'SSH-2.0-OpenSSH_9.2"),
    ],
    ids=["hangs", "drips", "drips-a-header", "closes", "not-http"],
)
def test_servers_that_cannot_be_probed(behaviour: Behaviour, said: str) -> None:
    with Odd(behaviour) as server:
        ran = ask("--url", server.url, "--timeout", "0.3")
        shown = run("--url", server.url, "--timeout", "0.3")
    assert (ran.status, shown.status) == (4, 4)
    assert said in ran.target["error"]
    assert f"cannot be probed: 127.0.0.1:{server.address[1]}: " in shown.out


@pytest.mark.parametrize("behaviour", [drips, floods])
def test_a_body_without_end_is_no_obstacle(behaviour: Callable[[bytes], Behaviour]) -> None:
    with Odd(behaviour(b"HTTP/1.1 403 No\r\n\r\n")) as server:
        ran = ask("--url", server.url, "--timeout", "0.5", "--max-requests", "2")
    assert [probe["status"] for probe in ran.target["probes"]] == [403] * 2
    assert all(probe["body_size"] <= 1 << 20 for probe in ran.target["probes"])


def test_a_server_that_falls_silent_is_left_alone() -> None:
    def behave(connection: socket.socket, data: bytes) -> None:
        if b"Authorization" not in data:
            connection.sendall(OK)
        else:
            connection.recv(1)

    with Odd(behave) as server:
        ran = ask("--url", server.url, "--timeout", "0.5")
    assert ran.probe("bearer")["error"].endswith("no answer within 0.5 s")
    assert ran.probe("preflight")["status"] == 200
    # What comes last has credentials in it, and three of these follow each other.
    assert (ran.status, ran.target["stopped"]) == (4, "3 requests in a row got no answer")


def test_a_server_that_goes_away() -> None:
    server = Odd(says(OK))
    asked = []

    def behave(connection: socket.socket, data: bytes) -> None:
        asked.append(data)
        if len(asked) == 3:
            server.__exit__()
        connection.sendall(OK)

    server.behave = behave
    ran = ask("--url", server.url)
    assert (ran.status, ran.report["requests"], len(ran.target["probes"])) == (4, 4, 3)
    assert ran.target["stopped"].endswith("nothing listens there (connection refused)")


def test_a_server_that_has_enough_is_left_alone() -> None:
    count = iter(range(100))
    with Odd(answering(lambda _: OK if next(count) < 3 else b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n")) as server:
        ran = ask("--url", server.url)
    assert (ran.status, ran.report["requests"]) == (0, 4)
    assert ran.target["stopped"] == "the server answers 429: it is asked too often"


def test_requests_are_bounded() -> None:
    with Odd(says(OK)) as first, Odd(says(OK)) as second:
        ran = ask("--url", first.url, "--url", second.url, "--max-requests", "5")
        assert (len(first.requests), len(second.requests)) == (5, 5)
        whole = ask("--url", first.url)
    assert ran.report["requests"] == 10
    assert ran.report["targets"][0]["stopped"] == "the bound of 5 requests is reached (--max-requests)"
    assert len(ran.report["targets"][0]["probes"]) == 5
    assert whole.report["requests"] < 50


def test_only_harmless_methods() -> None:
    with Odd(says(OK)) as server:
        ask("--url", server.url)
    assert {request.split()[0] for request in server.requests} == {b"GET", b"OPTIONS"}
    assert all(b"\r\nUser-Agent: audit-probe\r\n" in request for request in server.requests)


def test_the_last_url_is_asked_although_the_first_cannot_be() -> None:
    with socket.socket() as held, Odd(says(OK)) as server:
        held.bind(("127.0.0.1", 0))
        ran = ask("--url", f"http://127.0.0.1:{held.getsockname()[1]}/", "--url", server.url)
    assert ran.status == 4
    assert "nothing listens there (connection refused)" in ran.report["targets"][0]["error"]
    assert ran.report["targets"][1]["probes"][0]["status"] == 200


def test_a_name_that_is_not_found() -> None:
    ran = ask("--url", "http://audit-probe.invalid/")
    assert ran.status == 4
    assert ran.target["error"].startswith("audit-probe.invalid: no address found for this name")


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look-up would give another address: an answer that changes must not lead elsewhere."""
    asked = []
    real = socket.getaddrinfo

    def look_up(host: str, *rest: Any, **named: Any) -> Any:
        if host == "staging.example":
            asked.append(host)
            host = ["127.0.0.1", "127.0.0.2"][len(asked) - 1]
        return real(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with Odd(says(OK)) as server:
        port = server.address[1]
        ran = ask("--url", f"http://staging.example:{port}/", "--url", f"http://staging.example:{port}/b")
    assert (asked, ran.status) == (["staging.example"], 0)
    assert ran.report["targets"][1]["address"] == "127.0.0.1"
    assert all(f"Host: staging.example:{port}".encode() in request for request in server.requests)


def test_a_name_may_have_several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As localhost has, where a server listens on one only."""
    real = socket.getaddrinfo

    def look_up(host: str, *rest: Any, **named: Any) -> Any:
        hosts = ("127.0.0.3", "127.0.0.1") if host == "staging.example" else (host,)
        return [entry for one in hosts for entry in real(one, *rest, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with Odd(says(OK)) as server:
        ran = ask("--url", f"http://staging.example:{server.address[1]}/")
    assert (ran.status, ran.target["address"]) == (0, "127.0.0.1")


def test_certificates_matter_away_from_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def send(address: tuple[str, int], data: bytes, **named: object) -> object:
        seen.append((address[0], named["tls"], named["verify"]))
        raise ConnectionRefusedError

    monkeypatch.setattr("probes.peer.send", send)
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port, **_: [(0, 0, 0, "", (host, port))])
    for host, insecure in (("192.0.2.1", False), ("192.0.2.1", True), ("127.0.0.1", False), ("::1", False)):
        with pytest.raises(Unreachable):
            Peer(Target(host, 443, True, "a.example"), insecure).send(b"")
    assert seen == [
        ("192.0.2.1", "a.example", True),
        ("192.0.2.1", "a.example", False),
        ("127.0.0.1", "a.example", False),
        ("::1", "a.example", False),
    ]


def test_tls(nginx: Binary, origin: Controlled, tmp_path: Path) -> None:
    lines = f"listen 127.0.0.1:@TLS@ ssl; ssl_certificate {CERTIFICATE}; ssl_certificate_key {CERTIFICATE}; return 403;"
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    with nginx_with(nginx, origin, lines.replace("@TLS@", str(port))) as proxy:
        ran = ask("--url", f"https://127.0.0.1:{port}/")
        wrong = ask("--url", f"https://127.0.0.1:{proxy.port}/")
    assert ran.probe("no-credentials")["status"] == 403
    assert wrong.status == 4
    assert "no TLS connection: " in wrong.target["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to ask"),
        (("--url", "ftp://a.example/"), "not an http or https URL"),
        (("--url", "http://bob:secret@a.example/"), "no credentials in the URL"),
        (("--url", "http://a.example/\r\nX: y"), "write other characters"),
        (("--url", "http://a.example/", "--config", "nginx.conf"), "--config needs --origin"),
        (("--url", "http://a.example/", "--as", "https://a.example"), "must have the scheme"),
        (("--url", "http://a.example/", "--as", "http://a.example/x"), "scheme, host and port only"),
        (("--url", "http://a.example/", "--user", "a:b"), "has no colon"),
        (("--url", "http://a.example/", "--user", "bob"), "needs the password in AUDIT_PASSWORD"),
        (("--url", "http://a.example/", "--max-requests", "0"), "must be above 0"),
    ],
)
def test_usage(arguments: tuple[str, ...], said: str) -> None:
    ran = run(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert "secret" not in ran.err


@pytest.mark.parametrize(
    "behaviour",
    [says(OK), says(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), says(b""), hangs],
    ids=["another-server", "not-found", "closes", "hangs"],
)
def test_an_origin_that_is_none(behaviour: Behaviour) -> None:
    with Odd(behaviour) as odd, Odd(says(OK)) as server:
        ran = ask("--url", server.url, "--origin", odd.url, "--timeout", "0.3")
    assert (ran.status, server.requests) == (4, [])
    assert ran.target["error"].startswith("the origin: ")


def test_the_origin_is_left_as_it_was(origin: Controlled) -> None:
    with Odd(says(OK)) as server:
        ran = ask("--url", server.url, "--origin", origin.url)
    assert ran.status == 0
    assert not origin.told
    assert ran.probe("bearer")["exchanges"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_origin_is_left_as_it_was_after_a_signal(origin: Controlled, number: signal.Signals) -> None:
    with Odd(hangs) as server:
        command = [sys.executable, "-m", "auditor", "probe", "--url", server.url, "--origin", origin.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while not server.requests:
                assert process.poll() is None
                time.sleep(0.01)
            assert origin.told
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"")
    assert not origin.told


@pytest.mark.parametrize(("name", "noted"), [(b"nginx/1.22.1", True), (b"nginx/", False), (b"x", False)])
def test_another_version_is_named_where_predictions_differ(
    origin: Controlled, tmp_path: Path, name: bytes, noted: bool
) -> None:
    config = tmp_path / "nginx.conf"
    config.write_text("events {} http { server { listen 8080; return 403; } }")
    with Odd(says(OK.replace(b"\r\n\r\n", b"\r\nServer: " + name + b"\r\n\r\n"))) as server:
        ran = ask("--url", server.url, "--origin", origin.url, "--config", str(config))
    assert ran.status == 1
    assert any("--nginx-version 1.22.1" in note for note in ran.report["notes"]) == noted


def test_secrets_in_a_url_are_masked() -> None:
    with Odd(says(OK)) as server:
        url = server.url + "?access_token=hunter2hunter2"
        both = [ask("--url", url), run("--url", url)]
    assert b"GET /?access_token=hunter2hunter2 HTTP/1.1" in server.requests[0]
    for ran in both:
        assert "access_token=***" in ran.out
        assert "hunter2" not in ran.out + ran.err


def test_the_report_goes_into_a_file(tmp_path: Path) -> None:
    with Odd(says(OK)) as server:
        ran = ask("--url", server.url, "--output", str(tmp_path / "report.json"))
    assert (ran.status, ran.out) == (0, "")
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["schema"], report["mode"]) == ("probe/1", "remote")


def test_what_a_server_says_cannot_drive_the_terminal() -> None:
    head = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="\x1b[2Jx"\r\nLocation: /\x1b]0;x\x07\r\n\r\n'
    with Odd(says(head)) as server:
        ran: Ran = run("--url", server.url)
    assert "\x1b" not in ran.out
    assert "\\x1b[2J" in ran.out


def test_a_visit_has_its_own_bound() -> None:
    with Odd(says(OK)) as server:
        visit = Visitor(Options(requests=3)).visit(server.url)
    assert (visit.requests, len(visit.seen), visit.error) == (3, 3, "")
