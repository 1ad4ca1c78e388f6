"""Secrets in configurations are never printed: a credential is shown as `Basic ***`."""

from __future__ import annotations

import re

# A variable (`$token`) is no secret, and neither is what is masked already. A word that ends an expression is left.
_SECRET = r"(?!\$|\*\*\*)[^\s\"';$&]+"
_SCHEME = r"\b(Basic|Bearer|Digest|Negotiate|Token|ApiKey)(\s+)(?!realm\b)"
# password=..., api_key: ..., X-Api-Key "...": a name that says so, and then a value.
_NAME = r"\b((?:[\w-]{0,40}[_-])?(?:api[_-]?key|auth[_-]?key|token|secret|passwd|password)(?:\s*[=:]\s*|\s+)[\"']?)"
_USERINFO = r"(://[^\s/@:$\"']*:)[^\s/@$\"']+(?=@)"


def mask(text: str) -> str:
    """The text with its credentials replaced by `***`: behind the name of a scheme (RFC 9110, 11.4), behind a name
    such as `api_key` or `X-Auth-Token`, and in the authority of a URL."""
    # Compiled here, by re's own cache: a run without findings prints nothing.
    text = re.sub(_SCHEME + _SECRET, r"\1\2***", text, flags=re.IGNORECASE)
    text = re.sub(_NAME + _SECRET, r"\1***", text, flags=re.IGNORECASE)
    return re.sub(_USERINFO, r"\1***", text)
