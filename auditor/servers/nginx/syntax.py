"""nginx text to a tree of directives. crossplane cuts the tokens; includes are read in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from auditor.files import Files
from auditor.globs import has_magic
from auditor.server import Comment, Note
from auditor.servers.nginx import stock
from auditor.servers.nginx.arguments import ARGUMENTS, BLOCKS, TABLES, check_form
from auditor.servers.nginx.tokens import CLOSE, COMMENT, END, LUA, OPEN, WORD, Token, tokens
from auditor.source import InputError, InputErrors, Place, SourceFile
from auditor.templates import fill_in, has_template_name, looks_like_template, placeholders

MAX_DEPTH = 100  # of blocks in blocks, and of files in files; nginx has no limit but its stack and its open files
MAX_KEPT = 64 * 1024  # characters of an included file whose tokens are kept
MAX_TEXT = 64 * 1024 * 1024  # characters read in all, a file counted each time that it is included


class Directive:
    """A directive: its name, its decoded arguments (nginx's own escapes resolved), and its block, if it has one.

    An `if` keeps its condition's words without the outer parentheses. `via` is the include line through which the
    file was read.
    """

    __slots__ = ("_place", "args", "block", "line", "name", "nth", "offset", "source", "via")

    def __init__(
        self,
        name: str,
        args: list[str],
        source: SourceFile,
        line: int,
        nth: int = 0,
        block: list[Directive] | None = None,
        via: Directive | None = None,
        offset: int | None = None,
    ) -> None:
        self.name = name
        self.args = args
        self.source = source
        self.line = line
        self.nth = nth
        self.block = block
        self.via = via
        self.offset = offset
        self._place: Place | None = None

    @property
    def place(self) -> Place:
        if self._place is None:
            via = self.via.place if self.via else None
            self._place = Place(self.source, self.line, self.name, self.nth, via, self.offset)
        return self._place

    def walk(self) -> Iterator[Directive]:
        """This directive and all below it, in the order of the text."""
        yield self
        for child in self.block or ():
            yield from child.walk()

    def __repr__(self) -> str:
        return f"Directive({self.name} {self.args} @{self.source.name}:{self.line})"


class Include(NamedTuple):
    """An include line and the files that it read."""

    directive: Directive
    files: tuple[SourceFile, ...]


class Tree:
    """A configuration as it was read.

    `directives` is the top level, include lines replaced by what they include. `includes`, `files` (each once, the main
    file first) and `comments` (those that begin with `# audit:`) tell of the reading, `notes` of what was assumed or
    left out, `errors` of what nginx would refuse or what could not be read; `whole` is False where the main file itself
    holds some of them, `partial` True where the server block around it is not known. `conf_dir` is the main file's
    folder on the deployed machine: relative paths of include and auth_basic_user_file start there (nginx's conf
    prefix). `tops` are the files that no other one includes: the main file, or parts that are read as one. `context` is
    the block that the text is meant for: "main", or another one for a part of a configuration.
    `unread` are the include lines whose files are not at hand, by the identity of the list that they would add to.
    """

    __slots__ = (
        "comments",
        "conf_dir",
        "context",
        "directives",
        "errors",
        "files",
        "includes",
        "notes",
        "partial",
        "tops",
        "unread",
        "whole",
    )

    def __init__(self, conf_dir: str) -> None:
        self.whole = True
        self.partial = False
        self.directives: list[Directive] = []
        self.includes: list[Include] = []
        self.unread: dict[int, list[Directive]] = {}
        self.files: list[SourceFile] = []
        self.tops: list[SourceFile] = []
        self.comments: list[Comment] = []
        self.notes: list[Note] = []
        self.errors: list[InputError] = []
        self.conf_dir = conf_dir
        self.context = "main"

    def walk(self) -> Iterator[Directive]:
        """All directives, in the order of the text."""
        for directive in self.directives:
            yield from directive.walk()


def read(entry: SourceFile, files: Files, parts: Sequence[SourceFile] = ()) -> Tree:
    """The tree of the configuration whose main file is `entry`, or that of `parts` that are read as one, one after the
    other. Raises nothing: what is wrong is in `Tree.errors`."""
    reader = _Reader(files)
    reader.tree.tops = list(parts or (entry,))
    for part in reader.tree.tops:
        reader.read_file(part, None, reader.tree.directives)
    for note in files.notes:
        reader.note(note)
    return reader.tree


class _Reader:
    """Reads files into one tree."""

    def __init__(self, files: Files) -> None:
        self.tree = Tree(files.conf_dir)
        self._files = files
        self._chain: list[SourceFile] = []
        self._fresh: set[SourceFile] = set()
        self._stock: dict[str, SourceFile] = {}
        self._total = 0
        self._kept: dict[SourceFile, tuple[str, list[Token]]] = {}

    def note(self, note: Note) -> None:
        """Records a note, each once."""
        if note not in self.tree.notes:
            self.tree.notes.append(note)

    def read_file(self, source: SourceFile, via: Directive | None, into: list[Directive]) -> None:
        """Appends to `into` what stands in `source`."""
        tree = self.tree
        first_time = source not in self._fresh
        if first_time:
            self._fresh.add(source)
            tree.files.append(source)
            if source.bom:
                text = f"{source.name} begins with a byte order mark, which nginx takes for a part of the first word"
                self.note(Note("unanalysed", text, Place(source, 1)))
        self._total += len(source.text)
        self._chain.append(source)
        # A file that is read once more gives the same comments again.
        comments: list[Comment] = []
        start = len(into)
        try:
            self._read_text(source, via, into, comments)
        except InputError as error:
            errors = error.errors if isinstance(error, InputErrors) else [error]
            tree.errors.extend(errors)
            if via is None and len(tree.tops) == 1:
                tree.whole = False
            else:  # half a file says things that the whole does not: it counts for nothing
                del into[start:]
        finally:
            self._chain.pop()
        if first_time:
            tree.comments.extend(comments)

    def _read_text(
        self, source: SourceFile, via: Directive | None, into: list[Directive], comments: list[Comment]
    ) -> None:
        text = source.text
        start = len(into)
        values = self._files.fills(source)
        if values is not None:
            self._parse(source, text, via, into, comments, False)
            for line in (line for top in into[start:] for line in top.walk() if line.source is source):
                line.args = [fill_in(word, values) for word in line.args]
            said = f"{source.name} is a template that the image fills in: "
            said += "what its environment does not say here is unknown"
            self.note(Note("template", said, Place(source, 1)))
            return
        if not looks_like_template(text):
            self._parse(source, text, via, into, comments, not has_template_name(source.name))
            return
        named = has_template_name(source.name)
        if not named:
            # A table of Lua may look like a template: only what is no configuration as it stands is taken for one.
            try:
                self._parse(source, text, via, into, comments)
                return
            except InputError:
                del into[start:]
                comments.clear()
        try:
            self._parse(source, placeholders(text), via, into, comments, False)
        except InputError as error:
            del into[start:]
            comments.clear()
            text = f"{error}: not analysed, since it is a template that is no configuration before it is filled in"
            self.note(Note("template", text, Place(source, error.line)))
        else:
            text = f"{source.name} is a template: its values are unknown, and all its conditional parts are read"
            self.note(Note("template", text, Place(source, 1)))

    def _parse(
        self,
        source: SourceFile,
        text: str,
        via: Directive | None,
        top: list[Directive],
        comments: list[Comment],
        strict: bool = True,
    ) -> None:
        problems: list[InputError] = []
        try:
            self._parse_blocks(source, text, via, top, comments, problems if strict else None)
        except InputError as error:
            problems.append(error)
        if problems:
            raise InputErrors(problems)

    def _tokens_of(self, source: SourceFile, text: str, included: bool) -> Iterable[Token]:
        """The tokens of a text; those of an included file are kept, since snippets are often included many times."""
        if not included or len(text) > MAX_KEPT:
            return tokens(source.name, text)
        known = self._kept.get(source)
        if known is None or known[0] is not text:
            known = self._kept[source] = (text, list(tokens(source.name, text)))
        return known[1]

    def _parse_blocks(
        self,
        source: SourceFile,
        text: str,
        via: Directive | None,
        top: list[Directive],
        comments: list[Comment],
        problems: list[InputError] | None,
    ) -> None:
        """Adds to `problems` (None: not asked for) what does not keep the rest from being read."""
        name = source.name
        block = top
        opened: list[tuple[Directive, list[Directive]]] = []  # open blocks: the directive, and the list it stands in
        words: list[str] = []
        begin = (0, 0)  # line and offset of the directive that is being read
        seen_line = 0
        seen: dict[str, int] = {}  # how often a name has stood on that line
        ended = (0, 0)  # the line where the latest directive ended, and the line where it began
        waiting: list[tuple[int, str]] = []  # comments on lines of their own, until the next line that says something
        covering: list[tuple[int, int, str]] = []  # comments on a block's opening line: depth, line, text
        for kind, token, line, offset in self._tokens_of(source, text, via is not None):
            if kind == WORD:
                if not words:
                    begin = (line, offset)
                    if waiting:
                        comments.extend(Comment(source, at, said, line, line) for at, said in waiting)
                        waiting.clear()
                words.append(token)
            elif kind <= LUA:  # END, OPEN or LUA
                if not words:
                    raise InputError(name, line, f'unexpected "{token}"')
                if kind == LUA:
                    words.append(token)
                head = words[0]
                if begin[0] != seen_line:
                    seen_line = begin[0]
                    seen = {head: 1}
                    nth = 0
                else:
                    nth = seen.get(head, 0)
                    seen[head] = nth + 1
                directive = Directive(head, words[1:], source, begin[0], nth, None, via, begin[1])
                if problems is not None and (head in ARGUMENTS or head in BLOCKS):
                    outer = opened[-1][0].name if opened else ""
                    try:
                        check_form(head, len(directive.args), kind == OPEN, outer, begin[0], name)
                    except InputError as error:
                        problems.append(error)
                words = []
                ended = (line, begin[0])
                if kind == OPEN:
                    if head == "if":
                        strip_parentheses(directive.args)
                    if opened and opened[-1][0].name in TABLES:
                        raise InputError(name, line, 'unexpected "{"')
                    if len(opened) >= MAX_DEPTH:
                        raise InputError(name, line, f"blocks are nested more than {MAX_DEPTH} deep")
                    directive.block = []
                    block.append(directive)
                    opened.append((directive, block))
                    block = directive.block
                elif head == "include" and kind == END:
                    self._include(directive, block)
                else:
                    block.append(directive)
            elif kind == CLOSE:
                if words:
                    missing = f'unexpected "}}": the directive "{words[0]}" of line {begin[0]} lacks its ";"'
                    raise InputError(name, line, missing)
                if not opened:
                    raise InputError(name, line, 'unexpected "}": no block is open')
                if waiting:
                    comments.extend(Comment(source, at, said, line, line) for at, said in waiting)
                    waiting.clear()
                while covering and covering[-1][0] == len(opened):
                    _, at, said = covering.pop()
                    comments.append(Comment(source, at, said, at, line))
                block = opened.pop()[1]
                ended = (line, line)
            elif kind == COMMENT:
                said = token[1:].strip()
                if not said.startswith("audit:"):
                    continue
                before = text[text.rfind("\n", 0, offset) + 1 : offset].strip()
                if not before:
                    waiting.append((line, said))
                elif before.endswith("{") and not words and opened:
                    covering.append((len(opened), line, said))
                else:
                    first = begin[0] if words else ended[1] if ended[0] == line else line
                    comments.append(Comment(source, line, said, first, line))
            else:  # the rest of the word before it
                words[-1] += token
        if words:
            raise InputError(name, begin[0], f'the directive "{words[0]}" lacks its ";" at the end of the file')
        if opened:
            directive = opened[-1][0]
            raise InputError(name, directive.line, f'the block "{directive.name}" that begins here lacks its "}}"')
        comments.extend(Comment(source, at, said, at, at) for at, said in waiting)

    def _include(self, directive: Directive, into: list[Directive]) -> None:
        """Appends to `into` what the include line names."""
        source, line = directive.source, directive.line
        if len(directive.args) != 1:
            raise InputError(source.name, line, "include takes one argument")
        path = directive.args[0]
        if len(self._chain) >= MAX_DEPTH or self._total > MAX_TEXT:
            raise InputError(source.name, line, "too much is included")
        if has_magic(path):
            paths = self._files.glob(path)
            if paths is None:
                text = f"include {path}: not found here, so it was not read"
                self.note(Note("unread", text, directive.place))
                self.tree.unread.setdefault(id(into), []).append(directive)
                paths = []
        else:
            paths = [path]
        sources = []
        for one in paths:
            try:
                included = self._files.open(one) or self._of_stock(one, directive)
            except InputError as error:
                self.tree.errors.append(error)
                continue
            if included is None:
                self._missing(one, directive)
                self.tree.unread.setdefault(id(into), []).append(directive)
            elif included in self._chain:
                names = [each.name for each in self._chain[self._chain.index(included) :]]
                chain = " includes ".join([*names, included.name])
                self.tree.errors.append(InputError(source.name, line, f"include without end: {chain}"))
            else:
                sources.append(included)
        self.tree.includes.append(Include(directive, tuple(sources)))
        for included in sources:
            self.read_file(included, directive, into)

    def _of_stock(self, path: str, directive: Directive) -> SourceFile | None:
        text = stock.stock_text(path)
        if text is None:
            return None
        name = self._files.absolute(path)
        if name not in self._stock:
            self._stock[name] = SourceFile(name, text)
            said = f"include {path}: not found here; taken to be the file that nginx or its package ships"
            self.note(Note("assumed", said, directive.place))
        return self._stock[name]

    def _missing(self, path: str, directive: Directive) -> None:
        text = f"include {path}: not found"
        files = self._files
        relative = not path.startswith("/") and files.certain and not files.own
        if files.state(path) == "missing" or (relative and not files.leads_away(path)):
            self.tree.errors.append(InputError(directive.source.name, directive.line, text))
        else:
            self.note(Note("unread", f"{text} here, so it was not read", directive.place))


def strip_parentheses(args: list[str]) -> None:
    """Takes the outer parentheses off the words of an `if`, as ngx_http_rewrite_if_condition() does; without them nginx
    refuses the line, and the words stay as they are."""
    if not args or not args[0].startswith("(") or not args[-1].endswith(")"):
        return
    args[0] = args[0][1:]
    if not args[0]:
        del args[0]
    if args:
        args[-1] = args[-1][:-1]
        if not args[-1]:
            del args[-1]
