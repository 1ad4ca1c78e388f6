"""A made-up server kind of a few lines. It keeps rules and reports free of what only nginx knows.

A configuration is a list of lines. A route begins at the left margin and names its path; indented lines belong to it:

    route /a
      gate door            asks for the password in the file called door
      gate -               a gate without a file: it asks nobody
      set Name value       a request header; `-` clears it, `user` is the name that the gate has checked, `pass` what
                           the client has sent
      add Name value       a response header; not on some answers with `unless 401` at the end
      answer 401           ends the request here, before the gate has its turn
      page 401 200         an error page: the second status takes the place of the first
      to app               the upstream; without one, the file that the path names is sent
      limit 429            a limit, and what it answers to those above it
      to app               the upstream
      keep 200 401         a cache keeps answers of these statuses, with `apart` at the end under the credentials
      hide Name            a header of the upstream's answer that the client does not get

`since 2` at the end of a line keeps it from version 1. At the left margin, `inner`: another proxy stands in
front; `public`: other machines can ask, too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from auditor import server
from auditor.http import Request, Response, make_request
from auditor.server import (
    Area,
    Capture,
    Comment,
    Limit,
    Logged,
    Managed,
    Misplaced,
    Note,
    Route,
    Suspect,
    Unfilled,
    Unread,
    UserFile,
    Version,
)
from auditor.source import InputError, Place, SourceFile
from auditor.trace import (
    ADDED,
    DECIDES,
    FORWARDED,
    REPLACED,
    Because,
    Cache,
    Exchange,
    Gate,
    LostHeader,
    Outcome,
    Outcomes,
    Replaced,
    ResponseHeader,
    SentHeader,
    Step,
)
from auditor.values import CONFIG, USER, Value, answer_header, client_header, literal
from auditor.world import Answer, Path, Question, Unknowns, World, walk

TRAITS = frozenset(
    {
        server.AUTHORIZATION,
        server.CACHE,
        server.CHALLENGE,
        server.CLIENT_ADDRESS,
        server.CORS,
        server.CORS_CREDENTIALS,
        server.CORS_PREFLIGHTED,
        server.FORBIDS,
        server.GATE,
        server.IDENTITY,
        server.REFUSAL,
        server.SECRET,
        server.UPGRADE,
        server.UPSTREAM,
    }
)


class ToySite:
    """Fulfils auditor.server.Site."""

    kind = "toy"
    partial = False
    tells_schemes_apart = True

    def __init__(
        self, text: str, name: str = "toy.conf", leave_out: Collection[int] = (), version: Version = (2,)
    ) -> None:
        self.version = version
        self.inner: Place | None = None
        self.traits = TRAITS | {server.LOCAL}
        self.source = SourceFile(name, text)
        self.blocks: list[tuple[str, Place, list[tuple[list[str], Place]]]] = []
        self.remarks: list[Comment] = []
        for number, raw in enumerate(text.split("\n"), 1):
            line, _, comment = raw.partition("#")
            if comment.strip().startswith("audit:"):
                at = number if line.strip() else number + 1
                self.remarks.append(Comment(self.source, number, comment.strip(), at, at))
            words = line.split()
            if not words or number in leave_out:
                continue
            place = Place(self.source, number)
            if words[-2:] == ["since", "2"]:
                if version < (2,):
                    continue
                del words[-2:]
            if words[0] == "inner":
                self.inner = place
            elif words[0] == "public":
                self.traits = TRAITS
            elif words[0] == "route":
                self.blocks.append((words[1], place, []))
            else:
                self.blocks[-1][2].append((words, place))

    @property
    def files(self) -> Sequence[SourceFile]:
        return [self.source]

    @property
    def notes(self) -> Sequence[Note]:
        return []

    @property
    def errors(self) -> Sequence[InputError]:
        return []

    @property
    def complete(self) -> bool:
        return True

    @property
    def position(self) -> tuple[str, Place | None]:
        """Inner where the configuration says so: `inner` at the left margin."""
        return ("edge", None) if self.inner is None else ("inner", self.inner)

    def versions(self) -> Sequence[Version]:
        """`add Name value since 2` is for version 2 only; without such a line versions make no difference."""
        return [(1,), (2,)] if "since 2" in self.source.text else [self.version]

    def at_version(self, version: Version) -> ToySite:
        return ToySite(self.source.text, self.source.name, version=version)

    def comments(self) -> Sequence[Comment]:
        return self.remarks

    def user_files(self) -> Sequence[UserFile]:
        return [
            UserFile(words[1], words[1], place, state={"gone": "missing", "plain": "file"}.get(words[1]))
            for _, _, lines in self.blocks
            for words, place in lines
            if words[0] == "gate"
        ]

    def limits(self) -> Sequence[Limit]:
        return [
            Limit(int(words[1]), place, place)
            for _, _, lines in self.blocks
            for words, place in lines
            if words[0] == "limit"
        ]

    def areas(self) -> Sequence[Area]:
        return [
            Area("toy", "toy.example", path, False, block, place, "auth_basic")
            for path, block, lines in self.blocks
            for words, place in lines
            if words[0] == "gate"
        ]

    def routes(self) -> Sequence[Route]:
        return [
            Route(make_request(f"http://toy.example{path}"), "toy", path, block, self.traits)
            for path, block, _ in self.blocks
        ]

    def text_of(self, path: str) -> str | None:
        return "alice:secret\n" if path == "plain" else None

    def addresses(self, path: str) -> Sequence[Request]:
        return [make_request(f"http://toy.example/{path}")]

    def logged(self) -> Sequence[Logged]:
        """The toy writes no log."""
        return []

    def unfilled(self) -> Sequence[Unfilled]:
        """`set Name nobody`: made of what is never there."""
        return [
            Unfilled(place, words[1], "nobody", "it is nobody", "set Name user")
            for _, _, lines in self.blocks
            for words, place in lines
            if words[0] == "set" and words[2:] == ["nobody"]
        ]

    def ways_to_pass(self, request: Request, world: World) -> Sequence[str]:
        """The toy withholds nothing of itself."""
        return []

    def managed(self) -> Sequence[Managed]:
        """Nobody but its author writes the toy's text."""
        return []

    def passwords(self) -> Sequence[tuple[Place, str, str]]:
        """The toy signs in nowhere itself."""
        return []

    def handing(self) -> Sequence[Place]:
        """The toy has no programs."""
        return []

    def unread(self, line: Place) -> Sequence[Unread]:
        """The toy includes nothing."""
        return []

    def captures(self) -> Sequence[Capture]:
        """The toy's gates answer nothing that could be taken over."""
        return []

    def misplaced(self) -> Sequence[Misplaced]:
        """The toy's gates stand in their routes."""
        return []

    def suspects(self) -> Sequence[Suspect]:
        return [
            Suspect(
                place,
                "set",
                words[1],
                "it sets the header to what it is anyway",
                exchanges=tuple(line for other, line in lines if other[0] == "to"),
            )
            for _, _, lines in self.blocks
            for words, place in lines
            if words[0] == "set"
        ]

    def without(self, *lines: Place) -> ToySite:
        return ToySite(self.source.text, self.source.name, {line.line for line in lines})

    def trace(self, request: Request, world: World | None = None) -> Outcomes:
        found = walk(lambda path: self._run(request, path), world or Unknowns())
        return tuple(outcome._replace(when=when) for outcome, when in found or ())

    def _run(self, request: Request, path: Path) -> Outcome:
        fitting = [block for block in self.blocks if request.path.startswith(block[0])]
        if not fitting:
            return Outcome((), "answered", 404)
        _, block, lines = max(fitting, key=lambda item: len(item[0]))
        outcome = self._answer(request, path, block, lines)
        for words, place in lines:
            if words[0] == "page" and words[1] == str(outcome.status):
                replaced = (Replaced(int(words[1]), place),)
                status = int(words[2])
                added = _added(lines, status)
                return outcome._replace(action="answered", status=status, replaced=replaced, response_headers=added)
        return outcome

    def _answer(self, request: Request, path: Path, block: Place, lines: list[tuple[list[str], Place]]) -> Outcome:
        blank = Outcome((), "answered", None, steps=(Step(block, "route", "chosen"),), handler=block, server="toy")
        gates: list[Gate] = []
        user = Value()
        for words, place in sorted(lines, key=lambda item: item[0][0] != "answer"):
            because = (Because(DECIDES, place),)
            if words[0] == "answer":
                steps = (*blank.steps, Step(place, " ".join(words), "answers"))
                status = int(words[1])
                return blank._replace(status=status, response_headers=_added(lines, status), steps=steps)
            if words[0] == "gate" and words[1] == "-":
                gates.append(Gate("auth_basic", "Basic", None, "skipped", because, "no-user-file"))
            elif words[0] == "gate":
                given = dict(request.headers).get("Authorization", "")
                accepted = [Answer("accepted", "the password is right"), Answer("refused", "the password is wrong")]
                if (
                    given.startswith("Basic ")
                    and path.ask(Question("credentials", words[1], given), accepted).name == "accepted"
                ):
                    gates.append(Gate("auth_basic", "Basic", words[1], "passed", because))
                    user = literal("audit", USER)
                else:
                    challenge = ResponseHeader("WWW-Authenticate", literal(f"Basic {words[1]}"), because)
                    gates.append(Gate("auth_basic", "Basic", words[1], "refused", because))
                    return blank._replace(
                        status=401, gates=tuple(gates), response_headers=(challenge, *_added(lines, 401))
                    )
        for words, place in lines:
            if words[0] == "to":
                exchange = self._exchange(request, words[1], place, lines, user)
                answer = path.ask(Question("exchange", words[1], "main:0"), [Answer("?", "", Response())]).value
                hides = {words[1].lower(): place for words, place in lines if words[0] == "hide"}
                passed = tuple(
                    ResponseHeader(name, literal(text, answer_header("main", name)), (), True)
                    for name, text in answer.headers
                    if name.lower() not in hides
                )
                kept = next(
                    (_kept(request, words, place, answer) for words, place in lines if words[0] == "keep"), None
                )
                return blank._replace(
                    action="proxied",
                    status=answer.status,
                    exchanges=(exchange._replace(status=answer.status, cache=kept),),
                    cache=kept,
                    gates=tuple(gates),
                    response_headers=passed + _added(lines, answer.status),
                    hidden=tuple(
                        LostHeader(name, (Because(DECIDES, hides[name.lower()]),))
                        for name, _ in answer.headers
                        if name.lower() in hides
                    ),
                )
        file = request.path.removeprefix("/")
        added = _added(lines, 200)
        return blank._replace(action="static", status=200, gates=tuple(gates), response_headers=added, file=file)

    def _exchange(
        self, request: Request, upstream: str, place: Place, lines: list[tuple[list[str], Place]], user: Value
    ) -> Exchange:
        sent: dict[str, SentHeader] = {}
        lost = []
        for name, text in request.headers:
            sent[name.lower()] = SentHeader(name, literal(text, client_header(name)), "yes", FORWARDED, ())
        for words, line in lines:
            if words[0] != "set":
                continue
            because = (Because(DECIDES, line),)
            name = words[1]
            before = sent.pop(name.lower(), None)
            value = {"-": Value(), "user": user}.get(words[2], literal(" ".join(words[2:]), CONFIG))
            if words[2] == "pass":
                value = before.value if before is not None else Value()
            if value.present == "no" and before is not None:
                lost.append(LostHeader(name, because))
            elif value.present != "no":
                sent[name.lower()] = SentHeader(name, value, "yes", REPLACED if before else ADDED, because)
        return Exchange(
            "main", upstream, (f"{upstream}:80",), "HTTP/1.1", request.method, request.target, "none",
            tuple(sent.values()), tuple(lost), place,
        )  # fmt: skip


def _kept(request: Request, words: list[str], place: Place, answer: Response) -> Cache:
    apart = words[-1] == "apart"
    key = literal(request.target + (dict(request.headers).get("Authorization", "") if apart else ""))
    depends = (client_header("Authorization"),) if apart else ()
    stored = "yes" if str(answer.status) in words else "no"
    return Cache("toy", key, stored, (Because(DECIDES, place),), depends=depends, line=place)


def _added(lines: list[tuple[list[str], Place]], status: int | None) -> tuple[ResponseHeader, ...]:
    return tuple(
        ResponseHeader(words[1], literal(" ".join(text)), (Because(DECIDES, place),))
        for words, place in lines
        if words[0] == "add"
        for text in [words[2:-2] if words[-2] == "unless" else words[2:]]
        if words[-2] != "unless" or words[-1] != str(status)
    )
