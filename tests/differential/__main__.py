"""Random configurations, asked of the predictor and of the real server alike.

    python -m tests.differential --configs 300 --requests 35 --seed 1 --nginx system

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
from random import Random
from typing import Any, NamedTuple

from probes.runners import container, local
from probes.runners.program import Program, Unavailable
from tests.differential import sealed
from tests.differential.configs import Config
from tests.differential.play import HUNG, Case, Line, Origins, contradictions, crash, play, predictor, shared_folder
from tests.differential.recipes import RecipeRequests, Recipes
from tests.differential.requests import Requests
from tests.differential.shrink import Shrinker, kind
from tests.differential.tree import Node, whole


class Failure(NamedTuple):
    """A difference, as small as it got."""

    number: int
    kind: str
    found: list[str]
    case: Case


class Result(NamedTuple):
    """What one configuration gave. `tally` counts requests, exchanges, unknown, several, hung and differing ones, and
    unstable ones: those whose difference did not show again when they were asked alone."""

    number: int
    refused: str
    tally: Counter[str]
    failures: list[Failure]


class Options(NamedTuple):
    """What a worker needs to know. `folder` is for Unix sockets."""

    program: Program
    folder: str
    seed: str
    requests: int
    shrink: bool
    predict: bool
    style: str = "words"
    sealed: bool = False


STYLES = ("words", "recipes")


def player(options: Options) -> Any:
    """What plays a case: the server runs on it as it is, or in the sandbox."""
    return sealed.play if options.sealed else play


def make(options: Options, number: int) -> tuple[list[Node], dict[str, str], list[Line]]:
    """The nodes, the files and the requests of one random configuration."""
    program, style = options.program, options.style
    if style == "both":
        style = STYLES[number % 2]
    random = Random(f"{options.seed}/{number}")
    # Names in variables are looked up in half of them; unsealed, all upstreams are addresses.
    resolver = [Node("resolver 192.0.2.53")] if options.sealed and number % 4 > 1 else []
    if style == "recipes":
        recipes = Recipes(random, program.version, program.build)
        requests: Requests = RecipeRequests(random, recipes)
        return resolver + recipes.nodes, dict(recipes.files), [requests.line() for _ in range(options.requests)]
    config = Config(random, program.version, "headers-more" in program.build)
    requests = Requests(random, config)
    return resolver + config.nodes, dict(config.files), [requests.line() for _ in range(options.requests)]


def check(case: Case, options: Options, origins: Origins) -> list[str]:
    """The differences of a case's only request; none where nginx refuses the configuration."""
    try:
        for played in player(options)(case, options.program, origins, predictor):
            return contradictions(played)
    except (local.Refused, TimeoutError):
        return []
    except Exception as error:
        return [crash(error)]
    return []


def run_one(options: Options, number: int, origins: Origins) -> Result:
    nodes, files, lines = make(options, number)
    case = Case(whole(nodes, files), files, lines)
    tally: Counter[str] = Counter()
    seen: dict[str, list[tuple[Line, list[str]]]] = {}
    at = -1
    try:
        load = predictor if options.predict else lambda path, version: dict
        for played in player(options)(case, options.program, origins, load):
            at = played.number
            tally["requests"] += 1
            tally["exchanges"] += len(played.seen.exchanges)
            tally["hung"] += played.seen.reply is HUNG
            if not options.predict:
                continue
            outcomes = played.predicted.get("outcomes", ())
            tally["several"] += len(outcomes) > 1
            tally["unknown"] += any(outcome["action"] == "unknown" for outcome in outcomes)
            found = contradictions(played)
            if found:
                seen.setdefault(kind(found), []).append((lines[at], found))
    except local.Refused as refused:
        return Result(number, str(refused), tally, [])
    except Exception as error:
        if at + 1 < len(lines):
            seen.setdefault("crash", []).append((lines[at + 1], [crash(error)]))
    failures: list[Failure] = []
    for name, entries in seen.items():
        for line, _ in entries[:3]:
            small = Case(case.config, files, [line])
            if again := check(small, options, origins):
                if len(failures) < 2:
                    failures.append(_smallest(Failure(number, name, again, small), nodes, options, origins))
                tally["differing"] += len(entries)
                break
        else:
            tally["unstable"] += len(entries)
    return Result(number, "", tally, failures)


