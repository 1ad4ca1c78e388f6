"""What mod_rewrite and mod_alias do with URLs: schemes, escapes, the server's own address; parts of values."""

from __future__ import annotations

from collections.abc import Callable

from auditor.servers.apache.pattern import cut
from auditor.servers.apache.run import Run
from auditor.values import EMPTY, Segment, Value, join, literal

_UNESCAPED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789$-_.+!*'(),:;@&=/~")
# Schemes that mod_rewrite knows, and whether a URL of each has a query (mod_rewrite.c: is_absolute_uri).
_SCHEMES = {
    **dict.fromkeys(("ajp://", "balancer://", "fcgi://", "http://", "https://", "h2://", "h2c://"), True),
    **dict.fromkeys(("mailto:", "scgi://", "ws://", "wss://", "unix:"), True),
    **dict.fromkeys(("ftp://", "gopher://", "ldap://", "news:", "nntp://"), False),
}


def scheme_of(url: str) -> tuple[int, bool]:
    """The length of an absolute URL's scheme with its `://`, 0 for others; and whether it may have a query."""
    if url.startswith("/") or len(url) <= 5:
        return 0, False
    low = url[:12].lower()
    for scheme, query in _SCHEMES.items():
        if low.startswith(scheme):
            return len(scheme), query
    return 0, False


def escape_text(text: str) -> str:
    """ap_escape_uri: what may not stand in a path becomes %xx."""
    return "".join(char if char in _UNESCAPED else f"%{ord(char):02x}" for char in text)


def mapped(value: Value, change: Callable[[str], str]) -> Value:
    """The value with each known piece of its text changed."""
    return Value(tuple(s if s.text is None else Segment(s.source, change(s.text)) for s in value.segments))


def escape(value: Value) -> Value:
    return mapped(value, escape_text)


def part(value: Value, start: int, stop: int | None = None) -> Value:
    """A slice of a value whose text is known."""
    return cut(value, start, len(value.text or "") if stop is None else stop)


def escape_absolute(url: Value) -> Value:
    """An absolute URL with its path escaped, its host left alone (mod_rewrite.c: escape_absolute_uri)."""
    text = url.text or ""
    skip, _ = scheme_of(text)
    if text[skip - 1] == "/":
        slash = text.find("/", skip)
        if slash == -1 or slash + 1 == len(text):
            return url
        skip = slash + 1
        if text[:4].lower() == "ldap":
            pieces = text[skip:].split("?", 4)  # the question marks of an LDAP URL separate (RFC 4516)
            return join((part(url, 0, skip), literal("?".join(map(escape_text, pieces)))))
    return join((part(url, 0, skip), escape(part(url, skip))))


def authority(run: Run) -> Value:
    """`scheme://host[:port]` of this server as the client knows it (ap_construct_url)."""
    from auditor.servers.apache.variables import lookup

    scheme = lookup(run, "REQUEST_SCHEME")
    port = lookup(run, "SERVER_PORT")
    default = "443" if scheme.text == "https" else "80"
    tail = EMPTY if port.text == default else join((literal(":"), port))
    return join((scheme, literal("://"), lookup(run, "SERVER_NAME"), tail))


def has_controls(text: str) -> bool:
    """Whether there is a space or a control character (ap_scan_vchar_obstext)."""
    return any(char <= " " or char == "\x7f" for char in text)
