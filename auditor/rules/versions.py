"""Findings that hold in some versions of the server only: they say so, and count for less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from auditor.findings import Finding, lower
from auditor.server import Version

Key = tuple[object, str]


def only_in(
    newest: Sequence[Finding],
    oldest: Sequence[Finding],
    versions: Sequence[Version],
    ask: Callable[[Version], Iterable[Finding]],
) -> list[Finding]:
    """The findings of the newest version and those of the oldest one. What only one of the two has is worth one step of
    severity less, and names the version at which it changes; `ask` tells what is found in another one."""
    new, old = {_key(finding) for finding in newest}, {_key(finding) for finding in oldest}
    if new == old:
        return list(newest)
    between = [(version, {_key(finding) for finding in ask(version)}) for version in versions[1:-1]]

    def first(key: Key, wanted: bool) -> str:
        for version, keys in between:
            if (key in keys) == wanted:
                return _written(version)
        return _written(versions[-1])

    found = []
    for finding in newest:
        key = _key(finding)
        found.append(finding if key in old else _weaker(finding, f"from version {first(key, True)} of the server on"))
    for finding in oldest:
        key = _key(finding)
        if key not in new:
            found.append(_weaker(finding, f"before version {first(key, False)} of the server"))
    return found


def _key(finding: Finding) -> Key:
    return finding.place, finding.severity


def _weaker(finding: Finding, when: str) -> Finding:
    fix = finding.fix and finding.fix._replace(safe=False)
    message = f"{finding.message} This is so only {when}."
    return finding._replace(severity=lower(finding.severity), message=message, fix=fix)


def _written(version: Version) -> str:
    return ".".join(str(number) for number in (version if len(version) > 2 else (*version, 0)))
