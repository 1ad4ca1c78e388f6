"""Throw-away certificates hold the names that a client can ask for, and clients accept them."""

from __future__ import annotations

import datetime
import os
import ssl
import tempfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from probes import certificate
from probes.origin import Origin
from tests.probes.wire import connect, exactly


def names(*asked: str) -> list[str]:
    """The alternative names in a certificate that is asked for these."""
    parsed = x509.load_pem_x509_certificate(certificate.throw_away(asked)[0])
    found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


def test_names() -> None:
    assert names("a.example", "A.Example", "127.0.0.1", "[::1]", "::1", "xn--bcher-kva.example", "a_b.example") == [
        "a.example", "127.0.0.1", "::1", "xn--bcher-kva.example", "a_b.example"]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["", "_", "*", "*.a.example", ".a.example", "mail.*", r"~^www\d+\.example$", "a..example", "a.example:443",
     "b\xfccher.example", "a b", "$host", "a" * 64 + ".example", "a." * 127 + "example", "a.example\n", "-a.example"],
)  # fmt: skip
def test_what_is_no_name_is_passed_over(name: str) -> None:
    assert names(name) == ["localhost"]
    assert names(name, "a.example") == ["a.example"]


def test_it_is_an_ec_certificate_of_a_week() -> None:
    text, key = certificate.throw_away(["a.example"])
    parsed = x509.load_pem_x509_certificate(text)
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    assert parsed.not_valid_before_utc < now - day / 2
    assert now + 6 * day < parsed.not_valid_after_utc <= now + 7 * day
    assert parsed.subject == parsed.issuer
    assert isinstance(load_pem_private_key(key, None), ec.EllipticCurvePrivateKey)
    assert certificate.throw_away(["a.example"])[1] != key


def test_a_client_that_trusts_it_accepts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = certificate.throw_away(["a.example", "127.0.0.1"])
    monkeypatch.setattr(certificate, "throw_away", lambda _: made)
    client = ssl.create_default_context(cadata=made[0].decode())
    with Origin("A", tls=certificate.server_context([])) as app:
        for name in ("a.example", "127.0.0.1"):
            with client.wrap_socket(connect(app), server_hostname=name) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert exactly(connection, 15) == b"HTTP/1.1 200 OK"
        with pytest.raises(ssl.SSLCertVerificationError):
            client.wrap_socket(connect(app), server_hostname="b.example")


def test_no_key_stays_on_disk(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    certificate.server_context(["a.example"])
    assert os.listdir(tmp_path) == []
