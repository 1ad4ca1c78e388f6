"""What becomes of Location and Set-Cookie of a proxied answer: proxy_redirect, proxy_cookie_domain, proxy_cookie_path
and proxy_cookie_flags (src/http/modules/ngx_http_proxy_module.c)."""

from __future__ import annotations

from typing import NamedTuple

from auditor.regex import RegexError, compile_regex
from auditor.servers.nginx.config import Level
from auditor.servers.nginx.proxy import MODULE, parse_url
from auditor.servers.nginx.run import Run, Unpredictable, by_default, decides
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.variables import evaluate
from auditor.trace import Because
from auditor.values import CLIENT, Segment, Value, literal, unknown


def rewrite_location(run: Run, value: Value) -> tuple[Value, tuple[Because, ...]] | None:
    """proxy_redirect; None where no pattern of it touches the value."""
    text = value.text
    if text is None:
        return None
    for pattern, replacement, caseless, because in redirects(run.level, run):
        if caseless is None:
            expected = evaluate(run, pattern).text
            if expected is None or not text.startswith(expected):
                continue
            rest = text[len(expected) :]
            new = Value((*evaluate(run, replacement).segments, Segment(CLIENT, rest)))
            return new, because
        try:
            match = compile_regex(pattern, caseless).search(text)
        except RegexError as error:
            raise Unpredictable(str(error)) from error
        if match is None:
            run.captures = ()
            continue
        run.captures = tuple(literal(group) for group in match.groups)
        for name, group in match.names.items():
            run.variables[name] = literal(group)
        return evaluate(run, replacement), because  # the whole value is replaced, whatever part matched
    return None


class Redirect(NamedTuple):
    """One rule of proxy_redirect; `caseless` is None for a plain pattern."""

    pattern: str
    replacement: str
    caseless: bool | None
    because: tuple[Because, ...]


def redirects(level: Level | None, run: Run) -> list[Redirect]:
    """The rules that count at a level: its own lines, else those of the level outside, else the default for its own
    proxy_pass. So an outer location's default counts in the locations inside it."""
    if level is None:
        return []
    lines = level.own.get("proxy_redirect")
    if lines:
        found: list[Redirect] = []
        for line in lines:
            if line.args[:1] == ["off"]:
                return []
            if line.args[:1] == ["default"]:
                found.extend(rule._replace(because=decides(line)) for rule in _default_redirect(level))
            elif len(line.args) == 2:
                pattern, replacement = line.args
                caseless = None if not pattern.startswith("~") else pattern.startswith("~*")
                found.append(
                    Redirect(
                        pattern.lstrip("~").removeprefix("*") if caseless is not None else pattern,
                        replacement,
                        caseless,
                        decides(line),
                    )
                )
        return found
    off = level.line("proxy_redirect")
    if off is not None and off.args[:1] == ["off"]:
        return []
    return redirects(level.outer, run) or _default_redirect(level)


def _default_redirect(level: Level) -> list[Redirect]:
    lines = level.own.get("proxy_pass")
    target = lines[-1].args[0] if lines and lines[-1].args else "$"
    url = parse_url(target) if "$" not in target else None
    if url is None:
        return []
    because = by_default("proxy_redirect default", MODULE)
    if url.uri:
        location = level.location
        return [Redirect(target, (location.name if location is not None else "") or "/", None, because)]
    return [Redirect(target + "/", "/", None, because)]


def rewrite_cookie(run: Run, value: Value) -> Value:
    """proxy_cookie_domain, proxy_cookie_path and proxy_cookie_flags on one Set-Cookie line."""
    text = value.text
    if text is None:
        return value
    level = run.level
    domains, paths, flags = (level.lines(f"proxy_cookie_{kind}") for kind in ("domain", "path", "flags"))
    if not (domains or paths or flags):
        return value
    if flags and flags[0].args[:1] != ["off"]:
        return unknown(value.segments[0].source)
    parts = text.split(";")
    changed = False
    for at, part in enumerate(parts[1:], 1):
        name, _, old = part.partition("=")
        key = name.strip().lower()
        lines = domains if key == "domain" else paths if key == "path" else []
        new = _rewrite_attribute(run, lines, old, key == "domain")
        if new is not None:
            parts[at] = f"{name}={new}"
            changed = True
    return Value((Segment(value.segments[0].source, ";".join(parts)),)) if changed else value


def _rewrite_attribute(run: Run, lines: list[Directive], old: str, domain: bool) -> str | None:
    for line in lines:
        if len(line.args) != 2 or line.args[0] == "off":
            continue
        pattern, replacement = line.args
        if pattern.startswith("~"):
            caseless = domain or pattern.startswith("~*")
            try:
                match = compile_regex(pattern.lstrip("~").removeprefix("*"), caseless).search(old)
            except RegexError as error:
                raise Unpredictable(str(error), line.place) from error
            if match is None:
                continue
            run.captures = tuple(literal(group) for group in match.groups)
            return evaluate(run, replacement).text or ""
        expected = evaluate(run, pattern).text or ""
        new = evaluate(run, replacement).text or ""
        if domain:
            bare, wanted = old.lstrip("."), expected.lstrip(".")
            if bare.lower() == wanted.lower():
                return new
        elif old.startswith(expected):
            return new + old[len(expected) :]
    return None
