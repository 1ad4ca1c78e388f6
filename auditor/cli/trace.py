"""Says of one request, or of each in a file: who answers it, what reaches the origin, what comes back, and why."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from auditor.asked import read_line
from auditor.cli.inputs import add_input_options, open_site, settings_of
from auditor.cli.main import UsageError
from auditor.reports.trace_json import error_json, trace_json
from auditor.server import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", metavar="CONFIG", help="the configuration's main file, a folder, or - for standard input"
    )
    parser.add_argument("url", metavar="URL", nargs="?", help="as in http://a.example:8080/raw/target?query")
    parser.add_argument("-X", "--request", dest="method", metavar="METHOD", help="GET if not given")
    parser.add_argument(
        "-H", "--header", dest="headers", action="append", default=[], metavar="LINE", help="'Name: value'"
    )
    parser.add_argument("--http-version", metavar="VERSION", help="1.1 if not given")
    parser.add_argument("--client-ip", metavar="IP", help="the client's address; open if not given")
    parser.add_argument(
        "--upstream-status", type=int, metavar="CODE", help="what every upstream answers; open if not given"
    )
    parser.add_argument("--requests", metavar="FILE", help="requests as JSON Lines; - is standard input")
    parser.add_argument("--format", choices=("text", "json"), help="text; json for --requests")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    add_input_options(parser)


def run(args: argparse.Namespace) -> int:
    if (args.url is None) == (args.requests is None):
        raise UsageError("trace: give either a URL or --requests FILE")
    if args.requests == "-" and args.config == "-":
        raise UsageError("trace: the configuration and the requests cannot both come from standard input")
    if args.requests is not None:
        return _run_requests(args)
    line = _line(args)
    site = open_site(args, args.config, settings_of(args, [args.config]))
    if args.format == "json":
        print(json.dumps(trace_line(site, line)))
    try:
        request, world = read_line(line)
    except ValueError as error:
        raise UsageError(f"trace: {error}") from error
    if args.format == "json":
        return 0
    from auditor.reports.terminal import Terminal
    from auditor.reports.trace_text import trace_text

    terminal = Terminal.of(sys.stdout, args.color)
    print(trace_text(request, site.trace(request, world), site.notes, terminal), end="")
    return 0


def trace_line(site: Site, line: Any) -> dict[str, Any]:
    """The `trace/1` object for one object of a requests file; with "error" in it where that cannot be read."""
    try:
        request, world = read_line(line)
    except ValueError as error:
        return error_json(str(error))
    return trace_json(line, site.trace(request, world))


def _run_requests(args: argparse.Namespace) -> int:
    for option in ("method", "headers", "http_version", "client_ip", "upstream_status"):
        if getattr(args, option):
            raise UsageError("trace: with --requests, all is said in the file")
    if args.format == "text":
        raise UsageError("trace: --requests answers in JSON Lines only")
    site = open_site(args, args.config, settings_of(args, [args.config]))
    if args.requests == "-":
        _answer(site, sys.stdin.buffer)
        return 0
    try:
        with open(args.requests, "rb") as file:
            lines = file.readlines()
    except OSError as error:
        raise UsageError(f"trace: {args.requests}: {error.strerror}") from error
    _answer(site, lines)
    return 0


def _answer(site: Site, lines: Iterable[bytes]) -> None:
    for line in _requests(lines):
        answer = error_json(line) if isinstance(line, str) else trace_line(site, line)
        sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _requests(lines: Iterable[bytes]) -> Iterator[Any]:
    """The objects of a requests file, a sentence in the place of what is none. Empty lines are skipped."""
    for raw in lines:
        if not raw.strip():
            continue
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError) as error:
            yield f"not JSON: {error}"
            continue
        yield "not a JSON object" if isinstance(value, str) else value


def _line(args: argparse.Namespace) -> dict[str, Any]:
    """The command line as an object of a requests file."""
    line: dict[str, Any] = {"method": _octets(args.method or "GET"), "url": _octets(args.url), "headers": []}
    for text in args.headers:
        name, colon, value = text.partition(":")
        if not colon or not name:
            raise UsageError(f"trace: -H {text!r}: write it as 'Name: value'")
        line["headers"].append([_octets(name), _octets(value.strip(" \t"))])
    if args.http_version:
        line["http_version"] = args.http_version
    if args.client_ip:
        line["client_ip"] = args.client_ip
    if args.upstream_status is not None:
        line["upstream_response"] = {"status": args.upstream_status, "headers": []}
    return line


def _octets(text: str) -> str:
    """An argument as the latin-1 reading of the bytes that the shell gave."""
    return os.fsencode(text).decode("latin-1")
