"""File names: patterns as glob(3) has them, folders walked in a fixed order, names between the two readings.

A configuration is a latin-1 reading of bytes, and so are the paths in it; Python has a reading of its own for the names
of this machine's files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

SKIPPED_FOLDERS = (".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".tox", "site-packages")


def repository(folder: str) -> str | None:
    """The nearest folder upwards that is the top of a working copy, or None."""
    while True:
        if os.path.exists(os.path.join(folder, ".git")):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def name_in_repository(name: str) -> str:
    """The name of a file as the repository that this process works in has it, from its top; the name itself for what
    lies outside, outside of any repository, and for standard input."""
    here = os.getcwd()
    top = _repository_of(here)
    if top is None or name == "-":
        return name
    inside = os.path.relpath(os.path.join(here, name), top)
    return name if inside == ".." or inside.startswith("../") else inside


_repository_of = lru_cache(maxsize=8)(repository)


def has_magic(path: str) -> bool:
    """Whether nginx takes the path of an include for a pattern."""
    return any(char in path for char in "*?[")


def to_config(path: str) -> str:
    """A path as this machine's Python has it, in the reading of the configuration."""
    return path if path.isascii() else os.fsencode(path).decode("latin-1")


def to_local(path: str) -> str:
    """A path as the configuration has it, in the reading of this machine's Python."""
    return path if path.isascii() else os.fsdecode(path.encode("latin-1", "replace"))


_CLASS = r"\[([!^]?+)(\]?+[^\]]*)\]"


def glob_pattern(parts: Sequence[str]) -> re.Pattern[str]:
    """Components of a glob(3) pattern as a regular expression."""
    try:
        return re.compile("/".join(_part_pattern(part) for part in parts) + r"\Z", re.DOTALL)
    except re.error:  # a range the wrong way round matches nothing
        return re.compile(r"(?!)")


def _part_pattern(part: str) -> str:
    out = [] if part.startswith(".") else [r"(?!\.)"]
    at = 0
    while at < len(part):
        char = part[at]
        bracket = re.compile(_CLASS).match(part, at) if char == "[" else None
        if char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif bracket:
            inside = re.sub(r"([\\\[\]^&~|])", r"\\\1", bracket[2])
            out.append(f"[{'^/' if bracket[1] else ''}{inside}]")
            at = bracket.end() - 1
        elif char == "\\" and at + 1 < len(part):
            at += 1
            out.append(re.escape(part[at]))
        else:
            out.append(re.escape(char))
        at += 1
    return "".join(out)


def glob_matches(folder: str, parts: Sequence[str]) -> Iterator[str]:
    """What lies below the folder and matches, as the configuration would write it."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    matcher = glob_pattern(parts[:1])
    for name in names:
        if matcher.match(to_config(name)):
            if len(parts) == 1:
                yield to_config(name)
            else:
                for rest in glob_matches(os.path.join(folder, name), parts[1:]):
                    yield f"{to_config(name)}/{rest}"


def below(base: str, patterns: Sequence[str], path: str) -> bool:
    """Whether one of the patterns covers that path: it matches it, or a folder in which it lies. Patterns are relative
    to the folder `base`; `**` stands for any number of folders."""
    inside = to_config(os.path.relpath(os.path.abspath(path), base or os.getcwd()))
    return any(_covering(pattern).match(inside) for pattern in patterns)


_INSIDE = r"(?!\.\.(?:/|\Z))"


@lru_cache(maxsize=256)
def _covering(pattern: str) -> re.Pattern[str]:
    parts = [part for part in to_config(pattern).split("/") if part not in ("", ".")]
    while parts and parts[-1] == "**":
        parts.pop()
    out = "".join("(?:[^/]+/)*" if part == "**" else _part_pattern(part) + "/" for part in parts)
    try:
        return re.compile(_INSIDE + (out.removesuffix("/") + r"(?:/.*)?\Z" if parts else ""), re.DOTALL)
    except re.error:
        return re.compile(r"(?!)")


def walk_tree(folder: str, skip: Callable[[str], bool] = lambda path: False) -> Iterator[str]:
    """The files below a folder in a fixed order, those of version control and of packages left out, and files and
    folders that `skip` names."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if skip(entry.path):
            continue
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in SKIPPED_FOLDERS:
                yield from walk_tree(entry.path, skip)
        else:
            yield entry.path
