"""An nginx configuration made safe to run: the user's text with listeners, upstreams, certificates and paths moved.

Includes, their order, the levels of blocks, and every line that decides about headers stay as they are. Nothing that is
left names any address but those of the sandbox: `check_sealed` reads the result once more and makes sure.
"""

from __future__ import annotations

import ipaddress
import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from auditor.servers.nginx.config import Server
from auditor.servers.nginx.proxy import parse_url
from auditor.servers.nginx.site import NginxSite
from auditor.servers.nginx.syntax import Directive
from auditor.source import Place, SourceFile
from probes.sandbox import tables
from probes.sandbox.edits import Edits, line, quoted
from probes.sandbox.targets import CATCH_ALL, Targets

Evaluated = Mapping[Place, Iterable[tuple[str, str]]]
_MARK = "\x01"  # stands for an underscore in what this module writes itself, until the user's text has been edited
NOWHERE = "no-resolver.invalid"
# What is no server, so that nginx answers 500: no host, or a port that is none.
_NO_PORT = r"(?:0*|[^/?]*[^\d/?][^/?]*|0*(?:6553[6-9]|655[4-9]\d|65[6-9]\d\d|6[6-9]\d{3}|[7-9]\d{4}|[1-9]\d{5,}))"
_NO_SERVER = rf"(?!unix:)(?:[^\[:/?]*:{_NO_PORT})?"
_PATH_VARIABLES = re.compile(r"\$\{?(?:request_uri|uri|document_uri|is_args|args)\b")


class Taken(NamedTuple):
    """A line of the configuration that the sandbox does without, and why."""

    place: Place
    why: str


class Sealed(NamedTuple):
    """What the server is started with.

    `main` is the text of the main file, `files` the others by their names in the sandbox, `sources` which file of the
    user's each of them is. `taken` lists what was taken out; `changed` those of its lines without which the prediction
    has to be made, too. `addresses` are all that the server may connect to.
    """

    main: str
    files: dict[str, str]
    sources: dict[str, SourceFile]
    taken: tuple[Taken, ...]
    changed: frozenset[Place]
    addresses: frozenset[str]


class Plan(NamedTuple):
    """What sealing needs to know.

    `folder` is the sandbox, `state` the folder in which the server writes; `address` the only one that is listened on,
    with the port that `ports` has for each (address, port) of the configuration; `certificate` a PEM file with
    certificate and key; `evaluated` what the upstreams with variables come to, by their lines; `lacking` names of
    directives that this server does not know, `broken` lines that it cannot follow, `undefined` variables that nothing
    defines here; `code` whether embedded programs run.
    """

    folder: str
    state: str
    address: str
    ports: Mapping[tuple[str, int], int]
    certificate: str
    evaluated: Evaluated
    lacking: frozenset[str] = frozenset()
    broken: frozenset[tuple[str, int]] = frozenset()
    undefined: tuple[str, ...] = ()
    known: frozenset[str] | None = None
    code: bool = False
    connections: int = 1024


def seal(site: NginxSite, plan: Plan, targets: Targets) -> Sealed:
    """The sealed form of a configuration; the stand-ins that it names are made in `targets`."""
    return _Sealer(site, plan, targets).seal()


