"""Which heavy packages the static commands import; the answer should be none."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping

from bench import generate

HEAVY = ("aiohttp", "docker", "rich", "jinja2", "yaml")

# Runs a command in the same process and prints what it imported, on a stream of its own.
_SPY = """
import sys
from auditor.cli.main import main
status = main(sys.argv[1:])
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
sys.exit(status if status in (2, 3, 4) else 0)
"""

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "audit": ("@CONFIG@",),
    "audit --format json": ("--format", "json", "@CONFIG@"),
    "audit trace": ("trace", "@CONFIG@", "http://site.example:8080/api/", "-H", "Authorization: Bearer x"),
    "audit routes": ("routes", "@CONFIG@"),
    "audit rules": ("rules",),
    "audit explain": ("explain", "open-gate"),
    "audit --help": ("--help",),
    "audit --version": ("--version",),
}


def modules(python: str, arguments: tuple[str, ...], config: str) -> set[str]:
    """The top-level packages that a command has imported when it is done. Raises CalledProcessError where it fails."""
    command = [python, "-c", _SPY, *(config if word == "@CONFIG@" else word for word in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return set(done.stderr.splitlines()[-1].split())


def heavy(python: str) -> dict[str, list[str]]:
    """The heavy packages that each static command imports, by command."""
    with tempfile.TemporaryDirectory() as folder:
        config = generate.write(folder, generate.SMALL_LINES)
        return {name: sorted(modules(python, arguments, config) & set(HEAVY)) for name, arguments in COMMANDS.items()}
