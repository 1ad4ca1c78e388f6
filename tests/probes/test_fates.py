"""The fate of a header, told by comparing what was sent with what arrived."""

from __future__ import annotations

import pytest

from auditor.http import Pairs
from probes.fates import fates
from probes.origin import Received


def found(sent: Pairs, arrived: Pairs, protocol: str = "HTTP/1.1") -> dict[str, str]:
    received = Received(0, "http", "127.0.0.1:9000", protocol, "GET", "/", arrived, b"")
    return {fate.name: fate.fate for fate in fates(sent, received)}


@pytest.mark.parametrize(
    ("sent", "arrived", "fate"),
    [
        ("Bearer x", "Bearer x", "forwarded"),
        ("192.0.2.77", "192.0.2.77, 127.0.0.1", "changed"),
        ("a.example:8080", "a.example", "changed"),
        ("192.0.2.77", "127.0.0.1", "replaced"),
        ("https", "http", "replaced"),
        ("close", "c", "replaced"),
        ("Bearer x", "", "stripped"),
        ("", "", "forwarded"),
        ("", "x", "replaced"),
    ],
)
def test_one_line(sent: str, arrived: str, fate: str) -> None:
    assert found((("Name", sent),), (("name", arrived),)) == {"Name": fate}


def test_lines_that_are_lost_or_added() -> None:
    assert found((("A", "1"),), (("B", "2"),)) == {"A": "stripped", "B": "added"}


def test_several_lines_of_one_name() -> None:
    sent = (("Cookie", "aaaa=1"), ("cookie", "bbbb=2"))
    assert found(sent, sent) == {"Cookie": "forwarded"}
    assert found(sent, (("Cookie", "aaaa=1; bbbb=2"),)) == {"Cookie": "changed"}
    assert found(sent, (("Cookie", "aaaa=1"),)) == {"Cookie": "changed"}


def test_an_underscore_is_no_dash_but_for_cgi() -> None:
    sent = (("X_Remote_User", "me"), ("Host", "a.example"))
    assert found(sent, (("X-Remote-User", "me"), ("Host", "a.example"))) == {
        "X_Remote_User": "stripped",
        "Host": "forwarded",
        "X-Remote-User": "added",
    }
    arrived = (("HTTP_X_REMOTE_USER", "me"), ("REQUEST_METHOD", "GET"), ("REMOTE_USER", ""), ("HTTP_HOST", "a.example"))
    assert found(sent, arrived, "fastcgi") == {"X_Remote_User": "forwarded", "Host": "forwarded"}


def test_http2_writes_host_as_authority() -> None:
    arrived = ((":method", "GET"), (":authority", "a.example"), ("x-key", "1"))
    assert found((("Host", "a.example"),), arrived, "HTTP/2") == {"Host": "forwarded", "x-key": "added"}
