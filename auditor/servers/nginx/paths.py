"""URIs to files: root, alias, and FastCGI's script names (ngx_http_map_uri_to_path)."""

from __future__ import annotations

from collections.abc import Callable

from auditor.regex import compile_regex
from auditor.servers.nginx.config import Level, Location
from auditor.servers.nginx.run import Run, Unpredictable
from auditor.values import CONFIG, Segment, Value, literal

Evaluate = Callable[[Run, str], Value]


class NoPath(Exception):
    """alias where the URI was rewritten with `break`: nginx answers 500."""


def root_level(level: Level) -> tuple[str, str, Level] | None:
    """("root" or "alias", its argument, the level that has it); None for the built-in root."""
    found = level.where(("root", "alias"))
    if found is None:
        return None
    for name in ("alias", "root"):
        lines = found.own.get(name)
        if lines and lines[-1].args:
            return name, lines[-1].args[0], found
    return None


def _root(run: Run, evaluate: Evaluate) -> tuple[str, str, Level | None]:
    """Kind, evaluated folder, and the level that says so."""
    found = root_level(run.level)
    if found is None:
        return "root", full(run, "html"), None
    kind, argument, level = found
    value = evaluate(run, argument)
    text = value.text
    if text is None:
        raise Unpredictable(f"{kind} depends on what cannot be computed: {argument}")
    return kind, full(run, text), level


def full(run: Run, path: str) -> str:
    """A path as nginx opens it: relative ones start at its prefix."""
    return path if path.startswith("/") else f"{run.shared.options.prefix.rstrip('/')}/{path}"


def document_root(run: Run, evaluate: Evaluate) -> Value:
    """$document_root: the root, or the alias's folder."""
    found = root_level(run.level)
    if found is None:
        return literal(full(run, "html"))
    value = evaluate(run, found[1])
    text = value.text
    if found[0] == "root" and text is not None:
        text = text.rstrip("/") if len(text) > 1 else text
        return Value((Segment(CONFIG, full(run, text)),))
    return value if text is None else literal(full(run, text))


def alias_length(run: Run) -> int | None:
    """How much of the URI an alias replaces: the location's name; None without alias; -1 in a regex location."""
    found = root_level(run.level)
    if found is None or found[0] != "alias":
        return None
    level = found[2]
    location = level if isinstance(level, Location) else level.location
    if location is None or location.modifier in ("~", "~*", "@"):
        return -1
    return len(location.name)


def to_path(run: Run, uri: str, evaluate: Evaluate) -> str:
    """The file that a URI names here."""
    kind, folder, _ = _root(run, evaluate)
    if kind == "root":
        return folder.rstrip("/") + uri if len(folder) > 1 else uri
    if not run.valid_location:
        raise NoPath
    length = alias_length(run)
    if length == -1:
        return folder + (uri if run.add_uri_to_alias else "")
    return folder + uri[length:]


def filename(run: Run, evaluate: Evaluate) -> str:
    """$request_filename."""
    return to_path(run, run.uri, evaluate)


def script_name(run: Run, evaluate: Evaluate) -> tuple[str, str]:
    """$fastcgi_script_name and $fastcgi_path_info (fastcgi_split_path_info, fastcgi_index)."""
    uri = run.uri
    split = run.level.line("fastcgi_split_path_info")
    if split is not None and split.args:
        match = compile_regex(split.args[0]).search(uri)
        if match is None or len(match.groups) < 3:
            return _with_index(run, uri), ""
        return _with_index(run, match.groups[1]), match.groups[2]
    return _with_index(run, uri), ""


def _with_index(run: Run, script: str) -> str:
    index = run.level.line("fastcgi_index")
    if script.endswith("/") and index is not None and index.args:
        return script + index.args[0]
    return script
