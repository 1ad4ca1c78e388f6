"""Certificates that clients have made themselves, where TLS lets them pass (nginx: ssl_verify_client optional_no_ca):
what such a client is let into, and which of its claims the origin gets. No request shows it: the certificate is none of
its lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, INFO, MEDIUM, Finding, Related
from auditor.patterns import lazy_re
from auditor.rules.common import ADMITTED, deciding, serves
from auditor.server import LOCAL, Route, Site
from auditor.settings import INNER, Settings
from auditor.source import Place
from auditor.trace import Exchange, Outcome
from auditor.values import client_header

# Who knows the other gates' passwords, and has made a certificate.
_FORGED = ADMITTED._replace(certificate="refused")
_CLAIMED = client_header("certificate")
_WHOLE = client_header("whole certificate")
_CHECK = "if ($ssl_client_verify != SUCCESS) { return 403; }"
# What nobody can claim who has not the key.
_PINNED = lazy_re(r"\$\{?ssl_client_(fingerprint|cert|raw_cert|escaped_cert)\b")


def open_gates(site: Site, name: str, routes: Sequence[Route]) -> Iterator[Finding]:
    """Conditions on a certificate that one of the client's own making fulfils."""
    for route, outcome in _forged(site, routes):
        lines = [(deciding(gate.because), gate.result) for gate in outcome.gates if gate.needs == "certificate"]
        if not serves(outcome) or not lines or any(result != "passed" for _, result in lines):
            continue
        line = lines[-1][0]
        if line is None or any(place is not None and _PINNED.search(place.text) for place, _ in lines):
            continue
        yield _finding(
            name,
            route,
            line,
            "This gate is open: it lets in whoever has a certificate, and with ssl_verify_client optional_no_ca "
            "anybody can make one.",
            _CHECK,
        )


def claimed_identities(site: Site, name: str, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    """Identity headers made of what such a certificate says, without a word on whether it is good."""
    for route, outcome in _forged(site, routes):
        exchange = outcome.main
        if exchange is None or _is_told(exchange):
            continue
        for sent in exchange.headers:
            line = deciding(sent.because)
            if line is None or _CLAIMED not in sent.value.sources or not settings.names_identity(sent.name):
                continue
            found = _finding(
                name,
                route,
                line,
                f"A client chooses {sent.name} itself: it is made of the client's certificate, which nobody has "
                "checked (ssl_verify_client optional_no_ca).",
                f"{_CHECK}\nor let the origin look: proxy_set_header X-SSL-Client-Verify $ssl_client_verify;",
                exchange.place,
            )
            inner = settings.position == INNER or LOCAL in route.traits
            yield found._replace(severity=INFO) if inner else found


def _forged(site: Site, routes: Sequence[Route]) -> Iterator[tuple[Route, Outcome]]:
    for route in routes:
        if site.kind != "nginx" or not route.request.tls or route.request.method == "OPTIONS":
            continue
        for outcome in site.trace(route.request, _FORGED):
            yield route, outcome


def _is_told(exchange: Exchange) -> bool:
    """Whether the origin can see that nobody has checked it, or check it itself."""
    return any(
        _WHOLE in sent.value.sources or (sent.value.text or "").startswith("FAILED:") for sent in exchange.headers
    )


def _finding(name: str, route: Route, line: Place, message: str, help: str, sent: Place | None = None) -> Finding:
    return Finding(
        name,
        ERROR,
        message,
        line,
        confidence=MEDIUM,
        related=() if sent is None else (Related(sent, "it goes to this upstream"),),
        routes=(route.label,),
        help=help,
        server=route.server,
        pattern=route.pattern,
    )
