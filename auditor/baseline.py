"""The baseline: findings that are known, so that only new ones fail.

It is meant to be read and to be merged: JSON, sorted, each finding with its rule, its file as the repository has it,
the directive, and the routes it was found on; never with a line number. A finding is known where rule, file and
directive are the same and one of the routes is, as often as the baseline holds it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from auditor.findings import Finding
from auditor.globs import name_in_repository
from auditor.secrets import mask_sentence
from auditor.server import Note
from auditor.settings import SettingsError

SCHEMA = "baseline/1"


class Entry(NamedTuple):
    """Findings that are told apart by nothing but their lines: `times` of them. `routes` are the virtual host and route
    as the configuration writes them ("a.example location /api/")."""

    rule: str
    file: str
    directive: str
    routes: tuple[str, ...]
    times: int = 1

    @property
    def line(self) -> tuple[str, str, str]:
        """What must be the same."""
        return self.rule, self.file, self.directive


def entry_of(finding: Finding) -> Entry:
    """The entry of that finding alone."""
    routes = tuple(sorted({_utf8(mask_sentence(route)) for route in finding.where}))
    return Entry(finding.rule, _utf8(name_in_repository(finding.place.file)), _utf8(finding.place.text), routes)


def written(findings: Iterable[Finding]) -> str:
    """A baseline that holds these findings, as text."""
    counts: dict[Entry, int] = {}
    for finding in findings:
        entry = entry_of(finding)
        counts[entry] = counts.get(entry, 0) + 1
    entries = sorted((entry._replace(times=times) for entry, times in counts.items()), key=_order)
    value = {"schema": SCHEMA, "findings": [_json(entry) for entry in entries]}
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _json(entry: Entry) -> dict[str, Any]:
    return {
        "rule": entry.rule,
        "file": entry.file,
        "directive": entry.directive,
        "routes": list(entry.routes),
        "count": entry.times,
    }


def _order(entry: Entry) -> tuple[str, str, str, tuple[str, ...]]:
    return entry.file, entry.rule, entry.directive, entry.routes


def read(path: str) -> list[Entry]:
    """The entries of the baseline at that path. Raises SettingsError where it cannot be read or is none."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            value = json.load(file)
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such baseline; --write-baseline {path} makes it") from None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: is no baseline: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("findings"), list):
        raise SettingsError(f"{path}: is no baseline: it has no list of findings")
    if value.get("schema") != SCHEMA:
        raise SettingsError(f"{path}: is a baseline of another form than {SCHEMA}: write it again")
    return [_entry(path, number, item) for number, item in enumerate(value["findings"], 1)]


def _entry(path: str, number: int, item: Any) -> Entry:
    value = item if isinstance(item, dict) else {}
    rule, file, directive, routes, count = (
        value.get(name) for name in ("rule", "file", "directive", "routes", "count")
    )
    if (
        isinstance(rule, str)
        and isinstance(file, str)
        and isinstance(directive, str)
        and isinstance(routes, list)
        and all(isinstance(route, str) for route in routes)
        and type(count) is int
        and count > 0
    ):
        return Entry(rule, file, directive, tuple(routes), count)
    raise SettingsError(f"{path}: finding {number} needs rule, file, directive, routes (a list) and count (above 0)")


def apply(
    findings: Sequence[Finding], entries: Iterable[Entry], files: Collection[str], path: str
) -> tuple[list[Finding], list[Note]]:
    """The findings, those that the baseline holds marked as known, and a note on what it holds in vain in the `files`
    that were read: of others nothing can be said."""
    left: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        left.setdefault(entry.line, []).append(entry)
    marked = []
    for finding in findings:
        own = entry_of(finding)
        same = left.get(own.line, [])
        best = max(same, key=lambda entry: _likeness(entry, own), default=None)
        if best is None or not _likeness(best, own):
            marked.append(finding)
            continue
        same.remove(best)
        if best.times > 1:
            same.append(best._replace(times=best.times - 1))
        marked.append(finding._replace(known=True))
    read_files = {_utf8(name_in_repository(name)) for name in files}
    stale = sorted((entry for same in left.values() for entry in same if entry.file in read_files), key=_order)
    return marked, [_stale(entry, path) for entry in stale]


def _likeness(entry: Entry, own: Entry) -> int:
    """0 where they are not of the same finding; the more routes they share, the more alike."""
    if entry.routes == own.routes:
        return 1_000_000
    return len({*entry.routes} & {*own.routes})


def _stale(entry: Entry, path: str) -> Note:
    times = f" {entry.times} times more than it is found" if entry.times > 1 else ", which is not found any more"
    where = f" ({', '.join(entry.routes[:3])})" if entry.routes else ""
    return Note("stale", f"{path} holds {entry.rule} of {entry.file}: {entry.directive}{where}{times}")


def _utf8(text: str) -> str:
    """Text without half characters, which stand for the odd bytes in the names of files."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
