"""Secrets in configurations are never printed: a credential is shown as `Basic ***`."""

from __future__ import annotations

import re

_SCHEMES = re.compile(
    r"\b(Basic|Bearer|Digest|Negotiate|Token|ApiKey)(\s+)(?!\$|\*\*\*|realm\b)([^\s\"';$]+)", re.IGNORECASE
)


def mask(text: str) -> str:
    """The text with the credentials in it replaced by `***`; variables (`$token`) are no secrets."""
    return _SCHEMES.sub(r"\1\2***", text)
