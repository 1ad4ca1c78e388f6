"""The stand-ins for upstreams, and the names that are put back."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.client import Reply, request_bytes, send
from probes.log import Answer, Log, Received
from probes.runners.local import LOOPBACK
from probes.sandbox.targets import Names, Targets
from tests.differential.words import CERTIFICATE


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[Targets]:
    made = Targets(Log(), Names(), lambda: CERTIFICATE, lambda _: Answer(204), LOOPBACK, str(tmp_path))
    yield made
    made.close()


def test_names_are_put_back_whole() -> None:
    names = Names()
    names.add("127.0.0.1:2000", "app")
    names.add("127.0.0.1:20001", "other:81")
    names.add(":3000", ":80")
    names.add("/tmp/box/root", "")
    given = "http://127.0.0.1:2000/ 127.0.0.1:20001 127.0.0.1:20002 a:3000/ a:30001 /tmp/box/root/srv"
    assert names.back(given) == "http://app/ other:81 127.0.0.1:20002 a:80/ a:30001 /srv"
    assert names.back_pairs((("X", "127.0.0.1:2000"),)) == (("X", "app"),)
    assert names.back_reply(Reply(302, (("Location", "http://b:3000/"),))).headers == (("Location", "http://b:80/"),)
    names.add("127.0.0.1:20002", "third")  # also what is added later
    assert names.back("127.0.0.1:20002") == "third"


def test_without_names_nothing_changes() -> None:
    assert Names().back("127.0.0.1:1") == "127.0.0.1:1"


def test_a_server_has_one_stand_in(targets: Targets) -> None:
    first = targets.address("http", "app:81")
    assert targets.address("http", "app:81", "app:81") == first
    assert targets.address("fastcgi", "app:81") != first
    assert targets.address("http", "app:82") != first
    # One that is called in two ways needs two, to tell which one it was.
    assert targets.address("http", "app:80", "app") != targets.address("http", "app:80", "app:80")


@pytest.mark.parametrize(
    ("kind", "upstream", "protocol"),
    [("http", "app:80", "HTTP/1.1"), ("https", "app:443", "HTTP/1.1"), ("http", "unix:/run/a.sock", "HTTP/1.1"),
     ("fastcgi", "php:9000", "fastcgi"), ("uwsgi", "app:3031", "uwsgi"), ("suwsgi", "app:3031", "uwsgi"),
     ("scgi", "app:4000", "scgi"), ("grpc", "app:50051", "HTTP/2"), ("grpcs", "app:50051", "HTTP/2")],
)  # fmt: skip
def test_a_stand_in_speaks_as_the_upstream(kind: str, upstream: str, protocol: str, targets: Targets) -> None:
    address = targets.address(kind, upstream)
    assert address.startswith("unix:/" if upstream.startswith("unix:") else "127.0.0.1:")
    (origin,) = (target.origin for target in targets._made.values())
    assert origin.protocol == protocol
    assert isinstance(targets._tls, ssl.SSLContext) == (kind in ("https", "suwsgi", "grpcs"))


def test_what_arrives_is_told_by_the_configured_names(targets: Targets) -> None:
    here = targets.address("http", "app:81", "app:81")
    host, _, port = here.partition(":")
    line = {"url": f"http://{here}/x?to={here}", "headers": [["Host", here], ["X", f"a {here}"]]}
    assert send((host, int(port)), request_bytes(line)).status == 204
    (received,) = (targets.back(one) for one in targets.log.take())
    assert (received.origin, received.address, received.target) == ("app:81", "app:81", "/x?to=app:81")
    assert received.headers == (("Host", "app:81"), ("X", "a app:81"))


def test_urls_of_upstreams_lead_to_their_stand_ins(targets: Targets) -> None:
    app, tls = targets.address("http", "app:80", "app"), targets.address("https", "app:443", "app")
    text = "http://app/ https://app/ http://app http://app:80/ http://app.example/ http://my-app/ ftp://app/"
    wanted = f"http://{app}/ https://{tls}/ http://{app} http://app:80/ http://app.example/ http://my-app/ ftp://app/"
    assert targets.here(text) == wanted
    assert targets.names.back(targets.here(text)) == text


def test_ports(targets: Targets) -> None:
    port = int(targets.address("http", "app:81").partition(":")[2])
    targets.address("http", "unix:/run/a.sock")
    assert targets.ports() == {port: "81"}


def test_a_closed_stand_in_listens_no_more() -> None:
    made = Targets(Log(), Names(), lambda: "", lambda _: Answer(), LOOPBACK, "/nowhere")
    host, _, port = made.address("http", "app:81").partition(":")
    made.close()
    with pytest.raises(OSError):
        send((host, int(port)), b"GET / HTTP/1.0\r\n\r\n")


def test_the_answer_is_asked_for_with_the_origin_that_got_the_request() -> None:
    asked: list[Received] = []

    def answer(received: Received) -> Answer:
        asked.append(received)
        return Answer(404)

    made = Targets(Log(), Names(), lambda: "", answer, LOOPBACK, "/nowhere")
    host, _, port = made.address("http", "app:81").partition(":")
    assert send((host, int(port)), b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n").status == 404
    made.close()
    assert [(one.origin, one.target) for one in asked] == [("app:81", "/a")]
