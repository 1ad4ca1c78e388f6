"""Runs commands as whole processes, in turn, and notes how long each took and how much memory it needed at its peak."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Run(NamedTuple):
    """One process: wall time in seconds, peak resident memory in MiB, and processor time in seconds, that of the
    processes which it started included. Of several processes, the memory is that of the largest.

    The kernel counts what the starting process held as the started one's, too, so a smaller peak cannot be seen: the
    benchmark imports little, and keeps no configuration in memory.
    """

    seconds: float
    mebibytes: float
    cpu: float = 0.0


class Runs(NamedTuple):
    """Several runs of one command."""

    all: tuple[Run, ...]

    def best(self) -> float:
        """The shortest wall time, in seconds: the least disturbed run."""
        return min(run.seconds for run in self.all)

    def median(self) -> float:
        """The median wall time, in seconds."""
        return statistics.median(run.seconds for run in self.all)

    def peak(self) -> float:
        """The median of the peaks of memory, in MiB; 0 where it is below what can be seen."""
        peak = statistics.median(run.mebibytes for run in self.all)
        return peak if peak > 1.02 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 else 0.0


class Failed(Exception):
    """A command did not do its work, so that its time means nothing."""


def run(command: list[str], succeeds: Sequence[int] = (0,)) -> Run:
    """Runs a command with its output thrown away.

    Raises Failed where its exit status is none of `succeeds`.
    """
    nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    begin = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=nowhere)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begin
    if os.waitstatus_to_exitcode(status) not in succeeds:
        raise Failed(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return Run(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def interleaved(commands: Mapping[str, list[str]], times: int) -> dict[str, Runs]:
    """Runs each command that often, in turn, so that whatever slows the machine down for a while hits all of them.

    Exit status 1 is a tool's way to say that it found something. Raises Failed for any other but 0.
    """
    found: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(times):
        for name, command in commands.items():
            found[name].append(run(command, (0, 1)))
    return {name: Runs(tuple(runs)) for name, runs in found.items()}
