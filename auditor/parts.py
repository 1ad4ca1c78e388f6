"""What a part of a configuration says that other parts of it share, in words of every kind of server."""

from __future__ import annotations

import re
from typing import NamedTuple


class Facts(NamedTuple):
    """`hosts` are the names and ports of its virtual hosts, "" for one without a name. `shared` says that it has none:
    what it says is meant for those of other files. `defines` and `uses` are names of blocks, variables and the like
    that one file may define for another. `once` is what the server refuses to be told a second time."""

    hosts: frozenset[tuple[str, str]] = frozenset()
    shared: bool = False
    defines: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    once: frozenset[str] = frozenset()


_NAME = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*\.?\Z")
_ANY = frozenset(("", "_", "localhost", "default", "server", "hostname", "localhost.localdomain"))


def tells(name: str) -> bool:
    """Whether it is the name of one certain site: no pattern, no variable, no address, and none that every machine
    has."""
    return name not in _ANY and _NAME.match(name) is not None and not name.replace(".", "").isdigit()
