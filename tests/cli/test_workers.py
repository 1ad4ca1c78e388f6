"""Work that is spread over processes."""

from __future__ import annotations

import os
from typing import NamedTuple

import pytest

from auditor.check import WorkerDied
from auditor.workers import LOT, SMALL, spread


class Thing(NamedTuple):
    name: str
    size: int


THINGS = [Thing(f"t{number}", SMALL) for number in range(7)]


def test_results_in_order_made_elsewhere() -> None:
    found = spread(lambda thing: (thing.name, os.getpid()), THINGS, 3)
    assert [name for name, _ in found] == [thing.name for thing in THINGS]
    pids = {pid for _, pid in found}
    assert os.getpid() not in pids and 1 <= len(pids) <= 3


def test_large_results() -> None:
    found = spread(lambda thing: thing.name * 1_000_000, THINGS, 2)
    assert found == [thing.name * 1_000_000 for thing in THINGS]


def test_a_small_one_is_done_here_first() -> None:
    things = [*THINGS, Thing("small", 1)]
    assert spread(lambda thing: os.getpid(), things, 2)[-1] == os.getpid()


LARGE = [Thing(f"t{number}", LOT) for number in range(7)]


def test_a_process_ends_with_its_lot() -> None:
    assert len(set(spread(lambda thing: os.getpid(), LARGE, 2))) == 7


def test_the_old_ones_go_on_where_no_fresh_one_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    fork, made = os.fork, []

    def twice() -> int:
        made.append(1)
        if len(made) > 2:
            raise BlockingIOError
        return fork()

    monkeypatch.setattr(os, "fork", twice)
    found = spread(lambda thing: (thing.name, os.getpid()), LARGE, 2)
    assert [name for name, _ in found] == [thing.name for thing in LARGE]
    assert len({pid for _, pid in found}) == 2 and os.getpid() not in {pid for _, pid in found}


def test_one_job_makes_no_process() -> None:
    assert set(spread(lambda thing: os.getpid(), THINGS, 1)) == {os.getpid()}


def test_what_is_raised_elsewhere_is_raised_here() -> None:
    def work(thing: Thing) -> None:
        if thing.name == "t5":
            raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one") as caught:
        spread(work, THINGS, 2)
    assert caught.value.__notes__ == ["(while auditing t5)"]
    assert "in work\n" in str(caught.value.__cause__)


def test_what_cannot_be_sent_is_an_error_too() -> None:
    class Local(Exception):
        pass

    def work(thing: Thing) -> None:
        raise Local(thing.name)

    with pytest.raises(RuntimeError, match=r"Local\('t"):
        spread(work, THINGS, 2)


def test_where_no_process_can_be_made_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError

    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    monkeypatch.setattr(os, "fork", fork)
    assert set(spread(lambda thing: os.getpid(), THINGS, 2)) == {os.getpid()}
    assert not before or len(os.listdir("/proc/self/fd")) == before


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    fork = os.fork

    def noted() -> int:
        pid = fork()
        made.append(pid)
        return pid

    def work(thing: Thing) -> None:
        os._exit(7)

    monkeypatch.setattr(os, "fork", noted)
    with pytest.raises(WorkerDied, match="status 7"):
        spread(work, THINGS, 2)
    assert made
    for pid in made:  # other tests may have processes of their own here
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
