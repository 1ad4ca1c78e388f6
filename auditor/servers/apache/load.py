"""From files to directives that count: Include, Define and ${NAME}, <IfModule> and its like, macros.

httpd evaluates these while it reads (EXEC_ON_READ in core.c), top to bottom; so does this.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from auditor.files import Files
from auditor.globs import has_magic
from auditor.patterns import lazy_re
from auditor.server import Comment, Note
from auditor.servers.apache.config import ASSUMED, Directive
from auditor.servers.apache.directives import spec_of
from auditor.servers.apache.layout import is_stock
from auditor.servers.apache.modules import Modules
from auditor.servers.apache.syntax import Line, Node, lines_of, next_word, parse, words_of
from auditor.source import InputError, Place, SourceFile
from auditor.templates import has_template_name, looks_like_template, placeholders

VERSION = (2, 4, 71)
MAX_INCLUDES = 2000
MAX_NESTING = 128  # AP_MAX_INCLUDE_DEPTH
_VARIABLE = lazy_re(r"\$\{([^}:]+)\}")
# /etc/apache2/envvars of Debian, which its apache2ctl reads before each start.
_ENVVARS = {
    "APACHE_CONFDIR": "/etc/apache2",
    "APACHE_RUN_USER": "www-data",
    "APACHE_RUN_GROUP": "www-data",
    "APACHE_PID_FILE": "/var/run/apache2/apache2.pid",
    "APACHE_RUN_DIR": "/var/run/apache2",
    "APACHE_LOCK_DIR": "/var/lock/apache2",
    "APACHE_LOG_DIR": "/var/log/apache2",
}
# Tests on the way; the other sections are kept as they are.
TESTS = frozenset(("<ifmodule", "<ifdefine", "<ifversion", "<iffile", "<ifdirective", "<ifsection"))


class Item(NamedTuple):
    """A directive that counts, or a section with the items in it (`items` is None for a directive)."""

    directive: Directive
    items: "tuple[Item, ...] | None" = None


class _Macro(NamedTuple):
    parameters: tuple[str, ...]
    nodes: tuple[Node, ...]


class Loader:
    """Reads the files of one configuration. `server_root` may still change while it reads; `notes`, `errors`, `files`
    and `comments` tell of the reading."""

    def __init__(self, files: Files, modules: Modules, defines: dict[str, str] | None = None) -> None:
        self.files = files
        self.modules = modules
        self.defines = dict(defines or {})
        self.server_root = files.conf_dir
        self.sources: list[SourceFile] = []
        self.comments: list[Comment] = []
        self.notes: list[Note] = []
        self.errors: list[InputError] = []
        self.template = False
        self._macros: dict[str, _Macro] = {}
        self._chain: list[SourceFile] = []
        self._count = 0
        self._unknown_names: set[str] = set()
        self.partly = False  # whether a file with LoadModule lines may be missing

    def note(self, kind: str, text: str, place: Place | None = None) -> None:
        note = Note(kind, text, place)
        if note not in self.notes:
            self.notes.append(note)

    def error(self, place: Place, message: str) -> None:
        error = InputError(place.file, place.line, message)
        if not any(str(error) == str(known) for known in self.errors):
            self.errors.append(error)

    def unknown(self, directive: Directive) -> None:
        """A name that is not known here is told of once."""
        if directive.key in self._unknown_names:
            return
        from auditor.servers.apache.unknown import about

        self._unknown_names.add(directive.key)
        what, text = about(directive.name, directive.key, directive.place)
        if what not in self._unknown_names or what == directive.key:
            self._unknown_names.add(what)
            self.note("unanalysed", text, directive.place)

    @property
    def certain_of_modules(self) -> bool:
        """Whether all LoadModule lines have been read, so that httpd surely refuses directives of other modules."""
        if not self.modules.known or self.partly or self.template:
            return False
        return not any(note.kind == "unread" for note in self.notes)

    def read(self, source: SourceFile, via: Place | None = None) -> list[Item]:
        """The items of a file. What cannot be read or parsed stands in `errors`."""
        if source not in self.sources:
            self.sources.append(source)
        if source.bom:
            self.errors.append(
                InputError(source.name, 1, "begins with a byte order mark, which httpd takes for a command")
            )
        if has_template_name(source.path or source.name) or looks_like_template(source.text):
            self.template = True
            self.note("template", f"{source.name} is a template: what it inserts is not known")
            source.text = placeholders(source.text)
        try:
            nodes = parse(source, via)
        except InputError as error:
            if self.template:
                self.note("template", f"{error}; a template of this form is not analysed")
            else:
                self.errors.append(error)
            return []
        self.comments.extend(_comments(source, nodes))
        self._chain.append(source)
        try:
            return list(self._expand(nodes))
        finally:
            self._chain.pop()

    def read_dump(self, source: SourceFile) -> list[Item]:
        """The items of what `apachectl -t -D DUMP_CONFIG` has printed."""
        from auditor.servers.apache.dump import nodes_of, split

        try:
            parts = split(source)
            nodes = nodes_of(source, parts)
        except InputError as error:
            self.errors.append(error)
            return []
        self.sources.extend(parts)
        folder = posixpath.dirname(parts[0].name)
        self.server_root = posixpath.dirname(folder) if posixpath.basename(folder) == "conf" else folder
        self.files.move(self.server_root)
        self._chain.append(parts[0])
        return list(self._expand(nodes))

    def resolve(self, word: str) -> str:
        """${NAME} replaced by what Define or Debian's envvars say; one that nobody defines stays (ap_resolve_env)."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            found = self.defines.get(name, _ENVVARS.get(name))
            return match[0] if found is None else found

        return _VARIABLE.sub(value, word) if "${" in word else word

    # --- nodes

    def _expand(self, nodes: Sequence[Node]) -> Iterator[Item]:
        for node in nodes:
            if node.key in TESTS:
                if self._holds(node):
                    yield from self._expand(node.children or ())
            elif node.children is not None:
                if node.key == "<macro":
                    self._define_macro(node)
                    continue
                if node.key == "<perl":
                    yield Item(Directive(node.name, node.key, (), node.rest, node.place), ())
                    continue
                rest = self.resolve(node.rest)
                inner = tuple(self._expand(node.children))
                yield Item(Directive(node.name, node.key, words_of(rest), rest, node.place), inner)
            else:
                yield from self._directive(node)

    def _directive(self, node: Node) -> Iterator[Item]:
        key = node.key
        if key in ("include", "includeoptional"):
            yield from self._include(node)
        elif key == "use":
            yield from self._use(node)
        else:
            args = words_of(node.rest, self.resolve)
            directive = Directive(node.name, key, args, self.resolve(node.rest), node.place)
            if key == "define" and args:
                self.defines[args[0]] = args[1] if len(args) > 1 else ""
            elif key == "undefine" and args:
                self.defines.pop(args[0], None)
            elif key == "loadmodule" and args:
                self.modules.load(args[0])
            elif key == "serverroot" and args:
                self.server_root = args[0].rstrip("/") or "/"
                self.files.move(self.server_root)
            spec = spec_of(key) if not self.modules.known else None
            if spec is not None:
                self.modules.show(spec.module)
            yield Item(directive)

    def _holds(self, node: Node) -> bool:
        """Whether a section that is a test counts (start_ifmod, start_ifdefine, start_ifversion, start_iffile)."""
        argument = next_word(self.resolve(node.rest))[0]
        negated = argument.startswith("!")
        argument = argument.lstrip("!")
        if node.key == "<ifmodule":
            holds = self.modules.has(argument)
        elif node.key == "<ifdefine":
            holds = argument in self.defines
        elif node.key == "<ifversion":
            return _version_holds(node.rest)
        elif node.key == "<ifdirective":
            holds = self._known(argument.lower())
        elif node.key == "<ifsection":
            holds = self._known("<" + argument.lower().strip("<>"))
        else:
            state = self.files.state(argument)
            if state is None:
                self.note("assumed", f"{argument} is taken to be absent: it cannot be looked at here", node.place)
            holds = state in ("file", "directory", "unreadable")
        return holds != negated

    def _known(self, key: str) -> bool:
        spec = spec_of(key)
        return spec is not None and self.modules.has(spec.module)

    def _define_macro(self, node: Node) -> None:
        words = words_of(node.rest)
        if words:
            self._macros[words[0].lower()] = _Macro(words[1:], node.children or ())

    def _use(self, node: Node) -> Iterator[Item]:
        words = words_of(node.rest, self.resolve)
        macro = self._macros.get(words[0].lower()) if words else None
        if macro is None:
            self.error(node.place, f'macro "{words[0] if words else ""}" is not defined')
            return
        if len(macro.parameters) != len(words) - 1:
            expected = f'macro "{words[0]}" takes {len(macro.parameters)} arguments, not {len(words) - 1}'
            self.error(node.place, expected)
            return
        if len(self._chain) > MAX_NESTING:
            self.error(node.place, "macros use each other without end")
            return
        pairs = sorted(zip(macro.parameters, words[1:], strict=True), key=lambda pair: -len(pair[0]))
        self._chain.append(self._chain[-1])
        try:
            yield from self._expand([_replaced(child, pairs) for child in macro.nodes])
        finally:
            self._chain.pop()

    # --- files

    def _include(self, node: Node) -> Iterator[Item]:
        optional = node.key == "includeoptional"
        words = words_of(node.rest, self.resolve)
        if not words:
            self.error(node.place, f"{node.name} takes one argument")
            return
        path = words[0]
        if self._unknown(path):
            self.note("unread", f"{node.place.text} is not read: its path depends on what is not known", node.place)
            yield _unread(node)
            return
        if len(self._chain) > MAX_NESTING:
            self.error(node.place, f"{path} is included more than {MAX_NESTING} times inside of itself")
            return
        if has_magic(path):
            matches = self.files.glob(path)
            if not matches and is_stock(path):
                self._stock(path)
                return
            if matches is None:
                self.note("unread", f"{path} is not at hand: what it includes is not known", node.place)
                yield _unread(node)
                return
            if not matches and not optional and not self.files.certain:
                return
            paths = iter(matches)
        else:
            state = self.files.state(path)
            paths = self._folder(path) if state == "directory" else iter([path])
        for one in paths:
            yield from self._one(node, one, optional or has_magic(path))

    def _stock(self, path: str) -> None:
        """A file of the packages that is not here. Of modules, the site's own note tells."""
        self.partly = True
        if "mod" not in path:
            self.note("assumed", f"{path} is taken to be as its package has it: nothing that decides")

    def _unknown(self, path: str) -> bool:
        return bool(_VARIABLE.search(path))

    def _folder(self, path: str) -> Iterator[str]:
        """All files below a folder, as httpd reads them (ap_process_fnmatch_configs), in the order of their names."""
        for one in self.files.glob(f"{path.rstrip('/')}/*") or []:
            if self._count > MAX_INCLUDES:  # links to folders further up make trees without end
                return
            if self.files.state(one) == "directory":
                self._count += 1
                yield from self._folder(one)
            else:
                yield one

    def _one(self, node: Node, path: str, optional: bool) -> Iterator[Item]:
        self._count += 1
        if self._count > MAX_INCLUDES:
            self.error(node.place, f"more than {MAX_INCLUDES} included files")
            return
        try:
            source = self.files.open(path)
        except InputError as error:
            self.errors.append(error)
            return
        if source is None:
            if optional:
                return
            if is_stock(path):
                self._stock(path)
            elif not path.startswith("/") and self.files.certain:
                self.error(node.place, f"{path} is not there")
            else:
                self.note("unread", f"{path} is not at hand: what it says is not known", node.place)
                yield _unread(node)
            return
        if source in self._chain:
            self.error(node.place, f"{path} includes itself")
            return
        yield from self.read(source, node.place)


