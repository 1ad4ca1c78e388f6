"""Values that remember where they come from.

A header's value is a row of segments. Where the text is known it is kept beside its source, because rules on
spoofing, leaks and overwritten headers judge the source, not the text.
"""

# Annotations are not postponed here: each of a named tuple would be compiled from its text again at every start.

from collections.abc import Iterable
from typing import NamedTuple

CONFIG = "config"  # written in the configuration
SERVER = "server"  # the server's own knowledge: its address, its name, a counter
CLIENT = "client"  # the request line: method, target, protocol
ADDRESS = "address"  # the client's address, which the client cannot choose at will
USER = "user"  # an identity that a gate of this server has checked
UNKNOWN = "unknown"  # Lua, geo data, whatever cannot be computed from the text


def client_header(name: str) -> str:
    """Source: the client's header `name`, as it came."""
    return f"client:{name}"


def answer_header(role: str, name: str) -> str:
    """Source: header `name` of what the upstream of an exchange of this role answered."""
    return f"answer:{role}:{name}"


class Segment(NamedTuple):
    """A piece of a value. `text` is None where it cannot be known."""

    source: str
    text: str | None


class Value(NamedTuple):
    """A row of segments; no segment at all is the empty string."""

    segments: tuple[Segment, ...] = ()

    @property
    def text(self) -> str | None:
        """The whole text, or None where a part of it is not knowable."""
        segments = self.segments
        if len(segments) == 1:  # as nearly all are
            return segments[0][1]
        parts = []
        for _, text in segments:
            if text is None:
                return None
            parts.append(text)
        return "".join(parts)

    @property
    def present(self) -> str:
        """Whether there is any text: "yes", "no" or "maybe"."""
        maybe = False
        for segment in self.segments:
            if segment.text or (segment.text is None and segment.source == ADDRESS):  # every client has an address
                return "yes"
            maybe = maybe or segment.text is None
        return "maybe" if maybe else "no"

    @property
    def sources(self) -> tuple[str, ...]:
        """Where its non-empty parts come from, each once, in order."""
        seen: dict[str, None] = {}
        for segment in self.segments:
            if segment.text != "":
                seen[segment.source] = None
        return tuple(seen)


EMPTY = Value()


def literal(text: str, source: str = CONFIG) -> Value:
    """The value with this text and one source."""
    return Value((Segment(source, text),)) if text else EMPTY


def unknown(source: str = UNKNOWN) -> Value:
    """A value that cannot be known, from this source."""
    return Value((Segment(source, None),))


def join(values: Iterable[Value], separator: str = "") -> Value:
    """The values one after another, with `separator` (from the configuration) between them."""
    out: list[Segment] = []
    for value in values:
        if separator and out:
            out.append(Segment(CONFIG, separator))
        out.extend(value.segments)
    return Value(tuple(out))
