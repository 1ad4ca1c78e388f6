"""Says what a user file holds, for nginx and for Apache httpd, and checks a password against it. It never shows a hash
or a password."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from auditor.cli.main import UsageError
from auditor.source import read_source, readable

_SAYS = {
    "good": "good",
    "weak": "weak: quickly found by trying",
    "plain": "in the clear",
    "locked": "locked",
    "unusable": "cannot be checked: nobody can log in with it",
    "twice": "repeats a user: only the first entry counts",
    "nameless": "lets in whoever gives an empty name",
    "no-colon": "has no colon: it is no entry",
    "unread": "is not read",
}
_TELLS = {True: "accepted", False: "refused", None: "not known here"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a file of user names and hashes, as htpasswd writes it")
    parser.add_argument("--user", metavar="NAME", help="check a password of this user: asked for at the terminal")
    parser.add_argument("--password-stdin", action="store_true", help="the password is standard input's first line")
    parser.add_argument("--server", choices=("nginx", "apache"), help="as this server reads it; both if not given")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    if args.password_stdin and args.user is None:
        raise UsageError("htpasswd: --password-stdin needs --user NAME")
    source = read_source(args.file)
    text = "\xef\xbb\xbf" + source.text if source.bom else source.text
    servers = (args.server,) if args.server else ("nginx", "apache")
    return _check(args, text, servers) if args.user is not None else _list(args, text, servers)


def _check(args: argparse.Namespace, text: str, servers: tuple[str, ...]) -> int:
    from auditor.passwords import find_hash, verify

    user = os.fsencode(args.user).decode("latin-1")
    password = _standard_input() if args.password_stdin else _prompt(args.user)
    answers = {}
    for server in servers:
        if find_hash(text, user, server) is None:
            answers[server] = "no such user"
        else:
            answers[server] = _TELLS[verify(text, user, password, server)]
    if args.format == "json":
        print(json.dumps({"schema": "htpasswd/1", "file": args.file, "user": readable(user), "answers": answers}))
    else:
        for server, answer in answers.items():
            print(f"{server}: {answer}")
    return 0 if all(answer == "accepted" for answer in answers.values()) else 1


def _standard_input() -> str:
    line = sys.stdin.buffer.readline()
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("latin-1")


def _prompt(user: str) -> str:
    import getpass
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            typed = getpass.getpass(f"Password of {user}: ", sys.stderr)
        except (getpass.GetPassWarning, EOFError) as error:
            raise UsageError("htpasswd: there is no terminal to ask at; use --password-stdin") from error
    return os.fsencode(typed).decode("latin-1")


def _list(args: argparse.Namespace, text: str, servers: tuple[str, ...]) -> int:
    from auditor.user_file import entries

    found = {server: {entry.line: entry for entry in entries(text, server)} for server in servers}
    rows: list[dict[str, Any]] = []
    for line in sorted({line for each in found.values() for line in each}):
        first = next(each[line] for each in found.values() if line in each)
        verdicts = {server: each[line].verdict if line in each else "unread" for server, each in found.items()}
        rows.append({"line": line, "user": readable(first.user), "scheme": first.scheme, "verdicts": verdicts})
    usable = all(any(entry.usable for entry in each.values()) for each in found.values())
    doubtful = any(entry.doubtful for each in found.values() for entry in each.values())
    doubtful = doubtful or any("unread" in row["verdicts"].values() for row in rows)
    if args.format == "json":
        print(json.dumps({"schema": "htpasswd/1", "file": args.file, "usable": usable, "entries": rows}, indent=2))
    else:
        _print(rows, usable)
    return 0 if usable and not doubtful else 1


def _print(rows: list[dict[str, Any]], usable: bool) -> None:
    from auditor.reports.terminal import printable

    for row in rows:
        verdicts = {server: _SAYS[verdict] for server, verdict in row["verdicts"].items()}
        said = set(verdicts.values())
        text = said.pop() if len(said) == 1 else "; ".join(f"{server}: {text}" for server, text in verdicts.items())
        scheme = "" if row["scheme"] == "none" else f" ({row['scheme']})"
        print(f"line {row['line']}: {printable(row['user']) or '(no name)'}{scheme}: {text}")
    if not usable:
        print("nobody can log in with this file")
