"""The longest Authorization that a listener lets in, found by bisection on the server and compared with the
prediction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from auditor.server import Route
from probes.caches import keys_of
from probes.plan import predict, told
from probes.questions import oversized

if TYPE_CHECKING:
    from probes.probing import Session
    from probes.sandbox.sandbox import Sandbox

REFUSALS = (400, 414, 431, 494, None)  # None: the connection is closed
SMALLEST = 64
LARGEST = 1 << 20  # bytes; nginx's own buffers are 8 KiB


class Limit(NamedTuple):
    """The longest value of Authorization, in bytes, that passes at a listener. `observed` is None where even LARGEST
    passes; `agrees` says whether the predictor draws the line at the same byte; `refusal` is what comes beyond it."""

    listener: str
    url: str
    observed: int | None
    agrees: bool
    refusal: int | None = None


def find_limits(session: Session, sandbox: Sandbox) -> Iterator[Limit]:
    """One limit for each listener that has a route on which a short one passes."""
    routes: dict[tuple[str, int], list[Route]] = {}
    for route in session.routes:
        address = sandbox.listener(route.request)
        if address is not None:
            routes.setdefault(address, []).append(route)
    guess = None
    for (host, port), candidates in routes.items():
        for route in candidates[:4]:
            limit = _limit(session, sandbox, route, f"{host}:{port}", guess)
            if limit is not None:
                yield limit
                guess = limit.observed
                break


def _limit(session: Session, sandbox: Sandbox, route: Route, listener: str, guess: int | None) -> Limit | None:
    """The limit of one listener, by a route of it. `guess` is that of another listener: most have the same."""

    def passes(size: int) -> bool:
        outcomes, predicted = predict(session.site, sandbox.world(line(size)), line(size))
        sandbox.refresh(keys_of(outcomes))
        session.requests += 1
        seen.append(sandbox.observe(line(size), told(line(size), predicted)).reply.status)
        return seen[-1] not in REFUSALS

    def line(size: int) -> dict[str, object]:
        return session.asker.complete(oversized(session.asker.base(route), size))

    def predicted_to_pass(size: int) -> bool:
        outcomes, _ = predict(session.site, sandbox.world(line(size)), line(size))
        return all(outcome.status not in REFUSALS[:4] and outcome.action != "closed" for outcome in outcomes)

    seen: list[int | None] = []
    if not passes(SMALLEST):
        return None
    low, high = SMALLEST, LARGEST
    if guess is not None and passes(guess):
        low = guess
        if not passes(guess + 1):
            high = guess + 1
    if high == LARGEST and passes(LARGEST):
        return Limit(listener, route.request.url, None, predicted_to_pass(LARGEST))
    refusal = seen[-1]
    while high - low > 1:
        middle = (low + high) // 2
        if passes(middle):
            low = middle
        else:
            high, refusal = middle, seen[-1]
    return Limit(listener, route.request.url, low, predicted_to_pass(low) and not predicted_to_pass(high), refusal)
