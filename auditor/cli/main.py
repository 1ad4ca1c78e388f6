"""The command `audit`: picks the subcommand, and turns what goes wrong into exit statuses.

0 nothing at or above the threshold, 1 findings, 2 usage or bad settings, 3 an input could not be read or parsed, or
a fix not written, 4 internal failure, 130 interrupted.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from auditor.settings import SettingsError
from auditor.source import InputError

USAGE = 2
UNREADABLE = 3
INTERNAL = 4
INTERRUPTED = 130

# Each is a module of auditor.cli with add_arguments(parser) and run(args) -> exit status, imported when asked for.
COMMANDS = {
    "check": "audit configurations (what `audit PATH...` does)",
    "trace": "what happens to one request: who answers, what reaches the origin, what comes back, and why",
    "routes": "the table of routes and watched headers",
    "probe": "ask a real server the same requests: the configuration in a sandbox, or a proxy that is running",
    "htpasswd": "what a user file holds, and whether a password is right",
    "rules": "list the rules",
    "explain": "explain a rule",
    "init": "write a settings file, audit.toml, with every key explained",
    "origin": "run an origin that records exactly what reaches it",
}


class UsageError(Exception):
    """The command line cannot be followed; the message says why."""


def run() -> NoReturn:
    """The command as the shell starts it. The process ends at once: to take apart all that was made for one answer
    costs a tenth of the time, and every file that was written is closed by then."""
    _open_streams()
    status = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        pass  # the reader has gone
    os._exit(status)


def _open_streams() -> None:
    """A standard stream that the shell has closed (`>&-`) goes nowhere, so that what is opened next does not take its
    number and get what is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            while (opened := os.open(os.devnull, os.O_RDWR)) < number:
                pass
            setattr(sys, name, os.fdopen(opened, "r" if number == 0 else "w", encoding="utf-8"))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # One run makes much and drops little of it before its end: looking for garbage often took a third of the time.
    gc.set_threshold(100_000, 50, 100)
    try:
        return _run(arguments)
    except (UsageError, SettingsError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return USAGE
    except InputError as error:
        print(f"audit: {error}", file=sys.stderr)
        return UNREADABLE
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except RecursionError:
        print("audit: a configuration is nested too deeply", file=sys.stderr)
        return UNREADABLE
    except Exception:
        import traceback

        traceback.print_exc()
        print("audit: this is a fault of audit itself, not of your configuration", file=sys.stderr)
        return INTERNAL


class _Formatter(argparse.HelpFormatter):
    """argparse would ask shutil for the terminal's width, and with it load every compression library."""

    def __init__(self, prog: str) -> None:
        try:
            width = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
        except (OSError, ValueError):
            width = 80
        super().__init__(prog, width=max(width, 40) - 2)


def _run(arguments: list[str]) -> int:
    if arguments[:1] in (["-h"], ["--help"]):
        print(_help())
        return 0
    if arguments[:1] == ["--version"]:
        print(f"audit {_version()}")
        return 0
    if arguments and arguments[0] in COMMANDS:
        name, arguments, prog = arguments[0], arguments[1:], f"audit {arguments[0]}"
    else:
        name, prog = "check", "audit"
    command = import_module(f"auditor.cli.{name}")
    parser = argparse.ArgumentParser(
        prog=prog, description=command.__doc__, allow_abbrev=False, formatter_class=_Formatter
    )
    parser.formatter_class = _Help
    command.add_arguments(parser)
    try:
        args = parser.parse_args(arguments)
    except SystemExit as end:  # argparse ends the process by itself after --help and on bad usage
        return end.code if isinstance(end.code, int) else USAGE
    status: int = command.run(args)
    sys.stdout.flush()
    return status


class _Help(argparse.RawDescriptionHelpFormatter):
    """Told its width: argparse makes a formatter for each option, and finding the width out costs 2 ms."""

    def __init__(self, prog: str) -> None:
        columns = os.environ.get("COLUMNS", "")
        super().__init__(prog, width=int(columns) - 2 if columns.isdigit() and int(columns) > 20 else 98)


def _help() -> str:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: audit [PATH...]            audits files and folders, '-' for standard input, else this folder",
            "       audit COMMAND --help       the options of a command",
            "",
            "commands:",
            *lines,
            "",
            "exit status: 0 nothing at or above the threshold, 1 findings, 2 usage, 3 unreadable input,",
            "             4 internal failure",
        ]
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # costs 10 ms, which only --version pays

    try:
        return version("header-auditor")
    except PackageNotFoundError:
        return "(not installed)"
