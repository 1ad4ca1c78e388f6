"""Throw-away certificates: self-signed, for a test and the week around it."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import ssl
import tempfile
from collections.abc import Iterable

DAYS = 7
SKEW = datetime.timedelta(days=1)  # clocks of clients may be behind

_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


def throw_away(names: Iterable[str]) -> tuple[bytes, bytes]:
    """A self-signed certificate for these names and its EC key, both PEM.

    A name is a DNS name or an IP address (of IPv6 with or without brackets). Anything else that a configuration may
    hold as a server's name (wildcards, regular expressions, `_`) is passed over; `localhost` stands in where nothing is
    left. Raises ImportError where the package cryptography is missing.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    alternatives: dict[x509.GeneralName, None] = {}
    for name in names:
        try:
            alternatives[x509.IPAddress(ipaddress.ip_address(name.removeprefix("[").removesuffix("]")))] = None
        except ValueError:
            if _DNS_NAME.fullmatch(name.lower()):
                alternatives[x509.DNSName(name.lower())] = None
    alternatives = alternatives or {x509.DNSName("localhost"): None}
    key = ec.generate_private_key(ec.SECP256R1())
    # The name stands in the alternatives, where clients look (RFC 9525, 6.3).
    own = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "audit, throw-away")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(list(alternatives)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def server_context(names: Iterable[str]) -> ssl.SSLContext:
    """A server's side of TLS with a throw-away certificate for these names. Raises ImportError as `throw_away` does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    handle, path = tempfile.mkstemp(prefix="audit-", suffix=".pem")  # OpenSSL reads files only
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(throw_away(names))
        context.load_cert_chain(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    return context
