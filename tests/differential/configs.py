"""Random nginx configurations, as wide as nginx takes them. One seed, one configuration."""

from __future__ import annotations

from random import Random

from tests.differential.directives import handler, some
from tests.differential.leaves import Leaves, Scope
from tests.differential.tree import Node
from tests.differential.words import COMMON, HOSTS, NESTED, PREFIXES, REGEXES, SERVER_NAMES


class Config:
    """A random configuration: the nodes of its http block, the files beside it, and what requests can be made of."""

    def __init__(self, random: Random, version: str, headers_more: bool = False) -> None:
        self.random = random
        self.leaves = Leaves(random, version, headers_more)
        self.listeners: list[tuple[str, str]] = []  # (address or "", name of the port)
        self.paths: list[str] = []
        self.hosts = list(HOSTS)
        self.files: dict[str, str] = dict(COMMON)
        self._includes = 0
        self.nodes = self._http()

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def _http(self) -> list[Node]:
        scope = Scope("http")
        nodes = [*self.leaves.definitions()]
        nodes += self._several(scope, self.random.choice([0, 0, 1, 2, 3]))
        defaults: set[tuple[str, str]] = set()
        self.tls = self.leaves.tls = self.chance(0.2)
        servers = [self._server(defaults) for _ in range(self.random.choice([1, 1, 1, 2, 2, 3]))]
        if self.tls:
            nodes += [Node(f"ssl_certificate{part} @DIR@/tls.pem") for part in ("", "_key")]
        return unique(nodes + self.leaves.late_definitions()) + servers

    def _several(self, scope: Scope, count: int) -> list[Node]:
        nodes: list[Node] = []
        for _ in range(count):
            nodes += some(self.leaves, scope)
        return nodes

    def _server(self, defaults: set[tuple[str, str]]) -> Node:
        nodes: list[Node] = []
        ports = self.random.sample(["P1", "P2"], self.random.choice([1, 1, 1, 2]))
        for port in [*ports, *(["P3"] if self.tls and self.chance(0.7) else [])]:
            address = self.random.choice(["", "", "", "127.0.0.1:", "127.0.0.2:", "*:"])
            text = f"listen {address}@{port}@" + (" ssl" if port == "P3" else "")
            if (address.strip("*:"), port) not in defaults and self.chance(0.15):
                text += " default_server"
                defaults.add((address.strip("*:"), port))
            nodes.append(Node(text))
            self.listeners.append((address.strip("*:"), port))
        if self.chance(0.75):
            names = self.random.choice(SERVER_NAMES)
            nodes.append(Node(f"server_name {names}"))
            self.leaves.variables |= {f"${group}" for group in ("num", "domain") if f"?<{group}>" in names}
        if self.chance(0.65):
            nodes.append(Node(f"root {self.leaves.folder()}"))
        scope = Scope("server")
        nodes += self._several(scope, self.random.choice([0, 1, 1, 2, 3, 4]))
        used: set[str] = set()
        if self.chance(0.5):
            used.add(" /")
            self.paths.append("/")
            nodes.append(Node("location /", self._body(Scope("location", "", "/"))))
        for _ in range(self.random.choice([1, 2, 3, 3, 4, 5, 6])):
            location = self._location(used, "", 0)
            if location is not None:
                nodes.append(location)
        for name in sorted(self.leaves.take_named()):
            nodes.append(Node(f"location {name}", self._body(Scope("named"))))
        if "= /auth" not in used and self.chance(0.5):
            nodes.append(Node("location = /auth", self._auth_target()))
        return Node("server", self._split(unique(nodes), 0.1))

    def _auth_target(self) -> list[Node]:
        """The usual service behind auth_request."""
        body = [Node("internal"), Node("proxy_pass http://@AUTH@/check"), Node("proxy_pass_request_body off"),
                Node('proxy_set_header Content-Length ""'),
                Node("proxy_set_header X-Original-URI $request_uri")]  # fmt: skip
        return [node for node in body if self.chance(0.8)]

    def _location(self, used: set[str], parent: str, depth: int, regex_only: bool = False) -> Node | None:
        kind = self.random.choice(["", "", "", "", "=", "^~", "~", "~*", "~"])
        if regex_only:
            kind = self.random.choice(["~", "~*"])
        if kind in ("~", "~*"):
            pattern = self.random.choice(REGEXES)
            for group in ("ver", "script", "info", "first"):
                if f"?<{group}>" in pattern:
                    self.leaves.variables.add(f"${group}")
        elif parent:
            pattern = parent.rstrip("/") + "/" + self.random.choice(NESTED).lstrip("/") if self.chance(0.8) else parent
        else:
            pattern = self.random.choice(PREFIXES)
        plain = pattern.strip('"')
        if " " in plain:
            pattern = f'"{plain}"'
        key = f"{kind if kind in ('=', '~', '~*') else ''} {plain}"
        if key in used:
            return None
        used.add(key)
        if kind not in ("~", "~*"):
            self.paths.append(plain)
        scope = Scope("location", kind, plain)
        body = self._body(scope)
        if depth < 2 and kind != "=" and self.chance(0.25):
            inner: set[str] = set()
            for _ in range(self.random.choice([1, 1, 2])):
                child = self._location(inner, plain, depth + 1, regex_only=kind in ("~", "~*"))
                if child is not None:
                    body.append(child)
        return Node(f"location {kind} {pattern}".replace("  ", " "), self._split(body, 0.06))

    def _body(self, scope: Scope) -> list[Node]:
        """A handler perhaps, and some directives in any order."""
        nodes = handler(self.leaves, scope) if self.chance(0.8) else []
        nodes += self._several(scope, self.random.choice([0, 0, 1, 1, 2, 3, 4]))
        self.random.shuffle(nodes)
        return unique(nodes)

    def _split(self, nodes: list[Node], share: float) -> list[Node]:
        """Some of the nodes moved to an included file."""
        if len(nodes) < 3 or not self.chance(share):
            return nodes
        at = self.random.randrange(len(nodes) - 1)
        end = self.random.randrange(at + 1, len(nodes))
        self._includes += 1
        file = f"snippets/part{self._includes}.conf"
        path = self.random.choice([file, f"@DIR@/{file}", f"snippets/part{self._includes}*.conf"])
        return [*nodes[:at], Node(f"include {path}", nodes[at:end], file), *nodes[end:]]


REPEATED = {
    "proxy_set_header", "add_header", "allow", "deny", "set", "rewrite", "if", "location", "error_page", "return",
    "fastcgi_param", "uwsgi_param", "scgi_param", "grpc_set_header", "proxy_hide_header", "proxy_pass_header", "server",
    "proxy_redirect", "proxy_cookie_path", "auth_request_set", "set_real_ip_from", "mirror", "include", "listen",
    "break",
    "more_set_headers", "more_clear_headers", "more_set_input_headers", "more_clear_input_headers", "map", "geo",
    "upstream", "proxy_cache_path", "proxy_cookie_domain", "fastcgi_hide_header", "split_clients", "server_name",
    "proxy_cache_valid", "proxy_cookie_flags", "fastcgi_pass_header", "uwsgi_hide_header",
}  # fmt: skip


def unique(nodes: list[Node]) -> list[Node]:
    """The nodes without those that nginx would call a duplicate."""
    seen: set[str] = set()
    out = []
    for node in nodes:
        # Two handlers or two roots in one block are refused, whatever their names.
        name = "root" if node.name == "alias" else node.name
        if node.name in REPEATED or name not in seen:
            out.append(node)
        seen.add(name)
    # It looks at the proxy_pass above it.
    return sorted(out, key=lambda node: node.text == "proxy_redirect default")
