"""The rewrite module: set, if, rewrite, return, break (src/http/modules/ngx_http_rewrite_module.c).

The directives of a block run in the order of the text, those inside an `if` as part of the same run; an `if` that holds
changes which settings count from there on, and the run goes on behind it.
"""

from __future__ import annotations

from auditor.regex import Regex, RegexError, compile_regex
from auditor.servers.nginx import certificates, uri
from auditor.servers.nginx.config import HANDLERS, Level
from auditor.servers.nginx.run import OutHeader, Run, Unpredictable, decides
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.variables import Var, assign, evaluate, parse_template, variable
from auditor.values import CLIENT, UNKNOWN, Value, literal, unknown
from auditor.world import Answer, Question

STATEMENTS = frozenset(("set", "if", "rewrite", "return", "break"))
_CODE = (
    "set_by_lua_block",
    "set_by_lua",
    "set_by_lua_file",
    "rewrite_by_lua_block",
    "rewrite_by_lua",
    "rewrite_by_lua_file",
)
REDIRECTS = (301, 302, 303, 307, 308)

Result = int | None


class _Done(Exception):
    """The run ends here with this status (None: processing goes on)."""

    def __init__(self, status: Result) -> None:
        self.status = status


def run_block(run: Run, block: list[Directive]) -> Result:
    """Run the block's statements; the status to finalize with, or None where the request goes on."""
    try:
        _statements(run, block)
    except _Done as done:
        return done.status
    return None


def has_statements(level: Level) -> bool:
    """Whether the block has anything for the rewrite module."""
    return not STATEMENTS.isdisjoint(level.own) or any(name in level.own for name in _CODE)


def statements_of(level: Level) -> list[Directive]:
    """The lines of the level's block that the rewrite module runs."""
    return level.memo("statements", _find_statements)  # type: ignore[return-value]


def _find_statements(level: Level) -> list[Directive]:
    return [line for line in level.block if line.name in STATEMENTS or line.name in _CODE]


def _statements(run: Run, block: list[Directive]) -> None:
    for line in block:
        name = line.name
        if name == "set" and len(line.args) == 2:
            value = evaluate(run, line.args[1])
            assign(run, line.args[0].lstrip("$"), value)
        elif name == "if":
            holds = _holds(run, line)
            certificates.tell(run, line, holds)
            if holds:
                run.step(line, "the condition holds")
                _enter(run, line)
                _statements(run, line.block or [])
        elif name == "rewrite" and len(line.args) >= 2:
            _rewrite(run, line)
        elif name == "return" and line.args:
            raise _Done(_return(run, line))
        elif name == "break":
            if run.uri_changed:
                run.valid_location = False
                run.uri_changed = False
            run.step(line, "the rest of the block's rewrite directives is skipped")
            raise _Done(None)
        elif name in _CODE:
            _embedded(run, line)


def _embedded(run: Run, line: Directive) -> None:
    """Lua: a variable it sets is unknown; a program that runs may answer the request itself."""
    if line.name.startswith("set_by_lua"):
        if line.args:
            assign(run, line.args[0].lstrip("$"), unknown(UNKNOWN))
        return
    program(run, line)


def program(run: Run, line: Directive) -> None:
    """An embedded program in the request's way: it lets the request go on, or what it does cannot be known."""
    answer = run.ask(
        Question("code", line.name, f"{line.source.name}:{line.line}"),
        [
            Answer("passes", f"{line.name} lets the request go on as it is", True),
            Answer("acts", f"{line.name} answers or changes the request", False),
        ],
        line.place,
    )
    if not answer.value:
        raise Unpredictable(f"{line.name} decides", line.place)


def _enter(run: Run, line: Directive) -> None:
    """In a location, an `if` that holds brings its own settings."""
    if run.level.location is None:
        return
    run.level = if_level(run.level, line)
    handler = handler_of(run.level)
    if handler is not None:
        run.handler = handler


def if_level(outer: Level, line: Directive) -> Level:
    """The level of an if block; `outer` is any level of the location in which it stands."""
    home = _home(outer, line)
    return home.memo(("if", id(line)), lambda level: Level("if", "", line, level))  # type: ignore[return-value]


