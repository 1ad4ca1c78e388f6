"""What a probe asks of a route, whichever server stands there: the requests, and what the origin is to answer.

Each is a line of a requests file (README, "Requests and traces as JSON"), so that the client sends it, the predictor
reads it and the comparison takes it as it is. `upstream_response` in it holds what the origin is to answer; its `body`
is another one for each probe, so that an answer out of a cache shows whose it was. Everything is harmless: GET and
OPTIONS, and credentials that say that they are made up.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from auditor.http import Pairs

Line = dict[str, Any]

TOKEN = "audit-probe"  # what every made-up value begins with
SITE = "https://audit-probe.example"  # the page that asks from another origin
IDENTITY = ("X-Remote-User", "Remote-User", "X-Forwarded-User", "X-Auth-Request-User", "X-WebAuth-User")
NO_STORE: Pairs = (("Cache-Control", "no-store"),)
# A shared cache must not store an answer to a request with Authorization for this alone (RFC 9111, 3.5).
STORABLE: Pairs = (("Cache-Control", "max-age=5"),)

# Which credentials a probe uses.
NONE = "none"
GIVEN = "given"  # right ones; without them the probe is left out
GIVEN_OR_NONE = "given-or-none"
BEST = "best"  # right ones, else a made-up token
BEST_LOWER = "best-lower"  # the same with the scheme's name in lower case (RFC 9110, 11.1: case does not matter)
BEARER = "bearer"
WRONG = "wrong"
OTHER = "other"  # another made-up token


def basic(credentials: str) -> str:
    """The value of Authorization for `name:password` (RFC 7617, 2)."""
    return "Basic " + base64.b64encode(credentials.encode("latin-1")).decode("ascii")


WRONG_BASIC = basic(f"{TOKEN}:wrong")


def authorization(kind: str, given: str | None) -> str | None:
    """The value of Authorization; `given` is `name:password`, None where nobody gave one. None for no header."""
    best = f"Bearer {TOKEN}" if given is None else basic(given)
    scheme, _, rest = best.partition(" ")
    values = {
        GIVEN: None if given is None else best,
        GIVEN_OR_NONE: None if given is None else best,
        BEST: best,
        BEST_LOWER: f"{scheme.lower()} {rest}",
        BEARER: f"Bearer {TOKEN}",
        WRONG: WRONG_BASIC,
        OTHER: f"Bearer {TOKEN}-other",
    }
    return values.get(kind)


class Probe(NamedTuple):
    """One request of a kind. `headers` are sent besides Host and Authorization; `status` and `answer` are what the
    origin is to answer. With `fresh` the URL gets a query of its own, so that no answer stored before fits."""

    name: str
    title: str
    credentials: str = NONE
    headers: Pairs = ()
    method: str = ""
    status: int = 200
    answer: Pairs = NO_STORE
    fresh: bool = False

    @property
    def body(self) -> str:
        """The body of the origin's answer to this probe."""
        return f"{TOKEN} {self.name}\n"

    def line(self, base: Mapping[str, Any], given: str | None = None, mark: str = "") -> Line | None:
        """The request, made of `base` (`url`, and perhaps `method` and `headers`: lines of the same name are replaced).

        `given` is the `name:password` of somebody who has one, `mark` makes the query of a fresh URL; None where the
        probe cannot be asked.
        """
        if self.credentials == GIVEN and given is None:
            return None
        value = authorization(self.credentials, given)
        own = (() if value is None else (("Authorization", value),)) + self.headers
        replaced = {"authorization"} | {name.lower() for name, _ in own}
        kept = [(name, text) for name, text in base.get("headers", ()) if name.lower() not in replaced]
        url = str(base["url"])
        if self.fresh:
            url += ("&" if "?" in url else "?") + TOKEN + (f"={mark}" if mark else "")
        return {
            "method": self.method or base.get("method", "GET"),
            "url": url,
            "headers": [[name, text] for name, text in (*kept, *own)],
            "upstream_response": {
                "status": self.status,
                "headers": [list(pair) for pair in self.answer],
                "body": self.body,
            },
        }


def spoofed(names: Iterable[str] = IDENTITY) -> list[Probe]:
    """The probes that claim an identity, in the spellings that applications read as the same header: CGI and its kin
    write `-` and `_` alike (RFC 3875, 4.1.18)."""
    plain = tuple((name, f"{TOKEN}-{number}") for number, name in enumerate(names, 1))
    underscored = tuple((name.replace("-", "_"), value) for name, value in plain)
    lower = tuple((name.lower(), value) for name, value in plain)
    upper = tuple((name.upper(), value) for name, value in underscored)
    return [
        Probe("spoofed", "identity headers of the client's", GIVEN_OR_NONE, plain),
        Probe("spoofed-underscores", "the same, X_Remote_User", GIVEN_OR_NONE, underscored),
        Probe("spoofed-lower", "the same, x-remote-user", GIVEN_OR_NONE, lower),
        Probe("spoofed-upper", "the same, X_REMOTE_USER", GIVEN_OR_NONE, upper),
    ]


PREFLIGHT: Pairs = (
    ("Origin", SITE),
    ("Access-Control-Request-Method", "GET"),
    ("Access-Control-Request-Headers", "authorization"),
)
# An address for documentation (RFC 5737), so that no list names it.
FORWARDING: Pairs = (
    ("X-Forwarded-For", "192.0.2.77"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "audit-probe.example"),
    ("Cookie", f"{TOKEN}=1"),
)
CHALLENGE: Pairs = (("WWW-Authenticate", f'Bearer realm="{TOKEN}"'), *NO_STORE)

PROBES: tuple[Probe, ...] = (
    Probe("no-credentials", "no credentials"),
    Probe("bearer", "Bearer, made up", BEARER),
    Probe("basic", "Basic, right", GIVEN),
    Probe("wrong-basic", "Basic, made up", WRONG),
    Probe("preflight", "preflight", NONE, PREFLIGHT, "OPTIONS"),
    Probe("cross-origin", "from another origin", BEST, (("Origin", SITE),)),
    *spoofed(),
    Probe("hop-by-hop", "Connection: Authorization", BEST, (("Connection", "Authorization"),)),
    Probe("lower-case", "scheme in lower case", BEST_LOWER),
    Probe("forwarding", "X-Forwarded-* and Cookie of the client's", BEST, FORWARDING),
    Probe("origin-401", "the origin answers 401", BEST, status=401, answer=CHALLENGE),
    Probe("origin-403", "the origin answers 403", BEST, status=403),
    # These two follow each other: an answer made for one, and the same asked by another.
    Probe("repeat-first", "an answer that a cache may keep", BEST, answer=STORABLE, fresh=True),
    Probe("repeat-other", "the same with other credentials", OTHER, answer=STORABLE, fresh=True),
)
LARGEST = 64 << 10  # bytes; the longest Authorization that is tried


def oversized(base: Mapping[str, Any], size: int) -> Line:
    """A request whose Authorization has a value of `size` bytes (at least 18)."""
    value = f"Bearer {TOKEN}"
    value += "x" * (size - len(value))
    probe = Probe("oversized", f"Authorization of {size} bytes", NONE, (("Authorization", value),))
    line = probe.line(base)
    assert line is not None  # only probes with right credentials can be left out
    return line
