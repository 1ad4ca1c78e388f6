"""Options that say what is read, shared by the commands."""

from __future__ import annotations

import argparse
import sys

from auditor.check import Options, load_sites
from auditor.cli.main import UsageError
from auditor.server import Site
from auditor.source import InputError

KINDS = ("nginx",)


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """--kind, --root, --nginx-version, --known-only, --stdin-filename."""
    group = parser.add_argument_group("input")
    group.add_argument("--kind", choices=KINDS, help="the kind of server, where name and content do not tell it")
    group.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="PATH=FOLDER",
        help="a path of the deployed machine lies in this folder here (repeatable), as in /etc/nginx=./conf",
    )
    group.add_argument(
        "--nginx-version",
        metavar="VERSION",
        help="the version of nginx, as in 1.25.3, or auto: the tag of the image in the tree's Dockerfile or Compose "
        "file; if not given, what holds in the oldest or the newest known one is reported",
    )
    group.add_argument(
        "--known-only", action="store_true", help="pass over named files that do not look like a configuration"
    )
    group.add_argument("--stdin-filename", default="-", metavar="NAME", help="what reports call standard input")


def options(args: argparse.Namespace) -> Options:
    """How to read, from the command line. Raises UsageError where an option cannot be understood."""
    version = args.nginx_version
    if version not in (None, "auto") and not all(part.isascii() and part.isdigit() for part in version.split(".")):
        raise UsageError(f"--nginx-version {version}: write it as 1.25.3")
    roots = []
    for text in args.root:
        deployed, equals, folder = text.partition("=")
        if not equals or not deployed.startswith("/") or not folder:
            raise UsageError(f"--root {text}: write it as /path/on/the/server=folder/here")
        roots.append((deployed, folder))
    return Options(args.kind, tuple(roots), version, args.stdin_filename, args.known_only)


def open_site(args: argparse.Namespace, path: str) -> Site:
    """The one configuration that `path` names.

    Raises InputError where it cannot be read, UsageError where there are several.
    """
    sites, errors, _ = load_sites([path], options(args))
    for error in errors[:-1]:
        print(f"audit: {error}", file=sys.stderr)
    if errors:
        raise errors[-1]
    if not sites:
        raise InputError(path, 0, "no configuration found here")
    if len(sites) > 1:
        names = ", ".join(site.files[0].name for site in sites if site.files)
        raise UsageError(f"{path} holds several configurations ({names}): name one")
    return sites[0]
