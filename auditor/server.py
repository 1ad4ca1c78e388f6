"""The one interface that every server kind fulfils. Rules, reports and commands know nothing else of a server."""

# Annotations are not postponed here: each of a named tuple would be compiled from its text again at every start.

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from auditor.http import Request
from auditor.patterns import lazy_re
from auditor.source import InputError, Place, SourceFile
from auditor.trace import Outcomes
from auditor.world import World

# Traits: what stands in the way of a route, said in words that every server kind shares. A rule may skip a route that
# lacks the traits without which its defect cannot occur. A trait may be there in vain; it must never be missing.
GATE = "gate"  # something asks for credentials, an address or a token, here or further out
CLIENT_ADDRESS = "client-address"  # a line sets a header with the client's address, or says who is believed about it
CORS = "cors"  # Access-Control-* is set, or OPTIONS is handled
CORS_CREDENTIALS = "cors-credentials"  # Access-Control-Allow-Credentials is set
CORS_PREFLIGHTED = "cors-preflighted"  # one of the headers is set without which Authorization never comes
REQUEST_HEADERS = "request-headers"  # lines of the configuration set or clear request headers or CGI parameters
AUTHORIZATION = "authorization"  # a line names or reads Authorization, or drops all client headers
IDENTITY = "identity"  # an identity header or parameter is set, or REMOTE_USER
SHADOWED = "shadowed"  # a level displaces header lines of a level further out
PROXY_VARIABLE = "proxy-variable"  # a program (FastCGI, SCGI, CGI) may get a Proxy header as HTTP_PROXY
CHALLENGE = "challenge"  # the route itself can answer 401, or looks for a cookie of those who have logged in
JWT = "jwt"  # a gate checks signed tokens by itself
LIMITS = "limits"  # a line says how long header lines may be
LOCAL = "local"  # only programs of the same machine can ask: loopback addresses and Unix sockets. Never in vain
LOGGED = "logged"  # a log format of the configuration's own names what may be a credential
LOSES = "loses"  # a line sets Cookie, or tells browsers of headers with odd names
DAV = "dav"  # methods of WebDAV are answered from files
METHODS = "methods"  # the method decides which gates a request meets
REPEATED = "repeated"  # two lines of one level set the same request header
SUBREQUEST = "subrequest"  # a gate asks a service of its own
REFUSAL = "refusal"  # a line changes what becomes of a 401, or names the header of its challenge
CACHE = "cache"  # answers of an upstream may be kept
UPGRADE = "upgrade"  # a line is about the change to another protocol (WebSocket)
FORBIDS = "forbids"  # the route itself can answer 403 or 407, or put something in the place of a 401 or 403
SECRET = "secret"  # a header or parameter that may hold a credential is sent from the configuration
UPSTREAM = "upstream"  # the route hands requests to an upstream
OPAQUE = "opaque"  # code, a module, or a variable that cannot be followed may decide
REDIRECTS = "redirects"  # another block of the same virtual host may answer in the end



def cors_traits(text: str) -> Iterator[str]:
    """The traits that header lines for other origins give, told from their text."""
    low = text.lower()
    if "access-control-" in low:
        yield CORS
        if "allow-credentials" in low:
            yield from (CORS_CREDENTIALS, CORS_PREFLIGHTED)
        elif any(word in low for word in ("allow-headers", "allow-methods", "max-age")):
            yield CORS_PREFLIGHTED


# As in 1.31.3; shorter where a release line begins.
Version = tuple[int, ...]


class Route(NamedTuple):
    """A witness together with what decided it.

    `request` is the witness, made from the text of the configuration and verified by tracing it. `handler` is the block
    that answers, `server` the virtual host's name for fingerprints, `pattern` how the configuration writes the route.
    Routes of one likeness are treated alike, but for their paths and the names of hosts: where one has no defect of its
    own, the others have none. None is like no other.
    """

    request: Request
    server: str
    pattern: str
    handler: Place | None
    traits: frozenset[str] = frozenset()
    likeness: object = None

    @property
    def label(self) -> str:
        """How reports name the route: `GET http://a.example/api/`."""
        return f"{self.request.method} {self.request.url}"


