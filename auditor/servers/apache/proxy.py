"""Which requests go to an upstream (mod_proxy.c: proxy_trans, proxy_fixup)."""

from __future__ import annotations

import re

from auditor.patterns import lazy_re
from auditor.regex import RegexError, compile_regex
from auditor.servers.apache import walk as sections
from auditor.servers.apache.config import Directive
from auditor.servers.apache.intake import BAD_ESCAPE
from auditor.servers.apache.run import Respond, Run, Unpredictable
from auditor.servers.apache.urls import has_controls
from auditor.servers.apache.workers import is_regex, keeps_slashes, parse_url


def translate(run: Run) -> bool:
    """ProxyPass and ProxyPassMatch (proxy_trans): whether one of them takes the request."""
    if run.is_proxy:
        return True
    own = [one for section in run.layers.sections if section.kind == "location" for one in section.directives]
    local = [one for one in own if one.key in ("proxypass", "proxypassmatch")]
    if local:
        line = local[-1]
        section = next(s for s in reversed(run.layers.sections) if line in s.directives)
        matched = _match(run, line, (section.pattern, *line.args), is_regex(line, section))
        if matched is not None:
            return matched
    for line in run.server.base.all("proxypass", "proxypassmatch"):  # the main server's first
        matched = _match(run, line, line.args[line.args[:1] == ("~",) :], is_regex(line))
        if matched is not None:
            return matched
    return False


def _match(run: Run, line: Directive, args: tuple[str, ...], regex: bool) -> bool | None:
    """True where the line takes the request, False where it excepts it (`!`), None where it does not match."""
    if len(args) < 2:
        return None
    pattern, real = args[0], args[1]
    raw = "nocanon" in (word.lower() for word in line.args)
    uri = run.unparsed if raw else run.uri
    if regex:
        try:
            found = compile_regex(pattern).search(run.uri)
            if raw and found is not None:
                again = compile_regex(pattern).search(uri)
                raw, uri, found = (True, uri, again) if again is not None else (False, run.uri, found)
        except RegexError as error:
            raise Unpredictable(str(error), line.place) from error
        if found is None:
            return None
        if real == "!":
            run.step(line, "excepted from the proxy")
            return False
        if re.search(r"\$\d|&", real):
            target = re.sub(r"\$(\d)", lambda m: _group(found.groups, int(m[1])), real)
        else:
            target = real + uri
    else:
        length = _prefix(run.uri, pattern)
        if length is None:
            return None
        if real == "!":
            run.step(line, "excepted from the proxy")
            return False
        if raw and _prefix(uri, pattern) != length:
            raw, uri = False, run.uri
        target = real + uri[length:]
    if raw:  # as the client sent it, the query included
        run.notes["proxy-nocanon"] = True
    run.is_proxy, run.proxy_line = True, line
    run.filename = f"proxy:{target}"
    run.handler, run.handler_line = "proxy-server", line
    return True


def _group(groups: tuple[str, ...], number: int) -> str:
    return groups[number] if number < len(groups) else ""


def _prefix(uri: str, pattern: str) -> int | None:
    """How much of the path a ProxyPass path covers (alias_match): whole segments, several slashes counting as one."""
    at = 0
    for index, char in enumerate(pattern):
        if char == "/":
            if index and pattern[index - 1] == "/":
                continue
            if at >= len(uri) or uri[at] != "/":
                return None
            while at < len(uri) and uri[at] == "/":
                at += 1
        else:
            if at >= len(uri) or uri[at] != char:
                return None
            at += 1
    if not pattern.endswith("/") and at < len(uri) and uri[at] != "/":
        return None
    return at


def walk(run: Run) -> None:
    """<Proxy> sections, in the place of <Directory>."""
    assert run.filename is not None
    sections.proxy(run, run.filename.removeprefix("proxy:"))


def canonicalize(run: Run) -> None:
    """What a module does not take in a URL, above all in one that is to be sent as it stands (proxy_fixup, which comes
    before the fixups of other modules: proxy_http_canon, AH10415; proxy_fcgi_canon, AH10414)."""
    url = parse_url((run.filename or "").removeprefix("proxy:"))
    if url is None:
        return
    if not run.notes.get("proxy-nocanon"):
        if keeps_slashes(run) and BAD_ESCAPE.search(url.path):  # ap_proxy_canonenc_ex
            raise Respond(400, run.proxy_line)
    elif has_controls(url.path) if url.scheme in _CHECKED else url.scheme == "fcgi" and _UNFIT.search(url.path):
        raise Respond(403, run.proxy_line)


_CHECKED = ("http", "https", "ws", "wss", "h2", "h2c", "balancer")
_UNFIT = lazy_re(r"[\x00-\x1f\x7f?]")
