"""The README's examples: each `$ audit ...` line in a console block, followed by what it prints.

`python -m tests.packaging.readme` writes what is printed now into the README; look at the difference before keeping it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
_BLOCK = re.compile(r"^```console\n\$ (audit [^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str]]:
    """Command lines of the README with the output that stands below them."""
    return [(match[1], match[2]) for match in _BLOCK.finditer(README.read_text(encoding="utf-8"))]


def printed(command: str) -> str:
    """What a command line of the README prints, run in the repository's root. Raises AssertionError where it fails."""
    words = [sys.executable, "-m", "auditor", *shlex.split(command)[1:]]
    # The width and the colours of the terminal that this runs in must not show.
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
    assert done.returncode in (0, 1), done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


def main() -> None:
    text = README.read_text(encoding="utf-8")
    text = _BLOCK.sub(lambda match: f"```console\n$ {match[1]}\n{printed(match[1])}```", text)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
