"""Everything outside the request that decides, and the walk over what is not known of it.

A predictor is straight-line code that asks a `Path`. What the world knows is answered; for what it does not know the
path takes one of the answers that the predictor names, and `walk` runs the predictor again for each of the others.
"""

# Annotations are not postponed here: each of a named tuple would be compiled from its text again at every start.

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from auditor.source import Place

MAX_PATHS = 32
CERTIFICATE = "client certificate"  # the subject of a question about the credentials of TLS
IN_LISTS = "in the lists"  # the detail of a question about the client's address that a list of addresses asks


class Question(NamedTuple):
    """Something that only the world knows.

    `kind` is one of:

    - "credentials": are these good for that gate? `subject` is the user file or the key, `detail` the header's value
    - "groups": which groups is a user in? `subject` is the group file, `detail` the user; the value holds their names
    - "file": what is at that path of the deployed machine? `subject` is the path
    - "exchange": what does an upstream answer? `subject` is the upstream, `detail` the exchange's role and number
    - "client-address": which address does the client have? `subject` is empty
    - "listener": at which address of the server does the request arrive? `subject` is the port
    - "module": is that module loaded? `subject` is its name
    - "variable": what is the value of that variable? `subject` is its name
    - "code": does that embedded program let the request go on? `subject` is the directive's name
    """

    kind: str
    subject: str = ""
    detail: str = ""


class Answer(NamedTuple):
    """An answer to a question: a short name, a sentence for people, and a value for the predictor."""

    name: str
    text: str
    value: Any = None


class Asked(NamedTuple):
    """A question that the world left open, where it was asked, and the answer that this path took."""

    question: Question
    answer: Answer
    place: "Place | None"


class World(Protocol):
    """What is known of the outside."""

    def ask(self, question: Question) -> Answer | None:
        """The answer, or None where it is not known."""
        ...


class Unknowns:
    """The world of which nothing is known."""

    def ask(self, question: Question) -> Answer | None:
        return None

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return 0


class Known:
    """A world of given answers: by question, or by kind for all questions of that kind."""

    def __init__(self, answers: dict[Question | str, Answer]) -> None:
        self._answers = answers
        self._key = frozenset((key, answer.name, repr(answer.value)) for key, answer in answers.items())

    def ask(self, question: Question) -> Answer | None:
        return self._answers.get(question) or self._answers.get(question.kind)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Known) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


class Worlds:
    """Several worlds; the first that knows answers."""

    def __init__(self, *worlds: World) -> None:
        self._worlds = worlds

    def ask(self, question: Question) -> Answer | None:
        for world in self._worlds:
            answer = world.ask(question)
            if answer is not None:
                return answer
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Worlds) and self._worlds == other._worlds

    def __hash__(self) -> int:
        return hash(self._worlds)


class Path:
    """One path through what is not known: asks the world, takes an answer where it has none, and keeps to it."""

    __slots__ = ("_memo", "_prefix", "_put_off", "_world", "taken", "when")

    def __init__(self, world: World, prefix: Sequence[int] = ()) -> None:
        self._world = world
        self._prefix = prefix
        self._memo: dict[Question, Answer] = {}
        self._put_off: tuple[Question, Sequence[Answer], Place | None] | None = None
        self.taken: list[tuple[int, int]] = []
        self.when: list[Asked] = []

    def ask(self, question: Question, alternatives: Sequence[Answer], place: "Place | None" = None) -> Answer:
        """The world's answer; else one of `alternatives` (at least one), which `when` records if there is a choice."""
        answer = self._memo.get(question)
        if answer is not None:
            return answer
        self._catch_up(question)
        answer = self._memo.get(question) or self._world.ask(question)
        if answer is None:
            at = len(self.taken)
            index = self._prefix[at] if at < len(self._prefix) else 0
            self.taken.append((index, len(alternatives)))
            answer = alternatives[index]
            if len(alternatives) > 1:
                self.when.append(Asked(question, answer, place))
        self._memo[question] = answer
        return answer

    def known(self, question: Question) -> Answer | None:
        """The answer where the world has one, or where this path has taken one before; nothing is decided by it."""
        self._catch_up(question)
        return self._memo.get(question) or self._world.ask(question)

    def put_off(self, question: Question, alternatives: Sequence[Answer], place: "Place | None" = None) -> None:
        """A question that matters now only if somebody asks for its answer: it comes first then. What does not
        depend on the answer is not gone through once for each."""
        self._put_off = (question, alternatives, place)

    def _catch_up(self, question: Question) -> None:
        """Asks the question that was put off before one about the same thing, or about a part of it."""
        if self._put_off is not None:
            first = self._put_off[0]
            if question.kind == first.kind and question.subject.startswith(first.subject):
                asked, self._put_off = self._put_off, None
                self.ask(*asked)


T = TypeVar("T")


def walk(run: Callable[[Path], T], world: World, limit: int = MAX_PATHS) -> list[tuple[T, tuple[Asked, ...]]] | None:
    """Every way that `run` can go, with the answers that lead there; None where there are more than `limit`."""
    results: list[tuple[T, tuple[Asked, ...]]] = []
    prefix: list[int] = []
    while True:
        path = Path(world, prefix)
        results.append((run(path), tuple(path.when)))
        taken = path.taken
        while taken and taken[-1][0] + 1 >= taken[-1][1]:
            taken.pop()
        if not taken:
            return results
        if len(results) >= limit:
            return None
        prefix = [index for index, _ in taken]
        prefix[-1] += 1
