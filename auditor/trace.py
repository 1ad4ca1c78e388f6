"""The answer to the one question: who answers a request, what reaches the origin, what comes back, and why."""

# Annotations are not postponed here: each of a named tuple would be compiled from its text again at every start.

from typing import NamedTuple

from auditor.source import Place
from auditor.values import Value
from auditor.world import Asked

# Fates of a header line that an upstream receives, or of one that the client sent.
FORWARDED = "forwarded"  # the client's value, unchanged
CHANGED = "changed"  # the client's value is inside: appended to, joined, edited
REPLACED = "replaced"  # another value instead of the client's
ADDED = "added"  # the client had none
STRIPPED = "stripped"  # the client sent it, the upstream does not get it

DECIDES = "decides"
SUPPRESSES = "suppresses"
INHERITED = "inherited from"
DISPLACES = "displaces"  # a line further in, where that level's own lines stand in the place of those further out


_GATEWAYS = frozenset(("fastcgi", "scgi", "uwsgi"))


class Because(NamedTuple):
    """What decided: a place of the configuration with its role, or a default of the server with its manual page."""

    role: str
    place: Place | None = None
    default: str | None = None
    see: str | None = None


class SentHeader(NamedTuple):
    """A header line (or a CGI parameter) that an upstream receives. `present` is "yes" or "maybe"."""

    name: str
    value: Value
    present: str
    fate: str
    because: tuple[Because, ...]


class LostHeader(NamedTuple):
    """A header line that does not get there: the client's to the upstream, or one of an answer to the client."""

    name: str
    because: tuple[Because, ...]


class Shadowed(NamedTuple):
    """A header line of an outer level that does not count here, because an inner level has one of its own.

    `side` is "request" or "response"; `line` is the outer line, `by` the first inner line that displaces the outer
    ones; `name` and `value` are what the line would have set (`value.text` is "" for a line that clears).
    """

    side: str
    name: str
    value: Value
    line: Place
    by: Place


class Cache(NamedTuple):
    """Whether the answer is stored: `store` is "yes", "no" or "origin decides"; the text of `key` is None where it is
    not knowable.

    `answers` says whether the request could have been answered out of the cache: "yes", "no", or "maybe". `depends` are
    the sources (auditor.values) that the key, or a condition on storing and answering, is made of, also those that this
    request leaves empty. `line` sends requests through the cache. `early`: it answers before any gate is asked.
    """

    zone: str
    key: Value
    store: str
    because: tuple[Because, ...]
    answers: str = "yes"
    depends: tuple[str, ...] = ()
    line: Place | None = None
    early: bool = False


class Exchange(NamedTuple):
    """One request that the server makes, as the upstream receives it.

    `role` is main, auth, mirror or fallback (made after an error page or an internal redirect took over).
    `body` is "sent", "dropped" or "none". `place` is the line that sends the request there. `status` is what the
    upstream answered, where known. `tls`: the server speaks TLS to the upstream. `cache`: where the answer may be kept.
    """

    role: str
    upstream: str
    servers: tuple[str, ...]
    protocol: str
    method: str
    uri: str | None
    body: str
    headers: tuple[SentHeader, ...]
    lost: tuple[LostHeader, ...]
    place: Place | None = None
    tls: bool = False
    status: int | None = None
    shadowed: tuple[Shadowed, ...] = ()
    cache: Cache | None = None

    def header(self, name: str) -> SentHeader | None:
        """The first line of that name, case ignored; with FastCGI and the like the parameter of the header's name with
        HTTP_ (RFC 3875, 4.1.18), since one that is merely called so is no header. A name in upper case is a
        parameter's."""
        wanted = {name.lower(), "http_" + name.lower().replace("-", "_")}
        if self.protocol in _GATEWAYS and not name.isupper():
            wanted.remove(name.lower())
        for sent in self.headers:
            if sent.name.lower() in wanted:
                return sent
        return None

    def loss(self, name: str) -> LostHeader | None:
        """The loss of that client header, case ignored."""
        low = name.lower()
        for lost in self.lost:
            if lost.name.lower() == low:
                return lost
        return None


class Gate(NamedTuple):
    """Something that had to be passed before the request was served.

    `kind` is auth_basic, auth_digest, auth_form, auth_request, auth_jwt, auth_module (that of another project), or
    access (allow and deny, Require lines that name nobody); `result` is passed, refused, skipped (configured, but not
    asked) or off, with the reason "overridden" where a line opens it that is about more than the gate's own part of the
    site. `reason` says why it was skipped: "no-user-file", "no-require" (nothing says that somebody must pass it),
    "all-granted" (a line beside it says that everybody may), "satisfied" (another gate was enough), "before" (the
    request was answered before the gate's turn), "subrequest"; or why it refuses everybody: "no-file", "unreadable",
    "unnamed-file" (no line names a user file), "no-group-file" (groups are asked for, and no line names their file),
    "misconfigured" (what says how to ask is missing), "no-module". `needs` is "credentials", "address" or "certificate"
    (a condition on what TLS found of the client). `source` is where the gate finds what it compares with (user file,
    key, auth URI).
    """

    kind: str
    scheme: str | None
    realm: str | None
    result: str
    because: tuple[Because, ...]
    reason: str = ""
    needs: str = "credentials"
    source: str | None = None


class ResponseHeader(NamedTuple):
    """A header line of the answer that the server itself adds, changes, or lets through."""

    name: str
    value: Value
    because: tuple[Because, ...]
    origin: bool = False  # it came from the upstream


class Replaced(NamedTuple):
    """An answer in whose place another one went out: an error page. `status` is what it was, `role` that of the request
    which would have got it (main or auth), `line` what put the other one there. `page` is the path that was asked for
    instead, "" where none was or where it is not told."""

    status: int
    line: Place
    role: str = "main"
    page: str = ""


class Step(NamedTuple):
    """One step of the request's way: a place, what stands there, and what it did."""

    place: Place | None
    text: str
    effect: str


class Outcome(NamedTuple):
    """One way a request can end, with the answers that lead to it.

    `action` is proxied, static, cgi, answered, closed or unknown. `status` is what the client sees; None where only the
    origin knows. `handler` is the block that answered; `server` the name of the virtual host. `fault` says in a word
    why the server answered with an error of its own ("missing-file", "method", ...), for reports. `hidden` are header
    lines of the upstream's answer, or of a gate's, that the client does not get. `file` is the path on the deployed
    machine of the file that is sent. `withheld` are header lines of the configuration that answers of this status do
    not get. `unnamed`: no virtual host is called as the request's host, and this one takes what is left.
    """

    when: tuple[Asked, ...]
    action: str
    status: int | None
    exchanges: tuple[Exchange, ...] = ()
    gates: tuple[Gate, ...] = ()
    cache: Cache | None = None
    response_headers: tuple[ResponseHeader, ...] = ()
    steps: tuple[Step, ...] = ()
    handler: Place | None = None
    server: str = ""
    shadowed: tuple[Shadowed, ...] = ()
    hidden: tuple[LostHeader, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    file: str | None = None
    withheld: tuple[LostHeader, ...] = ()
    unnamed: bool = False

    @property
    def main(self) -> Exchange | None:
        """The exchange whose answer the client gets, where there is one."""
        for exchange in reversed(self.exchanges):
            if exchange.role in ("main", "fallback"):
                return exchange
        return None

    def response_header(self, name: str) -> ResponseHeader | None:
        """The first response header of that name, case ignored."""
        low = name.lower()
        for header in self.response_headers:
            if header.name.lower() == low:
                return header
        return None


Outcomes = tuple[Outcome, ...]
