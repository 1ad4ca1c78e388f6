"""Configurations as people write them: recipes from the folder `recipes`, a few of them put together.

A recipe is text of nginx in which `[[a || b]]` is one of the alternatives, `? ` makes a directive or block optional and
`file NAME { }` is a file that may be included. `since 1.29.3 ` asks for a version, `with NAME ` for a module of the
build; `needs NAME` on a line of its own asks for one as a whole. A server block that listens stands for itself; the
content of one that does not goes into a virtual host that recipes share. Requests stand behind `#:`, as
METHOD target | Name: value ... > Name: value of the upstream's answer ...; a target may begin with one of SCHEMES and a
host.
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatch
from functools import lru_cache
from glob import glob
from random import Random
from typing import Any, NamedTuple

from tests.differential.configs import unique
from tests.differential.requests import HEADERS, Requests
from tests.differential.tree import Node, render
from tests.differential.words import COMMON, HOSTS

FOLDER = os.path.join(os.path.dirname(__file__), "recipes")
# How a target's scheme is sent: the URL's scheme and the port.
SCHEMES = {
    "http": ("http", "P1"), "https": ("https", "P3"), "plain": ("http", "P3"), "tls4": ("https", "P4"),
    "plain4": ("http", "P4"), "P2": ("http", "P2"),
}  # fmt: skip
NAMES = ["a.example", "b.example www.a.example", "*.example", r"~^(?<domain>.+)$", '""', "mail.* .d.example"]
_CHOICE = re.compile(r"\[\[(.*?)\]\]")


class Recipe(NamedTuple):
    """One file: its text without the requests, the requests, and the module that it needs."""

    name: str
    text: str
    asks: tuple[str, ...]
    needs: str


class Build(NamedTuple):
    """What the server can: its version, and what it was built with."""

    version: tuple[int, ...]
    options: str


@lru_cache(maxsize=1)
def cookbook() -> tuple[Recipe, ...]:
    """All recipes, by name."""
    found = []
    for path in sorted(glob(os.path.join(FOLDER, "*.conf"))):
        with open(path, encoding="ascii") as file:
            lines = file.read().splitlines()
        asks = tuple(line[2:].strip() for line in lines if line.startswith("#:"))
        needs = next((line[6:] for line in lines if line.startswith("needs ")), "")
        body = "\n".join(line for line in lines if not line.startswith(("#", "needs ")))
        found.append(Recipe(os.path.basename(path).removesuffix(".conf"), body, asks, needs))
    return tuple(found)


def choose(random: Random, text: str) -> str:
    """The text with one alternative for each choice."""
    return _CHOICE.sub(lambda match: random.choice(match.group(1).split("||")).strip(" "), text)


class Recipes:
    """A random configuration made of recipes; it looks like configs.Config to those who make requests."""

    def __init__(self, random: Random, version: str, build: str) -> None:
        self.random = random
        self.server = Build(tuple(int(part) for part in version.split(".")), build)
        self.files = dict(COMMON)
        self.hosts = list(HOSTS)
        self.listeners: list[tuple[str, str]] = []
        usable = [recipe for recipe in cookbook() if recipe.needs in build]
        self.recipes = random.sample(usable, random.choice([1, 2, 2, 3, 3, 4, 5]))
        self.asks = [ask for recipe in self.recipes for ask in recipe.asks]
        self.paths = ["/"]
        self.nodes = self._http()
        text = render(self.nodes, {})
        self.ports = {port for _, port in SCHEMES.values() if f"@{port}@" in text}

    def _http(self) -> list[Node]:
        top: list[Node] = []
        servers: list[Node] = []
        shared: list[list[Node]] = [[] for _ in range(self.random.choice([1, 1, 2, 3]))]
        for recipe in self.recipes:
            nodes = parse(self.random, choose(self.random, recipe.text), self.server)
            parts = {node.text.split()[1]: node.block or [] for node in nodes if node.name == "file"}
            for node in _included(nodes, parts):
                if node.name == "file":
                    continue
                if node.name != "server":
                    top.append(node)
                elif any(child.name == "listen" for child in node.block or ()):
                    servers.append(node)
                else:
                    self.random.choice(shared).extend(node.block or [])
        names = self.random.sample(NAMES, len(shared))
        for number, content in enumerate(shared):
            listen = self.random.choice(["listen @P1@", "listen @P1@", "listen 127.0.0.1:@P1@", "listen *:@P1@"])
            if number == len(shared) - 1 and self.random.random() < 0.2 and listen == "listen @P1@":
                listen += " default_server"
            self.listeners.append(("127.0.0.1" if "127" in listen else "", "P1"))
            servers.append(Node("server", [Node(listen), Node(f"server_name {names[number]}"), *_merged(content)]))
        self.random.shuffle(servers)
        if self.random.random() < 0.5:
            top.append(Node("include mime.types"))
        if self.random.random() < 0.15:
            top.append(Node(self.random.choice(HTTP_LINES)))
        return unique(_merged(top)) + servers


def _included(nodes: list[Node], parts: dict[str, list[Node]]) -> list[Node]:
    """The nodes with the text of the recipe's own files behind its include lines."""
    out = []
    for node in nodes:
        name = next((name for name in parts if fnmatch(name, node.text.split()[-1])), "")
        if node.name == "include" and name:
            out.append(Node(node.text, _included([part.copy() for part in parts[name]], parts), name))
        else:
            out.append(Node(node.text, None if node.block is None else _included(node.block, parts), node.file))
    return out


