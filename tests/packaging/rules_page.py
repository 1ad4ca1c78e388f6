"""docs/rules.md: every rule's documentation on one page, made of the rules' docstrings.

`python -m tests.packaging.rules_page` writes it; a test fails where page and code differ.
"""

from __future__ import annotations

import re
from pathlib import Path

from auditor import rules

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"
HEAD = """\
# The rules

What each rule reports, why, and on which servers and versions that was measured. `audit explain RULE` prints the same;
severities can be set in [audit.toml](../README.md#settings), and a comment
`# audit: ignore[RULE] the reason` silences one line or block. What a *safe* fix and
an *unsafe* one are stands in the README, [Fixes](../README.md#fixes); not every finding of such a rule can be fixed.

"""


def page() -> str:
    """The page's text."""
    rows = ["| rule | severity | fix | what it is | measured on |", "|---|---|---|---|---|"]
    parts = []
    for name in rules.NAMES:
        text = rules.documentation(name)
        severity = rules.load(name).SEVERITY
        measured = " ".join(text.split("## Measured on", 1)[1].split("\n## ", 1)[0].split())
        fix = rules.fix_of(name)
        rows.append(f"| [{name}](#{name}) | {severity} | {fix} | {rules.summary(name)} | {measured} |")
        said = f"*{severity}*, with a {fix} fix. " if fix else f"*{severity}*. "
        parts.append(f"## {name}\n\n{said}" + re.sub(r"(?m)^## ", "### ", text))
    return HEAD + "\n".join(rows) + "\n\n" + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
