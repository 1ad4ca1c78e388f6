"""Asks a proxy that is already running: with the origin behind it, or from outside only."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.cli.inputs import add_input_options, open_site, settings_of
from auditor.cli.main import UsageError
from auditor.findings import SEVERITIES
from auditor.http import Request, make_request
from auditor.settings import Settings

if TYPE_CHECKING:
    from probes.control_client import Control
    from probes.prediction import Prediction
    from probes.remote import Options, Visit
    from probes.verdicts import Verdict

UNREACHABLE = 4
PASSWORD = "AUDIT_PASSWORD"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a running proxy")
    group.add_argument("--url", dest="urls", action="append", metavar="URL", help="what to ask (repeatable)")
    group.add_argument(
        "--origin", metavar="URL", help="the control interface of the `audit origin` that stands behind the proxy"
    )
    group.add_argument(
        "--config", dest="running", metavar="CONFIG", help="what the proxy runs: predictions stand beside what is seen"
    )
    group.add_argument(
        "--as",
        dest="known_as",
        metavar="URL",
        help="scheme, host and port under which clients know the proxy, where --url names it by another address",
    )
    group.add_argument(
        "--user", metavar="NAME", help=f"a user of the proxy's; the password is taken from {PASSWORD}, or asked for"
    )
    group.add_argument("--insecure", action="store_true", help="take any TLS certificate")
    group.add_argument("--max-requests", type=int, default=100, metavar="N", help="for each URL; 100 if not given")
    group.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="for each request; 10 if not given"
    )
    group.add_argument("--fail-on", choices=SEVERITIES, help="the least severity that is a failure (warning)")
    group.add_argument("--exit-zero", action="store_true", help="exit with 0 whatever was seen")
    group.add_argument("--format", choices=("text", "json"), default="text")
    group.add_argument("--output", metavar="FILE", help="where the report goes; standard output if not given")
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    add_input_options(parser, config=False)


def run(args: argparse.Namespace) -> int:
    if args.running and not args.origin:
        raise UsageError("probe: --config needs --origin: from outside, what reaches the origin cannot be compared")
    if args.max_requests < 1 or not 0 < args.timeout <= 600:
        raise UsageError("probe: --max-requests and --timeout (at most 600) must be above 0")
    settings = settings_of(args, [args.running or "."])
    urls = [_url(text, "--url") for text in dict.fromkeys(args.urls)]
    address = None if args.known_as is None else _address(args.known_as, urls)
    prediction = _prediction(args, urls, address, settings)
    given = None if args.user is None else _credentials(args.user)
    with _termination():
        visits, verdicts = _ask(args, urls, _options(args, given, address), prediction, settings)
    _report(args, visits, verdicts, given, settings)
    return _status(args, visits, verdicts, settings)


def _url(text: str, option: str) -> str:
    """The URL without its fragment, which is not sent (RFC 3986, 3.5)."""
    url = text.partition("#")[0]
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"probe: {option}: write other characters than those of a URL as %XX, hosts in ASCII")
    try:
        request = make_request(url)
    except ValueError as error:
        raise UsageError(f"probe: {option}: {error}") from error
    if "@" in request.headers[0][1] or "@" in url.partition("://")[2].partition("/")[0]:
        raise UsageError(f"probe: {option}: no credentials in the URL, please: --user NAME, and {PASSWORD}")
    return url


def _address(text: str, urls: list[str]) -> Request:
    address = make_request(_url(text, "--as"))
    if address.target != "/":
        raise UsageError("probe: --as takes scheme, host and port only")
    if any(make_request(url).tls != address.tls for url in urls):
        raise UsageError("probe: --as must have the scheme of --url")
    return address


def _credentials(user: str) -> str:
    if ":" in user or not user:
        raise UsageError("probe: --user takes a name, which has no colon (RFC 7617, 2)")
    password = os.environ.get(PASSWORD)
    if password is None:
        if not sys.stdin.isatty():
            raise UsageError(f"probe: --user needs the password in {PASSWORD}, or a terminal to ask for it")
        import getpass

        password = getpass.getpass(f"password of {user}: ")
    if not (user + password).isprintable():
        raise UsageError("probe: a name and a password have no control characters (RFC 7617, 2)")
    return os.fsencode(f"{user}:{password}").decode("latin-1")


def _options(args: argparse.Namespace, given: str | None, address: Request | None) -> Options:
    from probes.remote import Options

    return Options(given, args.max_requests, args.timeout, args.insecure, address)


def _prediction(
    args: argparse.Namespace, urls: list[str], address: Request | None, settings: Settings
) -> Prediction | None:
    """Raises UsageError where it is not clear as what the configuration knows a URL."""
    if args.running is None:
        return None
    from probes.prediction import Prediction

    prediction = Prediction(open_site(args, args.running, settings), address)
    for url in urls:
        try:
            prediction.there(make_request(url))
        except ValueError as error:
            raise UsageError(f"probe: {url}: {error}") from error
    return prediction


def _ask(
    args: argparse.Namespace, urls: list[str], options: Options, prediction: Prediction | None, settings: Settings
) -> tuple[list[Visit], list[list[Verdict]]]:
    from probes.peer import Unreachable
    from probes.remote import Visit, Visitor
    from probes.verdicts import judge

    control: Control | None = None
    if args.origin is not None:
        from probes.control_client import Control

        control = Control(make_request(_url(args.origin, "--origin")), args.timeout)
        try:
            control.listeners()
        except Unreachable as error:
            failed = [Visit(url, None, error=f"the origin: {error}") for url in urls]
            return failed, judge(failed, settings)
    visitor = Visitor(options, control, prediction)
    try:
        visits = [visitor.visit(url) for url in urls]
    finally:
        if control is not None:
            _reset(control)
    return visits, judge(visits, settings)


@contextlib.contextmanager
def _termination() -> Iterator[None]:
    """SIGTERM ends this as Ctrl-C does: the origin gets its own answer back."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _reset(control: Control) -> None:
    from probes.peer import Unreachable

    try:
        control.reset()
    except Unreachable as error:
        print(f"audit: the origin keeps the last answer of the probe: {error}", file=sys.stderr)