def _smallest(failure: Failure, nodes: list[Node], options: Options, origins: Origins) -> Failure:
    """The failure with its case cut down, if that is wanted."""
    if not options.shrink:
        return failure
    shrinker = Shrinker([node.copy() for node in nodes], failure.case.lines[0], lambda c: check(c, options, origins))
    shrinker.run()
    return failure._replace(found=shrinker.found, case=shrinker.case()) if shrinker.found else failure


_worker: tuple[Options, Origins] | None = None


def _begin(options: Options) -> None:
    global _worker
    # The pool ends its workers by this signal; as an exit it lets them stop the servers that they have started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _worker = (options, Origins(options.folder))


def _work(number: int) -> Result:
    assert _worker is not None
    return run_one(_worker[0], number, _worker[1])


def show(failure: Failure, seed: str) -> str:
    """The failure as text: the small configuration, the request and the difference."""
    body = failure.case.config.split("scgi_temp_path tmp/scgi;\n", 1)[-1].rstrip().removesuffix("}").rstrip()
    lines = [f"--- --seed {seed} --only {failure.number}: {failure.kind}", body]
    for name, text in failure.case.files.items():
        if name.startswith("snippets/"):
            lines.append(f"    # {name}\n{text.rstrip()}")
    line: dict[str, Any] = failure.case.lines[0]
    lines += [f"    request: {line}", *(f"  ! {text}" for text in failure.found)]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__.split("\n")[0])
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
        with shared_folder() as folder, selected(args.nginx, folder) as program:
            if program is None:
                parser.error(f"no nginx found as {args.nginx!r}")
            return run(program, folder, args)
    except Unavailable as error:
        parser.error(str(error))


@contextmanager
def selected(name: str, folder: str) -> Iterator[Program | None]:
    """The nginx of that name, which sees the folder. Raises Unavailable where a container cannot run it."""
    if name.startswith("image:"):
        with container.image(name.removeprefix("image:"), folder) as program:
            yield program
    else:
        yield local.select(name)


def run(program: Program, folder: str, args: argparse.Namespace) -> int:
    """What the command line asks for, with that server."""
    options = Options(
        program, folder, args.seed, args.requests, not args.no_shrink, not args.no_predict, args.style, args.sealed
    )
    if args.replay:
        return _replay(args.replay, options)
    numbers = range(args.configs) if args.only is None else [args.only]
    if args.print:
        nodes, files, lines = make(options, numbers[0])
        print(whole(nodes, files), *lines, sep="\n")
    return _all(numbers, options, args)


def _replay(stem: str, options: Options) -> int:
    origins, bad = Origins(options.folder), 0
    for played in player(options)(Case.read(stem), options.program, origins, predictor):
        found = contradictions(played)
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
                    print(show(failure, options.seed), flush=True)
                    if args.keep:
                        os.makedirs(args.keep, exist_ok=True)
                        stem = f"{options.seed}-{failure.number}-{kinds.total()}"
                        failure.case.write(os.path.join(args.keep, stem))
            if kinds.total() >= args.max_failures:
                print(f"stopped after {kinds.total()} failures")
                break
        pool.close()
        pool.join()
    for result in refusals[:20] if args.no_predict else ():
        print(f"refused {result.number}: {result.refused}")
    asked = total["requests"] or 1
    print(
        f"nginx {options.program.version}, seed {options.seed}: {total['configurations']} configurations "
        f"({len(refusals)} refused), {total['requests']} requests, {total['exchanges']} exchanges, "
        f"unknown {total['unknown'] / asked:.1%}, several outcomes {total['several'] / asked:.1%}, "
        f"hung {total['hung']}, unstable {total['unstable']}, differences {total['differing']}"
    )
    for name, count in kinds.most_common():
        print(f"  {count} x {name}")
    return 1 if total["differing"] else 0


if __name__ == "__main__":
    sys.exit(main())
