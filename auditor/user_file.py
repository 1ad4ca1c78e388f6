"""What a user file holds: its entries, and which lines a server cannot use as they were meant.

Strings are latin-1 readings of bytes. No hash and no password leaves this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from auditor.passwords import APACHE, NGINX, apache_lines, apache_rows, judge_hash, scheme_of

SERVERS = (NGINX, APACHE)


class Entry(NamedTuple):
    """A line of the file that is no comment. `user` is "" where the line has no name, or where what stands in its place
    may be a secret.

    `verdict` is good, weak (a hash quickly found by trying), plain (a password in the clear), locked (by `!` or `*`, on
    purpose), unusable (a scheme that the server cannot check, blanks around name or hash), twice (a user with a line
    before), nameless (whoever gives no name gets in), or no-colon.
    """

    line: int
    user: str
    scheme: str
    verdict: str

    @property
    def doubtful(self) -> bool:
        """Whether somebody should look at it."""
        return self.verdict not in ("good", "weak", "locked")

    @property
    def usable(self) -> bool:
        """Whether somebody can log in with it."""
        return self.verdict in ("good", "weak", "plain", "nameless")


def entries(text: str, server: str = NGINX) -> list[Entry]:
    """The entries as that server reads them, in order."""
    found: list[Entry] = []
    users: set[str] = set()
    for line, user, stored in _read(text, server):
        verdict = _judge(user, stored, server)
        if user in users and verdict in ("good", "weak", "plain", "nameless"):
            verdict = "twice"
        users.add(user)
        shown = "" if stored is None or user[:1] in ("$", "{") else user
        found.append(Entry(line, shown, scheme_of(stored or ""), verdict))
    return found


def _judge(user: str, stored: str | None, server: str) -> str:
    if stored is None:
        return "no-colon"
    if stored[:1] in ("!", "*"):
        return "locked"
    if user != user.strip(" \t\xef\xbb\xbf") or (not user and server == NGINX):
        return "unusable"
    verdict = judge_hash(stored, server)
    return "nameless" if not user and verdict != "unusable" else verdict


def _read(text: str, server: str) -> Iterator[tuple[int, str, str | None]]:
    if server == APACHE:
        yield from apache_lines(text)
        return
    for number, raw in enumerate(text.split("\n"), 1):
        row = raw.removesuffix("\r")
        if row and row[0] not in "#\r":
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