def _home(level: Level, line: Directive) -> Level:
    """The level in whose block the line stands."""
    here: Level | None = level
    while here is not None:
        if any(child is line for child in here.block):
            return here
        here = here.outer
    return level


def handler_of(level: Level) -> str | None:
    """The name of the content handler that a level itself names: the last one in the text counts."""
    return level.memo("handler", _handler_of)  # type: ignore[return-value]


def _handler_of(level: object) -> str | None:
    assert isinstance(level, Level)
    return next((line.name for line in reversed(level.block) if line.name in HANDLERS), None)


# --- conditions


def _holds(run: Run, line: Directive) -> bool:
    args = line.args
    if not args:
        return False
    if args[0] in ("-f", "-d", "-e", "-x", "!-f", "!-d", "!-e", "!-x"):
        return _file_test(run, line, args[0], args[1] if len(args) > 1 else "")
    if len(args) == 1:
        head = args[0]
        if head[:2] in ("-f", "-d", "-e", "-x") or head[:3] in ("!-f", "!-d", "!-e", "!-x"):
            cut = 2 if head[0] == "-" else 3
            return _file_test(run, line, head[:cut], head[cut:])
        value = variable(run, _name(head))
        return _known_or_asked(run, line, value, lambda text: text not in ("", "0"))
    operator = args[1]
    value = variable(run, _name(args[0]))
    if operator in ("=", "!="):
        other = evaluate(run, args[2]) if len(args) > 2 else Value()
        wanted = operator == "="
        if other.text is None:
            return _ask(run, line)
        expected = other.text
        return _known_or_asked(run, line, value, lambda text: (text == expected) is wanted)
    if operator in ("~", "~*", "!~", "!~*") and len(args) > 2:
        regex = compiled(args[2], operator.endswith("*"), line)
        negative = operator.startswith("!")
        return _known_or_asked(run, line, value, lambda text: match(run, regex, text, value) is not negative)
    raise Unpredictable(f"a condition that is not understood: {' '.join(args)}", line.place)


def _name(text: str) -> str:
    return text.lstrip("$").strip("{}")


def _known_or_asked(run: Run, line: Directive, value: Value, test) -> bool:  # type: ignore[no-untyped-def]
    text = value.text
    return bool(test(text)) if text is not None else _ask(run, line)


def _ask(run: Run, line: Directive) -> bool:
    words = " ".join(line.args)
    answer = run.ask(
        Question("variable", words, f"{line.source.name}:{line.line}"),
        [
            Answer("no", f"the condition ({words}) does not hold", False),
            Answer("yes", f"the condition ({words}) holds", True),
        ],
        line.place,
    )
    return bool(answer.value)


def compiled(pattern: str, caseless: bool, line: Directive) -> Regex:
    """The pattern of a line. Raises Unpredictable where it does not compile."""
    try:
        return compile_regex(pattern, caseless)
    except RegexError as error:
        raise Unpredictable(str(error), line.place) from error


def match(run: Run, regex: Regex, text: str, subject: Value | None = None) -> bool:
    """Match and take over the groups; a failed match forgets the former ones (ngx_http_regex_exec)."""
    try:
        found = regex.search(text)
    except RegexError as error:
        raise Unpredictable(str(error)) from error
    if found is None:
        run.captures = ()
        return False
    sources = subject.sources if subject is not None else (CLIENT,)
    source = sources[0] if len(sources) == 1 else UNKNOWN
    run.captures = tuple(literal(group, source) for group in found.groups)
    for name, group in found.names.items():
        run.variables[name] = literal(group, source)
    return True


def _file_test(run: Run, line: Directive, test: str, path: str) -> bool:
    name = evaluate(run, path).text
    if name is None:
        return _ask(run, line)
    negative = test.startswith("!")
    kind = test[-1]
    state = file_state(run, name, line)
    holds = {
        "f": state == "file",
        "d": state == "directory",
        "e": state in ("file", "directory", "unreadable"),
        "x": state == "directory",
    }[kind]
    if kind == "x" and state == "file":
        return _ask(run, line)
    return holds is not negative


def file_state(run: Run, path: str, line: Directive | None) -> str:
    """What is at a path of the deployed machine: file, directory, missing or unreadable."""
    name = file_answer(run, path, line).name
    if name == "file" and path.endswith("/"):
        return "missing"  # a file is no folder: ENOTDIR
    return "missing" if name == "no-folder" else name