class Area(NamedTuple):
    """A part of a virtual host that the configuration means to guard: what its author would say is protected.

    `prefix` is the path prefix (as written), `exact` whether only that very path is meant, `block` the guarding block,
    `gate` the line that guards, `kind` its kind (as in Gate.kind), `host` and `server` the virtual host.
    """

    server: str
    host: str
    prefix: str
    exact: bool
    block: Place
    gate: Place
    kind: str


_ROOT = lazy_re(r"/|[A-Za-z]:[/\\]")


def is_absolute(path: str) -> bool:
    """Whether a path begins at a root, or at a drive of Windows: servers take C:/htdocs for absolute there."""
    return _ROOT.match(path) is not None


class UserFile(NamedTuple):
    """A password file that the configuration names. `path` is as written, None where it is made of variables;
    `resolved` is the path on the deployed machine; `line` names it, `gates` are the lines that use it. `state` is what
    lies there: file, directory, missing, unreadable, or None where that cannot be judged from here. `chosen` says that
    clients choose the path: it is made of what they send."""

    path: str | None
    resolved: str | None
    line: Place
    gates: tuple[Place, ...] = ()
    state: str | None = None
    chosen: bool = False


class Limit(NamedTuple):
    """A limit on how often or how many at a time. Those above it are answered `status`, which `line` sets; `limit` is
    the line of the limit itself."""

    status: int
    line: Place
    limit: Place


class Unread(NamedTuple):
    """A file that is included around a line and is not at hand. `path` is as it is written, `line` includes it.

    `block` is the kind of the block that it adds to ("location", "server"); `counts` is False for the header lines in
    it where a block further in has header lines of its own.
    """

    path: str
    line: Place
    block: str
    counts: bool


class Suspect(NamedTuple):
    """A line that names a header or a gate and that perhaps has no effect.

    `directive` is its name, `header` the header it names, `why` a clause on what it does instead. `exchanges` are the
    lines that send requests on and that it could have an effect on (Exchange.place); without any it has none. Suspects
    of one likeness stand in blocks of the same text (Route.likeness). `anywhere`: an effect could show on any route,
    and where a gate of the configuration refuses.
    """

    line: Place
    directive: str
    header: str
    why: str
    instead: str = ""
    exchanges: tuple[Place, ...] = ()
    likeness: object = None
    anywhere: bool = False


class Capture(NamedTuple):
    """A line that takes something of an auth service's answer over, or uses it, in vain.

    `variables` are what it and the lines `beside` it are about. `fault` is "misplaced" (taken over where no such
    service is asked), "uncaptured" (used where it has not been taken over, and is empty), "early" (used before it is
    taken over) or "unused" (taken over for nothing).
    """

    line: Place
    variables: tuple[str, ...]
    fault: str
    beside: tuple[Place, ...] = ()


class Misplaced(NamedTuple):
    """A line of a gate that stands where it cannot work. `what` says in a sentence what becomes of the gate there,
    `instead` what to write; `about` are lines that have to do with it. `witness` is a request that it does not guard,
    or that nobody gets an answer to, because of where it stands."""

    line: Place
    what: str
    instead: str
    about: tuple[Place, ...] = ()
    witness: Request | None = None


class Logged(NamedTuple):
    """A line that makes a log of something of the request or of its answer. `names` are headers (in lower case),
    `cookie NAME` or `argument NAME`; `logs` are the lines by which requests are written so."""

    line: Place
    names: tuple[str, ...]
    logs: tuple[Place, ...]


class Managed(NamedTuple):
    """A block that another program writes anew, in which lines stand that are none of its own: `owner` is the program,
    `first` the number of the line with its mark."""

    owner: str
    first: int
    lines: tuple[Place, ...]


class Unfilled(NamedTuple):
    """A line that makes a header for the upstream of something that is never there: `header` is its name, `value` what
    it is made of, `why` a clause on why that is empty, `instead` what to write."""

    line: Place
    header: str
    value: str
    why: str
    instead: str


class Note(NamedTuple):
    """Something that could not be read, was assumed, or was not covered. `kind` is unread (a part of a configuration),
    unchecked (another file that it names), unanalysed, assumed, unreached, template, or stale (of a baseline)."""

    kind: str
    text: str
    place: Place | None = None


