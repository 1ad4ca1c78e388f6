"""Asks a proxy that is already running: the probes at one URL, and what was seen of each.

Only the URL's host is contacted, and the origin's control interface where there is one. Requests are counted and
bounded; redirects are not followed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from auditor.http import Pairs, Request, make_request
from probes.client import Reply, request_bytes
from probes.compare import Observation, differences, exchange_differences, outcome_differences
from probes.control_client import Control
from probes.fates import Fate, fate_of, fates
from probes.origin import Received
from probes.peer import Late, Peer, Target, Unreachable
from probes.questions import LARGEST, PROBES, TOKEN, Line, Probe, oversized

SETTLE = 20  # milliseconds without a further request at the origin, before its log is taken as complete
LATE_LIMIT = 3  # requests without an answer, one after the other, after which no more are sent
SAME = "the same request again"
MANNERS: Pairs = (("User-Agent", TOKEN), ("Accept", "*/*"))  # what servers expect of every client

Trace = Mapping[str, Any]
Predict = Callable[[Line], Trace]


class Options(NamedTuple):
    """How to ask. `given` is the `name:password` of a user, `requests` how many may go to one URL, `timeout` in seconds
    for each; `address` is the URL that clients use, where it is not the one that is asked."""

    given: str | None = None
    requests: int = 100
    timeout: float = 10.0
    insecure: bool = False
    address: Request | None = None


class Seen(NamedTuple):
    """One request and what was seen of it. `reply` is None where no answer came (`error` says why). `exchanges` is what
    reached the origin meanwhile, None where there is no origin to ask; `main` is the one that carried this request.
    `owner` is the probe for which the origin made the body that came back, if it was another one."""

    probe: str
    title: str
    line: Line
    reply: Reply | None
    error: str = ""
    exchanges: tuple[Received, ...] | None = None
    main: Received | None = None
    fates: tuple[Fate, ...] = ()
    owner: str = ""
    prediction: Trace | None = None
    differences: tuple[str, ...] = ()

    @property
    def status(self) -> int | None:
        """The status of the answer, None without one."""
        return None if self.reply is None else self.reply.status

    @property
    def reached(self) -> bool:
        """Whether the request is known to have reached the origin."""
        return self.main is not None

    def fate(self, name: str) -> str:
        """The fate of that header on its way to the origin; "" where it was not sent or nothing arrived."""
        found = fate_of(name, self.fates)
        return "" if found is None else found.fate

    def header(self, name: str) -> list[str]:
        """The values of that header in the answer."""
        return [] if self.reply is None else self.reply.all(name)

    @property
    def picture(self) -> tuple[int | None, int]:
        """Status and length of the body: what tells two answers from each other."""
        return self.status, 0 if self.reply is None else len(self.reply.body)


class Limit(NamedTuple):
    """The longest value of Authorization that passes, in bytes; `most` says that no longer one was tried, `refusal` how
    the next longer one is answered. `unknown` says why it could not be found."""

    size: int = 0
    most: bool = False
    refusal: str = ""
    unknown: str = ""


class Visit(NamedTuple):
    """All that was seen at one URL. `error` says why nothing could be, `stopped` why not everything was asked; with
    `failed`, because the server did not answer any more."""

    url: str
    address: str | None
    seen: tuple[Seen, ...] = ()
    limit: Limit = Limit()
    requests: int = 0
    stopped: str = ""
    failed: bool = False
    error: str = ""

    def get(self, name: str) -> Seen | None:
        """What was seen of that probe, None where it was not asked or no answer came."""
        return next((seen for seen in self.seen if seen.probe == name and seen.reply is not None), None)


class _Stop(Exception):
    """No more requests; the message says why, `failed` that the server is the reason."""

    def __init__(self, message: str, failed: bool = False) -> None:
        super().__init__(message)
        self.failed = failed


class Visitor:
    """Asks URLs one after the other; hosts are looked up once."""

    def __init__(self, options: Options, control: Control | None = None, predict: Predict | None = None) -> None:
        self.options = options
        self._control = control
        self._predict = predict
        self._peers: dict[Target, Peer] = {}

    def visit(self, url: str) -> Visit:
        """Sends all probes to that URL. Raises ValueError where it is none; that it, or the origin's control interface,
        cannot be reached stands in the result."""
        request = make_request(url)
        address = self.options.address
        target = Target.of(request, address.host if address is not None else "")
        peer = self._peers.setdefault(target, Peer(target, self.options.insecure, self.options.timeout))
        tour = _Tour(url, peer, self.options, self._control, self._predict)
        stopped = error = ""
        failed = False
        try:
            tour.run()
        except _Stop as stop:
            stopped, failed = str(stop), stop.failed
        except Unreachable as failure:
            error = str(failure)
        if not error and all(seen.status is None for seen in tour.seen):
            error = f"{target.label}: every connection is closed without an answer"
        return Visit(url, peer.address, tuple(tour.seen), tour.limit, tour.requests, stopped, failed, error)


class _Tour:
    """The requests to one URL."""

    def __init__(
        self, url: str, peer: Peer, options: Options, control: Control | None, predict: Predict | None
    ) -> None:
        self.seen: list[Seen] = []
        self.limit = Limit(unknown="not asked")
        self.requests = 0
        self._peer = peer
        self._options = options
        self._control = control
        self._predict = predict
        self._late = 0
        headers = list(MANNERS)
        if options.address is not None:
            headers.insert(0, ("Host", _authority(options.address)))
        self._base = {"url": url, "method": "GET", "headers": [list(pair) for pair in headers]}

    def run(self) -> None:
        """Asks everything. Raises _Stop before the end, Unreachable where the first request gets no answer."""
        mark = secrets.token_hex(4)
        for probe in PROBES:
            line = probe.line(self._base, self._options.given, mark)
            if line is None or (self._control is None and self._pointless(probe)):
                continue
            seen = self._ask(probe.name, probe.title, line)
            self.seen.append(seen)
            if self._control is None and probe.name.startswith("spoofed"):
                self._make_sure(probe, seen)
        self.limit = self._longest()

    def _pointless(self, probe: Probe) -> bool:
        """Whether a probe says nothing where nobody tells the origin what to answer."""
        return probe.status != 200 or (probe.fresh and self._options.given is None)

    def _make_sure(self, probe: Probe, seen: Seen) -> None:
        """Where the answer is another one than without that header: both again, because pages change by themselves."""
        plain = "no-credentials" if self._options.given is None else "basic"
        before = next((one for one in self.seen if one.probe == plain), None)
        if before is None or before.picture == seen.picture:
            return
        self.seen.append(self._ask(f"{plain} again", f"{before.title}, {SAME}", before.line))
        self.seen.append(self._ask(f"{probe.name} again", f"{probe.title}, {SAME}", seen.line))

    def _ask(self, name: str, title: str, line: Line) -> Seen:
        if self.requests >= self._options.requests:
            raise _Stop(f"the bound of {self._options.requests} requests is reached (--max-requests)")
        after = 0
        if self._control is not None:
            answer = line["upstream_response"]
            pairs = tuple((str(n), str(v)) for n, v in answer["headers"])
            self._control.answer(answer["status"], pairs, answer["body"])
            after = self._control.mark()
        self.requests += 1
        try:
            reply = self._peer.send(request_bytes(line))
            if reply.status is None and reply.body:
                raise Unreachable(f"{self._peer.target.label}: this is no answer of HTTP: {reply.body[:40]!r}")
        except Unreachable as error:
            if self.requests == 1:
                raise
            if not isinstance(error, Late):
                raise _Stop(str(error), failed=True) from error
            self._late += 1
            if self._late == LATE_LIMIT:
                raise _Stop(f"{LATE_LIMIT} requests in a row got no answer", failed=True) from error
            return Seen(name, title, line, None, str(error), None if self._control is None else ())
        self._late = 0
        if reply.status == 429 and self.requests > 1:
            raise _Stop("the server answers 429: it is asked too often")
        seen = Seen(name, title, line, reply)
        return seen if self._control is None else self._with_arrivals(seen, after)

    def _with_arrivals(self, seen: Seen, after: int) -> Seen:
        assert self._control is not None and seen.reply is not None
        exchanges = tuple(self._control.received(after, SETTLE)[0])
        main = _main(exchanges, seen.line)
        body = seen.reply.body
        owner = next((probe.name for probe in PROBES if body and body == probe.body.encode()), "")
        seen = seen._replace(
            exchanges=exchanges,
            main=main,
            fates=() if main is None else tuple(fates(_sent(seen.line), main)),
            owner="" if owner == seen.probe or main is not None else owner,
        )
        return seen if self._predict is None else self._compared(seen)

    def _compared(self, seen: Seen) -> Seen:
        assert self._predict is not None and seen.reply is not None
        trace = self._predict(seen.line)
        cached = seen.owner and any(outcome.get("cache") for outcome in trace.get("outcomes", ()))
        answered = frozenset(name.lower() for name, _ in seen.line["upstream_response"]["headers"])
        # An answer out of a cache is foreseen as such, but what is in the cache is not.
        observation = Observation(seen.reply, seen.exchanges or (), answered)
        found = [] if cached else differences(trace, observation)
        if not trace.get("outcomes"):
            return seen._replace(differences=tuple(found))
        outcome = min(trace["outcomes"], key=lambda one: len(outcome_differences(one, observation, seen.line)))
        if not found and not cached:
            # Only the prediction can tell the request itself from what an auth_request or a mirror sends.
            carriers = [exchange for exchange in outcome["exchanges"] if exchange["role"] in ("main", "fallback")]
            fitting = [
                one
                for one in observation.exchanges
                if carriers and not exchange_differences(carriers[-1], one, seen.line)
            ]
            seen = seen._replace(main=fitting[-1] if fitting else None)
            seen = seen._replace(fates=() if seen.main is None else tuple(fates(_sent(seen.line), seen.main)))
        return seen._replace(prediction=outcome, differences=tuple(found))

    def _longest(self) -> Limit:
        """Bisection: the longest Authorization that is treated as a short one. At most 18 requests."""
        short = next((seen for seen in self.seen if seen.probe == "bearer"), None)
        if short is None or short.status is None or short.status in _TOO_LONG:
            return Limit(unknown="a short one is not answered either")
        low, high = len(f"Bearer {TOKEN}"), LARGEST
        largest = self._oversized(high)
        if _passes(largest, short):
            return Limit(LARGEST, most=True)
        edges = {high: largest}
        while high - low > 1:
            middle = (low + high) // 2
            edges[middle] = self._oversized(middle)
            if _passes(edges[middle], short):
                low = middle
            else:
                high = middle
        # Of all these requests, the two on both sides of the limit are worth showing.
        self.seen += [edges[size] for size in (low, high) if size in edges]
        status = edges[high].status
        refusal = "no answer" if status is None else str(status)
        return Limit(low, refusal=refusal + (" and does not arrive" if status == short.status else ""))

    def _oversized(self, size: int) -> Seen:
        return self._ask(f"oversized-{size}", f"Authorization of {size} bytes", oversized(self._base, size))


_TOO_LONG = (400, 413, 414, 431)


def _passes(seen: Seen, short: Seen) -> bool:
    """Whether a long value fares as the short one did: the same status, and at the origin the same fate."""
    return seen.status == short.status and seen.fate("Authorization") == short.fate("Authorization")


def _sent(line: Line) -> Pairs:
    """Every header line that was sent, Host included."""
    return make_request(line["url"], headers=[(name, value) for name, value in line["headers"]]).headers


def _main(exchanges: tuple[Received, ...], line: Line) -> Received | None:
    """The exchange that carried the request: the last with its method and target, else the last of all."""
    target = make_request(line["url"]).target
    own = [one for one in exchanges if (one.method, one.target) == (line["method"], target)]
    return own[-1] if own else exchanges[-1] if exchanges else None


def _authority(request: Request) -> str:
    default = 443 if request.tls else 80
    return request.host if request.port == default else f"{request.host}:{request.port}"
