"""What `audit check` does with --fix and --diff."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from auditor.check import Report, check
from auditor.cli.inputs import options
from auditor.cli.main import UNREADABLE, UsageError
from auditor.findings import Finding
from auditor.fixes import STDIN, Fixed, diff, find_changes, write
from auditor.reports.masked import masked
from auditor.settings import Settings
from auditor.source import InputError


def fix(args: argparse.Namespace, paths: Sequence[str], settings: Settings, ways: bool) -> tuple[Report, bool]:
    """Writes what the fixes change, and says so on standard error. The report is on what is left; the second value says
    whether a file could not be written."""
    if STDIN in paths:
        raise UsageError("--fix cannot write to standard input; --diff shows what it would change")
    found = find_changes(paths, options(args, settings), settings, args.unsafe_fixes, ways)
    failed: set[str] = set()
    for change in found.changes:
        try:
            write(change)
        except InputError as error:
            print(f"audit: {error}", file=sys.stderr)
            failed.add(change.name)
    done = [finding for finding in found.fixed if failed.isdisjoint(_files(finding))]
    print(f"audit: fixed {_tally(done)}", file=sys.stderr)
    _tell_rest(found)
    report = check(paths, options(args, settings), settings, ways) if failed else found.report
    return report, bool(failed)


def show_diff(args: argparse.Namespace, paths: Sequence[str], settings: Settings) -> int:
    """Prints what --fix would change, and writes nothing. 1 where there is something, 3 where an input could not be
    read, else 0."""
    found = find_changes(paths, options(args, settings), settings, args.unsafe_fixes)
    text = "".join(diff(change) for change in found.changes)
    if sys.stdout.isatty():
        from auditor.reports.terminal import printable
        from auditor.source import readable

        print("\n".join(printable(readable(line)) for line in text.split("\n")), end="")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("latin-1"))
        sys.stdout.buffer.flush()
    for error in masked(found.report).errors:
        print(f"audit: {error}", file=sys.stderr)
    print(f"audit: would fix {_tally(found.fixed)}", file=sys.stderr)
    _tell_rest(found)
    if found.report.errors:
        return UNREADABLE
    return int(bool(found.changes) and not args.exit_zero)


def _files(finding: Finding) -> set[str]:
    return {edit.source.name for edit in finding.fix.edits} if finding.fix is not None else set()


def _tally(findings: Sequence[Finding]) -> str:
    """`3 findings in 2 files (2 ineffective-directive, 1 missing-challenge)`."""
    if not findings:
        return "nothing"
    rules = Counter(finding.rule for finding in findings)
    files = len({name for finding in findings for name in _files(finding)})
    named = ", ".join(f"{number} {rule}" for rule, number in sorted(rules.items()))
    return (
        f"{len(findings)} finding{'s' if len(findings) > 1 else ''} in {files} file{'s' if files > 1 else ''} ({named})"
    )


def _tell_rest(found: Fixed) -> None:
    """What is left undone, and why."""
    if found.taken_back:
        fixes = "1 fix is" if found.taken_back == 1 else f"{found.taken_back} fixes are"
        print(f"audit: {fixes} not made: another warning would take the finding's place", file=sys.stderr)
    for name in found.outside:
        print(f"audit: {name} has something to fix, too, but was not named", file=sys.stderr)
