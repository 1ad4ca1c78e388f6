"""Fixes applied: rounds of edits and audits until nothing is left to fix, and the files written at the end.

While it works, what a file is to say is read in its place (auditor.source.stand_ins), so nothing is written before
everything is known. A fix that brings a new warning or error, or that does not make its finding go away, is taken back.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import stat
import sys
import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from auditor.check import Options, Report, check
from auditor.findings import INFO, Edit, Finding
from auditor.globs import below
from auditor.secrets import mask
from auditor.settings import Settings
from auditor.source import MAX_BYTES, InputError, SourceFile, source_of, stand_ins

ROUNDS = 30  # a fix can make the next one possible; two or three are what there is
STDIN = "-"

Key = tuple[str, ...]


class Change(NamedTuple):
    """A file as it is and as it is to be. `name` is what reports call it, `path` its real path (STDIN: none)."""

    name: str
    path: str
    old: bytes
    new: bytes


class Fixed(NamedTuple):
    """What the fixes come to. `report` is about the files as they are to be, `fixed` the findings that are gone;
    `outside` are the files in which fixes were left undone, because nobody named them; `taken_back` is the number of
    fixes that would have done harm."""

    report: Report
    changes: tuple[Change, ...]
    fixed: tuple[Finding, ...]
    outside: tuple[str, ...]
    taken_back: int


def find_changes(
    paths: Sequence[str], options: Options, chosen: Settings, unsafe: bool = False, ways: bool = False
) -> Fixed:
    """What the fixes of the findings change; writes nothing. `unsafe` takes the unsafe ones, too.

    Only files that `paths` name, or that lie in a folder that they name, are changed. Findings that comments silence,
    that the baseline holds, or whose rule is off, are none to fix. Raises SettingsError as auditor.check does.
    """
    drafts = _Drafts(paths, options, unsafe)
    try:
        report = check(paths, options, chosen, ways, texts=True)
        fixed: list[Finding] = []
        for _ in range(ROUNDS):
            step = _step(drafts, report, lambda: check(paths, options, chosen, ways, texts=True))
            if step is None:
                break
            report, done = step
            fixed += done
        left = [each._replace(fix=None) if _attempt(each) in drafts.barred else each for each in report.findings]
        report = report._replace(findings=tuple(left))
        return Fixed(report, drafts.changes(), tuple(fixed), tuple(drafts.outside), len(drafts.barred))
    finally:
        stand_ins.clear()


def _step(drafts: _Drafts, report: Report, again: Callable[[], Report]) -> tuple[Report, list[Finding]] | None:
    """One round: as many fixes as do not get into each other's way, fewer where one of them makes it worse. None where
    no fix is left."""
    while batch := drafts.choose(report):
        before = dict(stand_ins)
        while True:
            drafts.apply(batch)
            after = again()
            if not _is_worse(report, after, batch):
                return after, batch
            stand_ins.clear()
            stand_ins.update(before)
            if len(batch) == 1:
                drafts.barred.add(_attempt(batch[0]))
                break
            batch = batch[: len(batch) // 2]
    return None


def _is_worse(before: Report, after: Report, batch: Sequence[Finding]) -> bool:
    """Whether there is an error, or a finding worth more than an info, that was not there; or a fix did not help."""
    if len(after.errors) > len(before.errors):
        return True
    had, has = (Counter(_kind(each) for each in report.findings if each.severity != INFO) for report in (before, after))
    if has - had:
        return True
    # By number: what a line says, by which a finding could be known again, may be what the fix has changed.
    left = Counter(_kind(each) for each in after.findings)
    left.update(_kind(each) for each in batch)
    number = Counter(_kind(each) for each in before.findings)
    return any(left[kind] > number[kind] for kind in {_kind(each) for each in batch})


def _kind(finding: Finding) -> Key:
    return finding.rule, finding.place.file


def _attempt(finding: Finding) -> Key:
    """What was tried, by what stays the same while lines move; the same finding may have another fix later."""
    named = finding.rule, finding.place.file, finding.place.text, finding.server, finding.pattern
    return *named, *(edit.text for edit in (finding.fix.edits if finding.fix else ()))


class _Drafts:
    """The files as they are to be: auditor.source.stand_ins holds those that differ from what lies on the disk."""

    def __init__(self, paths: Sequence[str], options: Options, unsafe: bool) -> None:
        self.barred: set[Key] = set()  # fixes that were taken back
        self.outside: dict[str, None] = {}
        self._options = options
        self._unsafe = unsafe
        self._old: dict[str, bytes] = {}
        self._names: dict[str, str] = {}
        self._named = [os.path.realpath(path) for path in paths if path != STDIN]
        if STDIN in paths:
            self._old[STDIN] = stand_ins[STDIN] = sys.stdin.buffer.read(MAX_BYTES + 1)

    def changes(self) -> tuple[Change, ...]:
        """What differs, in the order of the names."""
        found = [
            Change(self._names[path], path, self._old[path], new)
            for path, new in stand_ins.items()
            if new != self._old[path]
        ]
        return tuple(sorted(found))

    def choose(self, report: Report) -> list[Finding]:
        """The findings to fix next: of two that change the same text, the first."""
        taken: dict[str, list[Edit]] = {}
        chosen = []
        for finding in report.new:
            fix = finding.fix
            if fix is None or not (fix.safe or self._unsafe) or _attempt(finding) in self.barred:
                continue
            edits = [(self._path_of(edit.source), edit) for edit in fix.edits]
            wanted = [(path, edit) for path, edit in edits if path is not None]
            if len(wanted) < len(edits):
                continue
            if any(_overlap(edit, other) for path, edit in wanted for other in taken.get(path, ())):
                continue
            for path, edit in wanted:
                taken.setdefault(path, []).append(edit)
            chosen.append(finding)
        return chosen

    def apply(self, findings: Sequence[Finding]) -> None:
        """Makes the edits of their fixes. Raises InputError where a file is not what was audited."""
        edits: dict[str, list[Edit]] = {}
        for finding in findings:
            for edit in finding.fix.edits if finding.fix is not None else ():
                edits.setdefault(self._path_of(edit.source) or "", []).append(edit)
        for path, some in edits.items():
            source = some[0].source
            if path not in self._old:
                self._old[path] = _read(path, source.name)
            data = stand_ins.get(path, self._old[path])
            if source_of(data, source.name).text != source.text:
                raise InputError(source.name, 0, "has changed while it was audited: nothing is written")
            self._names.setdefault(path, source.name)
            stand_ins[path] = edited(data, some)

    def _path_of(self, source: SourceFile) -> str | None:
        """The real path of a file that may be changed, STDIN for standard input, None for all others."""
        if STDIN in self._old and source.name == self._options.stdin_name:
            same = source.text == source_of(stand_ins[STDIN], STDIN).text  # no part of a dump that is called so
            return STDIN if same else None
        if source.path is None:
            return None
        if self._options.exclude and below(self._options.base, self._options.exclude, source.path):
            return None
        real = os.path.realpath(source.path)
        if not os.path.isfile(real):  # a pipe of the shell's
            return None
        if any(real == named or real.startswith(named.rstrip("/") + "/") for named in self._named):
            return real
        self.outside[source.name] = None
        return None


def _overlap(one: Edit, other: Edit) -> bool:
    """Whether two edits of a file change the same text; an insertion has the places before and behind it to itself."""
    if one.start == one.end or other.start == other.end:
        return one.start <= other.end and other.start <= one.end
    return one.start < other.end and other.start < one.end


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The bytes of a file with these edits, which do not overlap: every other byte stays, byte order mark and line ends
    too; new lines end as their neighbours do."""
    mark = 3 if data.startswith(codecs.BOM_UTF8) else 0
    # Where the edits' text lacks a carriage return: offsets there of the line feeds behind one.
    feeds = [found.start() - mark - number for number, found in enumerate(re.finditer(b"\r\n", data))]
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = edit.source.text
        feed = text.find("\n", edit.start)
        if feed == -1:
            feed = text.rfind("\n")
        at = bisect_left(feeds, feed)
        new = edit.text.replace("\n", "\r\n") if feeds[at : at + 1] == [feed] else edit.text
        start, end = (mark + offset + bisect_left(feeds, offset) for offset in (edit.start, edit.end))
        data = data[:start] + new.encode("latin-1") + data[end:]
    return data


