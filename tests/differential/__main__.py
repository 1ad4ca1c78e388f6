"""Random configurations, asked of the predictor and of the real server alike.

    python -m tests.differential --configs 300 --requests 35 --seed 1 --nginx system
    python -m tests.differential --configs 150 --requests 45 --seed 1 --kind apache

With --sealed the configurations are what a user has, and run in the sandbox of `audit probe`.
Each configuration is made of the seed and its own number, so `--seed 1 --only 17` plays number 17 again. A difference
is printed with the smallest configuration that still shows it; `--keep DIR` writes it there as a case to replay.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from probes.runners import container, local
from probes.runners.program import Unavailable
from tests.differential.nginx import STYLES, Nginx
from tests.differential.play import Case, Origins, shared_folder
from tests.differential.suite import Kind, Options, Result, run_one, show

UNKNOWN = 0.02  # the share of requests that may be unknown to a predictor

_worker: tuple[Options, Origins] | None = None


def _begin(options: Options) -> None:
    global _worker
    # The pool ends its workers by this signal; as an exit it lets them stop the servers that they have started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _worker = (options, Origins(options.folder))


def _work(number: int) -> Result:
    assert _worker is not None
    return run_one(_worker[0], number, _worker[1])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__.split("\n")[0])
    parser.add_argument("--kind", choices=("nginx", "apache"), default="nginx")
    parser.add_argument("--configs", type=int, default=100)
    parser.add_argument("--requests", type=int, default=35, help="for each configuration")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int, help="only the configuration of this number")
    parser.add_argument("--style", choices=(*STYLES, "both"), default="both", help="of the configurations")
    parser.add_argument("--nginx", default="system", help="wheel, system, a path, or image:NAME for a container")
    parser.add_argument("--sealed", action="store_true", help="in the sandbox, as users' configurations are run")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", metavar="DIR", help="writes failing cases there")
    parser.add_argument("--max-failures", type=int, default=20)
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--no-predict", action="store_true", help="only play: for work on the generator")
    parser.add_argument("--print", action="store_true", help="prints the configuration of --only and its requests")
    parser.add_argument("--replay", metavar="STEM", help="plays the case STEM.conf and STEM.json")
    args = parser.parse_args()
    if args.sealed and args.no_predict:
        parser.error("--sealed cannot do without a prediction: the sandbox is made for it")
    try:
        with shared_folder() as folder, selected(args, folder) as kind:
            if kind is None:
                parser.error(f"no {args.kind} found" + (f" as {args.nginx!r}" if args.kind == "nginx" else ""))
            return run(kind, folder, args)
    except Unavailable as error:
        parser.error(str(error))


@contextmanager
def selected(args: argparse.Namespace, folder: str) -> Iterator[Kind | None]:
    """The server that is asked for, which sees the folder. Raises Unavailable where a container cannot run it."""
    if args.kind == "apache":
        from tests.apache.differential.kind import find

        yield find()
    elif args.nginx.startswith("image:"):
        with container.image(args.nginx.removeprefix("image:"), folder) as program:
            yield Nginx(program, args.style, args.sealed)
    else:
        found = local.select(args.nginx)
        yield Nginx(found, args.style, args.sealed) if found is not None else None


def run(kind: Kind, folder: str, args: argparse.Namespace) -> int:
    """What the command line asks for, with that server."""
    options = Options(kind, folder, args.seed, args.requests, not args.no_shrink, not args.no_predict)
    if args.replay:
        return _replay(args.replay, options)
    numbers = range(args.configs) if args.only is None else [args.only]
    if args.print:
        made = kind.make(args.seed, numbers[0], args.requests)
        text = kind.whole(made.nodes, made.files)
        print(kind.shown(Case(text, made.files, made.lines)), *made.lines, sep="\n")
    return _all(numbers, options, args)


def _replay(stem: str, options: Options) -> int:
    origins, bad = Origins(options.folder), 0
    for played in options.kind.play(Case.read(stem, options.kind.common), origins):
        found = options.kind.contradictions(played)
        bad += bool(found)
        print(played.number, played.line.get("method", "GET"), played.line["url"], played.seen.reply.status)
        print("".join(f"  ! {text}\n" for text in found), end="")
    return 1 if bad else 0


def _all(numbers: Any, options: Options, args: argparse.Namespace) -> int:
    total: Counter[str] = Counter()
    refusals: list[Result] = []
    kinds: Counter[str] = Counter()
    jobs = max(1, args.jobs)
    # Forked, since workers share the pipe to a container.
    with multiprocessing.get_context("fork").Pool(jobs, _begin, (options,)) as pool:
        # In order, so that the same seed prints the same report whatever the number of jobs; in batches, so that
        # nothing is under way when there are failures enough.
        for start in range(0, len(numbers), 8 * jobs):
            for result in pool.imap(_work, numbers[start : start + 8 * jobs]):
                total["configurations"] += 1
                total += result.tally
                if result.refused:
                    refusals.append(result)
                for failure in result.failures:
                    kinds[failure.kind] += 1
                    print(show(failure, options.kind, options.seed), flush=True)
                    if args.keep:
                        os.makedirs(args.keep, exist_ok=True)
                        stem = f"{options.seed}-{failure.number}-{kinds.total()}"
                        failure.case.write(os.path.join(args.keep, stem), options.kind.common)
            if kinds.total() >= args.max_failures:
                print(f"stopped after {kinds.total()} failures")
                break
        pool.close()
        pool.join()
    for result in refusals[:20] if args.no_predict else ():
        print(f"refused {result.number}: {result.refused}")
    asked = total["requests"] or 1
    print(
        f"{options.kind.label}, seed {options.seed}: {total['configurations']} configurations "
        f"({len(refusals)} refused), {total['requests']} requests, {total['exchanges']} exchanges, "
        f"unknown {total['unknown'] / asked:.1%}, several outcomes {total['several'] / asked:.1%}, "
        f"hung {total['hung']}, unstable {total['unstable']}, differences {total['differing']}"
    )
    for name, count in kinds.most_common():
        print(f"  {count} x {name}")
    return 1 if total["differing"] or total["unknown"] > UNKNOWN * asked else 0


if __name__ == "__main__":
    sys.exit(main())
