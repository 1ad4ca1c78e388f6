"""An nginx configuration made safe to run: the user's text with listeners, upstreams, certificates and paths moved.

Includes, their order, the levels of blocks, and every line that decides about headers stay as they are. Nothing that is
left names any address but those of the sandbox: `probes.sandbox.check` reads the result once more and makes sure.
"""

from __future__ import annotations

import ipaddress
import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auditor.servers.nginx.config import Server
from auditor.servers.nginx.site import NginxSite
from auditor.servers.nginx.syntax import Directive
from auditor.source import Place, SourceFile
from probes.sandbox import tables
from probes.sandbox.edits import Edits, line, quoted
from probes.sandbox.sealed import Sealed, Taken
from probes.sandbox.targets import Targets
from probes.sandbox.upstreams import Evaluated, Upstreams, key

__all__ = ["Plan", "Sealed", "Taken", "seal"]

_MARK = "\x01"  # stands for an underscore in what this module writes itself, until the user's text has been edited


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
        self.caches = 0
        self.upstreams = Upstreams(site, plan.evaluated, targets)
        self.redirects: list[Directive] = []

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
            frozenset(self.upstreams.addresses),
        )

    def _text(self, source: SourceFile) -> str:
        text = self.edits[source].text()
        text = re.sub(r"\$(\{?)(server_port|server_addr|proxy_port|proxy_host)\b", r"$\1audit_\2", text)
        return ("\xef\xbb\xbf" if source.bom else "") + text.replace(_MARK, "_")

    # --- what stands around the user's text

    def _main(self, opening: str) -> str:
        tree = self.site.tree
        includes = [line("include", [f"{self.plan.folder}/{self.names[one]}"]) for one in tree.tops]
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
        return "\n".join([*lines, *includes, *("}" for _ in around), ""])

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
            table = " ".join(line(key(str(here)), [there]) for here, there in pairs)
            lines.append(f"map ${source} $audit_{own} {{ volatile; default ${own}; {table} }}")
        lines += [f'map "" ${name} {{ default ""; }}' for name in self.plan.undefined]
        return " ".join([*lines, *self.upstreams.maps, ""])

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
        outer = self.upstreams.resolves
        self.upstreams.resolves = outer or any(each.name == "resolver" for each in directives)
        for directive in directives:
            if inside in ("map", "geo", "types", "split_clients", "charset_map"):
                continue
            if (directive.source.name, directive.line) in self.plan.broken or directive.name in self.plan.lacking:
                self._take(directive, "this server does not have it", inside)
            elif not self._edited(directive, inside) and directive.block is not None:
                self._block(directive.block, directive.name)
        self.upstreams.resolves = outer

    def _edited(self, directive: Directive, inside: str) -> bool:
        """Edits the line if it has to be; says whether nothing in its block needs a look."""
        name, args = directive.name, directive.args
        reason = tables.TAKEN.get(name)
        for prefix, why in tables.TAKEN_PREFIXES:
            reason = why if name.startswith(prefix) else reason
        if inside == "upstream":
            if name == "server" and args:
                self._edit(directive, self.upstreams.server(directive))
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
            self._edit(directive, self.upstreams.passed(directive))
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


def _is_name(text: str) -> bool:
    """Whether this is neither an address, nor a network, nor a Unix socket."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return text != "unix:"
    return False
