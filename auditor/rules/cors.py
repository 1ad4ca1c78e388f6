"""What rules on CORS share: the requests of browsers, and whether a route is meant for credentials."""

from __future__ import annotations

from auditor.http import Request
from auditor.rules.common import ADMITTED, BASIC, BEARER, with_header
from auditor.server import Site
from auditor.trace import Outcome

ORIGIN = ("Origin", "https://audit-probe.example")


def origin_of(request: Request) -> tuple[str, str]:
    """The Origin line of the witness, made from a list of origins, or that of anybody."""
    return next((pair for pair in request.headers if pair[0].lower() == "origin"), ORIGIN)


def preflight(request: Request) -> Request:
    """What a browser asks before it sends that request with Authorization: credentials are never among it."""
    headers = tuple(pair for pair in request.headers if pair[0].lower() not in ("authorization", "origin"))
    return request._replace(method="OPTIONS", headers=headers).with_headers(
        origin_of(request),
        ("Access-Control-Request-Method", request.method),
        ("Access-Control-Request-Headers", "authorization"),
    )


def tokens(outcome: Outcome, name: str) -> list[str] | None:
    """The words of a header that is a list, in lower case; None where the configuration does not set it, or to
    something that is not known."""
    lines = [header for header in outcome.response_headers if header.name.lower() == name.lower()]
    if not lines or any(header.origin or header.value.text is None for header in lines):
        return None
    words = [word.strip().lower() for header in lines for word in (header.value.text or "").split(",")]
    return [word for word in words if word]


def allows_credentials(site: Site, request: Request) -> bool:
    """Whether answers, or those to a preflight, allow Authorization or credentials to pages of another origin."""
    asked = with_header(request, origin_of(request))
    for each in (preflight(request), with_header(asked, BEARER), with_header(asked, BASIC)):
        for outcome in site.trace(each, ADMITTED):
            if "authorization" in (tokens(outcome, "Access-Control-Allow-Headers") or ()):
                return True
            if tokens(outcome, "Access-Control-Allow-Credentials") == ["true"]:
                return True
    return False
