"""Proves it: asks a real server what it does with the same requests.

With CONFIG, that configuration runs in a sandbox on this machine; with --url, the server is one that runs already.
"""

from __future__ import annotations

import argparse

from auditor.cli import probe_config, probe_url
from auditor.cli.main import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    probe_config.add_arguments(parser)
    probe_url.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    if bool(args.config) == bool(args.urls):
        raise UsageError("probe: say what to ask: a CONFIG to run in a sandbox, or --url URL")
    return probe_url.run(args) if args.urls else probe_config.run(args)