class Comment(NamedTuple):
    """A comment that speaks to this product: `text` begins behind the `#`. It is about the directives that begin on the
    lines `first` to `last`: the line it ends, the block that this line opens, or, where it stands alone, the next."""

    source: SourceFile
    line: int
    text: str
    first: int
    last: int


class Site(Protocol):
    """A configuration that has been read."""

    kind: str

    @property
    def files(self) -> Sequence[SourceFile]: ...

    @property
    def notes(self) -> Sequence[Note]: ...

    @property
    def errors(self) -> Sequence[InputError]:
        """What could not be read or parsed, and is left out."""
        ...

    @property
    def partial(self) -> bool:
        """Whether this is a part of a configuration, of which no virtual host is known: what is not here, a gate or its
        user file, may stand where it is included."""
        ...

    @property
    def complete(self) -> bool:
        """Whether all of the configuration has been read as it is: no part alone that others include, nothing that was
        not found, no template. Only then nothing unseen can give a line an effect."""
        ...

    @property
    def tells_schemes_apart(self) -> bool:
        """Whether a line, a gate aside, may treat one kind of credentials otherwise than another: where this says no, a
        token and a password fare alike."""
        ...

    def routes(self) -> Sequence[Route]:
        """Witnesses for every handler that a request can reach."""
        ...

    def trace(self, request: Request, world: World | None = None) -> Outcomes:
        """What happens to the request; `world` says what is known beside what the site itself knows (its files)."""
        ...

    def areas(self) -> Sequence[Area]:
        """What the configuration means to guard, innermost block that has its own gate line."""
        ...

    def comments(self) -> Sequence[Comment]:
        """The comments that begin with `# audit:`, in the order of the files."""
        ...

    def user_files(self) -> Sequence[UserFile]: ...

    def text_of(self, path: str) -> str | None:
        """The text (latin-1) of a file of the deployed machine, None where it is not at hand."""
        ...

    def addresses(self, path: str) -> Iterable[Request]:
        """Requests that name a file of the deployed machine, by the folders that are served. Whether one of them gets
        it is told by its trace (Outcome.file)."""
        ...

    def logged(self) -> Iterable[Logged]:
        """What of requests the configuration writes to logs, where it says so itself."""
        ...

    def unfilled(self) -> Iterable[Unfilled]:
        """Headers for upstreams that are made of what is empty, whatever a client does."""
        ...

    def ways_to_pass(self, request: Request, world: World) -> Sequence[str]:
        """What to write so that the program which such a request reaches gets the client's Authorization, where the
        server withholds it from programs of itself: the best way first, each tried; then what does not work here."""
        ...

    def managed(self) -> Iterable[Managed]:
        """Blocks that other programs write anew, with lines in them that those would drop."""
        ...

    def passwords(self) -> Iterable[tuple[Place, str, str]]:
        """Lines with a password of the server's own, which no request shows: the line, what it is for, the text."""
        ...

    def handing(self) -> Iterable[Place]:
        """Lines by which programs are to get a client's Authorization, wherever they count."""
        ...

    def unread(self, line: Place) -> Iterable[Unread]:
        """What is included around that line and could not be read, from the inside out."""
        ...

    def captures(self) -> Iterable[Capture]:
        """What is taken of auth services' answers in vain."""

    def misplaced(self) -> Iterable[Misplaced]:
        """Gates that stand where this kind of server does not look at them, or takes them for something else."""
        ...

    def limits(self) -> Sequence[Limit]:
        """The limits that have a status of their own."""
        ...

    def suspects(self) -> Iterable[Suspect]:
        """Lines that are worth asking `without` about."""
        ...

    def without(self, *lines: Place) -> "Site":
        """The same configuration without these lines: the counterfactual."""
        ...

    def versions(self) -> Sequence[Version]:
        """The versions of the server to ask about, oldest first, this site's own last; those between the first and the
        last are where something changes. Only its own where that was asked for, or where the configuration holds
        nothing that versions treat otherwise."""
        ...

    def at_version(self, version: Version) -> "Site":
        """The same configuration under another version of the server."""
        ...

    @property
    def position(self) -> tuple[str, Place | None]:
        """ "inner" with the line that shows that another proxy stands in front, else "edge"."""
        ...
