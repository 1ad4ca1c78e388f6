"""Ways to hand Authorization to a program, tried: each line that is proposed is put into a twin of the configuration,
and only those are told with which the header arrives there.

What stands against which one (measured: APA-103, 122 to 137, 161 to 167): CGIPassAuth needs a section or a .htaccess
with AllowOverride AuthConfig, SetEnvIf and RewriteRule need AllowOverride FileInfo, and a variable that a rule sets
before an internal redirect is called REDIRECT_... behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from auditor.http import Request
from auditor.servers.apache.areas import served
from auditor.servers.apache.config import Directive, Section, Server
from auditor.servers.apache.htaccess import Htaccess
from auditor.servers.apache.load import Item
from auditor.servers.apache.syntax import words_of
from auditor.source import Place, SourceFile
from auditor.trace import Exchange, Outcome
from auditor.world import World

if TYPE_CHECKING:
    from auditor.servers.apache.site import ApacheSite

PASS = "CGIPassAuth On"
WSGI = "WSGIPassAuthorization On"
COPY = 'SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1'
RULE = "RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]"
_HEADER = "Authorization"
_COPIES = ("rewriterule", "setenvif", "setenvifnocase", "setenvifexpr", "proxyfcgisetenvif")


class Way(NamedTuple):
    """A line and where it is to stand: a folder's .htaccess, a section of the virtual host, or the virtual host."""

    line: str
    kind: str  # htaccess, directory, location, server
    pattern: str = ""


def handing(site: ApacheSite) -> Iterator[Place]:
    """The lines of all sections that hand Authorization on, or copy it for programs."""
    for _, section in site.sections():
        for line in section.directives:
            if line.key in ("cgipassauth", "wsgipassauthorization"):
                if line.args[:1] and line.args[0].lower() == "on":
                    yield line.place
            elif line.key in _COPIES and any("HTTP_AUTHORIZATION" in word for word in line.args[1:]):
                yield line.place


def ways_to_pass(site: ApacheSite, request: Request, world: World) -> list[str]:
    """What to write so that the program gets the client's Authorization, the best way first, and what does not work
    here. Empty where no program is asked, or nothing that is proposed helps."""
    outcome = next((one for one in site.trace(request, world) if _loses(one)), None)
    if outcome is None or outcome.main is None or outcome.main.protocol.startswith("HTTP"):
        return []
    server = _server(site, outcome)
    rule = _rule(outcome.main)
    folder = _folder(site, rule)
    told: list[str] = []
    if folder is not None:
        told += _of_folder(site, server, request, world, folder, rule)
    if site.context != "htaccess":
        told += _of_server(site, server, request, world, outcome.main)
    if told and rule is not None:
        told.append(_why(outcome.main, rule))
    return told


def _of_folder(
    site: ApacheSite, server: Server, request: Request, world: World, folder: str, rule: Place | None
) -> Iterator[str]:
    works = {line: _helps(site, server, request, world, Way(line, "htaccess", folder)) for line in (PASS, COPY)}
    name = site.overrides.name
    alone = site.context == "htaccess"
    if works[PASS]:
        yield f"{PASS}  in {name}" + ("  (needs AllowOverride AuthConfig)" if alone else "")
    if works[COPY]:
        either = "or: " if works[PASS] else ""
        yield f"{either}{COPY}  in {name}" + ("  (needs AllowOverride FileInfo)" if alone else "")
    if rule is not None and _helps(site, server, request, world, Way(RULE, "htaccess", folder)):
        yield f"or before all other rules: {RULE}"
    if works[COPY] and not works[PASS]:
        yield f"({PASS} in {name} would be answered 500: AllowOverride does not name AuthConfig)"
    if works[PASS] and not works[COPY]:
        yield f"(SetEnvIf and RewriteRule in {name} would be answered 500: AllowOverride does not name FileInfo)"


