"""The headers-more module (https://github.com/openresty/headers-more-nginx-module), which many builds carry."""

from __future__ import annotations

from auditor.servers.nginx.config import Level
from auditor.servers.nginx.run import OutHeader, Run, Unpredictable, decides
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.variables import evaluate
from auditor.trace import LostHeader
from auditor.values import EMPTY, unknown

# Of the names in X-, those that nginx keeps beside the list. What a subrequest adds under a name that is kept does not
# reach the parent (measured for 11 names); which names all are kept is not documented, so that only X- is predicted.
_OWN_FIELDS = ("x-forwarded-for", "x-real-ip")


def change_input_headers(run: Run) -> None:
    """more_set_input_headers and more_clear_input_headers, at the end of the rewrite phase (NGX-611, NGX-612).

    A subrequest has the parent's lines in a list of its own, the end of which is still the parent's: what it removes,
    it alone misses; a value it changes is changed for both; a line it adds is added to the parent's list alone.
    """
    lines = more_lines(run.level, ("more_set_input_headers", "more_clear_input_headers"))
    if lines and not run.is_main and run.headers is run.main.headers:
        run.headers = list(run.headers)
    for line in lines:
        only_existing = "-r" in line.args
        for word in _options(line.args)[0]:
            name, colon, text = word.partition(":")
            name = name.strip()
            low = name.lower()
            value = evaluate(run, text.strip()).text or "" if colon and line.name == "more_set_input_headers" else ""
            there = [at for at, (key, _) in enumerate(run.headers) if _named(key, low)]
            if low == "host" and value:
                run.host = value
            if value:
                if there:
                    old, new = run.headers[there[0]], (run.headers[there[0]][0], value)
                    run.headers[there[0]] = new
                    run.main.headers[:] = [new if pair is old else pair for pair in run.main.headers]
                    for at in reversed(there[1:]):
                        del run.headers[at]
                elif not only_existing:
                    if not run.is_main and (not low.startswith("x-") or low in _OWN_FIELDS):
                        raise Unpredictable("whether a subrequest's new line is the request's", line.place)
                    run.main.headers.append((name, value))
                run.step(line, f"the request's {name} is set")
                continue
            for at in reversed(there):
                run.shared.lost.append(LostHeader(run.headers[at][0], decides(line)))
                del run.headers[at]
            if there:
                run.step(line, f"the request's {name} is removed")


def change_output_headers(run: Run, status: int | None, media_type: str | None) -> None:
    """more_set_headers and more_clear_headers: every level's lines count, the outer ones first; with -a a line
    is put beside those that are there. `media_type` is that of the answer, None where it is not known."""
    for line in more_lines(run.level, ("more_set_headers", "more_clear_headers")):
        words, statuses, types = _options(line.args)
        if statuses and (status is None or str(status) not in statuses):
            continue
        if types and media_type is not None and media_type.lower() not in types:
            continue
        for word in words:
            name, colon, text = word.partition(":")
            name = name.strip()
            low = name.lower()
            if line.name == "more_clear_headers":
                colon, text = ":", ""
            if types and media_type is None:
                run.out.append(OutHeader(name, unknown(), decides(line)))
                continue
            kept = [h for h in run.out if "-a" in line.args or not _named(h.name, low)]
            gone = [header for header in run.out if header not in kept]
            run.out = kept
            value = evaluate(run, text.strip()) if colon else EMPTY
            if value.present != "no":
                run.out.append(OutHeader(name, value, decides(line)))
            elif gone:
                run.step(line, f"{name} is removed from the answer")
                run.shared.hidden += [LostHeader(header.name, decides(line)) for header in gone if header.origin]


def _named(name: str, pattern: str) -> bool:
    return name.lower().startswith(pattern[:-1]) if pattern.endswith("*") else name.lower() == pattern


def more_lines(level: Level, names: tuple[str, ...]) -> list[Directive]:
    """The lines of headers-more that count at a level: a level's lines are added to the outer ones."""
    return level.memo(names, lambda here: _more_lines(here, names))  # type: ignore[return-value]


def _more_lines(level: Level, names: tuple[str, ...]) -> list[Directive]:
    outer = more_lines(level.outer, names) if level.outer is not None else []
    if not any(name in level.own for name in names):
        return outer
    return outer + [line for line in level.block if line.name in names]


def _options(args: list[str]) -> tuple[list[str], set[str], set[str]]:
    """The header words, the statuses of -s, and the media types of -t."""
    words: list[str] = []
    statuses: set[str] = set()
    types: set[str] = set()
    at = 0
    while at < len(args):
        if args[at] in ("-s", "-t") and at + 1 < len(args):
            (statuses if args[at] == "-s" else types).update(args[at + 1].lower().split())
            at += 2
            continue
        if not args[at].startswith("-"):
            words.append(args[at])
        at += 1
    return words, statuses, types
