"""An httpd configuration made safe to run: the user's text with listeners, modules, certificates and paths moved.

Upstreams keep their names: httpd is told to send everything that is for an upstream to stand-ins (ProxyRemote), so that
no line about one is touched, and what goes out is what would. Sections, their order, and every line that decides about
headers stay. Nothing that is left names any address or path but those of the sandbox: `check` reads the result once
more and makes sure.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from auditor.servers.apache.build import parse_address
from auditor.servers.apache.directives import _specs as known_names
from auditor.servers.apache.directives import spec_of
from auditor.servers.apache.intake import is_assumed
from auditor.servers.apache.load import _ENVVARS as ENVVARS
from auditor.servers.apache.modules import module_name
from auditor.servers.apache.site import PAGES
from auditor.servers.apache.syntax import Node, parse, words_of
from auditor.source import InputError, Place, SourceFile
from probes.runners.httpd import PID, Httpd
from probes.sandbox.apache import tables
from probes.sandbox.apache.arguments import Arguments
from probes.sandbox.apache.reading import SAME, STAND_INS, Reading, loadable
from probes.sandbox.apache.text import Edits, line, walk
from probes.sandbox.sealed import Sealed, Taken
from probes.sandbox.targets import CATCH_ALL, Targets

PHP = "php-of-audit:9000"  # where files of PHP go that are taken to be run by php-fpm
_PHP_FILES = r"\.ph(p[345]?|tml)$"
_GATEWAY = re.compile(r"""\b(fcgi|scgi|uwsgi)://([^\s"'/|?#]+)""", re.IGNORECASE)
_SOCKET = re.compile(r"unix:(/[^\s\"'|]+)\|?(\w+)?")
_MIME = """text/html html htm shtml
text/css css
text/plain txt text
text/javascript js mjs
application/json json
application/xml xml
application/pdf pdf
image/png png
image/jpeg jpg jpeg
image/gif gif
image/svg+xml svg
"""


class Plan(NamedTuple):
    """What sealing needs to know. `folder` is the sandbox, `state` the folder in which the server writes; `address` and
    `ports` as for nginx; `certificate` a PEM file with certificate and key; `lacking` names of directives (lower case)
    that this server does not know, `broken` lines that it cannot follow; `upstreams` are those that traces lead to."""

    folder: str
    state: str
    address: str
    machine: str
    ports: Mapping[tuple[str, int], int]
    tls: frozenset[int]
    certificate: str
    upstreams: tuple[str, ...]
    lacking: frozenset[str] = frozenset()
    broken: frozenset[tuple[str, int]] = frozenset()


