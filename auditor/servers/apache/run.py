"""The state of one request on its way through httpd: request_rec, as far as it decides anything."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from auditor.http import Request, Response
from auditor.servers.apache.config import Config, Directive, Layers, Section, Server
from auditor.servers.apache.table import Table
from auditor.source import Place
from auditor.trace import DECIDES, Because, Cache, Exchange, Gate, LostHeader, Replaced, ResponseHeader, Step
from auditor.values import EMPTY, UNKNOWN, USER, Value, unknown
from auditor.world import Answer, Path, Question

if TYPE_CHECKING:
    from auditor.servers.apache.htaccess import Overrides

MANUAL = "https://httpd.apache.org/docs/2.4/"


class Unpredictable(Exception):
    """The request's way depends on something that cannot be computed, here or anywhere in the world."""

    def __init__(self, reason: str, place: Place | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


class Respond(Exception):
    """The request ends with this status (ap_die): an error page or a redirect is made. `location` is where a redirect
    leads; `line` what decided."""

    def __init__(self, status: int, line: Directive | None = None, location: Value | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.line = line
        self.location = location


class InternalRedirect(Exception):
    """The request is answered by another URI (ap_internal_redirect): path, with the query behind `?`."""

    def __init__(self, uri: str, line: Directive | None = None) -> None:
        super().__init__(uri)
        self.uri = uri
        self.line = line


class Options(NamedTuple):
    """What the command line says of the server: its version. `unrewritten`: no RewriteRule changes a path or ends a
    request, which seen.py supposes."""

    version: tuple[int, ...] = (2, 4, 71)
    unrewritten: bool = False


class Met:
    """What a request meets on its way: `sections`, and, by their lines, the rewrite `rules` with conditions or
    variables whose pattern matches it: whether headers may be why the rule changes the path or ends the request."""

    __slots__ = ("rules", "sections")

    def __init__(self) -> None:
        self.sections: set[Section] = set()
        self.rules: dict[Place, bool] = {}

    def with_more(self, other: "Met") -> "Met":
        """Both together."""
        both = Met()
        both.sections = self.sections | other.sections
        both.rules = dict(self.rules)
        for place, held in other.rules.items():
            both.rules[place] = both.rules.get(place, False) or held
        return both


class Shared:
    """What a request, its internal redirects and its subrequests share."""

    def __init__(
        self,
        config: Config,
        overrides: "Overrides",
        options: Options,
        path: Path,
        request: Request,
        met: Met | None = None,
    ) -> None:
        self.config = config
        self.overrides = overrides  # finds and reads .htaccess
        self.options = options
        self.met = met  # gets what the request meets, where somebody asks for it
        self.path = path
        self.request = request
        self.steps: list[Step] = []
        self.exchanges: list[Exchange] = []
        self.gates: list[Gate] = []
        self.lost: list[LostHeader] = []
        self.hidden: list[LostHeader] = []
        self.replaced: list[Replaced] = []
        self.cache: Cache | None = None
        self.kept: dict[str, Response] = {}
        self.action = "unknown"
        self.file: str | None = None
        self._address: tuple[str | None] | None = None  # None until somebody asks
        self.redirects = 0
        self.body_read = False
        self.body_broken = False  # whoever reads the body gets an error
        self.handler: Place | None = None
        self.final: tuple[int | None, list[ResponseHeader]] | None = None

    @property
    def client_address(self) -> str | None:
        """The client's address as modules see it, None where it is not known. The world is asked by those requests
        alone to which it matters."""
        if self._address is None:
            answer = self.path.known(Question("client-address"))
            value = answer.value if answer is not None else None
            self._address = (value if isinstance(value, str) else None,)
        return self._address[0]

    @client_address.setter
    def client_address(self, address: str | None) -> None:
        self._address = (address,)


class Run:
    """A request, an internal redirect's new request, or a subrequest.

    `uri` is the decoded path, `args` the query (None where there is no `?`), `unparsed` the target as sent. `layers`
    are the sections found so far; `conditions` the sections in which the answer lies, for blame. `headers_in`, `env`,
    `headers_out` and `errors_out` (err_headers_out) are tables. `handler` is what is to produce the answer, in httpd's
    words ("proxy-server", "cgi-script", ...); `filename` is a path or `proxy:URL`. `prev` is the request that was
    redirected internally, `main` that of a subrequest.
    """

    def __init__(self, shared: Shared, server: Server) -> None:
        self.shared = shared
        self.server = server
        self.layers: Layers = server.base
        self.prev: Run | None = None
        self.main: Run | None = None
        self.method = shared.request.method
        self.protocol = f"HTTP/{shared.request.http_version}"
        self.host = ""  # the name that the client asked for, without a port, in lower case
        self.port: int | None = None  # the port beside it
        self.uri = "/"
        self.args: str | None = None
        self.unparsed = shared.request.target
        self.filename: str | None = None
        self.path_info = ""
        self._found: str | Question = ""
        self.is_proxy = False  # r->proxyreq
        self.proxy_line: Directive | None = None
        self.handler: str | None = None
        self.handler_line: Directive | None = None
        self.content_type: str | None = None
        self.headers_in = Table()
        self.env = Table()
        self.headers_out = Table()
        self.errors_out = Table()
        self.user: Value | None = None
        self.auth_type: str | None = None
        # How variables begin that those who let the user in may have set, of what they know of the user.
        self.told: tuple[str, ...] = ()
        self.status: int | None = 200
        self.captures: tuple[str, ...] = ()
        self.vary: list[str] = []
        self.per_dir: str = ""  # folder of the section whose mod_rewrite rules run
        self.rewritten = 0
        self.notes: dict[str, object] = {}

    @property
    def config(self) -> Config:
        return self.shared.config

    @property
    def found(self) -> str:
        """What lies at filename: file, directory, missing, "" where nobody has looked. To ask for it decides it."""
        if isinstance(self._found, Question):
            self._found = self.ask(self._found, ()).name
        return self._found

    @found.setter
    def found(self, state: "str | Question") -> None:
        self._found = state

    @property
    def is_folder(self) -> bool:
        """Whether a folder lies at filename; decides nothing."""
        return self._found == "directory"

    @property
    def names_file(self) -> bool:
        """Whether filename is a file's name, whether or not there is one; decides nothing."""
        return self._found not in ("", "directory")

    @property
    def first(self) -> "Run":
        """The request as the client made it."""
        run = self
        while run.prev is not None:
            run = run.prev
        return run

    def ask(self, question: Question, alternatives: Sequence[Answer], place: Place | None = None) -> Answer:
        return self.shared.path.ask(question, alternatives, place)

    def step(self, line: Directive | Section | None, effect: str, text: str = "") -> None:
        """Tell what a line did."""
        self.shared.steps.append(Step(line.place if line is not None else None, text, effect))

    def header(self, name: str) -> str | None:
        """The text of the request header's first line; None where there is none, or where it is not knowable."""
        value = self.headers_in.get(name)
        return value.text if value is not None else None

    def has_variable(self, name: str, place: Place | None = None) -> bool:
        """Whether the request has that variable. Whether the server was started with one that PassEnv names is not
        known."""
        entry = self.env.entry(name)
        if entry is None:
            return self.variable(name) is not None
        if entry.value.text is None and entry.value.sources == (UNKNOWN,):
            return self.truth("variable", name, place, f"{name} is set", f"{name} is not set")
        return True

    def variable(self, name: str) -> Value | None:
        """A variable of the request; None where it is not set."""
        value = self.env.get(name)
        if value is None and name.upper().startswith(self.told) and not name.upper().startswith(_LATE):
            return unknown(USER)
        return value

    def truth(self, kind: str, subject: str, place: Place | None, yes: str, no: str) -> bool:
        """Whether something holds that the configuration does not tell: asks the world, goes both ways."""
        answer = self.ask(Question(kind, subject), [Answer("yes", yes, True), Answer("no", no, False)], place)
        return bool(answer.value) if answer.value is not None else answer.name == "yes"


# Variables that are there for programs only, whatever has let the user in.
_LATE = ("REMOTE_", "SSL_", "SERVER_", "REQUEST_", "HTTP_", "SCRIPT_", "AUTH_TYPE")


def decides(line: Directive | Section) -> tuple[Because, ...]:
    """The plain reason: this line decides."""
    return (Because(DECIDES, line.place),)


@lru_cache(maxsize=512)
def by_default(default: str, page: str = "mod/core.html") -> tuple[Because, ...]:
    """A default of the server, with the page of its manual (and the directive's anchor)."""
    return (Because(DECIDES, None, default, f"{MANUAL}{page}#{default.split()[0].lower()}"),)


__all__ = ["EMPTY", "InternalRedirect", "Respond", "Run", "Shared", "Unpredictable", "by_default", "decides"]
