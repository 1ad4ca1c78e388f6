"""The client reads one response of any server, and no server can hold it or fill its memory."""

from __future__ import annotations

import ssl

import pytest

from probes.client import send
from tests.probes.servers import Behaviour, Odd, drips, floods, hangs, says

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


@pytest.mark.parametrize(
    "behaviour",
    [
        hangs,
        drips(b""),
        drips(b"HTTP/1.1 200 OK\r\nX-Slow: "),
        drips(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 "),
    ],
    ids=["nothing", "first-line", "header", "interim"],
)
def test_a_head_that_does_not_end_is_given_up(behaviour: Behaviour) -> None:
    with Odd(behaviour) as server, pytest.raises(TimeoutError):
        send(server.address, GET, timeout=0.2, total=0.4)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffff\r\n",
    ],
    ids=["until-close", "content-length", "chunked"],
)
def test_a_body_without_end_is_read_in_part(head: bytes) -> None:
    with Odd(drips(head)) as server:
        dripping = send(server.address, GET, timeout=0.2, total=0.4)
    assert (dripping.status, dripping.complete) == (200, False)
    with Odd(floods(head)) as server:
        flooding = send(server.address, GET, size=300_000)
    assert (flooding.status, flooding.complete) == (200, False)
    assert 200_000 < len(flooding.body) <= 300_000


@pytest.mark.parametrize(
    ("data", "first"),
    [(b"", b""), (b"SSH-2.0-OpenSSH_9.2\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"), (b"HTTP/1.1 99999999 OK\r\n\r\n", b"HTTP")],
)
def test_what_is_no_response_is_kept_in_part(data: bytes, first: bytes) -> None:
    with Odd(says(data)) as server:
        reply = send(server.address, GET)
    assert reply.status is None
    assert reply.body.startswith(first)


def test_bodies_that_come_whole() -> None:
    with Odd(
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    ) as server:
        assert send(server.address, GET)[2:5:2] == (b"abcde", True)
    with Odd(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")) as server:
        assert send(server.address, GET)[2:5:2] == (b"abc", False)
    with Odd(says(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc")) as server:
        assert send(server.address, GET)[2:5:2] == (b"abc", False)


def test_a_handshake_that_fails_is_an_error_where_certificates_matter() -> None:
    with Odd(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), end=b"") as server:
        assert send(server.address, GET, tls="a.example").status is None
        for verify in (True, False):
            with pytest.raises(ssl.SSLError):
                send(server.address, GET, tls="a.example", verify=verify)
