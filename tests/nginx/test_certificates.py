"""What a client's certificate decides: nginx and the predictor say the same of one that its authority has signed, one
that the client has made itself, and none."""

from __future__ import annotations

import datetime
import http.client
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.check import Options, check
from auditor.http import make_request
from auditor.servers.nginx.site import load_file
from auditor.world import CERTIFICATE, Answer, Known, Question
from probes.runners import local
from tests.differential.play import Origins
from tests.rules.harness import HERE

MODES = ("off", "optional", "optional_no_ca", "on")
CALLED = {"forger": "alice"}
STATES = {"accepted": "alice", "refused": "mallory", "missing": None}
PATHS = ("/any", "/checked", "/none", "/named")
CONFIG = """daemon off;
master_process off;
events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:@P1@ ssl;
        ssl_certificate @DIR@/site.pem;
        ssl_certificate_key @DIR@/site.pem;
        ssl_client_certificate @DIR@/ca.pem;
        ssl_verify_client MODE;
        add_header X-Verify $ssl_client_verify always;
        add_header X-Dn $ssl_client_s_dn always;
        location / { return 200 "any"; }
        location /checked { if ($ssl_client_verify != SUCCESS) { return 403; } return 200 "in"; }
        location /none { if ($ssl_client_verify = NONE) { return 403; } return 200 "in"; }
        location /named { if ($ssl_client_s_dn = "") { return 403; } return 200 "in"; }
    }
}
"""


def pems() -> dict[str, str]:
    """Certificates with their keys: an authority, a site, alice (whom the authority knows), and two that their owners
    have made: mallory's, and a forger's who calls himself alice."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "site", "alice", "mallory", "forger")}
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    found = {}
    for name, key in keys.items():
        issuer = "ca" if name == "alice" else name
        subject, signer = (
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in (CALLED.get(name, name), issuer)
        )
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(signer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .sign(keys[issuer], hashes.SHA256())
        )
        text = made.public_bytes(serialization.Encoding.PEM)
        text += key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        found[f"{name}.pem"] = text.decode()
    return found


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("certificates")
    for name, text in pems().items():
        (folder / name).write_text(text)
    yield folder


def ask(port: int, path: str, certificates: Path, client: str | None) -> tuple[int, dict[str, str]]:
    """The status and the header lines of the answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(certificates / f"{client}.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request("GET", path, headers={"Host": "site.example", "X-SSL-Client-S-DN": "CN=admin"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def started(nginx: local.Binary, text: str, certificates: Path, values: dict[str, Any]) -> local.Server:
    files = {path.name: path.read_text() for path in certificates.iterdir()}
    return local.Server(nginx, text, files, (), [("127.0.0.1", values["P1"])], values)


@pytest.mark.parametrize("mode", MODES)
def test_variables_and_conditions(nginx: local.Binary, mode: str, certificates: Path) -> None:
    (port,) = local.free_ports(1)
    with started(nginx, CONFIG.replace("MODE", mode), certificates, {"P1": port}) as server:
        site = load_file(server.config, ((server.path, server.path),), nginx.version)
        for state, client in STATES.items():
            world = Known({Question("credentials", CERTIFICATE): Answer(state, state)})
            for path in PATHS:
                status, headers = ask(port, path, certificates, client)
                outcomes = site.trace(make_request(f"https://site.example:{port}{path}"), world)
                assert len(outcomes) == 1 or path == "/named", (mode, state, path)  # the name itself is not known
                outcome = next(one for one in outcomes if one.status == status)
                gates = [gate.result for gate in outcome.gates]
                assert gates == ([] if path == "/any" or status == 400 else ["refused" if status == 403 else "passed"])
                for name in ("X-Verify", "X-Dn") if status != 400 else ():
                    predicted = outcome.response_header(name)
                    assert (predicted is None) == (name.lower() not in headers), (mode, state, path, name)
                    if predicted is not None and predicted.value.text is not None:
                        # OpenSSL words it differently from one version to the next.
                        seen = re.sub("self[- ]signed", "self-signed", headers[name.lower()])
                        assert predicted.value.text == seen


# What clients get by the certificate that they send: what a rule says of its example.
EXAMPLES = [
    ("open-gate", "/any/", {"alice": 200, "mallory": 200, None: 403}),
    ("open-gate", "/named/", {"alice": 200, "mallory": 403, "forger": 200, None: 403}),
    ("spoofable-identity-header", "/", {"alice": 200, "mallory": 200, "forger": 200, None: 200}),
]


@pytest.mark.parametrize(("rule", "path", "wanted"), EXAMPLES)
def test_examples(
    nginx: local.Binary,
    origins: Origins,
    certificates: Path,
    rule: str,
    path: str,
    wanted: dict[str | None, int],
) -> None:
    (port,) = local.free_ports(1)
    text = (HERE / rule / "certificates.conf").read_text()
    text = text.replace("listen 8443", "listen 127.0.0.1:@P1@").replace("127.0.0.1:9000", "@A@")
    text = re.sub(r"/srv/site\.(pem|key)", "@DIR@/site.pem", text)
    with started(
        nginx, f"daemon off;\nmaster_process off;\n{text}", certificates, {"P1": port, **origins.values()}
    ) as server:
        for client, status in wanted.items():
            origins.log.take()
            assert ask(port, path, certificates, client)[0] == status, client
            reached = origins.log.take()
            if rule == "spoofable-identity-header":
                (exchange,) = reached
                names = [value for name, value in exchange.headers if name.lower() == "x-ssl-client-s-dn"]
                assert names == ([] if client is None else [f"CN={CALLED.get(client, client)}"])
        assert server.alive()


def test_what_a_condition_says_of_the_same_certificate_agrees(tmp_path: Path) -> None:
    """Two conditions are about one certificate: there is no way in which one holds and the other does not."""
    path = tmp_path / "nginx.conf"
    path.write_text(CONFIG.replace("MODE", "optional").replace("@P1@", "8443"))
    outcomes = load_file(str(path)).trace(make_request("https://site.example:8443/checked"))
    assert [outcome.status for outcome in outcomes] == [200, 403, 400]
    assert not check([str(path)], Options()).errors
