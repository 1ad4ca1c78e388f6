"""Options that say what is read, shared by the commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from auditor.check import Options, load_sites
from auditor.cli.main import UsageError
from auditor.server import Site
from auditor.settings import DEFAULT, Settings, find
from auditor.source import InputError

KINDS = ("nginx", "apache")


def add_input_options(parser: argparse.ArgumentParser, config: bool = True) -> None:
    """--kind, --root, --nginx-version, --known-only, --stdin-filename, --settings, --no-settings; where `config` has no
    other meaning, the latter two are called --config and --no-config, too."""
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
    group = parser.add_argument_group("settings").add_mutually_exclusive_group()
    group.add_argument(
        *(("--settings", "--config") if config else ("--settings",)),
        dest="settings_file",
        metavar="FILE",
        help="if not given, the nearest audit.toml, or pyproject.toml with [tool.audit], upwards in the repository",
    )
    group.add_argument(
        *(("--no-settings", "--no-config") if config else ("--no-settings",)), action="store_true", help="the defaults"
    )


def settings_of(args: argparse.Namespace, paths: Sequence[str]) -> Settings:
    """What the settings file for these paths says, and over it what the command line says.

    Raises SettingsError for a settings file that cannot be followed, UsageError for such an option.
    """
    path: str | None = args.settings_file
    if path is None and not args.no_settings:
        path = find([args.stdin_filename if path == "-" else path for path in paths])
    chosen = DEFAULT
    if path is not None:
        from auditor.settings_file import load

        chosen = load(path)
    roots = _roots(args.root)
    named = {there for there, _ in roots}
    chosen = chosen._replace(roots=(*roots, *(pair for pair in chosen.roots if pair[0] not in named)))
    for option, field in (("nginx_version", "version"), ("position", "position"), ("fail_on", "fail_on")):
        if getattr(args, option, None) is not None:
            chosen = chosen._replace(**{field: getattr(args, option)})
    version = chosen.version
    if version not in (None, "auto") and not all(part.isascii() and part.isdigit() for part in version.split(".")):
        raise UsageError(f"--nginx-version {version}: write it as 1.25.3")
    return chosen


def _roots(texts: Sequence[str]) -> list[tuple[str, str]]:
    roots = []
    for text in texts:
        deployed, equals, folder = text.partition("=")
        if not equals or not deployed.startswith("/") or not folder:
            raise UsageError(f"--root {text}: write it as /path/on/the/server=folder/here")
        roots.append((deployed, folder))
    return roots


def options(args: argparse.Namespace, chosen: Settings) -> Options:
    """How to read."""
    return Options(
        kind=args.kind,
        roots=chosen.roots,
        version=chosen.version,
        stdin_name=args.stdin_filename,
        known_only=args.known_only,
        exclude=chosen.exclude,
        base=chosen.base,
    )


def open_site(args: argparse.Namespace, path: str, chosen: Settings) -> Site:
    """The one configuration that `path` names.

    Raises InputError where it cannot be read, UsageError where there are several.
    """
    sites, errors, _ = load_sites([path], options(args, chosen))
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
