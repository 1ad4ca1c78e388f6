"""Runs an origin that records exactly what reaches it, to stand behind a proxy."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from probes import standalone

    parser.description = standalone.__doc__
    standalone.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from probes import standalone

    return standalone.run(args)
