"""A received request as JSON (`origin/1`) and as a small page; and the answer of an origin that was told none."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any

from probes.log import Answer, Received

SCHEMA = "origin/1"

_STYLE = (
    "body{font:14px sans-serif;margin:2em}"
    "pre{background:#f4f4f4;padding:.8em;white-space:pre-wrap;word-break:break-all}"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def as_json(received: Received) -> dict[str, Any]:
    """The request as an object of the control interface."""
    tls = {"version": received.tls, "server_name": received.server_name or None} if received.tls else None
    return {
        "sequence": received.sequence,
        "listener": received.origin,
        "address": received.address,
        "peer": received.peer,
        "protocol": received.protocol,
        "request_line": received.line,
        "method": received.method,
        "target": received.target,
        "headers": [list(pair) for pair in received.headers],
        "body_size": received.size,
        "body_complete": not received.body_missing,
        "tls": tls,
        "fault": received.fault,
    }


def as_text(received: Received) -> str:
    """The same JSON for people: one field and one header line to a line."""
    fields = []
    for name, value in as_json(received).items():
        text = json.dumps(value)
        if name == "headers" and value:
            text = "[\n" + ",\n".join(f"    {json.dumps(pair)}" for pair in value) + "\n  ]"
        fields.append(f"  {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


def page(title: str, requests: Iterable[Received], refresh: int = 0) -> str:
    """An HTML page of requests, without scripts; `refresh` is after how many seconds a browser asks again."""
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    parts = [_part(received) for received in requests]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>{again}'
        f"<style>{_STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n{''.join(parts)}</body></html>\n"
    )


def _part(received: Received) -> str:
    if received.raw and received.protocol not in ("fastcgi", "uwsgi", "scgi"):
        head = received.raw.decode("latin-1").replace("\r\n", "\n").strip("\n")
    else:
        head = "\n".join(f"{name}: {value}" for name, value in received.headers)
    # What a terminal or a browser would not show is shown as Python writes it.
    head = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", head)
    about = [received.protocol, received.fault, f"from {received.peer}", f"at {received.origin} {received.address}"]
    about += [received.tls, received.server_name]
    if received.size or received.body_missing:
        about.append(f"body: {received.size} bytes{', incomplete' if received.body_missing else ''}")
    text = ", ".join(part for part in about if part)
    return f"<h2>{received.sequence}</h2><p>{html.escape(text)}</p><pre>{html.escape(head)}</pre>\n"


def answer(received: Received) -> Answer:
    """The request itself: as a page for a browser, else as JSON; a WebSocket gets its messages back."""
    accepted = [value for name, value in received.headers if name.lower() in ("accept", "http_accept")]
    if any("text/html" in value.lower() for value in accepted):
        kind, text = "text/html; charset=utf-8", page("What reached the origin", [received])
    else:
        kind, text = "application/json", as_text(received)
    headers = (("Content-Type", kind), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
    return Answer(200, headers, text.encode(), websocket=True)
