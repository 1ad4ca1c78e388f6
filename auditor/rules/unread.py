"""Findings that rest on what is missing, where a file that was not read may supply it.

Sites are often audited apart from the snippets that they include: what is missing here may stand there. Such a finding
is told as an info, with the include line beside it."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.findings import INFO, LOW, Finding, Related
from auditor.patterns import lazy_re
from auditor.server import Site, Unread

# What a gate, or what belongs to one, would make untrue.
_GATES = frozenset(
    (
        *("bypassed-gate", "open-gate", "spoofable-identity-header", "uncaptured-auth-response"),
        "ungated-service-credential",
    )
)
# What a header line would make untrue, or a preflight that is answered.
_HEADERS = frozenset(
    (
        *("broken-upgrade", "cors-authorization-not-allowed", "cors-missing-on-401", "dropped-inherited-headers"),
        *("gated-preflight", "lost-header", "spoofable-client-address", "spoofable-identity-header"),
        "starved-auth-subrequest",
    )
)
# What files are called that hold neither.
_NEITHER = lazy_re(r"(?i)ssl|tls|cert|mime|gzip|brotli|resolver|log\b|logs\b|error|acme|real_?ip")
# And those that hold no gate.
_NO_GATE = lazy_re(r"(?i)fastcgi|php|proxy|params|header|websocket|upgrade|cors|cache|expires")


def weigh(site: Site, finding: Finding) -> Finding:
    """The finding as it counts where something around its line has not been read."""
    if finding.severity == INFO or (finding.rule not in _GATES and finding.rule not in _HEADERS):
        return finding
    for unread in _supplying(site, finding):
        why = Related(unread.line, "this file was not read: what is missing may stand in it")
        return finding._replace(severity=INFO, confidence=LOW, related=(*finding.related, why))
    return finding


def _supplying(site: Site, finding: Finding) -> Iterator[Unread]:
    for unread in site.unread(finding.place):
        if _NEITHER.search(unread.path):
            continue
        if finding.rule in _HEADERS and unread.counts:
            yield unread
        # A gate of the server's holds for all of its blocks, the guarded ones, too.
        everywhere = unread.block == "server" and finding.rule == "bypassed-gate"
        if finding.rule in _GATES and not everywhere and not _NO_GATE.search(unread.path):
            yield unread
