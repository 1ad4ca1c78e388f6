"""Lists the rules with their default severity."""

from __future__ import annotations

import argparse
import json

from auditor import rules


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    table = [(name, rules.load(name).SEVERITY, rules.summary(name)) for name in rules.NAMES]
    if args.format == "json":
        print(
            json.dumps(
                [{"rule": name, "severity": severity, "summary": text} for name, severity, text in table], indent=2
            )
        )
        return 0
    width = max(len(name) for name, _, _ in table)
    for name, severity, text in table:
        print(f"{name:<{width}}  {severity:<7}  {text}")
    print("\n`audit explain RULE` tells more.")
    return 0
