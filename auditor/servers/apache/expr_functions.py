"""The functions and pattern operators of httpd's expressions that look at their words only (util_expr_eval.c)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from auditor.patterns import lazy_re

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

_KEPT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789$-_.+!*'(),:;@&=/~")
_BASE64 = lazy_re(r"[A-Za-z0-9+/]*")
_PERCENT = lazy_re(r"%(.{0,2})", re.DOTALL)
_INTEGER = lazy_re(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")
_LOWER = {number: number + 32 for number in range(65, 91)}
_UPPER = {number: number - 32 for number in range(97, 123)}


def lower(text: str) -> str:
    """tolower: ASCII letters only."""
    return text.translate(_LOWER)


def upper(text: str) -> str:
    """toupper: ASCII letters only."""
    return text.translate(_UPPER)


def escape(text: str) -> str:
    """escape (ap_escape_uri): what may not stand in a path as %xx."""
    return "".join(char if char in _KEPT else f"%{ord(char):02x}" for char in text)


def unescape(text: str) -> str:
    """unescape (ap_unescape_url_keep2f): %2f stays; nothing at all of a text with a bad escape, or with %00."""
    out: list[str] = []
    at = 0
    for match in _PERCENT.finditer(text):
        digits = match[1]
        out.append(text[at : match.start()])
        if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits) or digits == "00":
            return ""
        out.append(match[0] if digits.lower() == "2f" else chr(int(digits, 16)))
        at = match.end()
    return "".join(out) + text[at:]


def base64(text: str) -> str:
    """base64 (ap_pbase64encode)."""
    from base64 import b64encode

    return b64encode(text.encode("latin-1")).decode("ascii")


def unbase64(text: str) -> str:
    """unbase64 (ap_pbase64decode): as far as there are letters of base64, and no farther than a NUL byte."""
    from base64 import b64decode

    match = _BASE64.match(text)
    letters = match[0] if match is not None else ""
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    decoded = b64decode(letters + "=" * (-len(letters) % 4)).decode("latin-1")
    return decoded.partition("\0")[0]


def sha1(text: str) -> str:
    """sha1, in hexadecimal digits."""
    from hashlib import sha1 as digest

    return digest(text.encode("latin-1"), usedforsecurity=False).hexdigest()


def md5(text: str) -> str:
    """md5, in hexadecimal digits."""
    from hashlib import md5 as digest

    return digest(text.encode("latin-1"), usedforsecurity=False).hexdigest()


def ldap(text: str) -> str:
    """ldap: what may not stand in an LDAP filter or name as \\xx."""
    return "".join(f"\\{ord(char):02x}" if char in _LDAP or ord(char) > 126 else char for char in text)


_LDAP = frozenset('*()\\,+<>;"')

PURE: dict[str, Callable[[str], str]] = {
    "tolower": lower,
    "toupper": upper,
    "escape": escape,
    "unescape": unescape,
    "base64": base64,
    "unbase64": unbase64,
    "sha1": sha1,
    "md5": md5,
    "ldap": ldap,
}


def integer(text: str) -> int:
    """The number that a text begins with, 0 where there is none, cut to 64 bits (apr_atoi64)."""
    match = _INTEGER.match(text)
    return max(-(2**63), min(2**63 - 1, int(match[1]))) if match is not None else 0


def compare(operator: str, left: str, right: str) -> bool:
    """The comparison of two texts."""
    if operator[0] in "=!<>":
        order = (left > right) - (left < right)
    else:
        order = (integer(left) > integer(right)) - (integer(left) < integer(right))
    return _HOLDS[operator](order)


_HOLDS: dict[str, Callable[[int], bool]] = {
    "==": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}
for _name, _symbol in (("eq", "=="), ("ne", "!="), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")):
    _HOLDS[_name] = _HOLDS[_symbol]


def truth(text: str) -> bool:
    """-T: anything but nothing, 0, off, no and false."""
    return text.lower() not in ("", "0", "off", "no", "false")


def within(address: str, network: str) -> bool:
    """Whether the text is an address in that network. A name is never looked up here but for localhost."""
    import ipaddress  # here: few configurations have address lists

    try:
        return ipaddress.ip_address("127.0.0.1" if address == "localhost" else address) in network_of(network)
    except ValueError:
        return False


def network_of(text: str) -> IPv4Network | IPv6Network:
    """A network as apr_ipsubnet_create takes it: an address, the first bytes of one, or one with a mask of at least one
    bit. Raises ValueError."""
    import ipaddress  # here: few configurations have address lists

    address, slash, _ = text.partition("/")
    if not slash and re.fullmatch(r"[0-9]+(\.[0-9]+){0,2}\.?", address):
        parts = address.rstrip(".").split(".")
        return ipaddress.ip_network((".".join(parts + ["0"] * (4 - len(parts))), 8 * len(parts)), strict=False)
    network = ipaddress.ip_network(text, strict=False)
    if network.prefixlen == 0:
        raise ValueError("a mask of no bit")
    return network


def match_pattern(operator: str, text: str, pattern: str) -> bool:
    """-strmatch, -strcmatch (case ignored) and -fnmatch (no wildcard matches a slash): apr_fnmatch."""
    path = operator == "fnmatch"
    anything, one = ("[^/]", "[^/]") if path else (".", ".")
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            out.append(f"{anything}*")
        elif char == "?":
            out.append(one)
        elif char == "[":
            end = pattern.find("]", at + 1 + (pattern[at : at + 1] in ("!", "^")))
            if end == -1:
                out.append(r"\[")
                continue
            out.append(("(?!/)" if path else "") + _bracket(pattern[at:end]))
            at = end + 1
        elif char == "\\" and at < len(pattern):
            out.append(re.escape(pattern[at]))
            at += 1
        else:
            out.append(re.escape(char))
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if operator == "strcmatch" else 0)
    try:
        return re.fullmatch("".join(out), text, flags) is not None
    except re.error:  # a range the wrong way round matches nothing
        return False


def _bracket(inner: str) -> str:
    negative = inner[:1] in ("!", "^")
    inner = inner[1:] if negative else inner
    plain = re.sub(r"([]^\\[&~|])", r"\\\1", inner)
    return f"[^{plain}]" if negative else f"[{plain}]"