HTTP_LINES = [
    "add_header X-Http http always", "proxy_set_header X-Http http", "underscores_in_headers on", "gzip on",
    "proxy_http_version 1.1", "error_page 404 /err/404.html", "proxy_intercept_errors on",
    "auth_basic_user_file users/plain",
    "recursive_error_pages on", "absolute_redirect off", "fastcgi_intercept_errors on", "satisfy any", "root @DIR@/www",
    "proxy_hide_header X-Up", "default_type text/html", "client_max_body_size 2", "proxy_pass_request_headers off",
]  # fmt: skip


def _merged(nodes: list[Node]) -> list[Node]:
    """The nodes without second ones that nginx would refuse: a location or a variable stands once."""
    seen: set[str] = set()
    out = []
    for node in nodes:
        named = node.block is not None and node.name not in ("if", "server")
        key = node.text.split()[-1] if node.name in ("map", "geo", "split_clients") else node.text
        if named and key in seen:
            continue
        seen.add(key)
        out.append(node)
    return unique(out)


def parse(random: Random, text: str, server: Build) -> list[Node]:
    """The text as nodes; what is optional is there or not, half and half."""
    words = text.split()
    words.reverse()
    return _block(random, words, server)


def _block(random: Random, words: list[str], server: Build, keep: bool = True) -> list[Node]:
    nodes: list[Node] = []
    wanted = keep
    statement: list[str] = []
    while words:
        word = words.pop()
        if not statement and word == "?":
            wanted = random.random() < 0.5 and wanted
        elif not statement and word == "since":
            wanted = server.version >= tuple(int(part) for part in words.pop().split(".")) and wanted
        elif not statement and word == "with":
            wanted = words.pop() in server.options and wanted
        elif word == "}" and not statement:
            break
        elif word == "{" or (word == "{}" and statement):
            children = _block(random, words, server, wanted) if word == "{" else []
            if wanted and statement:
                nodes.append(Node(" ".join(statement), unique(children)))
            wanted, statement = keep, []
        else:
            statement.append(word)
            line = " ".join(statement)
            if word.endswith(";") and line.count('"') % 2 == 0 and line.count("'") % 2 == 0:
                if wanted and line != ";":
                    nodes.append(Node(line[:-1].strip()))
                wanted, statement = keep, []
    return nodes


class RecipeRequests(Requests):
    """Requests that the recipes are about, some of them bent."""

    def __init__(self, random: Random, config: Recipes) -> None:
        super().__init__(random, config)
        self.config: Recipes = config
        self.asks = config.asks
        self.paths += [_target(ask)[2] for ask in config.asks]

    def line(self) -> dict[str, Any]:
        ask, _, answered = self.random.choice(self.asks).partition(" > ")
        method = ask.split(" ", 1)[0]
        scheme, host, target = _target(ask)
        if self.chance(0.12):
            target = self._target()
        elif self.chance(0.1):
            target += self.random.choice(["?x=1", "/", "x", "&x=2", "%20", "?realm=off", "//", "/../x"])
        headers = [list(part.split(": ", 1)) for part in ask.split(" | ")[1:]]
        headers += [list(pair) for pair in self._headers()] if self.chance(0.5) else []
        if self.chance(0.2):
            name, values = self.random.choice(HEADERS)
            headers.append([name, self.random.choice(values)])
        address, port = "127.0.0.1", "P1"
        if scheme and SCHEMES[scheme][1] in self.config.ports:
            scheme, port = SCHEMES[scheme]
        else:
            scheme, host = "http", self.random.choice(self.config.hosts)
        if scheme == "http" or self.chance(0.1):
            if not any(name == "Host" for name, _ in headers):
                headers.insert(0, ["Host", host])
            host = address
        line: dict[str, Any] = {"url": f"{scheme}://{host}:@{port}@{target}"}
        if self.chance(0.06):
            method = self.random.choice(["HEAD", "OPTIONS", "PUT", "POST", "GET", "DELETE"])
        if method != "GET":
            line["method"] = method
        if self.chance(0.05):
            line["http_version"] = "1.0"
        line["client_ip"] = self.random.choice(["127.0.0.1"] * 6 + ["127.0.0.5", "127.1.0.1"])
        line["headers"] = headers
        line["upstream_response"] = self._answer(0.35)
        line["upstream_responses"] = self._auth_answers()
        if answered:
            given = [list(part.split(": ", 1)) for part in answered.split(" | ")]
            line["upstream_response"] = {"status": self.random.choice([200, 200, 403]), "headers": given}
        return line


def _target(ask: str) -> tuple[str, str, str]:
    """Scheme, host and target of a request; the first two are empty where it does not say."""
    text = ask.split(" > ")[0].split(" | ")[0].split(" ", 1)[1]
    scheme, sep, rest = text.partition("://")
    if not sep or scheme not in SCHEMES:
        return "", "", text
    host, slash, path = rest.partition("/")
    return scheme, host, slash + path
