"""Request targets as nginx reads and writes them (src/http/ngx_http_parse.c, src/core/ngx_string.c).

All functions work on latin-1 text, one character a byte.
"""

from __future__ import annotations

import re
from typing import NamedTuple

HEX = "0123456789abcdefABCDEF"

# Bytes that nginx escapes since 1.21.1: what RFC 3986 does not allow, and what would change the meaning in a context.
_ALWAYS = {chr(code) for code in (*range(0x20), *range(0x7F, 0x100))} | set(' "#<>\\^`{|}')
ESCAPE_URI = frozenset(_ALWAYS | set("%?"))
ESCAPE_ARGS = frozenset(_ALWAYS | set("%&+;?"))


class BadTarget(ValueError):
    """The request target is one that nginx answers with 400."""


class Target(NamedTuple):
    """A request target taken apart: the decoded, normalised path and what later steps need to know of the raw one."""

    path: str
    args: str
    quoted: bool  # the path had an escape (r->quoted_uri)
    plus: bool  # the path had a plus sign (r->plus_in_uri)


def escape(text: str, table: frozenset[str] = ESCAPE_URI) -> str:
    """The text with the bytes of `table` as %XX."""
    if not any(char in table for char in text):
        return text
    return "".join(f"%{ord(char):02X}" if char in table else char for char in text)


def unescape_redirect(text: str) -> str:
    """What `rewrite ... redirect` does to its result: escapes of plain characters are undone, up to the first "?"."""
    head, mark, tail = text.partition("?")
    out: list[str] = []
    at = 0
    while at < len(head):
        char = head[at]
        if char == "%" and len(head) - at >= 3 and head[at + 1] in HEX and head[at + 2] in HEX:
            decoded = chr(int(head[at + 1 : at + 3], 16))
            out.append(decoded if "%" < decoded < "\x7f" else head[at : at + 3])
            at += 3
            continue
        out.append(char)
        at += 1
    return "".join(out) + mark + tail


def split_args(uri: str) -> tuple[str, str]:
    """Path and query of a URI in the configuration; the "?" goes (ngx_http_split_args)."""
    path, _, args = uri.partition("?")
    return path, args


def parse_unsafe(text: str) -> tuple[str, str] | None:
    """Path and query of a URI that an upstream gives, escapes decoded and nothing else; None for what nginx takes for
    unsafe: an empty path, one that climbs, a NUL (ngx_http_parse_unsafe_uri)."""
    path, args = split_args(text)
    quoted = "%" in path
    for _ in range(2 if quoted else 1):
        if not path or "\0" in path or ".." in path.split("/"):
            return None
        if quoted:
            path = re.sub("%([0-9a-fA-F]{2})", lambda match: chr(int(match.group(1), 16)), path)
    return path, args


def parse_target(raw: str, merge_slashes: bool = True) -> Target:
    """The target as nginx understands it: escapes decoded, dot segments and (if asked) double slashes removed.

    Raises BadTarget for what nginx refuses with 400: control bytes, bad escapes, a NUL, a path above the root.
    """
    for char in raw:
        if char <= " " or char == "\x7f":
            raise BadTarget("control character or space in the request target")
    path, mark, args = raw.partition("?")
    if "#" in path:
        path, mark, args = path.partition("#")[0], "", ""
    elif mark:
        args = args.partition("#")[0]
    plus = "+" in path
    if "%" not in path and "/." not in path and "//" not in path:
        return Target(path, args, False, plus)
    return _parse_complex(raw, merge_slashes)


def _parse_complex(raw: str, merge_slashes: bool) -> Target:
    """The state machine of ngx_http_parse_complex_uri, because its corner cases decide which location answers."""
    out: list[str] = []
    state = return_state = "usual"
    quoted = plus = False
    args = ""
    first = 0
    at, end = 0, len(raw)
    char = raw[0]
    pending = True
    while pending:
        if state == "quoted":
            if char not in HEX:
                raise BadTarget("bad escape in the request target")
            first = int(char, 16)
            state = "quoted-second"
        elif state == "quoted-second":
            if char not in HEX:
                raise BadTarget("bad escape in the request target")
            char = chr((first << 4) + int(char, 16))
            if char == "\0":
                raise BadTarget("NUL in the request target")
            if char in "%#?":
                state = "usual"
                out.append(char)
            else:
                plus = plus or char == "+"
                state = return_state
                continue  # the decoded byte counts like a written one: %2e%2e climbs, %2f separates
        elif char == "%":
            quoted = True
            return_state, state = state, "quoted"
        elif char in "?#":
            if state == "dot":
                out.pop()
            elif state == "dot-dot":
                _climb(out)
            state = "usual"
            if char == "?":
                args = raw[at + 1 :].partition("#")[0]
            break
        elif char == "/":
            if state == "dot":
                out.pop()
            elif state == "dot-dot":
                _climb(out)
            elif state == "usual" or not merge_slashes:
                out.append(char)
            state = "slash"
        elif char == "." and state in ("slash", "dot"):
            out.append(char)
            state = "dot" if state == "slash" else "dot-dot"
        else:
            plus = plus or char == "+"
            out.append(char)
            state = "usual"
        at += 1
        pending = at < end
        if pending:
            char = raw[at]
    if state in ("quoted", "quoted-second"):
        raise BadTarget("bad escape in the request target")
    if state == "dot":
        out.pop()
    elif state == "dot-dot":
        _climb(out)
    return Target("".join(out), args, quoted, plus)


def _climb(out: list[str]) -> None:
    """Remove "seg/.." behind the last slash; `out` ends in "/..". Raises BadTarget above the root."""
    del out[-3:]
    while out and out[-1] != "/":
        out.pop()
    if not out:
        raise BadTarget("the request target climbs above the root")


# RFC 3986, 3.2.2: what a registered name may hold. Newer versions refuse the rest; older ones only what breaks paths.
_REG_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;=")


def validate_host(host: str, strict: bool = True) -> str | None:
    """The name that a Host line gives: lower case, without port and final dot; None where nginx answers 400.

    `strict` is the reading of the newer versions: only the characters of RFC 3986 and a numeric port.
    """
    for char in host:
        if char == "/" or char <= " " or char == "\x7f":
            return None
    if host.startswith("["):
        literal, close, rest = host.partition("]")
        if strict and (not close or not _is_port(rest) or not set(literal[1:]) <= _REG_NAME | {":"}):
            return None
        name = literal + close
    else:
        name, _, port = host.partition(":")
        if strict and (not set(name) <= _REG_NAME or not (port == "" or port.isdigit())):
            return None
    if ".." in host:
        return None
    return name.removesuffix(".").lower() or None


def _is_port(rest: str) -> bool:
    return rest == "" or (rest[0] == ":" and (rest[1:] == "" or rest[1:].isdigit()))
