"""What a user file holds: its entries, and which lines no server, or not this server, can use as they were meant.

Strings are latin-1 readings of bytes. No hash leaves this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from auditor.passwords import APACHE, NGINX, apache_lines, apache_rows, judge_hash, scheme_of

SERVERS = (NGINX, APACHE)


class Entry(NamedTuple):
    """A line of the file that is about a user. `verdict` is good, weak (a hash quickly found by trying), plain (a
    password in the clear), unusable, twice (a user who has a line before), or locked (by `!` or `*`, on purpose).
    """

    line: int
    user: str
    scheme: str
    verdict: str

    @property
    def usable(self) -> bool:
        """Whether somebody can log in with it."""
        return self.verdict in ("good", "weak", "plain")


def entries(text: str, server: str = NGINX) -> list[Entry]:
    """The entries as that server reads them, in order."""
    found: list[Entry] = []
    users: set[str] = set()
    for line, user, stored in _read(text, server):
        if not stored:
            verdict, scheme = "unusable", "none"
        elif stored[:1] in ("!", "*"):
            verdict, scheme = "locked", "none"
        else:
            verdict, scheme = judge_hash(stored, server), scheme_of(stored)
            if (not user and server == NGINX) or user != user.strip(" \t\xef\xbb\xbf"):
                verdict = "unusable"
            elif user in users and verdict != "unusable":
                verdict = "twice"
        users.add(user)
        found.append(Entry(line, user, scheme, verdict))
    return found


def _read(text: str, server: str) -> Iterator[tuple[int, str, str | None]]:
    if server == APACHE:
        yield from apache_lines(text)
        return
    for number, raw in enumerate(text.split("\n"), 1):
        row = raw.removesuffix("\r")
        if not row or row[0] in "#\r":
            continue
        user, colon, rest = row.partition(":")
        yield number, user, rest.partition(":")[0] if colon else None


def groups_of(text: str, user: str) -> frozenset[str]:
    """The groups that name the user, in an AuthGroupFile: `group: user user ...` (groups_for_user() of
    mod_authz_groupfile)."""
    found = set()
    for _, line in apache_rows(text):
        group, _, members = line.partition(":")
        if user in members.split():
            found.add(group)
    return frozenset(found)