class _Sealer:
    def __init__(self, site: NginxSite, plan: Plan, targets: Targets) -> None:
        self.site = site
        self.plan = plan
        self.targets = targets
        self.root = f"{plan.folder}/root"
        self.edits: dict[SourceFile, Edits] = {}
        self.names: dict[SourceFile, str] = {}
        self.taken: dict[Place, Taken] = {}
        self.changed: set[Place] = set()
        self.maps: list[str] = []
        self.caches = 0
        self.addresses: set[str] = set()
        self.groups = _group_kinds(site)
        self.resolves = False  # whether names are looked up, in the block that is being read
        self.redirects: list[Directive] = []
        self.unresolved = 0
        fixed = [each.args[0] for each in site.tree.walk() if each.name in tables.PASSES and each.args]
        urls = [parse_url(_as_http(text)) for text in fixed if "$" not in text]
        self.fixed = {url.server for url in urls if url is not None}

    def seal(self) -> Sealed:
        tree = self.site.tree
        for number, source in enumerate(tree.files):
            self.edits[source] = Edits(source)
            base = re.sub(r"[^\w.-]", "_", os.path.basename(source.name)) or "conf"
            self.names[source] = f"conf/{number}-{base}"
        self._block(tree.directives, "main")
        for include in tree.includes:
            paths = [line("include", [f"{self.plan.folder}/{self.names[one]}"]) for one in include.files]
            self._edit(include.directive, " ".join(paths))
        for server in self.site.http.servers:
            self._listen(server)
        for directive in self.redirects:  # these are about the upstream as the server knows it
            args = (self.targets.here(arg) if not number else arg for number, arg in enumerate(directive.args))
            text = line("proxy_redirect", list(args))
            self._edit(directive, re.sub(r"\$(\{?)proxy_host\b", rf"$\1proxy{_MARK}host", text))
        opening = self._http_lines()
        http = self.site.http.directive
        if http is not None and http.offset is not None:
            self.edits[http.source].behind_opening(http, opening)
        files = {name: self._text(source) for source, name in self.names.items()}
        return Sealed(
            self._main(opening),
            files,
            {name: source for source, name in self.names.items()},
            tuple(self.taken.values()),
            frozenset(self.changed),
            frozenset(self.addresses),
        )

    def _text(self, source: SourceFile) -> str:
        text = self.edits[source].text()
        text = re.sub(r"\$(\{?)(server_port|server_addr|proxy_port|proxy_host)\b", r"$\1audit_\2", text)
        return ("\xef\xbb\xbf" if source.bom else "") + text.replace(_MARK, "_")

    # --- what stands around the user's text

    def _main(self, opening: str) -> str:
        tree = self.site.tree
        include = line("include", [f"{self.plan.folder}/{self.names[tree.files[0]]}"])
        around: list[str] = []  # the blocks that a part of a configuration lacks
        directives = tree.directives
        while len(directives) == 1 and directives[0].offset is None and directives[0].block is not None:
            around.append(" ".join([directives[0].name, *directives[0].args]))
            directives = directives[0].block
        state = self.plan.state
        lines = [
            "daemon off; master_process off;",
            line("pid", [f"{state}/nginx.pid"]),
            line("error_log", [f"{state}/error.log", "notice"]),
            f"events {{ worker_connections {self.plan.connections}; }}",
        ]
        for name in around:
            lines.append(name + " {")
            if name == "http":
                lines.append(opening.replace(_MARK, "_"))
            if name == "server":
                lines.append(self._listen_lines(self.site.http.servers[0]))
        return "\n".join([*lines, include, *("}" for _ in around), ""])

    def _http_lines(self) -> str:
        """What the sandbox needs in the http block, on one line."""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        lines = ["", *(line(f"{kind}_temp_path", [f"{self.plan.state}/tmp/{kind}"]) for kind in kinds)]
        lines += ["access_log off;", "map_hash_bucket_size 8192;", "map_hash_max_size 65536;"]
        listened = self.plan.ports.items()
        for name, source, pairs in (
            ("server_port", "server_port", [(here, str(there)) for (_, there), here in listened]),
            ("server_addr", "server_port", [(here, address) for (address, _), here in listened if address != "*"]),
            ("proxy_port", "proxy_port", list(self.targets.ports().items())),
            ("proxy_host", "proxy_host", list(self.targets.hosts().items())),
        ):
            own, source = (word.replace("_", _MARK) for word in (name, source))
            table = " ".join(line(_key(str(here)), [there]) for here, there in pairs)
            lines.append(f"map ${source} $audit_{own} {{ volatile; default ${own}; {table} }}")
        lines += [f'map "" ${name} {{ default ""; }}' for name in self.plan.undefined]
        return " ".join([*lines, *self.maps, ""])

    # --- listeners

    def _listen(self, server: Server) -> None:
        if server.directive is not None and server.directive.offset is not None:
            self.edits[server.directive.source].behind_opening(server.directive, f" {self._listen_lines(server)} ")

    def _listen_lines(self, server: Server) -> str:
        made: dict[str, str] = {}
        for listen in server.listens:
            if not listen.port:
                where = f"unix:{self.plan.state}/listen{len(made)}-{id(server)}.sock"
                default = False
            else:
                where = f"{self.plan.address}:{self.plan.ports[(listen.address, listen.port)]}"
                default = self.site.http.ports[(listen.address, listen.port)].default is server
            made.setdefault(where, line("listen", [where, *["ssl"] * listen.tls, *["default_server"] * default]))
        return " ".join(made.values())

    # --- directives

    def _block(self, directives: Sequence[Directive], inside: str) -> None:
        outer = self.resolves
        self.resolves = outer or any(each.name == "resolver" for each in directives)
        for directive in directives:
            if inside in ("map", "geo", "types", "split_clients", "charset_map"):
                continue
            if (directive.source.name, directive.line) in self.plan.broken or directive.name in self.plan.lacking:
                self._take(directive, "this server does not have it", inside)
            elif not self._edited(directive, inside) and directive.block is not None:
                self._block(directive.block, directive.name)
        self.resolves = outer

    def _edited(self, directive: Directive, inside: str) -> bool:
        """Edits the line if it has to be; says whether nothing in its block needs a look."""
        name, args = directive.name, directive.args
        reason = tables.TAKEN.get(name)
        for prefix, why in tables.TAKEN_PREFIXES:
            reason = why if name.startswith(prefix) else reason
        if inside == "upstream":
            if name == "server" and args:
                self._upstream_server(directive)
            elif name in tables.HOUSEKEEPING:
                self._edit(directive, "")
            elif reason:
                self._take(directive, reason, inside)
        elif name in tables.HOUSEKEEPING or tables.TLS_FILES.match(name) or name == "listen":
            self._edit(directive, "")
        elif reason is not None:
            self._take(directive, reason, inside)
        elif not self.plan.code and tables.CODE.match(name):
            self._take(directive, "embedded code is not run (--allow-code)", inside)
        elif self.plan.known is not None and name not in self.plan.known:
            self._take(directive, "a module that is not known here might reach out", inside)
        elif name in tables.CODE_FILES and args:
            self._edit(directive, line(name, [*args[:-1], self._inside(args[-1])]))
        elif tables.CERTIFICATE.match(name) or tables.CERTIFICATE_KEY.match(name):
            self._edit(directive, line(name, [self.plan.certificate]))
        elif name in tables.PATHS and args and args[0] != "off":
            self._edit(directive, line(name, [self._inside(args[0]), *args[1:]]))
        elif name.endswith("_cache_path") and args:
            self.caches += 1
            self._edit(directive, line(name, [f"{self.plan.state}/cache/{self.caches}", *args[1:]]))
        elif name == "set_real_ip_from" and args and _is_name(args[0]):
            self._take(directive, "the server would look this name up", inside)
        elif name == "keyval_zone":
            self._edit(directive, line(name, [arg for arg in args if not arg.startswith("state=")]))
        elif name in tables.PASSES and args:
            self._pass(directive)
        elif name == "proxy_redirect" and len(args) > 1 and not args[0].startswith("~"):
            self.redirects.append(directive)  # when all upstreams are known
        elif name == "if" and len(args) == 2 and re.fullmatch(r"!?-[fdex]", args[0]) and args[1].startswith("/"):
            self._opening(directive, f"if ({args[0]} {quoted(self._inside(args[1]))}) {{")
            return False
        else:
            return False
        return True

    def _edit(self, directive: Directive, text: str) -> None:
        edits = self.edits.get(directive.source)
        if directive.offset == 0 and directive.source.bom:
            return  # for the server a byte order mark is a part of the word, which it will complain of
        if edits is not None:
            edits.replace(directive, text)

    def _opening(self, directive: Directive, text: str) -> None:
        edits = self.edits.get(directive.source)
        if edits is not None:
            edits.replace_opening(directive, text)

    def _take(self, directive: Directive, why: str, inside: str) -> None:
        self.taken.setdefault(directive.place, Taken(directive.place, why))
        self.changed.add(directive.place)
        variable = next((arg for arg in directive.args if arg.startswith("$")), None)
        text = ""
        if variable is not None and tables.VARIABLE_BY_CODE.match(directive.name):
            text = f'map "" {variable} {{ default ""; }}' if inside == "http" else f'set {variable} "";'
        self._edit(directive, text)

    def _inside(self, path: str) -> str:
        """A path of the deployed machine in the sandbox; `..` does not lead out of it."""
        if path.startswith("$"):
            return self.root + path
        path = self.site.deployed(path)
        if ".." in path.split("/"):
            path = posixpath.normpath("/" + path.lstrip("/")) + "/" * path.endswith("/")
        return self.root + path

    # --- upstreams

    def _address(self, kind: str, server: str, shown: str | None = None) -> str:
        address = self.targets.address(kind, server, shown)
        self.addresses.add(address)
        return address

    def _upstream_server(self, directive: Directive) -> None:
        group = self.groups.get(directive.place, "http")
        name, *options = directive.args
        if ":" not in name.rpartition("]")[2]:
            name += ":443" if group in ("https", "grpcs") else ":80"
        kept = [word for word in options if not word.startswith(tables.SERVER_OPTIONS_OUT)]
        self._edit(directive, line("server", [self._address(group, name), *kept]))

    def _pass(self, directive: Directive) -> None:
        name, text = directive.name, directive.args[0]
        kind = tables.PASSES[name]
        if kind == "memcached":
            self._edit(directive, line(name, [self._address(kind, text)]))
        elif "$" in text:
            self._edit(directive, line(name, [self._variable(directive, kind, text)]))
        elif kind in ("http", "grpc"):
            self._edit(directive, line(name, [self._url(kind, text)]))
        else:
            scheme, sep, server = text.rpartition("://")  # uwsgi:// and suwsgi:// there may be
            if not self._is_group(server):
                self._edit(directive, line(name, [scheme + sep + self._address(scheme or kind, _with_port(server))]))

    def _is_group(self, name: str) -> bool:
        return name in self.site.http.upstreams

    def _url(self, kind: str, text: str) -> str:
        """The target of proxy_pass or grpc_pass, its server replaced."""
        bare = "://" not in text
        url = parse_url(f"grpc://{text}" if bare and kind == "grpc" else text)
        if url is None or (self._is_group(url.host) and not url.explicit_port):
            return text
        if url.host.startswith("unix:"):
            address = self._address(url.scheme, url.host)
            return f"{'' if bare else url.scheme + '://'}{address}{':' + url.uri if url.uri else ''}"
        address = self._address(url.scheme, url.server, url.host_header)
        return f"{'' if bare else url.scheme + '://'}{address}{url.uri}"

    def _variable(self, directive: Directive, kind: str, text: str) -> str:
        """A target made of variables: what they come to is looked up in a table of the stand-ins."""
        scheme, sep, rest = text.partition("://")
        if not sep or "$" in scheme:
            if kind not in ("http", "grpc"):
                return self._looked_up(directive, kind, text, "")
            if not sep:
                return self._looked_up(directive, kind, text, "whole")
            return self._looked_up(directive, kind, text, "whole")
        cuts = [at for at in (rest.find("/"), rest.find("?")) if at != -1]
        found = _PATH_VARIABLES.search(rest)
        if found is not None:
            cuts.append(found.start())
        cut = min(cuts, default=len(rest))
        server, tail = rest[:cut], rest[cut:]
        if "$" not in server:
            if not self._reachable(f"{scheme}://{server}"):
                return f"{scheme}://{self._nowhere(server)}{tail}"
            return self._url(kind, f"{scheme}://{server}") + tail
        if not cuts and kind == "http":  # the variable may hold a path, too
            return self._looked_up(directive, scheme, text, "whole")
        return f"{scheme}://{self._looked_up(directive, scheme, server, '')}{tail}"

    def _reachable(self, text: str) -> bool:
        """Whether a URL with variables behind its server can be followed: an address, a group, a server that a line
        without variables names, or any where there is a resolver (ngx_http_upstream_init_request)."""
        url = parse_url(text)
        if url is None or self.resolves or self._is_group(url.host):
            return True
        address = url.host.startswith(("unix:", "[")) or url.host.replace(".", "").isdigit()
        return address or url.server in self.fixed

    def _has_port(self, name: str) -> bool:
        return name.startswith("unix:") or self._is_group(name) or ":" in name.rpartition("]")[2]

    def _nowhere(self, server: str) -> str:
        """A name that nobody resolves; there is no resolver in the sandbox that could."""
        self.unresolved += 1
        name = f"{self.unresolved}.{NOWHERE}"
        self.targets.names.add(name, server)
        return name

    def _looked_up(self, directive: Directive, kind: str, text: str, what: str) -> str:
        entries: dict[str, str] = {}
        web = kind in ("http", "https")  # which have a port by default
        for upstream, uri in self.plan.evaluated.get(directive.place, ()):
            scheme, sep, name = upstream.partition("://")
            if not sep:
                scheme, name = kind, upstream
            if not self._reachable(_as_http(f"{scheme}://{name}")) or not (web or self._has_port(name)):
                continue
            if what == "whole":
                sealed = self._url(kind, f"{scheme}://{name}")
                if kind == "grpc":  # which needs no scheme
                    entries[name] = sealed
                for full in dict.fromkeys((name, _with_port(name, scheme))):
                    entries[f"{scheme}://{full}"] = sealed
                    if uri:
                        entries[f"{scheme}://{full}{uri}"] = sealed + uri
            elif self._is_group(name):
                entries[name] = name
            elif name.startswith("unix:") and kind in ("http", "https"):  # a URI may follow behind a colon
                entries[name] = self._url(kind, f"{kind}://{name}").partition("://")[2]
                entries[f"{name}:"] = f"{entries[name]}:"
            elif kind in ("http", "https", "grpc", "grpcs"):
                sealed = self._url(kind, f"{kind}://{name}").partition("://")[2]
                entries[name] = entries[_with_port(name, kind)] = sealed
            else:
                entries[name] = entries[f"{kind}://{name}"] = self._address(kind, name)
        anywhere = self._address("http" if what and web else kind, CATCH_ALL)
        nowhere = anywhere if self.resolves else f"0.{NOWHERE}{'' if web else ':1'}"
        # Of what is no URL or no server nginx says so; an address can be reached without a resolver.
        if what == "whole" and web:
            rules = [
                (rf"~*^https?://{_NO_SERVER}(?:[/?]|$)", "http://:/"),
                ("~*^https?://[0-9.:]+(?:[/?]|$)", f"http://{anywhere}"),
                ("~*^https?://", f"http://{nowhere}"),
            ]
            default = quoted(text)
        else:
            scheme = r"(?:grpcs?://|s?uwsgi://)?"
            rules = [("", ":"), (f"~^{scheme}{_NO_SERVER}$", ":")]  # no regular expression matches what is empty
            if web:
                rules.append((r"~^[0-9.]+(?::\d+)?$", anywhere))
            else:
                rules += [(rf"~^{scheme}[^:]*$", ":"), (rf"~^{scheme}[0-9.]+:\d+$", anywhere)]
            default = quoted(nowhere)
        variable = f"$audit_to_{len(self.maps)}"
        pairs = " ".join(
            [*(line(_key(key), [value]) for key, value in entries.items()), *(line(quoted(k), [v]) for k, v in rules)]
        )
        self.maps.append(f"map {quoted(text)} {variable} {{ volatile; default {default}; {pairs} }}")
        return variable


