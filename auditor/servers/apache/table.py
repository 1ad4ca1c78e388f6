"""httpd's tables (apr_table_t): ordered, names looked up without case, several lines of one name kept.

Request headers, response headers and the environment of a request are such tables. Here each line remembers what
decided it, and a table remembers which line took a name away.
"""

from collections.abc import Iterable, Iterator
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

    __slots__ = ("_entries", "_names", "gone")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: list[Entry] = list(entries)
        # Every name that has stood here, in lower case: most of what is looked up never has.
        self._names = {entry[0].lower() for entry in self._entries}
        self.gone: dict[str, tuple[Because, ...]] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries[:])  # lines may be set meanwhile

    def __len__(self) -> int:
        return len(self._entries)

    def copy(self) -> "Table":
        table = Table()
        table._entries = self._entries[:]
        table._names = self._names.copy()
        table.gone = dict(self.gone)
        return table

    def replace(self, entries: Iterable[Entry]) -> None:
        """These lines take the place of all that there were."""
        self._entries = list(entries)
        self._names = {entry[0].lower() for entry in self._entries}

    def extend(self, entries: Iterable[Entry]) -> None:
        """These lines more, whatever there is."""
        self.replace([*self._entries, *entries])

    def entry(self, name: str) -> Entry | None:
        """The first line of that name."""
        low = name.lower()
        if low in self._names:
            for entry in self._entries:
                if entry[0].lower() == low:
                    return entry
        return None

    def get(self, name: str) -> Value | None:
        """The value of the first line of that name (apr_table_get)."""
        entry = self.entry(name)
        return entry[1] if entry is not None else None

    def all(self, name: str) -> list[Entry]:
        """All lines of that name."""
        low = name.lower()
        return [entry for entry in self._entries if entry[0].lower() == low] if low in self._names else []

    def set(self, name: str, value: Value, because: tuple[Because, ...] = ()) -> None:
        """The first line of that name gets the value (and keeps its spelling), the others go; a new one stands last
        (apr_table_setn)."""
        low = name.lower()
        found = [at for at, entry in enumerate(self._entries) if entry[0].lower() == low] if low in self._names else ()
        if not found:
            self._entries.append(Entry(name, value, because))
            self._names.add(low)
            return
        self._entries[found[0]] = Entry(self._entries[found[0]].name, value, because)
        for at in reversed(found[1:]):
            del self._entries[at]

    def add(self, name: str, value: Value, because: tuple[Because, ...] = ()) -> None:
        """One line more, whatever there is (apr_table_addn)."""
        self._entries.append(Entry(name, value, because))
        self._names.add(name.lower())

    def merge(self, name: str, value: Value, because: tuple[Because, ...] = ()) -> None:
        """Appended to the first line of that name behind ", ", or a new line (apr_table_mergen)."""
        low = name.lower()
        for at, entry in enumerate(self._entries):
            if entry.name.lower() == low:
                joined = Value((*entry.value.segments, Segment(CONFIG, ", "), *value.segments))
                self._entries[at] = Entry(entry.name, joined, entry.because + because)
                return
        self.add(name, value, because)

    def unset(self, name: str, because: tuple[Because, ...] = ()) -> bool:
        """All lines of that name go; whether there was one."""
        low = name.lower()
        if low not in self._names:
            return False
        kept = [entry for entry in self._entries if entry.name.lower() != low]
        found = len(kept) != len(self._entries)
        if found:
            self.gone[low] = because
            self._entries = kept
            self._names.discard(low)
        return found


def joined(entries: Iterable[Entry]) -> Value:
    """The values of several lines as one, as httpd merges repeated request headers."""
    return join((entry.value for entry in entries), ", ")
