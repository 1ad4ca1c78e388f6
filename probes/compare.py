"""Predicted against observed: what a trace says, and what a client and the origins saw.

A trace leaves open what the configuration leaves open: a null matches anything, `present: maybe` may be missing, and of
several outcomes one must fit.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from auditor.http import Pairs
from probes.client import Reply, body_of
from probes.origin import Received

WATCHED = ("www-authenticate", "proxy-authenticate", "location", "set-cookie", "cache-control", "vary")
VOLATILE = ("REMOTE_PORT",)
CGI_LIKE = ("fastcgi", "uwsgi", "scgi", "cgi", "wsgi", "php")

Json = Mapping[str, Any]


class Observation(NamedTuple):
    """What one request did: the reply, and what arrived at the origins, in order. `answered` are the names (lower case)
    of the header lines that origins put into their answers."""

    reply: Reply
    exchanges: tuple[Received, ...]
    answered: frozenset[str] = frozenset()


def is_watched(name: str) -> bool:
    """Whether a response header is compared. X-Accel-* is the origin talking to the server."""
    low = name.lower()
    return low in WATCHED or low.startswith("access-control-") or (low.startswith("x-") and low[:8] != "x-accel-")


def differences(trace: Json, seen: Observation) -> list[str]:
    """Where the observation contradicts the trace, one line each; empty where one outcome fits."""
    if "error" in trace:
        return [f"the trace is an error: {trace['error']}"]
    best: list[str] | None = None
    for outcome in trace["outcomes"]:
        found = outcome_differences(outcome, seen, trace.get("request", {}))
        if not found:
            return []
        if best is None or len(found) < len(best):
            best = found
    if best is None:
        return ["the trace has no outcome"]
    count = len(trace["outcomes"])
    return best if count == 1 else [f"none of {count} outcomes fits; the nearest:", *best]


def outcome_differences(outcome: Json, seen: Observation, request: Json) -> list[str]:
    """Where the observation contradicts this outcome."""
    if outcome["action"] == "unknown":
        return []
    out: list[str] = []
    status = outcome["status"]
    if (outcome["action"] == "closed") != (seen.reply.status is None):
        out.append(f"action: predicted {outcome['action']}, observed status {seen.reply.status}")
    elif status is not None and outcome["action"] != "closed" and status != seen.reply.status:
        out.append(f"status: predicted {status}, observed {seen.reply.status}")
    out += _exchanges(outcome["exchanges"], seen.exchanges, request)
    if seen.reply.status is not None:
        out += _response_headers(outcome["response_headers"], seen)
    return out


def _exchanges(predicted: Sequence[Json], observed: Sequence[Received], request: Json) -> list[str]:
    """Mirrored requests go out beside the others, so they are taken out first; the rest compares in order."""
    rest = list(observed)
    in_order = [exchange for exchange in predicted if exchange["role"] != "mirror"]
    lost: list[Json] = []
    for mirror in predicted:
        if mirror["role"] == "mirror":
            fitting = [entry for entry in rest if not exchange_differences(mirror, entry, request)]
            if fitting:
                rest.remove(fitting[-1])
            else:
                lost.append(mirror)
    out: list[str] = []
    for mirror in lost:
        # The entry without which the others fit best is the one that this mirror was meant to be.
        spare = [_ordered(in_order, rest[:at] + rest[at + 1 :], request) for at in range(len(rest))]
        if len(rest) <= len(in_order) or not spare:
            out.append(f"mirror: predicted {mirror['method']} {mirror['uri']}, observed none")
            continue
        at = min(range(len(rest)), key=lambda index: len(spare[index]))
        out += ["mirror: " + text for text in exchange_differences(mirror, rest.pop(at), request)]
    return out + _ordered(in_order, rest, request)


def _ordered(predicted: Sequence[Json], observed: Sequence[Received], request: Json) -> list[str]:
    out: list[str] = []
    for number, exchange in enumerate(predicted):
        label = f"exchange {number} ({exchange['role']}): "
        if number < len(observed):
            out += [label + text for text in exchange_differences(exchange, observed[number], request)]
        else:
            out.append(f"{label}predicted {exchange['method']} {exchange['uri']}, observed none")
    for entry in observed[len(predicted) :]:
        out.append(f"exchange not predicted: {entry.protocol} {entry.method} {entry.target} at {entry.origin}")
    return out


def exchange_differences(predicted: Json, seen: Received, request: Json) -> list[str]:
    """Where what arrived contradicts the predicted exchange."""
    out = []
    servers = predicted.get("servers") or []
    if servers and seen.address not in servers:
        out.append(f"server: predicted {' or '.join(servers)}, observed {seen.address} ({seen.origin})")
    if predicted["protocol"] != seen.protocol:
        out.append(f"protocol: predicted {predicted['protocol']}, observed {seen.protocol}")
        return out
    if seen.protocol not in CGI_LIKE:
        if predicted["method"] is not None and predicted["method"] != seen.method:
            out.append(f"method: predicted {predicted['method']}, observed {seen.method}")
        if predicted["uri"] is not None and predicted["uri"] != seen.target:
            out.append(f"uri: predicted {predicted['uri']!r}, observed {seen.target!r}")
    wanted, got = _lines(predicted, seen)
    if not fits(wanted, got):
        known = dict(got)  # an open value is shown as the one that came: it is no difference
        left = [f"{name}: {known.get(name, '*') if value is None else value}" for name, value, _ in wanted]
        right = [f"{name}: {value}" for name, value in got]
        delta = [line for line in difflib.ndiff(left, right) if not line.startswith("?")]
        out.append("headers (- predicted, + observed):\n      " + "\n      ".join(delta))
    sent = len(seen.body) > 0
    if predicted.get("body") in ("dropped", "none") and sent:
        out.append(f"body: predicted {predicted['body']}, observed {len(seen.body)} bytes")
    announced = body_of(tuple((n, v) for n, v in request.get("headers", ())))
    # Without a length the origin cannot tell where a body ends, so it reads none.
    framed = seen.protocol == "fastcgi" or any(
        name.lower() == "transfer-encoding"
        or (name.lower().replace("_", "-") == "content-length" and value.isdigit() and int(value) > 0)
        for name, value in seen.headers
    )
    if predicted.get("body") == "sent" and announced and framed and not sent and not seen.body_missing:
        out.append("body: predicted sent, observed none")
    return out


Line = tuple[str, str | None, bool]


def _lines(predicted: Json, seen: Received) -> tuple[list[Line], list[tuple[str, str]]]:
    """Predicted and observed header lines in one form. HTTP/2 has lower-case names and writes Host as :authority."""
    wanted: list[Line] = []
    for header in predicted["headers"]:
        wanted.append((header["name"], header["value"], header.get("present", "yes") == "yes"))
    got = list(seen.headers)
    if seen.protocol == "HTTP/2":
        pseudo = (":method", ":path", ":scheme")
        names = {"host": ":authority"} if not any(name == "host" for name, _ in got) else {}
        wanted = [(names.get(n.lower(), n.lower()), v, must) for n, v, must in wanted if n not in pseudo]
        got = [(name, value) for name, value in got if name not in pseudo]
    wanted = [(name, None if name in VOLATILE else value, must) for name, value, must in wanted]
    return wanted, got


def fits(wanted: Sequence[Line], got: Sequence[tuple[str, str]]) -> bool:
    """Whether the lines can be the wanted ones in that order: maybes left out, None for any value."""
    reach = {0}
    for name, value, must in wanted:
        step = {at + 1 for at in reach if at < len(got) and got[at][0] == name and value in (None, got[at][1])}
        reach = step if must else reach | step
    return len(got) in reach


def _response_headers(predicted: Sequence[Json], seen: Observation) -> list[str]:
    """Each watched name's lines in their order; the order of names among each other is the server's own business.

    An X- line that an origin sent is no news to the client, so only one that the trace names is compared.
    """
    observed: Pairs = seen.reply.headers
    names: dict[str, None] = {}
    for header in predicted:
        if is_watched(header["name"]):
            names[header["name"].lower()] = None
    for name, _ in observed:
        low = name.lower()
        if is_watched(low) and not (low.startswith("x-") and low in seen.answered):
            names[low] = None
    out = []
    for low in names:
        wanted: list[Line] = [
            (low, header["value"], header["value"] is not None) for header in predicted if header["name"].lower() == low
        ]
        got = [(low, value) for name, value in observed if name.lower() == low]
        if not fits(wanted, got):
            left = [value for _, value, _ in wanted]
            out.append(f"response header {low}: predicted {left}, observed {[value for _, value in got]}")
    return out