def _report(
    args: argparse.Namespace,
    visits: list[Visit],
    verdicts: list[list[Verdict]],
    given: str | None,
    settings: Settings,
) -> None:
    from auditor.reports.terminal import Terminal
    from probes.questions import basic
    from probes.reports.remote import document, text

    hidden = [] if given is None else [basic(given).partition(" ")[2], given, given.partition(":")[2]]
    report = document(visits, verdicts, _notes(args, visits, settings), hidden)
    written = json.dumps(report, indent=1) + "\n" if args.format == "json" else ""
    if args.output is None:
        sys.stdout.write(written or text(report, Terminal.of(sys.stdout, args.color)))
        return
    try:
        with open(args.output, "w", encoding="utf-8") as file:
            file.write(written or text(report, Terminal(args.color == "always")))
    except OSError as error:
        raise UsageError(f"probe: {args.output}: {error.strerror}") from error


def _notes(args: argparse.Namespace, visits: list[Visit], settings: Settings) -> list[str]:
    notes = []
    said = [value for visit in visits for seen in visit.seen[:1] for value in seen.header("Server")]
    versions = [found[1] for value in said if (found := re.match(r"nginx/([0-9.]+)", value))]
    if versions and not settings.version and any(seen.differences for visit in visits for seen in visit.seen):
        version = versions[0]
        notes.append(
            f"predictions are for the newest known nginx, and this one is {version}: --nginx-version {version}"
        )
    if any(os.environ.get(name) for name in _PROXIES):
        notes.append("HTTP_PROXY and its like are ignored: only the named addresses are contacted")
    if args.insecure:
        notes.append("certificates were not verified (--insecure)")
    if args.user is not None and any(_in_the_clear(visit) for visit in visits):
        notes.append("the password went over the network unencrypted: the URL is http://")
    if args.user is None:
        notes.append("no right credentials were given (--user), so nobody was let in through a gate")
    return notes


def _in_the_clear(visit: Visit) -> bool:
    from ipaddress import ip_address

    address = (visit.address or "127.0.0.1").partition("%")[0]
    return not make_request(visit.url).tls and not ip_address(address).is_loopback


def _status(args: argparse.Namespace, visits: list[Visit], verdicts: list[list[Verdict]], settings: Settings) -> int:
    if any(visit.error or visit.failed for visit in visits):
        return UNREACHABLE
    if args.exit_zero:
        return 0
    worst = SEVERITIES.index(settings.fail_on)
    defect = any(SEVERITIES.index(one.severity) <= worst for found in verdicts for one in found)
    return int(defect or any(seen.differences for visit in visits for seen in visit.seen))
