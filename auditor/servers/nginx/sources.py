"""What a variable can be made of, whatever this request has: the sources of its value, by the text of the
configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from auditor.patterns import lazy_re
from auditor.servers.nginx.variables import opaque_variables
from auditor.values import ADDRESS, CLIENT, SERVER, UNKNOWN, USER, answer_header, client_header

if TYPE_CHECKING:
    from auditor.servers.nginx.config import Http
    from auditor.servers.nginx.syntax import Directive

_USED = lazy_re(r"\$\{?(\w+)")
_ADDRESSES = ("remote_addr", "binary_remote_addr", "proxy_add_x_forwarded_for", "realip_remote_addr")
_CLIENT = frozenset(
    (
        "uri",
        "document_uri",
        "request_uri",
        "args",
        "query_string",
        "is_args",
        "request",
        "request_method",
        "request_body",
    )
)


def sources_of(http: Http, texts: Iterable[str]) -> tuple[str, ...]:
    """The sources (auditor.values) of the variables in these texts, and of those that they are made of in turn."""
    written = http.memo("what variables are made of", _written)
    assert isinstance(written, dict)
    opaque = opaque_variables(http)
    found: dict[str, None] = {}
    seen: set[str] = set()
    left = [name for text in texts for name in _USED.findall(text)]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in opaque:
            found[UNKNOWN] = None
        elif name in written:
            for text in written[name]:
                if text.startswith("="):
                    found[text[1:]] = None
                else:
                    left.extend(_USED.findall(text))
        else:
            found[_source(name)] = None
    return tuple(found)


def _source(name: str) -> str:
    if name.startswith("http_"):
        return client_header(name[5:].replace("_", "-").title())
    if name.startswith("cookie_"):
        return client_header("Cookie")
    if name == "remote_user" or name.startswith(("jwt_", "ssl_client_")):
        return USER
    if name in _ADDRESSES:
        return ADDRESS
    if name in _CLIENT or name.startswith("arg_") or name.isdigit():
        return CLIENT
    return SERVER


def _written(http: object) -> dict[str, list[str]]:
    """For each variable that a line defines the texts that it is made of; a text that begins with `=` is a source."""
    made: dict[str, list[str]] = {}
    for top in http.block:  # type: ignore[attr-defined]
        for line in top.walk():
            if line.name in ("map", "geo", "split_clients") and line.args:
                values = [arg for entry in line.block or () for arg in entry.args]
                made.setdefault(line.args[-1].lstrip("$"), []).extend([*_looked_up(line), *values])
            elif line.name == "auth_request_set" and line.args:
                made.setdefault(line.args[0].lstrip("$"), []).append("=" + answer_header("auth", "*"))
            elif line.name == "auth_jwt_claim_set" and line.args:
                made.setdefault(line.args[0].lstrip("$"), []).append("=" + USER)
            elif line.name.startswith("set_by_lua") and line.args:
                made.setdefault(line.args[0].lstrip("$"), []).append("=" + UNKNOWN)
            elif line.name == "set" and len(line.args) > 1:
                made.setdefault(line.args[0].lstrip("$"), []).append(line.args[1])
            elif line.name == "if":
                for inner in line.block or ():
                    if inner.name == "set" and inner.args:
                        made.setdefault(inner.args[0].lstrip("$"), []).extend(line.args)
    return made


def _looked_up(line: Directive) -> list[str]:
    if line.name == "geo" and len(line.args) == 1:
        return ["$remote_addr"]
    return line.args[:1]
