"""What became of each header on its way: what was sent, compared with what arrived."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from auditor.http import Pairs
from auditor.trace import ADDED, CHANGED, FORWARDED, REPLACED, STRIPPED
from probes.compare import CGI_LIKE
from probes.origin import Received

# Of the parameters of the CGI-like protocols, those that say who the user is; the others describe the request.
PARAMETERS = ("REMOTE_USER", "AUTH_TYPE")


class Fate(NamedTuple):
    """The fate of one header: its name as it was sent (for an added one as it arrived), and the values that arrived."""

    name: str
    fate: str
    values: tuple[str, ...] = ()


def fates(sent: Pairs, received: Received) -> list[Fate]:
    """The fate of every header that was sent, in that order, and of those that came besides."""
    arrived: dict[str, tuple[str, list[str]]] = {}
    for name, value in arrivals(received):
        arrived.setdefault(_key(name, received.protocol), (name, []))[1].append(value)
    groups: dict[str, tuple[str, list[str]]] = {}
    for name, value in sent:
        groups.setdefault(name.lower(), (name, []))[1].append(value)
    out = []
    known = set()
    for name, values in groups.values():
        key = _sent_key(name, received.protocol)
        known.add(key)
        got = arrived.get(key, ("", []))[1]
        out.append(Fate(name, _fate(values, got), tuple(got)))
    out += [Fate(name, ADDED, tuple(values)) for key, (name, values) in arrived.items() if key not in known]
    return out


def fate_of(name: str, found: Iterable[Fate]) -> Fate | None:
    """The fate of the header of that name, case ignored."""
    return next((fate for fate in found if fate.name.lower() == name.lower()), None)


def arrivals(received: Received) -> list[tuple[str, str]]:
    """The headers among what arrived: without parameters that are none, Host under its own name."""
    if received.protocol in CGI_LIKE:
        return [(n, v) for n, v in received.headers if n.startswith("HTTP_") or (n in PARAMETERS and v)]
    if received.protocol == "HTTP/2":
        headers = [("Host" if n == ":authority" else n, v) for n, v in received.headers]
        return [(name, value) for name, value in headers if not name.startswith(":")]
    return list(received.headers)


def _key(name: str, protocol: str) -> str:
    return name.upper() if protocol in CGI_LIKE else name.lower()


def _sent_key(name: str, protocol: str) -> str:
    """Under which name a client's header arrives (RFC 3875, 4.1.18)."""
    return "HTTP_" + name.upper().replace("-", "_") if protocol in CGI_LIKE else name.lower()


def _fate(sent: list[str], got: list[str]) -> str:
    if not any(got):
        return FORWARDED if got and sent == got else STRIPPED
    if got == sent:
        return FORWARDED
    changed = any(_shares(value, other) for value in sent for other in got)
    return CHANGED if changed else REPLACED


def _shares(sent: str, got: str) -> bool:
    """Whether the client's value is inside, or what came is a part of it, as `a.example` is of `a.example:8080`."""
    if not sent or not got:
        return False
    return sent in got or (sent.startswith(got) and sent[len(got)] in ":,;")
