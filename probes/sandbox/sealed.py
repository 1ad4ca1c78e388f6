"""What sealing a configuration gives, whichever server it is for."""

from __future__ import annotations

from typing import NamedTuple

from auditor.source import Place, SourceFile


class Taken(NamedTuple):
    """A line of the configuration that the sandbox does without, and why."""

    place: Place
    why: str


class Sealed(NamedTuple):
    """What the server is started with.

    `main` is the text of the main file, `files` the others by their names in the sandbox, `sources` which file of the
    user's each of them is. `taken` lists what was taken out; `changed` those of its lines without which the prediction
    has to be made, too. `addresses` are all that the server may connect to.
    """

    main: str
    files: dict[str, str]
    sources: dict[str, SourceFile]
    taken: tuple[Taken, ...]
    changed: frozenset[Place]
    addresses: frozenset[str]
