"""Witnesses: requests made from the text of the configuration, for all that can treat a request in its own way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

from auditor.behind import behind, sayings
from auditor.http import Request
from auditor.samples import samples
from auditor.server import GATE, Note, Route
from auditor.servers.apache.alike import Alike
from auditor.servers.apache.config import Directive, Section, Server
from auditor.servers.apache.intake import find_listener, neighbours, ports_of
from auditor.servers.apache.likeness import Likeness, Likenesses
from auditor.servers.apache.named import (
    PROBE,
    file_name,
    files_of,
    headers_of_expression,
    paths_left_out,
    paths_of_condition,
    paths_of_expression,
)
from auditor.servers.apache.seen import Eyes
from auditor.servers.apache.storage import ASSUMED_ROOT
from auditor.servers.apache.traits import Traits
from auditor.servers.apache.walk import has_wildcards, visit
from auditor.source import Place

if TYPE_CHECKING:
    from auditor.servers.apache.site import ApacheSite

MAX_ROUTES = 300  # of one virtual host
MAX_CROSSINGS = 60
# Whose paths say what they are for, which rules look at: two of them are two routes, however alike.
_NAMES_PATHS = ("<Location", "<Directory", "ProxyPass", "Alias", "ScriptAlias", "WSGI", "Redirect")


def make_routes(site: ApacheSite) -> list[Route]:
    """All routes of a site. What no witness reaches is told in the site's notes."""
    routes: list[Route] = []
    makers: list[_Maker] = []
    said = sayings(source.text for source in site.files)
    for server in site.servers():
        bases = _bases(site, server)
        if not bases:
            text = f"the virtual host {server.label or '(without a name)'} was not judged: no request chooses it"
            site.note(Note("unreached", text, server.place))
            continue
        makers.append(_Maker(site, server, bases, said))
    eyes, traits, known = Eyes(site), Traits(site), Likenesses(site)
    for maker in makers:
        routes.extend(islice(maker.routes(eyes, traits, known), MAX_ROUTES))
    if routes and any(_is_about_gates(section) for _, section in site.sections()):
        # Rules about gates are asked, even where no request meets one.
        routes[0] = routes[0]._replace(traits=routes[0].traits | {GATE})
    return routes


def _is_about_gates(section: Section) -> bool:
    return any(
        line.key in ("authtype", "authuserfile", "require", "<requireall", "<requireany") for line in section.directives
    )


def _bases(site: ApacheSite, server: Server) -> list[Request]:
    """Requests that this virtual host gets, one for each of its ports."""
    bases = []
    ports = [address.port for address in server.addresses]
    for port in dict.fromkeys(ports if ports and None not in ports else ports_of(site.config)):
        listener = find_listener(site.config, port) if port is not None else None
        if listener is None or port is None:
            continue
        same = neighbours(site.config, server, port)
        for name in [server.name, *server.aliases, "localhost"]:
            host = name.replace("*", "any").replace("?", "x") or "localhost"
            if same and same.choose(host)[0] is not server:
                continue
            default = 443 if listener.tls else 80
            authority = host if port == default else f"{host}:{port}"
            bases.append(Request("GET", listener.tls, host, port, "/", "1.1", (("Host", authority),)))
            break
    return bases