def _of_server(site: ApacheSite, server: Server, request: Request, world: World, exchange: Exchange) -> Iterator[str]:
    where = "in <VirtualHost>" if server.main is not None else "outside of all sections"
    if exchange.place is not None and exchange.place.text.lower().startswith("wsgi"):
        way = Way(WSGI, "server")
        if _helps(site, server, request, world, way):
            yield f"{WSGI}  {where}"
            return
    found = next((way for way in _sections(site, server, exchange) if _helps(site, server, request, world, way)), None)
    if found is not None:
        title = "Directory" if found.kind == "directory" else "Location"
        section = f'<{title} "{found.pattern}">\n    {PASS}\n</{title}>'
        yield f"{section}  (not outside of a section: httpd does not start then)"
    if _helps(site, server, request, world, Way(COPY, "server")):
        yield f"{'or ' if found is not None else ''}{where}: {COPY}"


def _sections(site: ApacheSite, server: Server, exchange: Exchange) -> Iterator[Way]:
    words = words_of(exchange.place.text) if exchange.place is not None else []
    if len(words) > 2 and words[0].lower() == "proxypass":
        yield Way(PASS, "location", words[1])
    elif len(words) > 2 and words[0].lower() == "scriptalias":
        yield Way(PASS, "directory", words[2].rstrip("/"))
    for _, root in reversed(served(site, server)):
        yield Way(PASS, "directory", root)
    yield Way(PASS, "location", "/")


def _helps(site: ApacheSite, server: Server, request: Request, world: World, way: Way) -> bool:
    """Whether the header arrives once the line stands there, however the request ends."""
    twin = site.with_host(server.place)
    place = Place(SourceFile("(proposed)", way.line), 1)
    words = words_of(way.line)
    line = Directive(words[0], words[0].lower(), tuple(words[1:]), way.line.partition(" ")[2], place)
    if way.kind == "htaccess":
        known = dict(twin.overrides.known())
        found = known.get(way.pattern)
        before = found if found is not None else Htaccess(place.source, (), None)
        twin.overrides.change(way.pattern, before._replace(items=_with(before.items, line)))
    else:
        same = next(one for one in (twin.config.main, *twin.config.hosts) if one.place == server.place)
        if way.kind == "server":
            same.section.add(line)
        else:
            same.section.sections = (*same.section.sections, Section(way.kind, way.pattern, False, place, (line,)))
    outcomes = twin.trace_once(request, world)
    given = [one.main.header(_HEADER) for one in outcomes if one.main is not None]
    return bool(given) and None not in given


def _with(items: tuple[Item, ...], line: Directive) -> tuple[Item, ...]:
    """The items with the line before the first rule of mod_rewrite and its conditions."""
    first = next(
        (at for at, one in enumerate(items) if one.directive.key in ("rewritecond", "rewriterule")), len(items)
    )
    return (*items[:first], Item(line), *items[first:])


def _loses(outcome: Outcome) -> bool:
    main = outcome.main
    return main is not None and main.loss(_HEADER) is not None and main.header(_HEADER) is None


def _server(site: ApacheSite, outcome: Outcome) -> Server:
    return next((one for one in site.servers() if one.label == outcome.server), site.config.main)


def _rule(exchange: Exchange) -> Place | None:
    """The line that means to hand it on, where one does."""
    loss = exchange.loss(_HEADER)
    place = next((one.place for one in loss.because if one.place is not None), None) if loss is not None else None
    return place if place is not None and place.text.lower().startswith("rewriterule") else None


def _folder(site: ApacheSite, rule: Place | None) -> str | None:
    """The folder whose .htaccess holds the line, or that is audited alone."""
    for folder, found in site.overrides.known():
        if (rule is not None and found.source is rule.source) or (rule is None and site.context == "htaccess"):
            return folder
    return None


def _why(exchange: Exchange, rule: Place) -> str:
    if any(sent.name.startswith("REDIRECT_") and sent.name.endswith("HTTP_AUTHORIZATION") for sent in exchange.headers):
        return (
            "(why not so: what the line sets is renamed REDIRECT_HTTP_AUTHORIZATION by the internal redirect of a "
            "rewrite in .htaccess or <Directory>, and the second round does not reach the line)"
        )
    return (
        "(why not so: this request does not get to the line: its conditions do not hold, a rule before it with [L], "
        "[END] or a redirect ends the rules, or rules of a folder further in stand in its place)"
    )
