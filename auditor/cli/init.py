"""Writes an audit.toml with every key, its default, and what it is for."""

from __future__ import annotations

import argparse
import sys

from auditor.cli.main import UsageError
from auditor.settings import FILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", default=FILE, help=f"{FILE} if not given")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of that file, for editors")


def run(args: argparse.Namespace) -> int:
    from auditor.settings_file import schema, template

    if args.schema:
        sys.stdout.write(schema())
        return 0
    try:
        with open(args.file, "w" if args.force else "x", encoding="utf-8", newline="\n") as file:
            file.write(template())
    except FileExistsError:
        raise UsageError(f"{args.file} is there already; --force writes over it") from None
    except OSError as error:
        raise UsageError(f"{args.file}: {error.strerror}") from error
    print(f"audit: {args.file} is written", file=sys.stderr)
    return 0