class _Maker:
    """Makes the routes of one virtual host."""

    def __init__(
        self, site: ApacheSite, server: Server, bases: Sequence[Request], said: Sequence[tuple[str, str]]
    ) -> None:
        self.site = site
        self.server = server
        self.base = bases[0]
        self.root = document_root_of(site, server).rstrip("/")
        # What .htaccess files say is known when a request has come by.
        for folder in site.access_folders:
            uri = self._uri_of(folder)
            if uri is not None:
                site.trace(self.base._replace(target=f"{uri}/{PROBE}"))
                visit(server, site.overrides, folder)
        self._secure = [base for base in bases if base.tls]
        self._said = said
        self._likenesses: dict[Request, tuple[Likeness | None, ...]] = {}  # of the routes so far
        # Where everybody is sent elsewhere, requests that come from there tell of all the rest.
        self._sent: list[tuple[Request, str]] = []
        further = self._behind(self.base._replace(target=f"/{PROBE}"))
        if further is not None:
            self._sent = [(self.base._replace(target=f"/{PROBE}"), "/")]
            self.base = further._replace(target="/")

    def _behind(self, request: Request) -> Request | None:
        return behind(request, self.site.trace, self._secure, self._said)

    def routes(self, eyes: Eyes, traits: Traits, known: Likenesses) -> Iterator[Route]:
        """The routes; of requests that are treated alike, and that no line names by their path, the first one only."""
        judged = [(uri, own) for own in self.site.overrides.judged() if (uri := self._uri_of(own.folder)) is not None]
        look = eyes.of_server(self.server, judged, self.base).look
        alike = Alike(self._sections())
        met: set[object] = set()
        for request, pattern in chain(self._sent, self._all()):
            if any(char in " #\x7f" or char < " " or char > "~" for char in request.target):
                continue
            key = (alike.key(request), pattern if pattern.startswith(_NAMES_PATHS) else "")
            if key in met or request in met:
                continue
            met.update((key, request))
            likenesses: list[Likeness | None] = []
            plain = self._likenesses.get(request._replace(method="GET", headers=self.base.headers), ())
            for one in (request, self._behind(request) if (request, pattern) not in self._sent else None):
                if one is not None:
                    handler, seen = self._handler(one), look(one)
                    at = len(likenesses)
                    before = plain[at] if at < len(plain) else None
                    likeness = known.of(one, before)
                    likenesses.append(likeness)
                    if likeness is not None and before is not None and likeness.happens == before.happens:
                        continue  # the header or the method makes no difference here
                    yield Route(one, self.server.label or "_", pattern, handler, traits.of(self.server, seen), likeness)
            self._likenesses[request] = tuple(likenesses)

    def _handler(self, request: Request) -> Place | None:
        outcomes = self.site.trace(request)
        return outcomes[0].handler if outcomes else None

    def _all(self) -> Iterator[tuple[Request, str]]:
        paths: list[tuple[str, str]] = [("/", "/"), (f"/{PROBE}", "/")]
        for pattern, found in self._patterns():
            paths += [(path, pattern) for path in found]
        if self._has_php():
            paths.append(("/index.php", "index.php"))
        made: list[tuple[Request, str]] = []
        for path, pattern in paths:
            if path.startswith("/"):
                made.append((self.base._replace(target=path), pattern))
        yield from made
        varied: set[tuple[object, ...]] = set()
        for request, pattern in made[:40]:
            likenesses = self._likenesses.get(request)
            if likenesses is None:  # it is treated like another one
                continue
            kind = tuple(one.coarse if one is not None else request for one in likenesses)
            if kind in varied:
                continue
            varied.add(kind)
            for variant in self._variants(request):
                yield variant, pattern
        yield from islice(self._crossings(made), MAX_CROSSINGS)

    def _has_php(self) -> bool:
        return any(
            "php" in word.lower()
            for _, section in self._sections()
            for line in section.directives
            if line.key in ("sethandler", "addhandler", "addtype", "fallbackresource", "directoryindex", "rewriterule")
            for word in line.args
        ) or any(section.kind == "files" and "php" in section.pattern.lower() for _, section in self._sections())

    def _sections(self) -> Iterator[tuple[str, Section]]:
        """The sections of this host and the main server, each with the URI prefix that leads into it."""
        for section in (self.site.config.main.section, self.server.section):
            yield from self._inside("", section)
            if self.server is self.site.config.main:
                break
        for own in self.site.overrides.judged():
            uri = self._uri_of(own.folder)
            if uri is not None:
                yield from self._inside(uri, own)

    def _inside(self, prefix: str, section: Section) -> Iterator[tuple[str, Section]]:
        yield prefix, section
        for inner in section.sections:
            inside = prefix
            if inner.kind == "location" and not inner.regex and not has_wildcards(inner.pattern):
                inside = inner.pattern.rstrip("/")
            elif inner.kind == "directory" and not inner.regex:
                uri = self._uri_of(inner.pattern.replace("*", "x").replace("?", "x").rstrip("/"))
                if uri is None:
                    continue
                inside = uri
            yield from self._inside(inside, inner)

    def _uri_of(self, folder: str) -> str | None:
        """The path under which a folder is served, by DocumentRoot and Alias; None for one that is not."""
        folder = folder.rstrip("/")
        if folder == self.root or (folder + "/").startswith(self.root + "/"):
            return folder[len(self.root) :]
        if self.root.startswith(folder + "/") or folder in ("", "/"):
            return ""
        for line in self.server.all("alias", "scriptalias"):
            if len(line.args) > 1:
                target = line.args[1].rstrip("/")
                if folder == target or folder.startswith(target + "/"):
                    return line.args[0].rstrip("/") + folder[len(target) :]
        return None

    def _patterns(self) -> Iterator[tuple[str, list[str]]]:
        """What the configuration writes of paths, with paths that meet it."""
        for prefix, section in self._sections():
            yield from self._of_section(prefix, section)
            for line in section.lines():
                yield from self._of_line(prefix, section, line)

    def _of_section(self, prefix: str, section: Section) -> Iterator[tuple[str, list[str]]]:
        title = f"<{section.kind.title()} {section.pattern}>"
        if section.kind in ("if", "elseif"):
            yield title, paths_of_expression(section.pattern)
        elif section.kind == "location":
            if section.regex:
                yield title, [path for path in samples(section.pattern, False, "/x") if path.startswith("/")]
                yield title, paths_left_out(section.pattern)
                yield title, [path for path in samples(section.pattern, False) if path.startswith("/")]
            else:
                plain = section.pattern.replace("*", "x").replace("?", "x")
                yield title, [plain, plain.rstrip("/") + f"/{PROBE}"]
        elif section.kind == "directory":
            if not section.regex and prefix:
                yield title, [prefix + "/", f"{prefix}/{PROBE}"]
        elif section.kind == "htaccess":
            yield f"{section.folder}/.htaccess", [prefix + "/", f"{prefix}/{PROBE}"]
        elif section.kind == "files":
            yield title, [f"{prefix}/{name}" for name in files_of(section)]

    def _of_line(self, prefix: str, section: Section, line: Directive) -> Iterator[tuple[str, list[str]]]:
        args = line.args
        key = line.key
        if key in ("proxypass", "alias", "scriptalias", "wsgiscriptalias") and len(args) > 1:
            path = args[0]
            yield f"{line.name} {path}", [path, path.rstrip("/") + f"/{PROBE}"]
        elif key in ("proxypassmatch", "aliasmatch", "scriptaliasmatch", "redirectmatch", "wsgiscriptaliasmatch"):
            for word in args[:2] if key == "redirectmatch" else args[:1]:
                yield f"{line.name} {word}", [path for path in samples(word, False) if path.startswith("/")]
        elif key.startswith("redirect"):
            for word in args:
                if word.startswith("/"):
                    yield f"{line.name} {word}", [word]
                    break
        elif key == "rewriterule" and len(args) > 1:
            yield f"RewriteRule {args[0]}", self._rewritten(prefix, section, args[0])
        elif key in ("rewritecond", "setenvif", "setenvifnocase") and len(args) > 1:
            if args[0].lower() in ("%{request_uri}", "%{the_request}", "request_uri"):
                yield f"{line.name} {args[1]}", paths_of_condition(args[1])
        elif key == "errordocument" and len(args) > 1 and args[1].startswith("/"):
            yield f"ErrorDocument {args[0]}", [args[1]]
        elif key == "fallbackresource" and args and args[0].startswith("/"):
            yield f"FallbackResource {args[0]}", [args[0], f"{prefix}/{PROBE}"]
        if "%{" in line.rest:
            yield f"{line.name} {line.rest}", paths_of_expression(line.rest)

    def _rewritten(self, prefix: str, section: Section, pattern: str) -> list[str]:
        pattern = pattern.removeprefix("!")
        found = []
        for text in (*samples(pattern, False), *samples(pattern, False, PROBE)):
            path = text if section.kind == "server" else f"{prefix}/{text}"
            if path.startswith("/"):
                found.append(path)
        return found

    # --- variants: other requests that may be treated otherwise

    def _variants(self, base: Request) -> Iterator[Request]:
        for method in self._methods():
            yield base._replace(method=method)
        for name, value in self._headers():
            yield base.with_headers((name, value))

    def _methods(self) -> list[str]:
        found: dict[str, None] = {}
        for _, section in self._sections():
            for line in section.lines():
                if line.limit is not None:
                    for method in ("GET", "POST", "PUT", "OPTIONS"):
                        if line.limit.covers(method) != line.limit.covers("GET"):
                            found[method] = None
                            break
                if line.key == "require" and line.args[:1] == ("method",):
                    found.update(dict.fromkeys(line.args[1:]))
        return [method for method in found if method != "GET"][:3]

    def _headers(self) -> list[tuple[str, str]]:
        """Header lines that conditions of the configuration look at, with values that meet them."""
        found: dict[tuple[str, str], None] = {}
        for _, section in self._sections():
            if section.kind in ("if", "elseif"):
                found.update(dict.fromkeys(headers_of_expression(section.pattern)))
            for line in section.lines():
                if line.key in ("setenvif", "setenvifnocase") and len(line.args) > 2:
                    name = line.args[0].strip("^$")
                    value = next(iter(samples(line.args[1], line.key.endswith("nocase"))), "")
                    if re.fullmatch(r"[A-Za-z][A-Za-z-]*", name) and value and name not in _REQUEST_PARTS:
                        found[name, value] = None
                elif line.key == "rewritecond" and len(line.args) > 1:
                    match = re.fullmatch(r"%\{HTTP:([\w-]+)\}", line.args[0])
                    value = next(iter(samples(line.args[1], True)), "")
                    if match and value and not line.args[1].startswith(("!", "=", "-")):
                        found[match[1], value] = None
                if line.key in ("require", "header", "requestheader"):
                    found.update(dict.fromkeys(headers_of_expression(line.rest)))
        return [pair for pair in found if pair[0].lower() not in ("authorization", "host")][:4]

    # --- other ways into guarded parts

    def _crossings(self, made: list[tuple[Request, str]]) -> Iterator[tuple[Request, str]]:
        from auditor.servers.apache.areas import areas_of

        guarded = [area.prefix for area in areas_of(self.site, self.server)]
        names = []
        for _, section in self._sections():
            if section.kind == "files":
                names += [(name, f"<Files {section.pattern}>") for name in files_of(section)]
            for line in section.directives if section.kind == "server" else ():
                # What is handed on by a pattern that begins with no path of its own.
                if line.key == "proxypassmatch" and line.args and not re.match(r"\^?/\w", line.args[0]):
                    found = [path.strip("/") for path in samples(line.args[0], False)]
                    names += [(file_name(name), f"{line.name} {line.args[0]}") for name in found if name]
        for prefix in dict.fromkeys(guarded):
            bare = prefix.rstrip("/")
            if bare and prefix.endswith("/"):
                yield self.base._replace(target=bare), bare
            if bare:
                yield self.base._replace(target=f"{bare}/{PROBE}"), bare
            for name, pattern in names:
                yield self.base._replace(target=f"{bare}/{name}"), pattern


_REQUEST_PARTS = frozenset(
    ("Remote_Host", "Remote_Addr", "Server_Addr", "Request_Method", "Request_Protocol", "Request_URI", "Host")
)


def document_root_of(site: ApacheSite, server: Server) -> str:
    """The DocumentRoot that storage assumes where no line is at hand."""
    line = server.last("documentroot")
    return site.config.path(line.args[0]) if line is not None and line.args else ASSUMED_ROOT
