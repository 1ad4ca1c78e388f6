"""What holds for the repository as a whole."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.packaging.readme import ROOT

# Of the text at https://www.apache.org/licenses/LICENSE-2.0.txt
APACHE = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
NOT_OURS = {".git", "build", "dist", "__pycache__"}
# Places of the machine that this runs on, and indexes of packages, which are the user's own choice.
PLACES = [str(ROOT), *([sys.prefix] if sys.prefix != sys.base_prefix else [])]
MACHINE = re.compile(
    "|".join(rf"(?<![\w.$}}]){re.escape(place)}(?![\w-])" for place in PLACES) + r"|//[\w.-]+/simple\b"
)


def texts() -> Iterator[Path]:
    for folder, folders, files in os.walk(ROOT):
        hidden = {name for name in folders if name.startswith(".") and name != ".ci"}
        folders[:] = sorted(set(folders) - NOT_OURS - hidden - {name for name in folders if name.endswith(".egg-info")})
        yield from (Path(folder, name) for name in sorted(files))


def test_licence() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE


def test_no_file_names_a_place_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_the_search_finds_such_a_place() -> None:
    assert MACHINE.search(f"see {ROOT}/notes")
    assert MACHINE.search("https://index.example" + "/simple/crossplane")
    assert not MACHINE.search(f"root /srv{ROOT}/www;")


def test_ci_script() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    steps = re.findall(r"make -s (\w+)", script.read_text())
    assert steps == ["setup", "lint", "differential", "differential", "test"]
