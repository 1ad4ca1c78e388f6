"""What `pip install` brings: the wheel holds the two packages, the licence and the command, and little is required."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from email import message_from_bytes
from email.message import Message
from importlib.metadata import version
from zipfile import ZipFile

import pytest

from tests.packaging.readme import ROOT

PACKAGES = ("auditor", "probes")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The wheel, built from a copy so that the checkout stays clean, and without a package index."""
    if int(version("setuptools").partition(".")[0]) < 77:
        reason = "setuptools is too old to build the wheel: install the extra dev"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ZipFile(next((folder / "dist").glob("header_auditor-*.whl")))


def metadata(wheel: ZipFile, name: str) -> bytes:
    return wheel.read(next(path for path in wheel.namelist() if path.endswith(f".dist-info/{name}")))


def test_every_module_and_nothing_else(wheel: ZipFile) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert {f"{package}/py.typed" for package in PACKAGES} <= expected
    assert {path for path in wheel.namelist() if ".dist-info/" not in path} == expected


def test_the_command_and_the_licence(wheel: ZipFile) -> None:
    assert b"audit = auditor.cli.main:run" in metadata(wheel, "entry_points.txt")
    assert metadata(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_little_is_required(wheel: ZipFile) -> None:
    about: Message = message_from_bytes(metadata(wheel, "METADATA"))
    assert about["Name"] == "header-auditor"
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11"
    required = [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(re.split(r"[<>=!~ ]", line)[0] for line in required) == ["crossplane", "pcre2"]
    assert {"probe", "dev"} <= set(about.get_all("Provides-Extra", []))
