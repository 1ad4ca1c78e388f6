"""Prints the table of routes and watched headers: forwarded, changed, replaced, added, stripped, or depends."""

from __future__ import annotations

import argparse
import sys

from auditor.cli.inputs import add_input_options, open_site, settings_of
from auditor.settings import WATCHED_HEADERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", metavar="CONFIG", help="the configuration's main file, a folder, or - for standard input"
    )
    parser.add_argument(
        "--header",
        dest="headers",
        action="append",
        metavar="NAME",
        help=f"a header to watch, repeatable; if none is set or given: {', '.join(WATCHED_HEADERS)}",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    add_input_options(parser)


def run(args: argparse.Namespace) -> int:
    from auditor.reports.routes_text import routes_json, routes_text, table
    from auditor.reports.terminal import Terminal

    settings = settings_of(args, [args.config])
    headers = tuple(args.headers or settings.watched)
    rows = table(open_site(args, args.config, settings), headers)
    if args.format == "json":
        print(routes_json(rows, headers))
        return 0
    print(routes_text(rows, headers, Terminal.of(sys.stdout, args.color)), end="")
    return 0
