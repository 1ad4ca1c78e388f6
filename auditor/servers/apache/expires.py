"""mod_expires: Expires, and max-age in Cache-Control, for good answers that have no Expires yet (mod_expires.c:
expires_filter). It comes before Header lines."""

import re
from typing import NamedTuple

from auditor.servers.apache.config import Directive, Layers
from auditor.servers.apache.run import Run, decides
from auditor.values import CONFIG, SERVER, Segment, Value, literal, unknown

_UNITS = {"y": 31536000, "mo": 2592000, "w": 604800, "d": 86400, "h": 3600, "mi": 60, "s": 1}


class Span(NamedTuple):
    """How long an answer is fresh, in seconds from the request (else from the file's last change)."""

    from_request: bool
    seconds: int
    line: Directive


class _Spans(NamedTuple):
    types: dict[str, Span]
    default: Span | None


def apply(run: Run, status: int | None, kind: str | None) -> None:
    """Adds the two header lines to those of the answer. `kind` is its media type, None where that is not known."""
    if not run.config.modules.has("expires") or not run.layers.on("expiresactive"):
        return
    if any(one is not None and one >= 400 for one in (status, run.status)):
        return
    if run.notes.get("expires told") or run.errors_out.get("Expires") or run.headers_out.get("Expires"):
        return
    spans: _Spans = run.layers.memo("expires", _spans)
    found = _possible(spans, kind)
    if any(one is not None and not one.from_request for one in found) and run.found not in ("file", "directory"):
        # Without a file there is no time of its last change.
        found = [one if one is not None and one.from_request else None for one in found]
    first = next((one for one in found if one is not None), None)
    if first is None:
        return
    if None in found or status is None:  # of an answer that is not known, nobody knows whether it is a good one
        age = unknown(SERVER)
    elif first.from_request and all(one is not None and one[:2] == first[:2] for one in found):
        age = literal(f"max-age={max(first.seconds, 0)}")
    else:
        age = Value((Segment(CONFIG, "max-age="), Segment(SERVER, None)))
    run.headers_out.merge("Cache-Control", age, decides(first.line))
    run.headers_out.set("Expires", unknown(SERVER), decides(first.line))


def _possible(spans: _Spans, kind: str | None) -> list[Span | None]:
    """The spans that may count: one where the media type is known. mime.types is not read, so of most files it is
    not."""
    if kind is None:
        return [*spans.types.values(), spans.default]
    low = kind.partition(";")[0].strip().lower()
    return [spans.types.get(low) or spans.types.get(f"{low.partition('/')[0]}/*") or spans.default]


def _spans(layers: Layers) -> _Spans:
    types: dict[str, Span] = {}
    default: Span | None = None
    for line in layers.all("expiresbytype", "expiresdefault"):
        span = _span(line, line.args[-1]) if line.args else None
        if span is None:
            continue
        if line.key == "expiresdefault":
            default = span
        elif len(line.args) > 1:
            types[line.args[0].lower()] = span
    return _Spans(types, default)


def _span(line: Directive, code: str) -> Span | None:
    """`A2592000`, or `access plus 1 month 2 days` (check_code); None for what httpd refuses."""
    short = re.fullmatch(r"([AM])(-?\d+)", code)
    if short is not None:
        return Span(short[1] == "A", int(short[2]), line)
    words = code.lower().split()
    if not words or words[0][:1] not in ("a", "n", "m"):
        return None
    rest = words[2:] if words[1:2] and words[1].startswith("p") else words[1:]
    seconds = 0
    for number, unit in zip(rest[::2], rest[1::2], strict=False):
        factor = next((factor for name, factor in _UNITS.items() if unit.startswith(name)), None)
        if factor is None or not number.isdigit():
            return None
        seconds += int(number) * factor
    return Span(words[0][:1] != "m", seconds, line)
