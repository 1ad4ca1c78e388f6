"""A Run made by hand, for the tests of single modules."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.files import Files
from auditor.http import make_request, split_port
from auditor.servers.apache.config import Config, Directive, Layers, Section, Server
from auditor.servers.apache.htaccess import Overrides
from auditor.servers.apache.load import Loader
from auditor.servers.apache.modules import Modules
from auditor.servers.apache.run import Options, Run, Shared
from auditor.servers.apache.syntax import Node, parse, words_of
from auditor.source import SourceFile
from auditor.values import client_header, literal
from auditor.world import Path, Unknowns, World

# What a request of the tests brings: a set that tells most cases apart.
LINES = (
    ("Host", "T.Example:8080"),
    ("User-Agent", "Mozilla/5.0 (X11)"),
    ("X-A", "Alpha beta"),
    ("X-N", "10"),
    ("X-Q", 'it\'s "q"'),
    ("X-E", ""),
    ("Cookie", "a=1; b=2"),
    ("Accept", "text/html"),
    ("X-Ip", "10.1.2.3"),
    ("X-D", "one"),
    ("X-D", "two"),
)


def sections_of(text: str) -> Section:
    """The section of a server with these lines, sections inside of it."""
    return _section("server", "", parse(SourceFile("httpd.conf", text)), None)


def _section(kind: str, pattern: str, nodes: Sequence[Node], node: Node | None) -> Section:
    directives = [
        Directive(one.name, one.key, words_of(one.rest), one.rest, one.place) for one in nodes if one.children is None
    ]
    inner = [
        _section(one.key[1:], (words_of(one.rest) or ("",))[0], one.children, one)
        for one in nodes
        if one.children is not None
    ]
    return Section(kind, pattern, False, None if node is None else node.place, directives, inner)


def make_run(
    text: str = "",
    target: str = "/",
    lines: Sequence[tuple[str, str]] = LINES,
    modules: Sequence[str] = ("headers", "setenvif", "env"),
    world: World | None = None,
    http_version: str = "1.1",
) -> Run:
    """A request behind the walk: all sections of the text apply, in their order."""
    section = sections_of(text)
    server = Server(section, None, (), None)
    config = Config(server, (), (), Modules(modules, known=True), "/etc/httpd")
    request = make_request(f"http://t.example{target}", "GET", lines, http_version)
    shared = Shared(
        config,
        Overrides(Loader(Files(SourceFile("-", "")), Modules()), None),
        Options(),
        Path(world or Unknowns()),
        request,
    )
    run = Run(shared, server)
    run.layers = Layers((section,)).with_sections(_all(section))
    run.uri, mark, args = target.partition("?")
    run.args = args if mark else None
    port = split_port(dict(lines).get("Host", ""))[1]
    run.host, run.port = "t.example", int(port) if port else None
    for name, value in lines:
        run.headers_in.merge(name, literal(value, client_header(name)))
    return run


def _all(section: Section) -> list[Section]:
    found = []
    for inner in section.sections:
        found += [inner, *_all(inner)]
    return found
