"""The state of one random configuration: the names it uses so far, and the values that its directives get."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.differential.tree import Node
from tests.differential.words import URIS, VARIABLES


class Scope(NamedTuple):
    """Where directives go: http, server, location, named, if (in a location), server-if, limit_except."""

    where: str
    kind: str = ""
    path: str = ""

    @property
    def regex(self) -> bool:
        return self.kind in ("~", "~*")

    @property
    def no_uri(self) -> bool:
        """proxy_pass may have no URI part here."""
        return self.regex or self.where in ("named", "if", "limit_except")


class Leaves:
    """Makes directives and remembers which names they lean on."""

    def __init__(self, random: Random, version: str, headers_more: bool) -> None:
        self.random = random
        self.recent = tuple(int(part) for part in version.split(".")) >= (1, 29, 3)
        self.headers_more = headers_more
        self.variables: set[str] = {"$mode", "$backend", "$who", "$flag"}
        self.named: set[str] = set()
        self.zone = False
        self.tls = False  # some listener speaks TLS: an upstream that takes the client's scheme would need to
        self.conditions = 0

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    def folder(self) -> str:
        return self.pick("@DIR@/www", "www", "@DIR@/www", "@DIR@/other", "www/", "@DIR@/missing", "@DIR@/www/a")

    def name_location(self) -> str:
        name = self.pick("@fallback", "@app", "@sign_in", "@err")
        self.named.add(name)
        return name

    def take_named(self) -> set[str]:
        """The named locations asked for since the last server; a few stay undefined."""
        taken, self.named = {name for name in sorted(self.named) if self.chance(0.97)}, set()
        return taken

    # values

    def variable(self) -> str:
        return self.random.choice(sorted(self.variables)) if self.chance(0.25) else self.random.choice(VARIABLES)

    def value(self) -> str:
        """The argument of a header line: a word or a quoted text, with and without variables."""
        draw = self.random.random()
        if draw < 0.12:
            return '""'
        if draw < 0.3:
            return self.pick("v", "1", "on", "close", '"two words"', "'it is'", '"a; b"', r'"say \"x\""', "Bearer",
                             '"Basic Zm9v"', "off",
                             "upgrade", '"{x}"', "a,b", '"tab\\there"', "caf\xe9", "no#comment")  # fmt: skip
        if draw < 0.75:
            return self.variable()
        shape = self.pick(
            '"Bearer {a}"', '"{a}:{b}"', "{a}{b}", '"{a}, {b}"', "x{a}", '"{a} "', "{a}-{b}", '"<{a}>"', "{c}x"
        )
        braced = "${" + self.variable()[1:] + "}"
        return shape.format(a=self.variable(), b=self.variable(), c=braced)

    def uri(self) -> str:
        return self.random.choice(URIS)

    # blocks

    def definitions(self) -> list[Node]:
        """What the http block needs: maps, groups, upstreams."""
        source = self.pick("$http_x_a", "$host", "$uri", "$args", "$http_x_b$arg_t", "$request_method")
        nodes = [Node(f"map {source} $mode",
                      self._map_body())]  # fmt: skip
        nodes.append(Node("map $http_upgrade $who",
                     [Node(f"default {self.pick('upgrade', '$remote_user', '$http_x_user', 'x')}"),
                                                     Node('"" close')]))  # fmt: skip
        nodes.append(Node(f"geo {self.pick('', '$arg_ip ', '$http_x_forwarded_for ')}$flag", [
            Node(f"default {self.pick('0', '1', 'out')}"),
            Node(f"127.0.0.0/{self.pick('8', '24', '30')} {self.pick('0', '1', 'in')}"),
            Node("127.0.0.5 1")]))  # fmt: skip
        nodes.append(Node("map $uri $backend", [Node("default @A@"), Node("~^/b app")]))
        nodes.append(Node("upstream app", [Node("server @A@"), *self._upstream_rest()]))
        nodes.append(Node("upstream authsvc", [Node("server @AUTH@")]))
        if self.chance(0.3):
            nodes.append(Node("include mime.types"))
        if self.chance(0.2):
            nodes.append(Node(f"default_type {self.pick('text/plain', 'text/html', 'application/json')}"))
        for name, options, share in HTTP_SWITCHES:
            if self.chance(share):
                nodes.append(Node(f"{name} {self.pick(*options)}"))
        return nodes

    def _upstream_rest(self) -> list[Node]:
        rest = []
        if self.chance(0.2):
            rest.append(Node(f"server {self.pick('@B@', '@SOCK@')}"))
        if self.chance(0.3):
            rest.append(Node("keepalive 4"))
        return rest

    def late_definitions(self) -> list[Node]:
        """What directives made so far lean on."""
        nodes = [Node("proxy_cache_path cache keys_zone=zone:1m")] if self.zone else []
        for name in sorted(self.variables & {"$ver", "$script", "$info", "$first"}):
            # A capture elsewhere must not be the only definition: shrinking would be refused.
            nodes.append(Node(f"map $http_never $never_{name[1:]}", [Node(f'"~(?<{name[1:]}>never)" 1')]))
        return nodes

    def _map_body(self) -> list[Node]:
        body = []
        if self.chance(0.1):
            body.append(Node("hostnames"))
            body += [Node(".a.example sub"), Node("mail.* mail")]
        if self.chance(0.1):
            body.append(Node("volatile"))
        if self.chance(0.7):
            body.append(Node(f"default {self.pick('d', '0', '$http_x_b', '$remote_user', '$arg_t', 'x$host')}"))
        for key in self.random.sample(["v", "GET", "b.example", "/a", "OTHER", '""', "t=1", r"\default", "1"], 3):
            value = self.pick("one", "0", '""', "$http_x_a", '"a b"', "$uri")
            body.append(Node(f"{key} {value}"))
        for key in self.random.sample(
            ["~^v(.)", "~*^(?<cap>[a-z]+)", '"~/(a|b)(.*)"', "~.", "~^OPTIONS$", "~*EXAMPLE"], 2
        ):
            body.append(Node(f"{key} {self.pick('re', '$1', '1', chr(34) + '$2-$1' + chr(34), chr(34) * 2)}"))
            if "?<cap>" in key:
                self.variables.add("$cap")
        if not any("?<cap>" in node.text for node in body):
            self.variables.discard("$cap")
        return body

    def condition(self) -> str:
        """The inside of `if (...)`."""
        self.conditions += 1
        var = self.variable()
        return self.pick(
            "$request_method = OPTIONS", "$request_method != GET", f"{var}", f"{var} = v", f"{var} != \"\"",
            "$http_authorization = \"\"",
            "$http_x_a ~ ^v(.*)$", "$http_authorization !~ ^Bearer", "$host ~* ^(www\\.)?A\\.", "$uri !~* ^/ADMIN",
            "-f $request_filename",
            "!-f $request_filename", "-d $request_filename", "!-e $request_filename", "-e $document_root/a.txt",
            "$arg_t",
            "$request_method ~ ^(POST|PUT)$", "$flag", "$mode = one", "$http_cookie ~* \"sid=([^;]+)\"",
            "$args ~ (?<argc>.)", "-x $request_filename",
            "$http_origin ~ ^https?://(?<dom>[^/]+)$", "$scheme = http", "$remote_addr = 127.0.0.1",
        )  # fmt: skip


HTTP_SWITCHES: list[tuple[str, tuple[str, ...], float]] = [
    ("underscores_in_headers", ("on", "off"), 0.15),
    ("ignore_invalid_headers", ("on", "off"), 0.1),
    ("merge_slashes", ("off", "on"), 0.1),
    ("server_names_hash_bucket_size", ("128",), 0.05),
    ("large_client_header_buffers", ("4 8k", "2 1k", "4 1k"), 0.1),
    ("client_header_buffer_size", ("256", "512", "2k"), 0.07),
    ("variables_hash_max_size", ("2048",), 0.02),
    ("max_headers", ("1000",), 0.0),
]

Maker = Callable[[Leaves, Scope], list[Node]]


def one(text: str) -> list[Node]:
    return [Node(text)]


def choice_of(*lines: str) -> Maker:
    """A maker of one of these lines, `{value}` and `{uri}` filled in."""

    def make(leaves: Leaves, scope: Scope) -> list[Node]:
        line = leaves.random.choice(lines)
        if "{value}" in line:
            line = line.replace("{value}", leaves.value())
        return one(line.replace("{uri}", leaves.uri()))

    return make