def file_answer(run: Run, path: str, line: Directive | None) -> Answer:
    """What is at a path of the deployed machine; for a file that is at hand with (mtime in seconds, size in bytes)."""
    return run.ask(
        Question("file", path),
        [
            Answer("missing", f"{path} does not exist"),
            Answer("file", f"{path} is a file"),
            Answer("directory", f"{path} is a folder"),
        ],
        line.place if line is not None else None,
    )


# --- rewrite and return


def _rewrite(run: Run, line: Directive) -> None:
    pattern, replacement = line.args[0], line.args[1]
    flag = line.args[2] if len(line.args) > 2 else ""
    regex = compiled(pattern, False, line)
    if not match(run, regex, run.uri):
        return
    redirect = flag in ("redirect", "permanent") or replacement.startswith(("http://", "https://", "$scheme"))
    keep_args = not replacement.endswith("?")
    template = replacement.removesuffix("?") if not keep_args else replacement
    run.internal = True
    run.valid_unparsed = False
    if flag == "break":
        run.valid_location = False
        run.uri_changed = False
    else:
        run.uri_changed = True
    if redirect:
        _redirect(run, line, template, keep_args, 301 if flag == "permanent" else 302)
    path, args, has_args = _expand(run, template)
    if has_args:
        run.args = args + ("&" + run.args if keep_args and run.args else "")
    elif not keep_args:
        run.args = ""
    run.uri = path
    if not path:
        raise _Done(500)
    run.step(line, f"the URI becomes {path}" + (f"?{run.args}" if run.args else ""))
    if flag in ("last", "break"):
        raise _Done(None)


def _expand(run: Run, template: str) -> tuple[str, str, bool]:
    """Path and arguments of a replacement: the first "?" outside a variable starts the arguments, where captures are
    escaped if the request's path had an escape or a plus."""
    path: list[str] = []
    args: list[str] = []
    has_args = False
    for part in parse_template(template):
        if isinstance(part, Var):
            value = variable(run, part.name).text
            if value is None:
                raise Unpredictable(f"a rewrite depends on what cannot be computed: {template}")
            if has_args and part.name.isdigit() and (run.quoted or run.plus):
                value = uri.escape(value, uri.ESCAPE_ARGS)
            (args if has_args else path).append(value)
            continue
        for piece in part:
            if piece == "?" and not has_args:
                has_args = True
            else:
                (args if has_args else path).append(piece)
    return "".join(path), "".join(args), has_args


def _redirect(run: Run, line: Directive, template: str, keep_args: bool, status: int) -> None:
    out: list[str] = []
    for part in parse_template(template):
        if isinstance(part, Var):
            text = variable(run, part.name).text
            if text is None:
                raise Unpredictable(f"a redirect depends on what cannot be computed: {template}", line.place)
            if part.name.isdigit() and (run.quoted or run.plus):
                text = uri.escape(text, uri.ESCAPE_ARGS)
            out.append(text)
        else:
            out.append(part)
    target = uri.unescape_redirect("".join(out))
    if keep_args and run.args:
        target += ("&" if "?" in template else "?") + run.args
    set_location(run, literal(target), line)
    run.step(line, f"redirect {status}")
    raise _Done(status)


def set_location(run: Run, value: Value, line: Directive) -> None:
    """The Location line of an answer of nginx's own."""
    if run.location is not None and run.location in run.out:
        run.out.remove(run.location)
    run.location = OutHeader("Location", value, decides(line))
    run.out.append(run.location)


def _return(run: Run, line: Directive) -> Result:
    code, text = line.args[0], line.args[1] if len(line.args) > 1 else None
    if not code.isdigit():
        code, text = "302", code
    status = int(code)
    run.step(line, f"answers {status}")
    if status >= 400 and not text:
        return status
    value = evaluate(run, text or "")
    if status in REDIRECTS:
        set_location(run, value, line)
        return status
    from auditor.servers.nginx.conditions import Entity
    from auditor.servers.nginx.gzip import Body, type_of
    from auditor.servers.nginx.response import send

    known = value.text
    send(run, status, entity=Entity(), body=None if known is None else Body(type_of(run), len(known)))
    return 0
