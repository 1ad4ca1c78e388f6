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
CGI_LIKE = ("fastcgi", "uwsgi", "scgi", "cgi")

Json = Mapping[str, Any]


class Observation(NamedTuple):
    """What one request did: the reply, and what arrived at the origins, in order."""

    reply: Reply
    exchanges: tuple[Received, ...]


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
        out += _response_headers(outcome["response_headers"], seen.reply.headers)
    return out


def _exchanges(predicted: Sequence[Json], observed: Sequence[Received], request: Json) -> list[str]:
    """Mirrored requests go out beside the others, so they are taken out first; the rest compares in order."""
    rest = list(observed)
    in_order = [exchange for exchange in predicted if exchange["role"] != "mirror"]
    out: list[str] = []
    for mirror in predicted:
        if mirror["role"] != "mirror":
            continue
        fits = [entry for entry in rest if not exchange_differences(mirror, entry, request)]
        if fits:
            rest.remove(fits[-1])
        else:
            out.append(f"mirror: predicted {mirror['method']} {mirror['uri']} to {mirror['upstream']}, none like it came")
    if out and len(rest) > len(in_order):
        rest = rest[: len(in_order)]  # the unmatched mirror is named already
    for number, exchange in enumerate(in_order):
        if number >= len(rest):
            out.append(f"exchange {number}: predicted {exchange['method']} {exchange['uri']} ({exchange['role']}), "
                       "observed none")  # fmt: skip
            continue
        label = f"exchange {number} ({exchange['role']}): "
        out += [label + text for text in exchange_differences(exchange, rest[number], request)]
    for entry in rest[len(in_order) :]:
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
        left = [f"{name}: {'*' if value is None else value}{'' if must else ' (maybe)'}" for name, value, must in wanted]
        right = [f"{name}: {value}" for name, value in got]
        delta = [line for line in difflib.ndiff(left, right) if not line.startswith("?")]
        out.append("headers (- predicted, + observed):\n      " + "\n      ".join(delta))
    sent = len(seen.body) > 0
    if predicted.get("body") in ("dropped", "none") and sent:
        out.append(f"body: predicted {predicted['body']}, observed {len(seen.body)} bytes")
    announced = body_of(tuple((n, v) for n, v in request.get("headers", ())))
    framed = seen.protocol in CGI_LIKE or any(n.lower() in ("content-length", "transfer-encoding") for n, _ in seen.headers)
    if predicted.get("body") == "sent" and announced and framed and not sent:
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


def _response_headers(predicted: Sequence[Json], observed: Pairs) -> list[str]:
    """Each watched name's lines in their order; the order of names among each other is the server's own business."""
    names: dict[str, None] = {}
    for name in [*(header["name"] for header in predicted), *(name for name, _ in observed)]:
        if is_watched(name):
            names[name.lower()] = None
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
