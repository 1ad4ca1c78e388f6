"""What mod_ssl puts into the environment of a request that came by TLS (ssl_engine_kernel.c: ssl_hook_Fixup)."""

from __future__ import annotations

from auditor.servers.apache.config import Directive, Layers
from auditor.servers.apache.run import Run, by_default, decides
from auditor.servers.apache.variables import ssl
from auditor.values import SERVER, literal, unknown

PAGE = "mod/mod_ssl.html"
# Of SSLOptions +StdEnvVars; what a client's certificate says is left out where none was asked for.
_STANDARD = (
    *("SSL_VERSION_INTERFACE", "SSL_VERSION_LIBRARY", "SSL_PROTOCOL", "SSL_SECURE_RENEG", "SSL_COMPRESS_METHOD"),
    *("SSL_CIPHER", "SSL_CIPHER_EXPORT", "SSL_CIPHER_USEKEYSIZE", "SSL_CIPHER_ALGKEYSIZE", "SSL_CLIENT_VERIFY"),
    *("SSL_SESSION_RESUMED", "SSL_SERVER_M_VERSION", "SSL_SERVER_M_SERIAL", "SSL_SERVER_V_START", "SSL_SERVER_V_END"),
    *("SSL_SERVER_S_DN", "SSL_SERVER_I_DN", "SSL_SERVER_A_KEY", "SSL_SERVER_A_SIG"),
)
_CLIENT = ("M_VERSION", "M_SERIAL", "V_START", "V_END", "V_REMAIN", "S_DN", "I_DN", "A_KEY", "A_SIG")
_CERTIFICATES = ("SSL_SERVER_CERT", "SSL_CLIENT_CERT")
_PARTS = ("CN", "O", "OU", "C", "ST", "L", "Email", "UID")


def fixup(run: Run) -> None:
    """HTTPS, the name that the client asked for in its hello, and what SSLOptions adds."""
    request = run.shared.request
    if not request.tls:
        return
    run.env.set("HTTPS", literal("on", SERVER), by_default("HTTPS is set for requests by TLS", PAGE))
    if not request.host.replace(".", "").isdigit() and not request.host.startswith("["):
        # A client may leave the name out, and Host may be another one of the same certificate.
        run.env.set("SSL_TLS_SNI", unknown(SERVER), by_default("the name in the client's hello", PAGE))
    options: dict[str, Directive] = run.layers.memo("ssloptions", _options)
    for word, names in (("stdenvvars", _standard()), ("exportcertdata", _CERTIFICATES)):
        line = options.get(word)
        if line is not None:
            for name in names:
                value = ssl(run, name)
                if value.segments or word == "exportcertdata":  # these are set, whatever they are
                    run.env.set(name, value, decides(line))
    if "stdenvvars" in options:  # there is none before a session is agreed upon
        run.env.set("SSL_SESSION_ID", unknown(), decides(options["stdenvvars"]))


def _options(layers: Layers) -> dict[str, Directive]:
    """The options that are on, in lower case, each with its line (ssl_cmd_SSLOptions)."""
    found: dict[str, Directive] = {}
    for line in layers.all("ssloptions"):
        if any(word[:1] not in "+-" for word in line.args):
            found = {}
        for word in line.args:
            low = word.lower().lstrip("+-")
            if word.startswith("-"):
                found.pop(low, None)
            else:
                found[low] = line
    return found


def _standard() -> tuple[str, ...]:
    client = [f"SSL_CLIENT_{name}" for name in _CLIENT]
    subject = [f"SSL_CLIENT_{whose}_DN_{part}" for whose in ("S", "I") for part in _PARTS]
    return (*_STANDARD, *client, *subject)
