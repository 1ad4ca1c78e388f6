"""The walls of the house: who may import whom, and what the static side must not touch."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# From the top down: a module may import what stands further down, or in its own layer.
LAYERS = (
    ("auditor.cli", "auditor.__main__"),
    (
        "auditor.check",
        "auditor.fixable",
        "auditor.fixes",
        "auditor.reports",
        "auditor.discover",
        "auditor.belonging",
        "auditor.kinds",
        "auditor.ways",
        "auditor.settings_file",
        "auditor.together",
        "auditor.workers",
    ),
    ("auditor.rules", "auditor.suppressions", "auditor.baseline"),
    ("auditor.servers",),
    (
        "auditor.files",
        "auditor.file_world",
        "auditor.mounts",
        "auditor.parts",
        "auditor.surroundings",
        "auditor.excerpts",
        "auditor.findings",
        "auditor.settings",
        "auditor.asked",
        "auditor.behind",
        "auditor.server",
        "auditor.predictor",
        "auditor.behind",
        "auditor.trace",
        "auditor.world",
        "auditor.templates",
        "auditor.passwords",
        "auditor.samples",
        "auditor.user_file",
        "auditor.globs",
    ),
    (
        "auditor.values",
        "auditor.source",
        "auditor.http",
        "auditor.regex",
        "auditor.patterns",
        "auditor.schemes",
        "auditor.secrets",
    ),
)
# The commands that hand over to the live side, lazily: importing them brings nothing of it along.
LIVE = ("auditor.cli.probe", "auditor.cli.origin")
# What opens sockets, starts processes, or is slow to import.
FORBIDDEN = (
    "socket",
    "subprocess",
    "multiprocessing",
    "asyncio",
    "urllib.request",
    "http.client",
    "ssl",
    "aiohttp",
    "docker",
)


def modules() -> Iterator[tuple[str, str]]:
    """Each module of the static side with its path."""
    for folder, _, names in os.walk(os.path.join(ROOT, "auditor")):
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                dotted = os.path.relpath(path, ROOT)[:-3].replace(os.sep, ".").removesuffix(".__init__")
                yield dotted, path


def imports(path: str, types: bool = False) -> Iterator[str]:
    """The modules that a file imports, also inside functions; those for type checking only where asked for."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not types:
            skipped.update(id(inner) for inner in ast.walk(node))
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(module: str) -> int | None:
    for number, names in enumerate(LAYERS):
        if any(module == name or module.startswith(name + ".") for name in names):
            return number
    return None


ALL = list(modules())


@pytest.mark.parametrize(("module", "path"), ALL, ids=[module for module, _ in ALL])
def test_imports_run_downwards(module: str, path: str) -> None:
    own = layer(module)
    if own is None:
        assert module in ("auditor",), f"{module} stands in no layer"
        return
    for name in imports(path):
        other = layer(name)
        if other is not None:
            assert other >= own, f"{module} imports {name}, which stands above it"


@pytest.mark.parametrize(("module", "path"), ALL, ids=[module for module, _ in ALL])
def test_the_static_side_opens_nothing(module: str, path: str) -> None:
    for name in imports(path):
        assert not any(name == word or name.startswith(word + ".") for word in FORBIDDEN), f"{module} imports {name}"
        assert not name.startswith("probes") or module.startswith(LIVE), f"{module} imports {name}"


# What starts a process or puts another program in this one's place. Only copies of ourselves, which answer to nobody
# else, are made, and only in one place.
STARTS = ("fork", "forkpty", "system", "popen", "startfile", "posix_spawn", "posix_spawnp")


@pytest.mark.parametrize(("module", "path"), ALL, ids=[module for module, _ in ALL])
def test_the_static_side_starts_nothing_but_its_own_workers(module: str, path: str) -> None:
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    named = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("os", "posix")
    ]
    named += [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "posix", "pty")
        for alias in node.names
    ]
    started = {name for name in named if name in STARTS or name.startswith(("spawn", "exec"))}
    assert started == ({"fork"} if module == "auditor.workers" else set())


def test_the_commands_of_the_live_side_import_it_when_they_run() -> None:
    for module, path in ALL:
        if module.startswith(LIVE):
            with open(path, encoding="utf-8") as file:
                names = [node.module or "" for node in ast.parse(file.read()).body if isinstance(node, ast.ImportFrom)]
            assert [name for name in names if name.startswith("probes")] == [], module


def test_rules_and_reports_know_no_server_kind() -> None:
    for module, path in ALL:
        if module.startswith(("auditor.rules", "auditor.reports", "auditor.suppressions", "auditor.findings")):
            for name in imports(path, types=True):
                assert not name.startswith("auditor.servers"), f"{module} imports {name}"


def test_server_kinds_do_not_know_each_other() -> None:
    for module, path in ALL:
        words = module.split(".")
        if words[:2] == ["auditor", "servers"] and len(words) > 2:
            for name in imports(path, types=True):
                other = name.split(".")
                if other[:2] == ["auditor", "servers"] and len(other) > 2:
                    assert other[2] == words[2], f"{module} imports {name}"
