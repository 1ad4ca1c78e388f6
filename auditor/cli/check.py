"""Audits configurations: which request headers reach the origin, and which gates really guard.

PATH is a file, a folder, or - for standard input (an `nginx -T` dump is recognised). Without one,
this folder is audited.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from auditor.check import Report, WorkerDied, check
from auditor.cli.inputs import add_input_options, options, settings_of
from auditor.cli.main import INTERNAL, UNREADABLE, UsageError
from auditor.findings import INFO, SEVERITIES, WARNING
from auditor.reports.terminal import Terminal
from auditor.settings import AUTO, EDGE, INNER, Settings

FORMATS = ("text", "concise", "json", "sarif", "github")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH")
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format",
        dest="formats",
        action="append",
        choices=FORMATS,
        help="text if not given; repeatable, each with the --output of the same rank",
    )
    group.add_argument(
        "--output",
        dest="outputs",
        action="append",
        metavar="FILE",
        help="write to this file (- is standard output); repeatable",
    )
    group.add_argument(
        "--show", choices=(INFO,), help="print infos too, and notes in text (JSON and SARIF always have all)"
    )
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="NO_COLOR wins over it")
    parser.add_argument(
        "--position",
        choices=(EDGE, INNER, AUTO),
        help="whether another proxy in front has checked what clients send; auto (the default) tells it from real_ip "
        "lines and the like",
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="spread many configurations over N processes (the number of usable cores)"
    )
    group = parser.add_argument_group("baseline")
    group.add_argument("--baseline", metavar="FILE", help="only findings that this file does not hold count")
    group.add_argument("--write-baseline", metavar="FILE", help="write the findings of this run to that file")
    group.add_argument(
        "--omit-hidden",
        action="store_true",
        help="SARIF without what comments silence and the baseline holds, which GitHub would list as open",
    )
    group = parser.add_argument_group("fixes")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--fix", action="store_true", help="write the safe fixes into the files that are named, and report what is left"
    )
    either.add_argument("--diff", action="store_true", help="print what --fix would change; 1 if there is something")
    group.add_argument(
        "--unsafe-fixes", action="store_true", help="with either: also those that change what an application gets"
    )
    group = parser.add_argument_group("exit status")
    group.add_argument("--fail-on", choices=SEVERITIES, help="the least severity that gives 1 (warning)")
    group.add_argument("--exit-zero", action="store_true", help="0 even with findings; unreadable input still gives 3")
    add_input_options(parser)


def run(args: argparse.Namespace) -> int:
    formats = args.formats or ["text"]
    outputs = args.outputs or []
    if len(outputs) > len(formats):
        raise UsageError("more --output than --format")
    outputs = outputs + ["-"] * (len(formats) - len(outputs))
    if outputs.count("-") > 1:
        raise UsageError("several formats cannot all go to standard output: give --output FILE for the others")
    fixes = args.fix or args.diff
    if args.unsafe_fixes and not fixes:
        raise UsageError("--unsafe-fixes goes with --fix or --diff")
    if fixes and args.write_baseline:
        raise UsageError("--write-baseline goes with neither --fix nor --diff")
    if args.diff and (args.formats or args.outputs):
        raise UsageError("--diff prints no report, so it goes with neither --format nor --output")
    paths = args.paths or ["."]
    settings = settings_of(args, paths)
    if args.write_baseline or args.baseline is not None:
        settings = settings._replace(baseline=None if args.write_baseline else args.baseline)
    unwritten = False
    jobs = _jobs(args.jobs)
    if fixes:
        from auditor.cli.fixing import fix, show_diff

        if args.diff:
            return show_diff(args, paths, settings)
        report, unwritten = fix(args, paths, settings, "sarif" in formats)
    else:
        try:
            report = check(paths, options(args, settings), settings, "sarif" in formats, jobs)
        except WorkerDied as died:
            print(f"audit: {died}", file=sys.stderr)
            return INTERNAL
    if report.findings or report.suppressed or report.notes or report.errors:
        from auditor.reports.masked import masked

        report = masked(report)
    for error in report.errors:
        print(f"audit: {error}", file=sys.stderr)
    failed = report.fails(settings.fail_on) and not args.exit_zero and not args.write_baseline
    status = UNREADABLE if report.errors or unwritten else int(failed)
    for name, output in zip(formats, outputs, strict=True):
        _write(_renderer(name, status, settings, args.omit_hidden), report, args, output)
    if args.write_baseline:
        _write_baseline(report, args.write_baseline)
    return status


def _jobs(number: int | None) -> int:
    if number is not None and number < 1:
        raise UsageError(f"--jobs {number}: at least 1 process")
    if not hasattr(os, "fork"):  # Windows
        return 1
    if number is not None:
        return number
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write_baseline(report: Report, path: str) -> None:
    """A baseline of what could be read alone would make the rest of the findings new ones another day."""
    from auditor.baseline import written

    if report.errors:
        print(f"audit: {path} is not written: an input could not be read", file=sys.stderr)
        return
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(written(report.findings))
    except OSError as error:
        raise UsageError(f"--write-baseline {path}: {error.strerror}") from error
    print(f"audit: {path} holds what is found here today: {len(report.findings)}", file=sys.stderr)


Renderer = Callable[[Report, Terminal, str], str]


def _renderer(name: str, status: int, settings: Settings, omit_hidden: bool) -> Renderer:
    if name == "sarif":
        from auditor.reports.sarif import Run, sarif

        run = Run(status, settings.severities, omit_hidden)
        return lambda report, terminal, show: sarif(report, run)
    if name == "github":
        from auditor.reports.github import github

        return github
    if name == "json":
        from auditor.reports.findings_json import findings_json

        return lambda report, terminal, show: findings_json(report)
    if name == "concise":
        from auditor.reports.concise import concise

        return concise
    from auditor.reports.text import text

    return text


def _write(render: Renderer, report: Report, args: argparse.Namespace, output: str) -> None:
    show = args.show or WARNING
    if output == "-":
        sys.stdout.write(render(report, Terminal.of(sys.stdout, args.color), show))
        sys.stdout.flush()
        return
    try:
        with open(output, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.write(render(report, Terminal(), show))
    except OSError as error:
        raise UsageError(f"--output {output}: {error.strerror}") from error
