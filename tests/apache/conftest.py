"""Fixtures for tests that need a real httpd."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests import live
from tests.apache import lab


@pytest.fixture(scope="session")
def httpd() -> lab.Httpd:
    """The real httpd of this machine."""
    if not os.path.exists("/proc/self/environ"):
        live.unavailable("the scripts of these tests read their environment in /proc")
    found = lab.find()
    if found is None:
        live.unavailable("no httpd with loadable modules found: install apache2")
    return found


@pytest.fixture(scope="session")
def fpm() -> Iterator[Callable[[], str]]:
    """Gives the address of a real php-fpm, one for all the tests of one process."""
    made: list[lab.Fpm] = []

    def address() -> str:
        if not made:
            path = lab.find_fpm()
            if path is None:
                live.unavailable("no php-fpm found: install php-fpm")
            made.append(lab.Fpm(path))
        return made[0].address

    yield address
    for entry in made:
        entry.close()
