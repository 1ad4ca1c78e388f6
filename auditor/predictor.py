"""What the predictors of all kinds of servers share: every way that a request can go, each traced once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auditor.file_world import FileWorld
from auditor.files import Files
from auditor.http import Request
from auditor.schemes import tells_apart
from auditor.source import SourceFile
from auditor.trace import Outcome, Outcomes, Step
from auditor.world import Answer, Path, Question, Unknowns, World, Worlds, walk

_UNKNOWNS = Unknowns()
TOO_MANY = (Outcome((), "unknown", None, steps=(Step(None, "", "more than 32 ways, depending on what is not known"),)),)


class _Asking:
    """A world that notes what it was asked, and what it answered."""

    __slots__ = ("_world", "asked")

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked: dict[Question, Answer | None] = {}

    def ask(self, question: Question) -> Answer | None:
        if question not in self.asked:
            self.asked[question] = self._world.ask(question)
        return self.asked[question]

    def agrees(self, other: World) -> bool:
        """Whether the other world would have answered all of it alike."""
        return all(other.ask(question) == answer for question, answer in self.asked.items())


class Predictor:
    """Traces requests. `files` is what is known here of the deployed machine's files; `_run` is the predictor of the
    kind of server, one way through what is not known."""

    kind = ""

    def __init__(self, files: Files | None) -> None:
        self._files = files
        self._world: World = FileWorld(files, self.kind) if files is not None else _UNKNOWNS
        self._apart: bool | None = None
        self._traced: dict[Request, list[tuple[_Asking, Outcomes]]] = {}

    def _run(self, request: Request, path: Path) -> Outcome:
        raise NotImplementedError

    def trace(self, request: Request, world: World | None = None) -> Outcomes:
        """See auditor.server.Site. Worlds that answer alike what a request asks of them share its trace."""
        known = world if world is not None else _UNKNOWNS
        for asking, outcomes in self._traced.get(request, ()):
            if asking.agrees(known):
                return outcomes
        return self._trace(request, known, lambda path: self._run(request, path))

    def _trace(self, request: Request, world: World, run: Callable[[Path], Outcome]) -> Outcomes:
        """Traces the request by that run of the predictor, and remembers it."""
        asking = _Asking(world)
        outcomes = self._walk(run, asking)
        self._traced.setdefault(request, []).append((asking, outcomes))
        return outcomes

    def trace_once(self, request: Request, world: World) -> Outcomes:
        """The same for what will not be asked again: nothing is remembered."""
        return self._walk(lambda path: self._run(request, path), world)

    def _walk(self, run: Callable[[Path], Outcome], world: World) -> Outcomes:
        found = walk(run, Worlds(world, self._world))
        return TOO_MANY if found is None else tuple(outcome._replace(when=when) for outcome, when in found)

    @property
    def files(self) -> Sequence[SourceFile]:
        """See auditor.server.Site."""
        raise NotImplementedError

    @property
    def tells_schemes_apart(self) -> bool:
        """See auditor.server.Site."""
        if self._apart is None:
            self._apart = tells_apart(source.text for source in self.files)
        return self._apart

    # --- the deployed machine's files

    @property
    def known_files(self) -> Files | None:
        """What is known here of the deployed machine's files."""
        return self._files

    def text_of(self, path: str) -> str | None:
        """See auditor.server.Site."""
        return self._files.text(path) if self._files is not None else None

    def state(self, path: str | None) -> str | None:
        """What lies at a path of the deployed machine, None where that cannot be judged here."""
        return self._files.state(path) if self._files is not None and path is not None else None
