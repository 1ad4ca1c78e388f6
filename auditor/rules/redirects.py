"""Redirects as browsers follow them."""

from __future__ import annotations

from auditor.http import Request, make_request
from auditor.trace import Outcome


def redirect_of(request: Request, outcome: Outcome) -> Request | None:
    """The request that a browser makes next, None where it is not sent anywhere, or nowhere that is known."""
    header = outcome.response_header("Location")
    if outcome.status not in (301, 302, 303, 307, 308) or header is None:
        return None
    text = header.value.text
    if not text:
        return None
    text = text.partition("#")[0]  # browsers keep it to themselves
    if text.startswith("//"):
        text = f"{request.scheme}:{text}"
    elif text.startswith("/"):
        return request._replace(method="GET", target=text)
    try:
        return make_request(text)
    except ValueError:
        return None