def _unread(node: Node) -> Item:
    """The line of what was not read, which stands for that: a section that has one may say more than is known."""
    return Item(Directive(node.name, node.key, words_of(node.rest), node.rest, node.place))


def _replaced(node: Node, pairs: Sequence[tuple[str, str]]) -> Node:
    rest = node.rest
    for name, value in pairs:
        rest = rest.replace(name, value)
    children = None if node.children is None else tuple(_replaced(child, pairs) for child in node.children)
    return node._replace(rest=rest, children=children)


def _version_holds(argument: str) -> bool:
    words = list(words_of(argument))
    negated = False
    if words and words[0].startswith("!"):
        negated, words[0] = True, words[0][1:]
        words = [word for word in words if word]
    operator, wanted = ("=", words[0]) if len(words) == 1 else (words[0], words[1]) if words else ("=", "")
    ours = ".".join(map(str, VERSION))
    if operator == "~" or wanted.startswith("/"):
        holds = re.search(wanted.strip("/"), ours) is not None
    else:
        numbers = tuple(int(part) if part.isdigit() else 0 for part in wanted.split("."))
        here = VERSION[: len(numbers)]
        holds = {
            "=": here == numbers,
            "==": here == numbers,
            "!=": here != numbers,
            ">": here > numbers,
            ">=": here >= numbers,
            "<": here < numbers,
            "<=": here <= numbers,
        }.get(operator, False)
    return holds != negated


def _comments(source: SourceFile, nodes: Sequence[Node]) -> Iterator[Comment]:
    if "# audit:" not in source.text and "#audit:" not in source.text:
        return
    spans: dict[int, int] = {}
    ends = [line for line in lines_of(source) if line.text.startswith("</")]
    _spans(nodes, spans, iter(ends))
    starts = sorted(spans)
    for line in lines_of(source):
        if re.match(r"#\s*audit:", line.text):
            after = next((start for start in starts if start > line.number), line.number)
            yield Comment(source, line.number, line.text[1:], after, spans.get(after, after))


def _spans(nodes: Sequence[Node], spans: dict[int, int], ends: Iterator[Line]) -> None:
    """The first and the last line of each directive and section."""
    for node in nodes:
        last = node.place.end[0]
        if node.children is not None:
            _spans(node.children, spans, ends)
            last = next(ends).number  # sections close in the order in which they are walked
        spans.setdefault(node.place.line, last)


def read_assumed(loader: Loader, text: str) -> list[Item]:
    """The items of a text that stands in no file."""
    assumed = SourceFile(ASSUMED, text)
    items = loader.read(assumed)
    loader.sources.remove(assumed)
    return items
