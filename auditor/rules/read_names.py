"""The client's headers that a configuration reads by their names."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.patterns import lazy_re
from auditor.server import Site

_READ = lazy_re(r"(?i)%\{(?:HTTP|req|req_novary):([\w-]+)\}|\b(?:req|req_novary|http)\(\s*['\"]([\w-]+)['\"]\s*\)")
# What says who the client is in another way, or what the request is.
_NO_NAMES = (
    "authorization",
    "host",
    "cookie",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "origin",
)
# The lines of nginx by which a header becomes a variable or a header again.
_MADE = lazy_re(r"(?:^|[;{}\n])\s*(?:set|map|(?:proxy|grpc)_set_header|(?:fastcgi|uwsgi|scgi)_param)\s([^;{]*)")
_VARIABLE = lazy_re(r"\$\{?http_([a-z0-9_]+)")


def read_by_name(site: Site) -> list[str]:
    """The client's headers that lines read by their names, and from which an identity may be made."""
    names: dict[str, str] = {}
    for source in site.files:
        for name in _names(site.kind, source.text):
            if name.lower() not in _NO_NAMES and not name.lower().startswith(("x-forwarded-p", "access-control")):
                names.setdefault(name.lower(), name)
    return list(names.values())[:20]


def _names(kind: str, text: str) -> Iterator[str]:
    if kind == "apache":
        for match in _READ.finditer(text):
            yield match[1] or match[2]
    elif "$http_" in text or "${http_" in text:
        for match in _MADE.finditer(text):
            for name in _VARIABLE.findall(match[1]):
                yield "-".join(word.capitalize() for word in name.split("_"))
