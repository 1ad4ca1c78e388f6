"""The state of one request on its way through nginx: ngx_http_request_t, as far as it decides anything."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from auditor.http import Pairs, Request, Response
from auditor.servers.nginx.config import Http, Level, Location, Port, Server
from auditor.source import Place
from auditor.trace import (
    DECIDES,
    Because,
    Cache,
    Exchange,
    Gate,
    LostHeader,
    Replaced,
    Step,
)
from auditor.values import EMPTY, Value
from auditor.world import Answer, Path, Question

if TYPE_CHECKING:
    from auditor.servers.nginx.syntax import Directive

MANUAL = "https://nginx.org/en/docs/http/"
MAX_URI_CHANGES = 10


class Unpredictable(Exception):
    """The request's way depends on something that cannot be computed, here or anywhere in the world."""

    def __init__(self, reason: str, place: Place | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


class Closed(Exception):
    """The connection is closed without an answer."""


class OutHeader(NamedTuple):
    """A response header line on its way out. `origin`: it came from an upstream."""

    name: str
    value: Value
    because: tuple[Because, ...]
    origin: bool = False


class Body(NamedTuple):
    """What the client announces to send. `length` is r->headers_in.content_length_n: -1 for none or chunked."""

    length: int = -1
    chunked: bool = False
    discarded: bool = False  # nginx has thrown it away: it is not measured any more
    read: bool = False  # nginx has read it: from here on a chunked body has a length, which only the client knows


class Answered(NamedTuple):
    """What an upstream answered: None for what is not known."""

    status: int | None
    headers: Pairs | None
    role: str


class Options(NamedTuple):
    """What the command line says of the server: its version, and the folder of its main configuration file."""

    version: tuple[int, ...]
    conf_dir: str = "/etc/nginx"
    prefix: str = "/etc/nginx"


class Shared:
    """What the main request and its subrequests share."""

    __slots__ = (
        "action",
        "cache",
        "certificate",
        "client_address",
        "exchanges",
        "fallback",
        "file",
        "gates",
        "hidden",
        "http",
        "kept",
        "listener",
        "lost",
        "options",
        "path",
        "replaced",
        "request",
        "steps",
        "withheld",
    )

    def __init__(self, http: Http, options: Options, path: Path, request: Request, listener: Port) -> None:
        self.http = http
        self.options = options
        self.path = path
        self.request = request
        self.listener = listener
        self.steps: list[Step] = []
        self.exchanges: list[Exchange] = []
        self.gates: list[Gate] = []
        self.lost: list[LostHeader] = []  # header lines that nginx dropped while reading the request
        self.hidden: list[LostHeader] = []  # lines of the upstream's answer that the client does not get
        self.withheld: list[LostHeader] = []  # lines of the configuration that answers of this status do not get
        self.replaced: list[Replaced] = []
        self.cache: Cache | None = None
        self.kept: dict[tuple[str, str], Response] = {}  # what this request has left in caches: by zone and key
        self.action = "unknown"
        self.certificate = "missing"  # the client's, where one is asked for; else accepted or refused
        self.client_address: str | None = None
        self.fallback = False
        self.file: str | None = None  # what is sent of the machine's files


class Run:
    """A request, or a subrequest, on its way."""

    __slots__ = (
        "access_code",
        "add_uri_to_alias",
        "answer",
        "answer_statuses",
        "args",
        "asked",
        "body",
        "captures",
        "challenges",
        "err_status",
        "error_page",
        "final_headers",
        "final_level",
        "final_status",
        "gated",
        "handler",
        "headers",
        "host",
        "host_port",
        "internal",
        "level",
        "location",
        "main",
        "method",
        "mirrored",
        "mirrors",
        "odd",
        "out",
        "parsed",
        "plus",
        "proxy_host",
        "quoted",
        "role",
        "scratch",
        "server",
        "shared",
        "unparsed",
        "uri",
        "uri_changed",
        "uri_changes",
        "valid_location",
        "valid_unparsed",
        "variables",
    )

    def __init__(self, shared: Shared, server: Server) -> None:
        self.shared = shared
        self.server = server
        self.level: Level = server
        self.main: Run = self
        self.role = "main"
        self.method = shared.request.method
        self.uri = ""
        self.args = ""
        self.unparsed = ""
        self.parsed = False  # the request line has been understood
        self.valid_unparsed = True
        self.valid_location = True
        self.quoted = False
        self.plus = False
        self.internal = False
        self.uri_changed = False
        self.uri_changes = MAX_URI_CHANGES + 1
        self.error_page = False
        self.err_status = 0
        self.headers: list[tuple[str, str]] = []
        self.host = ""
        self.host_port = ""
        self.body = Body()
        self.variables: dict[str, Value] = {}
        self.captures: tuple[Value, ...] = ()
        self.handler: str | None = None  # the directive whose handler produces the content
        self.out: list[OutHeader] = []
        self.location: OutHeader | None = None
        self.challenges: list[OutHeader] = []
        self.answer: Answered | None = None
        self.answer_statuses: list[int | None] = []
        self.proxy_host: tuple[str, str] | None = None
        self.add_uri_to_alias = False
        self.mirrored = False
        self.mirrors: list[tuple[Directive, str, str]] = []  # that wait: the line, the arguments, the method
        self.odd: set[str] = set()  # header names that the parser found invalid and the settings let pass
        self.access_code: int | None = None  # a refusal that waits for the other gates (satisfy any)
        self.asked = False  # auth_request's context is there
        self.gated: set[str] = set()
        self.scratch: dict[str, Value] = {}
        self.final_status: int | None = None
        self.final_level: Level | None = None
        self.final_headers: list[OutHeader] | None = None

    # --- asking and telling

    def ask(self, question: Question, alternatives: list[Answer], place: Place | None = None) -> Answer:
        return self.shared.path.ask(question, alternatives, place)

    def step(self, directive: Directive | None, effect: str, text: str | None = None) -> None:
        """Tell what a line did; the text is the line's own unless one is given."""
        place = directive.place if directive is not None else None
        self.shared.steps.append(Step(place, text if text is not None else "", effect))

    def newer(self, *version: int) -> bool:
        """Whether the server is of this version or a later one."""
        return self.shared.options.version >= version

    # --- header look-ups

    def header(self, name: str) -> str | None:
        """The client's first header line of that (lower-case) name."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None

    @property
    def is_main(self) -> bool:
        return self.main is self

    @property
    def where(self) -> Location | None:
        return self.level.location


def decides(directive: Directive) -> tuple[Because, ...]:
    """The plain reason: this line decides."""
    return (Because(DECIDES, directive.place),)


@lru_cache(maxsize=512)
def by_default(default: str, module: str = "ngx_http_core_module") -> tuple[Because, ...]:
    """A default of the server, with the page of its manual."""
    name = default.split()[0]
    return (Because(DECIDES, None, default, f"{MANUAL}{module}.html#{name}"),)


__all__ = ["EMPTY", "Answered", "Body", "OutHeader", "Run", "Shared", "Unpredictable", "by_default", "decides"]
