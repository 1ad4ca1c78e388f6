"""What caches do to a probe: which places a request may fill, and whether the next one is answered out of them."""

from __future__ import annotations

from typing import Any

from auditor.trace import Outcomes

Trace = dict[str, Any]
Key = tuple[str, str | None]  # zone and key; None for a key that is not known


def keys_of(outcomes: Outcomes) -> set[Key]:
    """The places that a request and its subrequests may fill."""
    caches = (exchange.cache for outcome in outcomes for exchange in outcome.exchanges)
    return {(cache.zone, cache.key.text) for cache in caches if cache is not None}


def answer_keys(predicted: Trace) -> set[Key]:
    """Where the answer to the request itself may be kept."""
    caches = (outcome["cache"] for outcome in predicted["outcomes"])
    return {(cache["zone"], cache["key"]) for cache in caches if cache is not None}


def may_hit(before: Trace, predicted: Trace) -> bool:
    """Whether the answer to the request before can be what this one gets."""
    caches = (outcome["cache"] for outcome in before["outcomes"])
    keys = {(cache["zone"], cache["key"]) for cache in caches if cache is not None and cache["store"] != "no"}
    return any(key in keys or key[1] is None for key in answer_keys(predicted))


def must_hit(before: Trace, predicted: Trace) -> bool:
    """Whether it has to be, where nothing passes the cache by: the answer was surely stored under this very key."""
    if len(before["outcomes"]) != 1 or len(predicted["outcomes"]) != 1:
        return False
    first, second = before["outcomes"][0]["cache"], predicted["outcomes"][0]["cache"]
    if first is None or second is None or first["store"] != "yes" or first["key"] is None:
        return False
    return bool((first["zone"], first["key"]) == (second["zone"], second["key"]))


def without_main(predicted: Trace) -> Trace:
    """The trace of a request that a cache answers: nothing but requests for a verdict goes out."""
    outcomes = [
        {**outcome, "exchanges": [each for each in outcome["exchanges"] if each["role"] == "auth"]}
        for outcome in predicted["outcomes"]
    ]
    return {**predicted, "outcomes": outcomes}