def write(change: Change) -> None:
    """Puts the new text in the file's place in one step, with its mode and owner.

    Raises InputError where the file cannot be written, is read-only, or is not what it was.
    """
    path, temporary = change.path, ""
    try:
        status = os.stat(path)
        if not status.st_mode & 0o222 or not os.access(path, os.W_OK):
            raise InputError(change.name, 0, "is read-only: not fixed")
        if _read(path, change.name) != change.old:
            raise InputError(change.name, 0, "has changed since it was read: not fixed")
        try:
            handle, temporary = tempfile.mkstemp(prefix=".audit-", dir=os.path.dirname(path))
            with os.fdopen(handle, "wb") as file:
                file.write(change.new)
                made = os.fstat(handle)
                if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
                    os.fchown(handle, status.st_uid, status.st_gid)
                os.fchmod(handle, stat.S_IMODE(status.st_mode))
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(change.name, 0, f"{error.strerror}: not fixed") from error


def _read(path: str, name: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(name, 0, error.strerror or str(error)) from error


def diff(change: Change) -> str:
    """The change as a unified diff, in the latin-1 reading of its bytes. Credentials are masked: a diff that holds one
    is for reading only."""
    from difflib import unified_diff

    old, new = (_lines(data) for data in (change.old, change.new))
    name = change.name.encode("utf-8", "surrogateescape").decode("latin-1")
    out = []
    for line in unified_diff(old, new, name, name):
        out.append(mask(line) if line.endswith("\n") else f"{mask(line)}\n\\ No newline at end of file\n")
    return "".join(out)


def _lines(data: bytes) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", data.decode("latin-1"))
