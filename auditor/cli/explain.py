"""Explains a rule: what it does, why that is bad, examples, where it was measured."""

from __future__ import annotations

import argparse

from auditor import rules
from auditor.cli.main import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rule", metavar="RULE")


def run(args: argparse.Namespace) -> int:
    name = args.rule.strip().lower()
    if name not in rules.NAMES:
        from difflib import get_close_matches

        close = get_close_matches(name, rules.NAMES, 1)
        hint = f"did you mean {close[0]}?" if close else "`audit rules` lists them"
        raise UsageError(f"no rule is called {args.rule!r}; {hint}")
    rule = rules.load(name)
    print(f"# {name} ({rule.SEVERITY})\n\n{rules.documentation(name)}")
    return 0
