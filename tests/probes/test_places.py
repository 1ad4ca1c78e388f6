"""Where an origin listens: ports, addresses, Unix sockets, TLS; and what it leaves when it is closed."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

import pytest

from probes.certificate import server_context
from probes.client import send
from probes.origin import Origin
from tests.probes.wire import GET, OK, connect, exactly, rest, talk


def test_a_taken_port_is_named() -> None:
    with Origin("A") as first, pytest.raises(OSError, match=f"^.Errno 98. cannot listen on 127.0.0.1:{first.port}: "):
        Origin("B", port=first.port)


def test_a_port_is_free_again(app: Origin) -> None:
    with Origin("B", host="127.0.0.2") as one:
        assert one.address == f"127.0.0.2:{one.port}"
        port = one.port
        assert send(("127.0.0.2", port), GET.replace(b"Host: a", b"Connection: close")).status == 200
    with Origin("B", host="127.0.0.2", port=port) as again:
        assert again.port == port


def test_a_bad_address_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:1"):
        Origin("A", host="192.0.2.1", port=1)
    with pytest.raises(OSError, match=r"cannot listen on no such host"):
        Origin("A", host="no such host")
    with pytest.raises(OSError, match=r"cannot listen on a{70}:0: .*too long"):
        Origin("A", host="a" * 70)
    with pytest.raises(OSError, match=r"cannot listen on /a{200}: .*too long"):
        Origin("A", local="/" + "a" * 200)


def test_close_drops_connections(app: Origin) -> None:
    other = Origin("B")
    with connect(other) as connection:
        connection.sendall(GET)
        assert exactly(connection, len(OK)) == OK
        other.close()
        assert rest(connection) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(other)
    assert talk(app, GET) == OK


def test_a_unix_socket(tmp_path: Path) -> None:
    with Origin("A", local=True) as app:
        assert talk(app, GET) == OK
        folder = os.path.dirname(app.address[5:])
    assert not os.path.exists(folder)
    path = str(tmp_path / "origin.sock")
    with Origin("A", local=path) as app:
        assert app.address == f"unix:{path}"
        assert talk(app, GET) == OK
        assert app.log.take()[0].peer == "unix:"
        with pytest.raises(OSError, match=f"cannot listen on {path}: Address already in use"):
            Origin("B", local=path)
        assert talk(app, GET) == OK
    assert not os.path.exists(path)


def test_what_stands_at_the_path_of_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "origin.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with Origin("A", local=str(path)) as app:
        assert talk(app, GET) == OK
    path.write_text("precious")
    with pytest.raises(OSError, match="Address already in use"):
        Origin("A", local=str(path))
    assert path.read_text() == "precious"
    with pytest.raises(OSError, match="cannot listen on /no/such/folder/s: No such file"):
        Origin("A", local="/no/such/folder/s")


def test_tls_shows_its_version_and_the_name_that_was_indicated() -> None:
    with Origin("A", tls=server_context(["a.example"])) as app:
        for name in ("a.example", ""):
            closing = GET.replace(b"Host: a", b"Host: a\r\nConnection: close")
            assert send(("127.0.0.1", app.port), closing, tls=name).status == 200
        assert talk(app, GET)[:1] != b"H"  # plain HTTP gets no answer in plain HTTP
        assert [(one.tls, one.server_name, one.raw) for one in app.log.take()] == [
            ("TLSv1.3", "a.example", closing), ("TLSv1.3", "", closing)]  # fmt: skip


def test_old_tls_is_told() -> None:
    with Origin("A", tls=server_context([])) as app:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        with client.wrap_socket(connect(app)) as connection:
            connection.sendall(GET)
            assert exactly(connection, len(OK)) == OK
        assert app.log.take()[0].tls == "TLSv1.2"
