"""Colour, safe printing, and source lines with carets under them."""

from __future__ import annotations

import os
import re
from typing import IO

from auditor.http import Request
from auditor.secrets import mask
from auditor.source import Place, readable

_STYLES = {
    "error": "1;31",
    "warning": "1;33",
    "info": "1;36",
    "bold": "1",
    "frame": "34",
    "good": "32",
    "bad": "31",
    "faint": "2",
    "plain": "",
}

TAB = "    "
# What a terminal would obey instead of showing: C0 without tab, DEL, C1, and marks that turn the reading direction.
_CONTROL = "[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"


def printable(text: str) -> str:
    """The text with control characters written as escapes, so that a configuration cannot drive the terminal."""
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_CONTROL, lambda match: f"\\x{ord(match.group()):02x}", text)


class Terminal:
    """Whether colours are wanted."""

    __slots__ = ("colour",)

    def __init__(self, colour: bool = False) -> None:
        self.colour = colour

    @classmethod
    def of(cls, stream: IO[str], choice: str = "auto") -> Terminal:
        """For that stream and --color choice; NO_COLOR in the environment, if not empty, wins over all of them."""
        if os.environ.get("NO_COLOR") or choice == "never":
            return cls(False)
        return cls(choice == "always" or (stream.isatty() and os.environ.get("TERM") != "dumb"))

    def paint(self, text: str, style: str) -> str:
        """The text in that style, if colours are wanted."""
        code = _STYLES[style]
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code else text

    def excerpt(self, place: Place, margin: int, label: str, style: str, mark: str = "^") -> list[str]:
        """A place's first line, with marks below it and a label behind them; `margin` is the line number's width."""
        line = _raw(place)
        start = place.column - 1
        end_line, end_column = place.end
        end = end_column - 1 if end_line == place.line else len(line.rstrip())
        before, marked = _shown(line[:start]), _shown(line[start:end])
        whole = _shown(line.rstrip())
        width = max(1, len(marked.rstrip()))
        gutter = self.paint(f"{place.line:>{margin}} |", "frame")
        empty = self.paint(f"{'':>{margin}} |", "frame")
        under = self.paint((mark * width + " " + label).rstrip(), style)
        return [f"{gutter} {whole}", f"{empty} {' ' * len(before)}{under}"]


def _raw(place: Place) -> str:
    text = place.source.text
    begin = place.source.start_of(place.line)
    end = text.find("\n", begin)
    return text[begin : len(text) if end == -1 else end]


def _shown(raw: str) -> str:
    return printable(mask(readable(raw)).replace("\t", TAB))


def margin_of(places: list[Place]) -> int:
    """The width of the widest line number."""
    return max((len(str(place.line)) for place in places), default=1)


def curl(request: Request) -> str:
    """A curl command line that sends this request."""
    words = ["curl", "-i"]
    if request.method == "HEAD":
        words[1] = "-I"
    elif request.method != "GET":
        words += ["-X", _quote(request.method)]
    if request.http_version == "1.0":
        words.append("-0")
    path = request.path
    if "/./" in path or "/../" in path or path.endswith(("/.", "/..")):
        words.append("--path-as-is")  # curl would take the dot segments away
    default = 443 if request.tls else 80
    authority = request.host if request.port == default else f"{request.host}:{request.port}"
    for name, value in request.headers:
        if name.lower() == "host" and value in (authority, request.host):
            continue
        words += ["-H", _quote(f"{name}: {value}" if value else f"{name};")]
    words.append(_quote(request.url))
    return " ".join(words)


def _quote(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_./:=,@%+-]+", text):
        return text
    return "'" + printable(readable(text)).replace("'", "'\\''") + "'"
