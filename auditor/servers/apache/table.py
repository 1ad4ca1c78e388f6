"""httpd's tables (apr_table_t): ordered, names looked up without case, several lines of one name kept.

Request headers, response headers and the environment of a request are such tables. Here each line remembers what
decided it, and a table remembers which line took a name away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from auditor.trace import Because
from auditor.values import CONFIG, Segment, Value, join


class Entry(NamedTuple):
    """A line of a table."""

    name: str
    value: Value
    because: tuple[Because, ...] = ()


class Table:
    """Lines in order. `gone` tells, by the name in lower case, what took a name away that had been there."""

    __slots__ = ("entries", "gone")

    def __init__(self, entries: tuple[Entry, ...] | list[Entry] = ()) -> None:
        self.entries: list[Entry] = list(entries)
        self.gone: dict[str, tuple[Because, ...]] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries[:])  # lines may be set meanwhile

    def __len__(self) -> int:
        return len(self.entries)

    def copy(self) -> Table:
        table = Table(self.entries)
        table.gone = dict(self.gone)
        return table

    def entry(self, name: str) -> Entry | None:
        """The first line of that name."""
        size, low = len(name), name.lower()
        for entry in self.entries:
            if len(entry.name) == size and entry.name.lower() == low:
                return entry
        return None

    def get(self, name: str) -> Value | None:
        """The value of the first line of that name (apr_table_get)."""
        entry = self.entry(name)
        return entry.value if entry is not None else None

    def all(self, name: str) -> list[Entry]:
        """All lines of that name."""
        low = name.lower()
        return [entry for entry in self.entries if entry.name.lower() == low]

    def set(self, name: str, value: Value, because: tuple[Because, ...] = ()) -> None:
        """The first line of that name gets the value (and keeps its spelling), the others go; a new one stands last
        (apr_table_setn)."""
        size, low = len(name), name.lower()
        found = [at for at, entry in enumerate(self.entries) if len(entry[0]) == size and entry[0].lower() == low]
        if not found:
            self.entries.append(Entry(name, value, because))
            return
        self.entries[found[0]] = Entry(self.entries[found[0]].name, value, because)
        for at in reversed(found[1:]):
            del self.entries[at]

    def add(self, name: str, value: Value, because: tuple[Because, ...] = ()) -> None:
        """One line more, whatever there is (apr_table_addn)."""
        self.entries.append(Entry(name, value, because))

    def merge(self, name: str, value: Value, because: tuple[Because, ...] = ()) -> None:
        """Appended to the first line of that name behind ", ", or a new line (apr_table_mergen)."""
        low = name.lower()
        for at, entry in enumerate(self.entries):
            if entry.name.lower() == low:
                joined = Value((*entry.value.segments, Segment(CONFIG, ", "), *value.segments))
                self.entries[at] = Entry(entry.name, joined, entry.because + because)
                return
        self.add(name, value, because)

    def unset(self, name: str, because: tuple[Because, ...] = ()) -> bool:
        """All lines of that name go; whether there was one."""
        low = name.lower()
        kept = [entry for entry in self.entries if entry.name.lower() != low]
        found = len(kept) != len(self.entries)
        if found:
            self.gone[low] = because
            self.entries = kept
        return found


def joined(entries: list[Entry]) -> Value:
    """The values of several lines as one, as httpd merges repeated request headers."""
    return join((entry.value for entry in entries), ", ")