class Sealer:
    """Seals the files of one configuration."""

    def __init__(self, reading: Reading, program: Httpd, plan: Plan, targets: Targets) -> None:
        self.reading = reading
        self.program = program
        self.plan = plan
        self.targets = targets
        self.root = f"{plan.folder}/root"
        self.arguments = Arguments(plan.folder, plan.state, reading.loader.server_root)
        self.names: dict[SourceFile, str] = {}
        self.taken: dict[Place, Taken] = {}
        self.changed: set[Place] = set()
        self.addresses: set[str] = set()
        self.together: dict[str, str] = {}
        self._gateways: dict[str, str] = {}  # URL up to the path: the stand-in's address

    def seal(self) -> Sealed:
        loader = self.reading.loader
        overrides = {found.source: folder for folder, found in self.reading.site.overrides.known()}
        sources = [*loader.assumed, *(source for source in loader.sources if source not in overrides)]
        for number, source in enumerate(sources):
            base = re.sub(r"[^\w.-]", "_", posixpath.basename(source.name)) or "conf"
            self.names[source] = f"conf/{number}-{base}"
        for folder, found in self.reading.site.overrides.known():
            self.names[found.source] = f"root{folder}/{self.reading.site.overrides.name}"
        files = {name: self._file(source, source in overrides) for source, name in self.names.items()}
        main = self._main([*loader.assumed, *(one for one in self.reading.tops if one not in overrides)])
        own = {"mime.types": _MIME, "empty.txt": "", **self.together}
        return Sealed(
            main,
            {**files, **own},
            {name: source for source, name in self.names.items()},
            tuple(self.taken.values()),
            frozenset(self.changed),
            frozenset(self.addresses),
        )

    # --- what stands around the user's text

    def _main(self, sources: Sequence[SourceFile]) -> str:
        plan, site = self.plan, self.reading.site
        modules = self.reading.modules
        lines = [
            line("ServerRoot", [self.root + self.reading.loader.server_root]),
            line("DefaultRuntimeDir", [plan.state]),
            line("PidFile", [f"{plan.state}/{PID}"]),
            line("ErrorLog", [f"{plan.state}/error.log"]),
            "Mutex pthread",
            *(line("Define", pair) for pair in ENVVARS.items()),
        ]
        secure = []
        for (_, port), here in plan.ports.items():
            lines.append(f"Listen {plan.address}:{here}" + (" https" if port in plan.tls else ""))
            if is_assumed(site.config, port):
                secure += [f"<VirtualHost {plan.address}:{here}>", "SSLEngine on"]
                secure += [line(f"SSLCertificate{part}File", [plan.certificate]) for part in ("", "Key")]
                secure.append("</VirtualHost>")
        if "mpm_prefork" in self.program.modules and not any(one.startswith("mpm_") for one in self.program.built_in):
            lines.append(self._load("mpm_prefork"))
        lines += [self._load(each) for each in modules.wanted()]
        lines.append(line("DocumentRoot", [self.root + PAGES]))
        if not site.config.main.name:
            lines.append("ServerName audit-sandbox.invalid")
        if site.config.php:
            lines.append("<IfModule mod_dir.c>\nDirectoryIndex index.html index.php\n</IfModule>")
        lines += [line("Include", [f"{plan.folder}/{self.names[source]}"]) for source in sources]
        lines += [*self._behind(), *secure]
        return "\n".join([*lines, ""])

    def _behind(self) -> list[str]:
        """What counts for the whole server, whatever its own lines are: where upstreams are, what is trusted."""
        plan = self.plan
        lines = ["<IfModule mod_mime.c>", line("TypesConfig", [f"{plan.folder}/mime.types"]), "</IfModule>"]
        checks = ("PeerName", "PeerCN", "PeerExpire")
        lines += ["<IfModule mod_ssl.c>", *(f"SSLProxyCheck{name} off" for name in checks), "</IfModule>"]
        modules = self.reading.modules
        if not modules.known and not modules.has("php"):
            address = self._gateway("fcgi", PHP, "php (assumed)")
            lines += ["<IfModule mod_proxy_fcgi.c>", line("<FilesMatch", [_PHP_FILES])]
            lines += [f'SetHandler "proxy:fcgi://{PHP}"', "</FilesMatch>"]
            lines += [f"<Proxy fcgi://{PHP}/ enablereuse=off>", "</Proxy>", "</IfModule>"]
            self.addresses.add(address)
        text = "\n".join([*(source.text for source in self.names), *plan.upstreams])
        for scheme, authority in dict.fromkeys(_GATEWAY.findall(text)):
            if "$" not in authority and "%" not in authority:
                self._gateway(scheme.lower(), authority)
        lines.append("<IfModule mod_proxy.c>")
        lines += [f"ProxyRemote {url} http://{address}" for url, address in self._gateways.items()]
        used = {url.partition(":")[0] for url in self._gateways}
        lines += [
            f"ProxyRemote {scheme} http://{self._address(tables.GATEWAYS[scheme], CATCH_ALL)}"
            for scheme in sorted(used)
        ]
        forward = self.targets.forward()
        self.addresses.add(forward)
        return [*lines, f"ProxyRemote * http://{forward}", "</IfModule>"]

    def _gateway(self, scheme: str, authority: str, shown: str | None = None) -> str:
        ports = {"fcgi": "8000", "scgi": "4000", "uwsgi": "3031"}
        host = authority.rpartition("@")[2].lower()
        server = host if ":" in host.rpartition("]")[2] else f"{host}:{ports[scheme]}"
        address = self._address(tables.GATEWAYS[scheme], shown or server)
        self._gateways[f"{scheme}://{authority}/"] = address
        return address

    def _address(self, kind: str, server: str, shown: str | None = None) -> str:
        address = self.targets.address(kind, server, shown)
        self.addresses.add(address)
        return address

    def _load(self, name: str) -> str:
        return line("LoadModule", [f"{name}_module", self.program.modules[name]])

    # --- the user's files

    def _file(self, source: SourceFile, override: bool) -> str:
        try:
            nodes = parse(source)
        except InputError:
            return source.text  # the server says so itself
        edits = Edits(source, nodes)
        for node, around in walk(nodes):
            if not override and any(one.key == "<virtualhost" for one in around) and node.key == "servername":
                host = next(one for one in around if one.key == "<virtualhost")
                self._server_name(edits, node, host)
            else:
                self._node(edits, node, override)
        text = edits.text()
        text = _SOCKET.sub(self._socket, text)
        return ("\xef\xbb\xbf" if source.bom else "") + text

    def _socket(self, match: re.Match[str]) -> str:
        """A Unix socket's stand-in. What has variables leads into the mirror, where nothing listens."""
        path, scheme = match[1], (match[2] or "http").lower()
        if "$" in path or "%" in path:
            return match[0].replace(path, self.root + path, 1)
        if scheme in tables.GATEWAYS:
            address = self._address(tables.GATEWAYS[scheme], f"unix:{path}")
        else:
            address = self.targets.forward(f"unix:{path}")
            self.addresses.add(address)
        return match[0].replace(f"unix:{path}", address, 1)

    def _take(self, edits: Edits, node: Node, why: str, changed: bool = True, text: str = "") -> None:
        place = node.place
        self.taken.setdefault(place, Taken(place, why))
        if changed:
            self.changed.add(place)
        if node.children is not None and not text:
            edits.remove(node)
        else:
            edits.replace(node, text)

    def _node(self, edits: Edits, node: Node, override: bool) -> None:
        key, source = node.key, edits.source
        spec = spec_of(key)
        words = list(words_of(node.rest, self.reading.loader.resolve))
        if (source.name, node.place.line) in self.plan.broken or key in self.plan.lacking:
            self._take(edits, node, tables.MISSING)
        elif key in ("include", "includeoptional"):
            found = self.reading.loader.included.get((source, node.place.line), [])
            edits.replace(node, line("Include", [self._together(found)]) if found else "")
        elif key in tables.HOUSEKEEPING or tables.TLS.match(key):
            edits.replace(node, "")
        elif key in tables.CERTIFICATES:
            edits.replace(node, line(node.name, [self.plan.certificate]))
        elif key in tables.TAKEN:
            self._take(edits, node, tables.TAKEN[key])
        elif key == "loadmodule" and words:
            self._module(edits, node, words)
        elif spec is None and misspelt(key):
            pass  # the server says so itself
        elif spec is None:
            self._take(edits, node, tables.UNKNOWN)
        elif self._unloaded(spec.module, override):
            self._take(edits, node, tables.MISSING)
        elif key == "<virtualhost":
            edits.replace(node, line("<VirtualHost", self._addresses(words)))
        elif key == "<ifmodule" and words and module_name(words[0].lstrip("!")) in STAND_INS:
            # Another module stands for it here: what counts is what the user's server would say.
            holds = self.reading.modules.has(words[0].lstrip("!")) != words[0].startswith("!")
            edits.replace(node, line("<IfModule", ["core.c" if holds else "!core.c"]))
        else:
            self._arguments(edits, node, words)

    def _unloaded(self, module: str, override: bool) -> bool:
        """Whether the directive's module is one that the user has and this machine has not, or that is barred."""
        name = module_name(module)
        modules = self.reading.modules
        if modules.has(name):
            return False
        return name in modules.lacking or (not modules.known and not loadable(self.program, name))

    def _together(self, sources: Sequence[SourceFile]) -> str:
        """The file that stands for these in one line: itself, or one that includes them."""
        if len(sources) == 1:
            return f"{self.plan.folder}/{self.names[sources[0]]}"
        names = [self.names[source] for source in sources]
        name = f"conf/all-{len(self.together)}.conf"
        self.together[name] = "".join(line("Include", [f"{self.plan.folder}/{each}"]) + "\n" for each in names)
        return f"{self.plan.folder}/{name}"

    def _module(self, edits: Edits, node: Node, words: list[str]) -> None:
        name = module_name(words[0])
        if name.startswith("mpm_"):
            edits.replace(node, "")
        elif loadable(self.program, name):
            real = SAME.get(name, name)
            args = [words[0] if real == "php" else f"{real}_module", self.program.modules.get(real, "")]
            edits.replace(node, line("LoadModule", args) if real in self.program.modules else "")
        else:
            why = tables.BARRED.get(
                name, tables.MISSING if name in tables.FOREIGN or spec_like(name) else tables.UNKNOWN
            )
            self._take(edits, node, why, changed=False)

    def _addresses(self, words: Iterable[str]) -> list[str]:
        """The addresses of a virtual host, at the sandbox's listeners."""
        found: list[str] = []
        for word in words:
            address = parse_address(word)
            keys = [key for key in self.plan.ports if address.port in (None, key[1])]
            if address.host == "*":
                found += [f"*:{self.plan.ports[key]}" for key in keys] if address.port is not None else ["*"]
            else:
                found += [f"{self.plan.address}:{self.plan.ports[key]}" for key in keys if key[0] == address.host]
        return list(dict.fromkeys(found)) or [f"{self.plan.address}:1"]

    def _server_name(self, edits: Edits, node: Node, host: Node) -> None:
        """The port that the server takes itself to have where no client says one: the first of its addresses
        (ap_get_server_port), which is another one in the sandbox."""
        words = list(words_of(node.rest, self.reading.loader.resolve))
        addresses = words_of(host.rest, self.reading.loader.resolve)
        port = parse_address(addresses[0]).port if addresses else None
        if len(words) == 1 and port and ":" not in words[0].rpartition("]")[2].rpartition("//")[2]:
            edits.replace(node, line(node.name, [f"{words[0]}:{port}"]))

    def _arguments(self, edits: Edits, node: Node, words: list[str]) -> None:
        new = self.arguments.of(node, words)
        if new is not None and new.why:
            self._take(edits, node, new.why, new.changed, new.text)
        elif new is not None:
            edits.replace(node, new.text)
        elif node.key in ("sethandler", "addhandler", "addtype") and words and "php" in words[0].lower():
            self._php(edits, node, words)

    def _php(self, edits: Edits, node: Node, words: list[str]) -> None:
        """A hosting panel's name for PHP, where no module here runs it."""
        modules = self.reading.modules
        if (modules.known and modules.has("php")) or words[0].lower().startswith("proxy:"):
            return
        if modules.known and not re.search(r"php\d|lsphp|ea-php|alt-php", words[0].lower()):
            return
        name = "SetHandler" if node.key == "sethandler" else "AddHandler"
        edits.replace(node, line(name, [f"proxy:fcgi://{PHP}", *words[1:]]))
        self._gateway("fcgi", PHP, "php (assumed)")


def spec_like(name: str) -> bool:
    """Whether it is a module of httpd's own."""
    from probes.sandbox.apache.reading import spec_known

    return spec_known(name)


def misspelt(key: str) -> bool:
    """Whether a directive that nobody knows is all but one that httpd has: no module names one so."""
    from difflib import get_close_matches

    return bool(get_close_matches(key, known_names(), 1, 0.94))