def _climbs(words: Iterable[str]) -> bool:
    """Whether one of these paths goes up: the server joins it to its root as it is, which may lead anywhere."""
    return any(".." in word.split("/") for word in words)


def _is_name(text: str) -> bool:
    """Whether this is neither an address, nor a network, nor a Unix socket."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return text != "unix:"
    return False


def _as_http(text: str) -> str:
    """The target of any pass directive as a URL that can be taken apart."""
    return text if text.startswith(("http://", "https://")) else f"http://{text.rpartition('://')[2]}"


def _key(text: str) -> str:
    """A value as the first word of a line of a map; a leading special word is taken literally."""
    return quoted(text) if text not in ("default", "include", "volatile", "hostnames") else "\\" + text


def _with_port(name: str, scheme: str = "") -> str:
    if name.startswith("unix:") or ":" in name.rpartition("]")[2]:
        return name
    return name + (":443" if scheme in ("https", "grpcs") else ":80")


def _group_kinds(site: NginxSite) -> dict[Place, str]:
    """How the servers of each upstream group are spoken to, by the lines that name them."""
    kinds: dict[str, str] = {}
    for directive in site.tree.walk():
        kind = tables.PASSES.get(directive.name)
        if kind is None or not directive.args:
            continue
        scheme, sep, rest = directive.args[0].partition("://")
        if sep and kind in ("http", "grpc"):
            kind = scheme if scheme in ("http", "https", "grpc", "grpcs") else kind
        name = re.split(r"[/?$:]", rest if sep else directive.args[0])[0]
        if name in site.http.upstreams:
            kinds.setdefault(name, kind)
        elif "$" in directive.args[0]:
            kinds.setdefault("$", kind)
    found = {}
    for name, group in site.http.upstreams.items():
        for child in group.block or ():
            found[child.place] = kinds.get(name, kinds.get("$", "http"))
    return found


class Unsafe(Exception):
    """The sealed configuration still names something outside; the server is not started."""


def check_sealed(site: NginxSite, sealed: Sealed, plan: Plan) -> None:
    """Reads the sealed configuration again. Raises Unsafe for a line that would reach or listen outside of it."""
    groups = set(site.http.upstreams)
    for directive in site.tree.walk():
        name, args = directive.name, directive.args
        bad = False
        if name in tables.PASSES and args:
            text = args[0].partition("://")[2] if "://" in args[0] else args[0]
            server = re.split(r"[/?]", text)[0] if not text.startswith("unix:") else text.rpartition(":/")[0] or text
            fixed = server.partition("$audit_to_")
            bad = not (
                not server  # the server refuses that
                or server in groups
                or server in sealed.addresses
                or text in sealed.addresses
                or (fixed[1] and not fixed[0])
                or ("$" in text and re.match(rf"\d+\.{re.escape(NOWHERE)}(?:[/?$]|\Z)", text))
                or any(server.startswith(address + "$") for address in (*sealed.addresses, *groups))
            )
        elif name == "server" and directive.block is None and args:
            bad = args[0] not in sealed.addresses
        elif name == "listen":
            bad = not args[0].startswith((f"{plan.address}:", f"unix:{plan.state}/"))
        elif name in ("resolver", "load_module", "stream", "mail", "ssl_stapling", "js_fetch_trusted_certificate"):
            bad = True
        elif name in ("access_log", "error_log"):
            bad = args[:1] != ["off"] and not (args and args[0].startswith(plan.state + "/"))
        elif name in tables.TABLES:
            bad = any(_climbs(entry.args) for entry in directive.block or ())
        elif name in tables.SERVED:
            bad = _climbs(args[1:] if name == "rewrite" else args)
        if bad:
            raise Unsafe(f"{directive.place.text} in {directive.place.file}:{directive.line}")
