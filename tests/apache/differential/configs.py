"""Random configurations of httpd with .htaccess trees. One seed, one configuration."""

from __future__ import annotations

from random import Random

from tests.apache.differential.directives import Leaves, Scope
from tests.apache.differential.words import (
    ALIASES,
    CONDITIONS,
    DIRECTORIES,
    DIRECTORY_REGEXES,
    FILE_REGEXES,
    FILES,
    FOLDERS,
    HOSTS,
    LOCATION_REGEXES,
    LOCATIONS,
    METHODS,
    SERVER_NAMES,
)
from tests.differential.tree import Node

OVERRIDES = ["All"] * 10 + ["None", "None", "FileInfo", "AuthConfig", "FileInfo AuthConfig", "Limit Options",
                            "AuthConfig FileInfo Indexes Limit", "Nonfatal=Override FileInfo", "Indexes",
                            "Options=Indexes,ExecCGI FileInfo", "FileInfo Nonfatal=All"]  # fmt: skip
LISTS = ["Require AuthType AuthName AuthUserFile", "RequestHeader Header", "RewriteEngine RewriteRule RewriteCond",
         "None", "Redirect SetEnvIf"]  # fmt: skip


class Config:
    """A random configuration: its nodes, and what requests can be made of."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.listeners: list[tuple[str, str]] = []
        self.paths: list[str] = []
        self.hosts = list(HOSTS)
        self.leaves = Leaves(random, self.paths)
        self.nodes = self._all()

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def _all(self) -> list[Node]:
        choice = self.random.choice
        ports = ["P1", "P2"] if self.chance(0.15) else ["P1"]
        nodes = [Node(f"Listen @{port}@") for port in ports]
        if self.chance(0.2):
            nodes += [Node(choice(["ServerName t.example:80", "DocumentRoot @DIR@/site"]))]
        nodes += self._ground()
        nodes += self.leaves.definitions()
        nodes += self._server(choice([0, 1, 2, 3, 4]), choice([0, 1, 2, 3]))
        if self.chance(0.45):
            nodes += [self._host(ports) for _ in range(choice([1, 2, 2, 3]))]
        for port in ports:
            self.listeners.append(("", port))
        return nodes + self._access_files()

    def _ground(self) -> list[Node]:
        """The sections that nearly every configuration has."""
        body = [Node("Options FollowSymLinks ExecCGI"), Node(f"AllowOverride {self.random.choice(OVERRIDES)}")]
        if self.chance(0.1):
            body.append(Node(f"AllowOverrideList {self.random.choice(LISTS)}"))
        if self.chance(0.8):
            body.append(Node("Require all granted"))
        return [Node("Directory @DIR@", body)]

    def _server(self, leaves: int, sections: int) -> list[Node]:
        """Directives of a server and its sections, in any order."""
        nodes = [self.leaves.some(Scope("server")) for _ in range(leaves)]
        nodes += [[self._section()] for _ in range(sections)]
        self.random.shuffle(nodes)
        return self._wrapped([node for group in nodes for node in group])

    def _host(self, ports: list[str]) -> Node:
        choice = self.random.choice
        port = choice(ports)
        address = choice(["*"] * 5 + ["127.0.0.1", "127.0.0.2", "_default_"])
        if address.startswith("127"):
            self.listeners.append((address, port))
        nodes = [Node(f"ServerName {choice(SERVER_NAMES)}")] if self.chance(0.85) else []
        if self.chance(0.4):
            nodes.append(Node(f"ServerAlias {choice(ALIASES)}"))
        if self.chance(0.5):
            nodes.append(Node(f"DocumentRoot @DIR@/{choice(['www', 'site', 'site/'])}"))
        nodes += self._server(choice([0, 1, 1, 2, 3]), choice([0, 1, 1, 2]))
        shown = choice([f"{address}:@{port}@"] * 4 + [f"{address}:*", address])
        return Node(f"VirtualHost {shown}", nodes)

    def _section(self) -> Node:
        choice = self.random.choice
        kind = choice(["directory"] * 3 + ["location"] * 5 + ["files", "if", "proxy"])
        if kind == "directory":
            regex = self.chance(0.2)
            pattern = choice(DIRECTORY_REGEXES if regex else DIRECTORIES)
            return self._filled(kind, "Directory", pattern, regex)
        if kind == "location":
            regex = self.chance(0.25)
            pattern = choice(LOCATION_REGEXES if regex else LOCATIONS)
            if not regex and "*" not in pattern:
                self.paths.append(pattern)
            return self._filled(kind, "Location", pattern, regex)
        if kind == "proxy":
            text = choice(["Proxy *", 'Proxy "http://@A@/*"', 'ProxyMatch "^http://[^/]+/(p|x)"', "Proxy http://@A@/"])
            return Node(text, self._body(Scope("proxy")))
        return self._inner(kind)

    def _filled(self, kind: str, name: str, pattern: str, regex: bool) -> Node:
        text = f'{name}{choice_of(self.random, ["Match", " ~"])} "{pattern}"' if regex else f"{name} {pattern}"
        body = self._body(Scope(kind, pattern, regex))
        if kind == "directory" and not regex and self.chance(0.3):
            body.append(Node(f"AllowOverride {self.random.choice(OVERRIDES)}"))
        if self.chance(0.25):
            body.append(self._inner("files" if kind == "directory" and self.chance(0.6) else "if"))
        return Node(text, body)

    def _inner(self, kind: str, where: str = "") -> Node:
        choice = self.random.choice
        if kind == "files":
            regex = self.chance(0.35)
            pattern = choice(FILE_REGEXES if regex else FILES)
            text = f'Files{choice(["Match", " ~"])} "{pattern}"' if regex else f"Files {pattern}"
            return Node(text, self._body(Scope("files", pattern, regex, where == "htaccess")))
        return Node(f'If "{choice(CONDITIONS)}"', self._body(Scope("if", "", False, where == "htaccess")))

    def _body(self, scope: Scope) -> list[Node]:
        nodes: list[Node] = []
        for _ in range(self.random.choice([1, 1, 2, 2, 3])):
            nodes += self.leaves.some(scope)
        return self._wrapped(nodes, scope)

    def _wrapped(self, nodes: list[Node], scope: Scope | None = None) -> list[Node]:
        """Some of the nodes in a test or in <Limit>, or followed by <Else>."""
        choice = self.random.choice
        if nodes and self.chance(0.08):
            at = self.random.randrange(len(nodes))
            test = choice(["IfModule mod_rewrite.c", "IfModule !mod_rewrite.c", "IfModule headers_module",
                           "IfModule mod_ssl.c", "IfDefine THERE", "IfDefine !THERE", "IfVersion >= 2.4",
                           "IfVersion < 2.4"])  # fmt: skip
            if nodes[at].name not in ("VirtualHost",):
                nodes = [*nodes[:at], Node(test, [nodes[at]]), *nodes[at + 1 :]]
        if scope is not None and scope.kind != "server" and self.chance(0.08):
            limited = [node for node in self.leaves.gate(scope) if node.name in ("Require", "Order", "Allow", "Deny")]
            if limited:
                nodes.append(Node(f"{choice(['Limit', 'LimitExcept'])} {choice(METHODS)}", limited))
        out: list[Node] = []
        for node in nodes:
            out.append(node)
            if node.name == "If" and node.block is not None and self.chance(0.4):
                inner = Scope("if", "", False, scope is not None and scope.htaccess)
                if self.chance(0.4):
                    out.append(Node(f'ElseIf "{choice(CONDITIONS)}"', self.leaves.some(inner)))
                out.append(Node("Else", self.leaves.some(inner)))
        return out

    def _access_files(self) -> list[Node]:
        nodes = []
        for folder in self.random.sample(FOLDERS, self.random.choice([0, 1, 1, 2, 2, 3])):
            scope = Scope("htaccess", folder, False, True)
            body: list[Node] = []
            for _ in range(self.random.choice([1, 2, 2, 3, 4])):
                body += self.leaves.some(scope)
            if self.chance(0.25):
                body.append(self._inner(self.random.choice(["files", "if"]), "htaccess"))
            nodes.append(Node("", self._wrapped(body, scope), f"{folder}/.htaccess"))
            self.paths += [folder.partition("/")[2] and "/" + folder.partition("/")[2] + "/"] * 2
        self.paths[:] = [path for path in self.paths if path]
        return nodes


def choice_of(random: Random, words: list[str]) -> str:
    return random.choice(words)
