"""Asks one running proxy of the stack, and reads from the origin what arrived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from probes.client import address_of, request_bytes, send, tls_name
from probes.control_client import Control
from probes.fates import Fate, fates
from probes.origin import Received
from probes.peer import Unreachable
from probes.questions import PROBES, Probe, spoofed

SETTLE = 10  # milliseconds that the origin waits for requests that come beside the one that was asked
PATIENCE = 10.0  # seconds
STAFF = "staff:staff"  # the user of the samples
IDENTITY = "X-Remote-User"

_NAMES = ("no-credentials", "bearer", "basic", "wrong-basic", "lower-case", "hop-by-hop", "preflight")
ASKED: tuple[Probe, ...] = (
    *sorted((probe for probe in PROBES if probe.name in _NAMES), key=lambda probe: _NAMES.index(probe.name)),
    *(probe for probe in spoofed([IDENTITY]) if probe.name != "spoofed-upper"),
)


class Seen(NamedTuple):
    """What became of one request: the status that the client saw (None where the connection was closed), the request
    that reached the origin (of several the last, which is the one to be answered), and the fates of its headers; or why
    nothing is known."""

    probe: str
    status: int | None = None
    received: Received | None = None
    fates: tuple[Fate, ...] = ()
    error: str = ""


def ask(url: str, control: Control, given: str | None = None, address: tuple[str, int] | None = None) -> list[Seen]:
    """Sends the probes to that URL one after the other.

    `given` is the `name:password` of a user; probes that need one are left out without it. `address` is where the proxy
    listens, if it is not what the URL says. After an error the rest is not asked: each would take all the patience.
    """
    lines = {probe.name: line for probe in ASKED if (line := probe.line({"url": url}, given)) is not None}
    seen: list[Seen] = []
    for name, line in lines.items():
        try:
            after = control.mark()
            reply = send(address or address_of(line), request_bytes(line), timeout=PATIENCE, tls=tls_name(line))
            arrived: Sequence[Received] = control.received(after, SETTLE)[0]
        except (OSError, Unreachable) as error:
            why = str(error) or type(error).__name__
            return [*seen, *(Seen(rest, error=why) for rest in list(lines)[len(seen) :])]
        main = arrived[-1] if arrived else None
        sent = tuple((str(key), str(value)) for key, value in line["headers"])
        seen.append(Seen(name, reply.status, main, tuple(fates(sent, main)) if main else ()))
    return seen
