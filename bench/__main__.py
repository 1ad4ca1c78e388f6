"""Compares `audit` with gixy-ng, and with what parsing alone costs, on generated configurations: one, and very many.

    python -m bench [--quick]

Ratios of whole processes measured in the same run, one after the other in turn; the absolute times depend on the
machine. Nothing fails here because of a number. The first run needs the package index to install gixy-ng.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence

from bench import generate, imports, tools
from bench.measure import Failed, Run, Runs, interleaved, run

# Lines, and how often each program runs.
COMPARED = ((50, 20), (10_000, 5))
GROWTH = ((1_000, 5), (10_000, 3), (100_000, 1))
# Ratios of the best wall time and of the peak memory that audit aims at, against gixy.
WALL_TARGET = {50: 0.6, 10_000: 0.8}
MEMORY_TARGET = 1.5
HTACCESS_TARGET = 1.2
# Many configurations in one run of audit: how many, of how many lines each, how many of them gixy is called for, and
# the ratio of the times that is aimed at.
MANY = (100, 1_000)
MANY_LINES = 200
SAMPLE = 40
MANY_TARGET = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few runs, and no configuration of 100,000 lines")
    quick = parser.parse_args().quick
    audit, gixy = tools.audit(), tools.gixy()
    parse = [os.path.join(audit, "python"), "-c", tools.PARSE]
    programs = {"audit": [os.path.join(audit, "audit")], "gixy": [os.path.join(gixy, "gixy")], "parsing alone": parse}
    try:
        warm(programs)
        for lines, times in COMPARED:
            compare(lines, 3 if quick else times, programs)
        growth(programs["audit"], GROWTH[:2] if quick else GROWTH)
        httpd(programs["audit"], 3 if quick else 20)
        many(programs, (20, 100) if quick else MANY)
    except Failed as failed:
        print(f"bench: {failed}", file=sys.stderr)
        return 1
    print("imports")
    for command, heavy in imports.heavy(os.path.join(audit, "python")).items():
        print(f"  {command:<22}{', '.join(heavy) or 'none of ' + ', '.join(imports.HEAVY)}")
    return 0


def httpd(audit: list[str], times: int) -> None:
    """Prints how a .htaccess compares with a configuration of nginx of the same length, in processor time, and how long
    a main file with a thousand virtual hosts takes."""
    with tempfile.TemporaryDirectory() as folder:
        nginx = generate.write(folder, generate.SMALL_LINES)
        access = generate.write_htaccess(folder)
        both = {"nginx.conf": [*audit, nginx], ".htaccess": [*audit, access]}
        interleaved(both, 1)  # without a clock
        runs = interleaved(both, times)
        print(f"httpd, {generate.SMALL_LINES} lines, {times} runs of each")
        best = {name: min(run.cpu for run in one.all) for name, one in runs.items()}
        for name, seconds in best.items():
            print(f"  {name:<14}{seconds:>7.3f} s of the processor")
        print(f"  .htaccess / nginx.conf: {best['.htaccess'] / best['nginx.conf']:.2f}   (aim: {HTACCESS_TARGET})")
        large = run([*audit, generate.write_httpd(folder, 1_000)], (0, 1))
        print(f"  1,000 virtual hosts{large.cpu:>8.1f} s of the processor\n", flush=True)


def warm(programs: dict[str, list[str]]) -> None:
    """Runs each once without a clock, so that all find their modules in the cache of the disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = generate.write(folder, generate.SMALL_LINES)
        interleaved({name: [*command, path] for name, command in programs.items()}, 1)


def compare(lines: int, times: int, programs: dict[str, list[str]]) -> None:
    """Prints how audit compares with the others on a configuration of that many lines."""
    with tempfile.TemporaryDirectory() as folder:
        path = generate.write(folder, lines)
        runs = interleaved({name: [*command, path] for name, command in programs.items()}, times)
    print(f"{lines:,} lines, {times} runs of each")
    print(f"  {'':<14}{'best':>9}{'median':>9}{'peak':>11}")
    for name, one in runs.items():
        print(f"  {name:<14}{one.best():>7.3f} s{one.median():>7.3f} s{_peak(one)}")
    mine = runs["audit"]
    for name, other in runs.items():
        if other is not mine:
            print(f"  audit / {name}: {_ratios(mine, other)}{_target(name, lines)}")
    print(flush=True)


def _peak(runs: Runs) -> str:
    return f"{runs.peak():>7.1f} MiB" if runs.peak() else f"{'small':>11}"


def _ratios(mine: Runs, other: Runs) -> str:
    wall = f"best {mine.best() / other.best():.2f}, median {mine.median() / other.median():.2f}"
    return wall + (f", memory {mine.peak() / other.peak():.2f}" if other.peak() else "")


def _target(name: str, lines: int) -> str:
    if name != "gixy":
        return ""
    return f"   (aim: wall {WALL_TARGET[lines]}, memory {MEMORY_TARGET})"


def growth(audit: list[str], sizes: Sequence[tuple[int, int]]) -> None:
    """Prints how the time and the memory of audit grow with the configuration: ten times the lines should cost ten
    times the work, less the fixed cost of starting."""
    print("growth")
    before: Runs | None = None
    for lines, times in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = generate.write(folder, lines)
            runs = interleaved({"audit": [*audit, path]}, times)["audit"]
        ratio = f"   time x {runs.best() / before.best():.1f}" if before else ""
        print(f"  {lines:>7,} lines{runs.best():>9.3f} s{_peak(runs)}{ratio}", flush=True)
        before = runs
    print()


def many(programs: dict[str, list[str]], counts: Sequence[int]) -> None:
    """Prints how one run of audit over a folder compares with gixy called once for each configuration in it, and how
    its memory grows with their number. gixy runs on a sample that is spread over the folder, half of it before audit
    and half after."""
    print(f"many configurations of {MANY_LINES} lines, one run of audit for all")
    before: Run | None = None
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            paths = generate.write_many(folder, count, MANY_LINES)
            sample = paths[:: max(1, count // SAMPLE)]
            calls = [run([*programs["gixy"], path], (0, 1)) for path in sample[::2]]
            mine = run([*programs["audit"], folder], (0, 1))
            calls += [run([*programs["gixy"], path], (0, 1)) for path in sample[1::2]]
        wall, cpu = (count * sum(times) / len(calls) for times in ([c.seconds for c in calls], [c.cpu for c in calls]))
        grown = (mine.mebibytes - before.mebibytes) * 1024 / (count - counts[0]) if before else 0
        more = f", {grown:+.0f} KiB for each more" if before else ""
        print(f"  {count:,}")
        print(f"    audit         {mine.seconds:>7.1f} s, {mine.cpu:>7.1f} s of processor time")
        print(f"    gixy          {wall:>7.1f} s, {cpu:>7.1f} s of processor time ({len(calls)} calls, scaled)")
        print(f"    audit / gixy  {mine.seconds / wall:>7.2f}  {mine.cpu / cpu:>7.2f}   (aim: {MANY_TARGET})")
        print(f"    memory        {mine.mebibytes:>7.1f} MiB in the largest process of audit{more}", flush=True)
        before = before or mine
    print()


if __name__ == "__main__":
    sys.exit(main())
