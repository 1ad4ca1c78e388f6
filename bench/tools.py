"""The programs that are measured, each in an environment of its own below `.bench/`, as a user would install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv

FOLDER = ".bench"
# audit is compared with the analyser of nginx configurations that is best known.
GIXY = "gixy-ng>=0.2.59"
PARSE = "import sys, crossplane; crossplane.parse(sys.argv[1], check_ctx=False, check_args=False, strict=False)"


def audit() -> str:
    """The folder of programs with `audit`, installed from this checkout as it is now, compiled and not editable."""
    return _installed("audit", ["--force-reinstall", "--no-deps", "."], ["."])


def gixy() -> str:
    """The folder of programs with `gixy`, installed once."""
    return _installed("gixy", None, [GIXY])


def _installed(name: str, again: list[str] | None, first: list[str]) -> str:
    folder = os.path.abspath(os.path.join(FOLDER, name))
    programs = os.path.join(folder, "bin")
    made = os.path.exists(os.path.join(programs, name))
    if made and again is None:
        return programs
    if not made:
        venv.create(folder, with_pip=True, clear=True)
    install = [os.path.join(programs, "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, *(again if made and again else first)], check=True, stdout=sys.stderr)
    # The build of this checkout leaves its modules here, and the next build would pack those that are gone by then.
    shutil.rmtree("build", ignore_errors=True)
    return programs
