"""What the tests of the probes share: origins that can be told what to answer, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.gateways import FastCGI
from probes.origin import Origin
from tests.probes.commands import Place
from tests.probes.controlled import Controlled
from tests.probes.wire import nothing_left


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    """Every test here leaves nothing behind in the loop of the origins."""
    with nothing_left():
        yield


@pytest.fixture
def app() -> Iterator[Origin]:
    """An HTTP/1 origin."""
    with Origin("A") as one:
        yield one
        assert one.log.state[1] == 0, "a request is still said to be arriving"


@pytest.fixture
def origin() -> Iterator[Controlled]:
    controlled = Controlled(Origin, "http")
    yield controlled
    controlled.close()


@pytest.fixture
def fastcgi() -> Iterator[Controlled]:
    controlled = Controlled(FastCGI, "fastcgi")
    yield controlled
    controlled.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy and no password of the machine gets into a test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "AUDIT_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def place() -> Iterator[Place]:
    """A folder for commands that are run as users run them."""
    made = Place()
    yield made
    made.close()
