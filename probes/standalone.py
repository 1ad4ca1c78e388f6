"""Runs an origin alone until it is interrupted: it records the requests that reach it, and answers each with itself.

Another port has the control interface: /requests is what has arrived, as JSON; /answer sets what is answered; / is a
page for a browser. Everything listens on loopback only, unless --host says otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Sequence

from probes import loop, show
from probes.gateways import FastCGI, Scgi, Uwsgi
from probes.log import Log
from probes.origin import Origin

FAILED = 4
KEPT = 1000  # requests
PATIENCE = 10.0  # seconds that a body may pause
PORTS = {
    "port": "HTTP/1 (9000 if not given; 0 for any free port)",
    "control-port": "the control interface (the port after --port if not given)",
    "tls-port": "HTTP/1 inside TLS, with a throw-away certificate",
    "fastcgi-port": "a FastCGI responder",
    "uwsgi-port": "a uwsgi application",
    "scgi-port": "an SCGI application",
    "h2-port": "HTTP/2 without TLS, as gRPC upstreams speak it",
}
INSTALL = "pip install 'header-auditor[probe]'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="127.0.0.1 if not given")
    for name, text in PORTS.items():
        parser.add_argument(f"--{name}", type=_port, metavar="N", help=text)
    parser.add_argument("--unix", metavar="PATH", help="HTTP/1 on a Unix socket")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Runs it until SIGINT, SIGTERM or SIGHUP; the exit status is 0 then, and 4 where it cannot be started."""
    over = threading.Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: over.set()) for number in numbers}
    try:
        with contextlib.ExitStack() as stack:
            print(_start(args, stack), flush=True)
            over.wait()
    except ImportError as error:
        missing = (error.name or str(error)).partition(".")[0]
        print(f"audit origin: the Python package {missing} is missing: {INSTALL}", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"audit origin: {error.strerror or error}", file=sys.stderr)
        return FAILED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _start(args: argparse.Namespace, stack: contextlib.ExitStack) -> str:
    """Starts what the command line asks for, and says what listens where."""
    from probes.control import Control  # needs aiohttp, and the tests' origins do not

    log = Log(KEPT)
    origins: list[Origin] = []

    def listen(kind: type[Origin], name: str, **options: object) -> None:
        origin = kind(name, log, host=args.host, patience=PATIENCE, **options)  # type: ignore[arg-type]
        stack.callback(origin.close)
        origin.answer = show.answer
        origins.append(origin)

    main = 9000 if args.port is None else args.port
    listen(Origin, "http", port=main)
    if args.tls_port is not None:
        from probes.certificate import server_context

        listen(Origin, "tls", port=args.tls_port, tls=server_context(["localhost", "127.0.0.1", "::1", args.host]))
    for kind, name in ((FastCGI, "fastcgi"), (Uwsgi, "uwsgi"), (Scgi, "scgi")):
        port = getattr(args, f"{name}_port")
        if port is not None:
            listen(kind, name, port=port)
    if args.h2_port is not None:
        from probes.http2 import Http2  # needs h2

        listen(Http2, "h2", port=args.h2_port)
    if args.unix is not None:
        listen(Origin, "unix", local=args.unix)
    control = Control(log, origins, show.answer)
    port = args.control_port
    if port is None:
        port = (main + 1) % 65536 if main else 0
    stack.callback(lambda: loop.call(control.stop()))
    address = loop.call(control.start(args.host, port))
    lines = [f"{origin.name:<8} {origin.protocol:<9} {origin.address}" for origin in origins]
    return "\n".join([*lines, f"{'control':<8} {'':<9} http://{address}/"])


def main(argv: Sequence[str] | None = None) -> int:
    """The command line `python -m probes.standalone`, where only this and aiohttp is installed."""
    parser = argparse.ArgumentParser(prog="python -m probes.standalone", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
