"""Certificates of clients: what a request brings, the variables that tell of it, and the conditions that ask for it
(ngx_http_ssl_module.c).

Measured: with `ssl_verify_client optional` a certificate of another authority is answered 400 before any location is
looked for; with `optional_no_ca` it goes on, $ssl_client_verify begins with FAILED, and $ssl_client_s_dn holds whatever
name its maker gave it.
"""

from __future__ import annotations

from auditor.regex import RegexError, compile_regex
from auditor.servers.nginx.run import Run, decides
from auditor.servers.nginx.syntax import Directive
from auditor.trace import Gate
from auditor.values import EMPTY, SERVER, USER, Value, client_header, literal, unknown
from auditor.world import CERTIFICATE, Answer, Question

KIND = "client_certificate"
# Sources: what a certificate that nobody has checked says of itself, and what lets the origin check it.
CLAIMED = client_header("certificate")
WHOLE = client_header("whole certificate")
_WHOLE = ("cert", "raw_cert", "escaped_cert", "fingerprint")


def ask(run: Run) -> tuple[int, str] | None:
    """ssl_verify_client: whether the client has a certificate, and a good one, is not part of a request. The status
    with which it is refused, and why; None where the request goes on."""
    line = run.server.line("ssl_verify_client")
    assert line is not None
    answer = run.ask(
        Question("credentials", CERTIFICATE),
        [
            Answer("accepted", "the client's certificate is accepted"),
            Answer("missing", "the client sends no certificate"),
            Answer("refused", "the client's certificate is refused"),
        ],
        line.place,
    )
    mode = line.args[0]
    if answer.name == "refused" and mode != "optional_no_ca":
        return 495, "the client's certificate is not good"
    if answer.name == "missing" and mode == "on":
        return 496, "no client certificate"
    run.shared.certificate = answer.name
    return None


def value_of(run: Run, name: str) -> Value:
    """A variable $ssl_client_*; `name` is what follows."""
    if not run.shared.request.tls:
        return EMPTY
    state = run.shared.certificate if run.server.verifies_clients else "missing"
    if name == "verify":
        if state == "missing":
            return literal("NONE", SERVER)
        return literal("SUCCESS", USER) if state == "accepted" else literal("FAILED:self-signed certificate", SERVER)
    if state == "missing":
        return EMPTY
    if state == "accepted":
        return unknown(USER)
    return unknown(WHOLE if name in _WHOLE else CLAIMED)


def is_gate(line: Directive) -> bool:
    """Whether an `if` turns away clients without a certificate for what the variables say of it. One that is about bad
    certificates alone guards nothing: who sends none goes on."""
    name = line.args[0].lstrip("$").strip("{}") if line.name == "if" and line.args else ""
    if not name.startswith("ssl_client_") or not _holds("NONE" if name == "ssl_client_verify" else "", line.args[1:]):
        return False
    return any(one.name == "return" and one.args and one.args[0][:1] == "4" for one in line.block or ())


def _holds(text: str, test: list[str]) -> bool:
    if not test:
        return text not in ("", "0")
    operator, other = test[0], test[1] if len(test) > 1 else ""
    if "$" in other and "~" not in operator:
        return False
    if "~" not in operator:
        return (text == other) is (operator == "=")
    try:
        found = compile_regex(other, operator.endswith("*")).search(text)
    except RegexError:
        return False
    return (found is None) is operator.startswith("!")


def tell(run: Run, line: Directive, holds: bool) -> None:
    """Note what such a condition said."""
    if run.is_main and is_gate(line):
        result = "refused" if holds else "passed"
        run.shared.gates.append(Gate(KIND, None, None, result, decides(line), needs="certificate"))
