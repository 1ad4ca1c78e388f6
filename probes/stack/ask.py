"""Asks one running proxy of the stack, and reads from the origin what arrived."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from auditor.http import Pairs
from probes.client import address_of, request_bytes, send, tls_name

SETTLE = 10  # milliseconds that the origin waits for requests that come beside the one that was asked
PATIENCE = 10.0  # seconds
PAGE = "https://page.example"  # the page of another site that the samples let in
IDENTITY = "X-Remote-User"

Json = Mapping[str, Any]


class Probe(NamedTuple):
    """One kind of request."""

    name: str
    method: str
    headers: Pairs


class Seen(NamedTuple):
    """What became of one request: the status that the client saw (None where the connection was closed), the requests
    that reached the origin as its control interface tells them, or why nothing is known."""

    probe: Probe
    status: int | None = None
    arrived: tuple[Json, ...] = ()
    error: str = ""


def basic(user: str, password: str, scheme: str = "Basic") -> tuple[str, str]:
    """An Authorization line (RFC 7617, 2)."""
    return "Authorization", f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


_RIGHT = basic("staff", "staff")
NONE = Probe("no credentials", "GET", ())
BEARER = Probe("Bearer token", "GET", (("Authorization", "Bearer audit-probe"),))
PREFLIGHT = Probe(
    "preflight",
    "OPTIONS",
    (("Origin", PAGE), ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "authorization")),
)
WRONG = Probe("wrong Basic", "GET", (basic("staff", "wrong"),))
# A claim to be somebody comes with the right password, so that it passes the gates and shows what lies behind.
SAMPLE_PROBES = (
    NONE,
    BEARER,
    Probe("right Basic", "GET", (_RIGHT,)),
    WRONG,
    Probe("right, as basic", "GET", (basic("staff", "staff", "basic"),)),
    Probe("Connection: Auth.", "GET", (_RIGHT, ("Connection", "Authorization"))),
    PREFLIGHT,
    *(Probe(name, "GET", (_RIGHT, (name, "eve"))) for name in (IDENTITY, IDENTITY.lower(), "X_Remote_User")),
)
# Nobody knows the passwords of a user's own file, so these come without.
OWN_PROBES = (
    NONE,
    BEARER,
    WRONG,
    Probe("Connection: Auth.", "GET", (*BEARER.headers, ("Connection", "Authorization"))),
    PREFLIGHT,
    *(Probe(name, "GET", (*BEARER.headers, (name, "eve"))) for name in (IDENTITY, "X_Remote_User")),
)


def ask(url: str, control: str, probes: Sequence[Probe], address: tuple[str, int] | None = None) -> list[Seen]:
    """Sends the probes to that URL one after the other.

    `control` is the URL of the origin's control interface; `address` is where the proxy listens, if it is not what the
    URL says.
    """
    seen = []
    for probe in probes:
        line = {"url": url, "method": probe.method, "headers": probe.headers}
        try:
            after = requests(control)["next"]
            reply = send(address or address_of(line), request_bytes(line), timeout=PATIENCE, tls=tls_name(line))
            arrived = requests(control, after)["requests"]
            seen.append(Seen(probe, reply.status, tuple(arrived)))
        except (OSError, ValueError) as error:
            seen.append(Seen(probe, error=str(error) or type(error).__name__))
    return seen


def requests(control: str, after: int | None = None) -> Json:
    """The requests that the origin has recorded since; without `after` only how many there were. Raises OSError where
    it does not answer."""
    query = f"after={after}&settle={SETTLE}" if after is not None else "after=999999999"
    with urllib.request.urlopen(f"{control}/requests?{query}", timeout=PATIENCE) as answer:
        found: Json = json.load(answer)
    return found
