"""Random directives: what may stand in which block, with arguments of all shapes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.differential.tree import Node
from tests.differential.words import REQUEST_NAMES, REWRITES, SET_NAMES, URIS, VARIABLES


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
            return self.pick("v", "1", "on", "close", '"two words"', "'it is'", '"a; b"', r'"say \"x\""', "Bearer", '"Basic Zm9v"', "off",
                             "upgrade", '"{x}"', "a,b", '"tab\\there"', "caf\xe9", "no#comment")  # fmt: skip
        if draw < 0.75:
            return self.variable()
        shape = self.pick('"Bearer {a}"', '"{a}:{b}"', "{a}{b}", '"{a}, {b}"', "x{a}", '"{a} "', "{a}-{b}", '"<{a}>"', "{c}x")
        braced = "${" + self.variable()[1:] + "}"
        return shape.format(a=self.variable(), b=self.variable(), c=braced)

    def uri(self) -> str:
        return self.random.choice(URIS)

    # blocks

    def some(self, scope: Scope) -> list[Node]:
        """One random directive for this scope, with those that go with it."""
        maker = self.random.choice(MAKERS[scope.where])
        return maker(self, scope)

    def definitions(self) -> list[Node]:
        """What the http block needs: maps, groups, upstreams."""
        nodes = [Node(f"map {self.pick('$http_x_a', '$host', '$uri', '$args', '$http_x_b$arg_t', '$request_method')} $mode",
                      self._map_body())]  # fmt: skip
        nodes.append(Node("map $http_upgrade $who", [Node(f"default {self.pick('upgrade', '$remote_user', '$http_x_user', 'x')}"),
                                                     Node('"" close')]))  # fmt: skip
        nodes.append(Node(f"geo {self.pick('', '$arg_ip ', '$http_x_forwarded_for ')}$flag", [
            Node(f"default {self.pick('0', '1', 'out')}"), Node(f"127.0.0.0/{self.pick('8', '24', '30')} {self.pick('0', '1', 'in')}"),
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
            rest.append(Node("server @B@"))
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
            body.append(Node(f"{key} {self.pick('one', '0', chr(34) * 2, '$http_x_a', chr(34) + 'a b' + chr(34), '$uri')}"))
        for key in self.random.sample(["~^v(.)", "~*^(?<cap>[a-z]+)", '"~/(a|b)(.*)"', "~.", "~^OPTIONS$", "~*EXAMPLE"], 2):
            body.append(Node(f"{key} {self.pick('re', '$1', '1', chr(34) + '$2-$1' + chr(34), chr(34) * 2)}"))
            if "?<cap>" in key:
                self.variables.add("$cap")
        if not any("?<cap>" in node.text for node in body):
            self.variables.discard("$cap")
        return body

    def handler(self, scope: Scope) -> list[Node]:
        """What answers in this block."""
        return self.random.choice(HANDLERS)(self, scope)

    def condition(self) -> str:
        """The inside of `if (...)`."""
        self.conditions += 1
        var = self.variable()
        return self.pick(
            "$request_method = OPTIONS", "$request_method != GET", f"{var}", f"{var} = v", f"{var} != \"\"", "$http_authorization = \"\"",
            "$http_x_a ~ ^v(.*)$", "$http_authorization !~ ^Bearer", "$host ~* ^(www\\.)?A\\.", "$uri !~* ^/ADMIN", "-f $request_filename",
            "!-f $request_filename", "-d $request_filename", "!-e $request_filename", "-e $document_root/a.txt", "$arg_t",
            "$request_method ~ ^(POST|PUT)$", "$flag", "$mode = one", "$http_cookie ~* \"sid=([^;]+)\"", "$args ~ (?<argc>.)", "-x $request_filename",
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


# handlers


def proxy_target(leaves: Leaves, scope: Scope) -> str:
    bases = ["http://@A@", "http://@A@", "http://@B@", "http://app", "http://@AUTH@"]
    base = leaves.random.choice(bases)
    if leaves.chance(0.22):
        return leaves.pick("http://$backend", "http://$backend$request_uri", f"{base}$request_uri", f"{base}$uri", f"{base}/p$is_args$args",
                           f"{base}/v/$1", f"{base}/x$uri$is_args$args", f"{base}/$arg_t", f"http://$backend/fixed", f"{base}/q?u=$uri",
                           f"$scheme://{base[7:]}", f"{base}/$http_x_a", f"{base}$document_uri", f"{base}?only=$arg_x")  # fmt: skip
    if scope.no_uri or leaves.chance(0.45):
        return base
    return base + leaves.pick("/", "/", "/x", "/x/", "/x/y", "/x?y=1", "/%20z", "/a b".replace(" ", "%20"), "/?", "?q=1", "/x#f", "/x/../y", "//")


def proxied(leaves: Leaves, scope: Scope) -> list[Node]:
    target = proxy_target(leaves, scope)
    nodes = one(f"proxy_pass {target}")
    if "$" not in target and scope.where == "location" and leaves.chance(0.04):
        nodes.append(Node("proxy_redirect default"))
    for _ in range(leaves.random.choice([0, 0, 1, 1, 2, 3])):
        if scope.where not in ("if", "limit_except"):
            nodes += leaves.random.choice(PROXY)(leaves, scope)
    return nodes


def static(leaves: Leaves, scope: Scope) -> list[Node]:
    if scope.where == "named" or scope.where != "location" or leaves.chance(0.4):
        return one(f"root {leaves.folder()}")
    if leaves.chance(0.5):
        if scope.regex:
            return one(f"alias {leaves.pick('@DIR@/www/$1', '@DIR@/other/index.html', '@DIR@/other/', 'www$uri')}")
        return one(f"alias {leaves.pick('@DIR@/other/', '@DIR@/other', '@DIR@/www/dir/', '@DIR@/www/a.txt', 'other/', '@DIR@/other/$arg_t')}")
    return []


def returned(leaves: Leaves, scope: Scope) -> list[Node]:
    text = leaves.pick(
        "204", "403", "404", "401", "444", "200", '200 "ok"', '200 "$uri $args"', "301 /new", "302 http://$host$request_uri",
        "308 https://a.example/", '"https://$host/x"', "http://b.example/", "$scheme://x.example$uri", "302 b", "303 /b?$args", "307 $uri",
        "401 \"who\"", "500", "503 \"\"", "418", "400 \"bad\"", "200 $remote_user", "301 $arg_t", "302 \"\"", "405", "429", "302 @x", "301 //e.example/", "499",
        '302 "/login?to=$uri"', "201 created", "0" if False else "206", "304", "413", "411", "416", "497", "408", "302 /a%20b", "199" if False else "402",
    )  # fmt: skip
    return one(f"return {text}")


def tried(leaves: Leaves, scope: Scope) -> list[Node]:
    files = leaves.random.sample(["$uri", "$uri/", "$uri.html", "/index.html", "/missing", "$document_uri/index.html", "/a.txt", "/dir/", "$uri/x.html",
                                  "$arg_t", "/err/$1", "$uri$is_args$args"], leaves.random.choice([1, 1, 2, 3]))  # fmt: skip
    last = leaves.name_location() if leaves.chance(0.4) else leaves.pick(
        "=404", "=403", "=401", "=204", "/index.html", "/x.php?q=$uri&$args", "/x.php", "/b$is_args$args", "/missing", "=200", "/index.php?$args", "$uri", "/dir/", "/admin")  # fmt: skip
    nodes = [Node(f"try_files {' '.join(files)} {last}")]
    if scope.where != "server" and leaves.chance(0.3):
        nodes += leaves.random.choice([proxied, static, fastcgi])(leaves, scope)
    return nodes


def fastcgi(leaves: Leaves, scope: Scope) -> list[Node]:
    if scope.where == "limit_except":
        return proxied(leaves, scope)
    nodes = one("fastcgi_pass @FCGI@")
    if scope.where == "if":
        return nodes
    if leaves.chance(0.5):
        nodes.append(Node(f"include {leaves.pick('fastcgi_params', '@DIR@/fastcgi_params')}"))
    for _ in range(leaves.random.choice([0, 1, 1, 2])):
        nodes += cgi_param(leaves, scope)
    if leaves.chance(0.2):
        nodes.append(Node(f"fastcgi_split_path_info {leaves.pick('^(.+?[.]php)(/.*)$', '^(.+)/(.*)$')}"))
    if leaves.chance(0.15):
        nodes.append(Node(f"fastcgi_index {leaves.pick('index.php', 'x.php')}"))
    return nodes


def cgi_param(leaves: Leaves, scope: Scope) -> list[Node]:
    kind = leaves.pick("fastcgi", "fastcgi", "uwsgi", "scgi")
    name = leaves.pick("SCRIPT_FILENAME", "HTTP_AUTHORIZATION", "HTTP_PROXY", "REMOTE_USER", "PATH_INFO", "HTTP_X_A", "X", "HTTP_HOST", "HTTPS",
                       "HTTP_X_USER", "SCRIPT_FILENAME", "QUERY_STRING", "CONTENT_LENGTH")  # fmt: skip
    value = "$document_root$fastcgi_script_name" if name == "SCRIPT_FILENAME" else leaves.value()
    if name == "PATH_INFO":
        value = "$fastcgi_path_info"
    return one(f"{kind}_param {name} {value}{leaves.pick('', '', ' if_not_empty')}")


def uwsgi(leaves: Leaves, scope: Scope) -> list[Node]:
    if scope.where == "limit_except":
        return proxied(leaves, scope)
    kind, port = leaves.random.choice([("uwsgi", "UWSGI"), ("scgi", "SCGI")])
    nodes = one(f"{kind}_pass @{port}@")
    if scope.where != "if":
        if leaves.chance(0.5):
            nodes.append(Node(f"include {kind}_params"))
        if leaves.chance(0.5):
            nodes.append(Node(f"{kind}_param {leaves.pick('HTTP_AUTHORIZATION', 'REMOTE_USER', 'X')} {leaves.value()}"))
        if leaves.chance(0.15):
            nodes.append(Node(f"{kind}_pass_request_headers off"))
        if leaves.chance(0.15):
            nodes.append(Node(f"{kind}_pass_request_body off"))
        if leaves.chance(0.15):
            nodes.append(Node(f"{kind}_intercept_errors on"))
    return nodes


def grpc(leaves: Leaves, scope: Scope) -> list[Node]:
    if scope.where == "limit_except":
        return proxied(leaves, scope)
    nodes = one(f"grpc_pass {leaves.pick('grpc://@H2@', '@H2@')}")
    if scope.where != "if":
        for _ in range(leaves.random.choice([0, 1, 2])):
            nodes.append(Node(f"grpc_set_header {leaves.random.choice(SET_NAMES)} {leaves.value()}"))
        if leaves.chance(0.2):
            nodes.append(Node("grpc_intercept_errors on"))
    return nodes


def empty(leaves: Leaves, scope: Scope) -> list[Node]:
    return []


HANDLERS: list[Maker] = [proxied] * 14 + [static] * 3 + [returned] * 3 + [tried] * 2 + [fastcgi] * 2 + [uwsgi, grpc, empty]


# requests to upstreams


def set_header(leaves: Leaves, scope: Scope) -> list[Node]:
    nodes = one(f"proxy_set_header {leaves.random.choice(SET_NAMES)} {leaves.value()}")
    if leaves.chance(0.3):
        nodes += one(leaves.pick("proxy_set_header Host $host", "proxy_set_header Host $http_host", 'proxy_set_header Authorization ""',
                                 "proxy_set_header Authorization $http_authorization", "proxy_set_header X-User $remote_user",
                                 "proxy_set_header Upgrade $http_upgrade", "proxy_set_header Connection $who"))  # fmt: skip
    return nodes


def choice_of(*lines: str) -> Maker:
    """A maker of one of these lines, `{value}` and `{uri}` filled in."""

    def make(leaves: Leaves, scope: Scope) -> list[Node]:
        line = leaves.random.choice(lines)
        if "{value}" in line:
            line = line.replace("{value}", leaves.value())
        return one(line.replace("{uri}", leaves.uri()))

    return make


def bounded(leaves: Leaves, scope: Scope) -> list[Node]:
    """Caching; the requests of such a configuration get a server each."""
    leaves.zone = True
    lines = ["proxy_cache zone", leaves.pick("proxy_cache_valid any 1m", "proxy_cache_valid 200 401 1m", "proxy_cache_valid 5m"),
             leaves.pick("proxy_cache_key $host$uri", "proxy_cache_bypass $http_x_a", "proxy_no_cache $arg_t", "proxy_cache_methods GET HEAD POST",
                         "proxy_cache_convert_head off", "proxy_ignore_headers Cache-Control Set-Cookie", "proxy_cache_revalidate on")]  # fmt: skip
    return [Node(line) for line in lines]


PROXY: list[Maker] = [set_header] * 12 + [
    choice_of("proxy_pass_request_headers off", "proxy_pass_request_headers on"),
    choice_of("proxy_pass_request_body off"),
    choice_of("proxy_method POST", "proxy_method $request_method", "proxy_method HEAD", "proxy_method GET"),
    choice_of("proxy_http_version 1.1", "proxy_http_version 1.0", "proxy_http_version 1.1"),
    choice_of("proxy_hide_header WWW-Authenticate", "proxy_hide_header Set-Cookie", "proxy_hide_header Authorization", "proxy_hide_header cache-control"),
    choice_of("proxy_pass_header Authorization", "proxy_pass_header Server", "proxy_pass_header X-Accel-Redirect", "proxy_pass_header Set-Cookie"),
    choice_of("proxy_ignore_headers X-Accel-Redirect", "proxy_ignore_headers Cache-Control Expires", "proxy_ignore_headers Vary Set-Cookie"),
    choice_of("proxy_redirect off", "proxy_redirect http://@A@/ /via/", "proxy_redirect ~^http://[^/]+(/.*)$ $1",
              "proxy_redirect / /root/", "proxy_redirect http://up.example/ https://$host/", "proxy_redirect ~*^(HTTP)://up(.*) $1s://x$2"),
    choice_of("proxy_cookie_path / /sub/", "proxy_cookie_path off", "proxy_cookie_path ~^/(.*)$ /$1x", "proxy_cookie_domain up.example $host",
              "proxy_cookie_flags ~ secure httponly", "proxy_cookie_flags sid samesite=lax", "proxy_cookie_domain ~\\.?example x"),
    choice_of('proxy_set_body "fixed"', "proxy_set_body $request_uri", 'proxy_set_body ""'),
    choice_of("proxy_intercept_errors on"),
    choice_of("proxy_request_buffering off", "proxy_buffering off", "proxy_ignore_client_abort on", "proxy_force_ranges on"),
]  # fmt: skip


# gates


def basic(leaves: Leaves, scope: Scope) -> list[Node]:
    draw = leaves.random.random()
    if draw < 0.2:
        return one("auth_basic off")
    realm = leaves.pick('"area"', "area", '"a \\"b\\""', "$http_x_a", "$mode", '"$host area"', '""', "$flag", '"off"', "'x$arg_t'")
    nodes = one(f"auth_basic {realm}") if draw < 0.85 else []
    if draw > 0.3:
        file = leaves.pick("users/apr1", "@DIR@/users/apr1", "@DIR@/users/plain", "users/ssha", "users/crypt", "users/empty", "users/sha5",
                           "users/plain", "@DIR@/users/plain",
                           "users/apr1", leaves.pick("@DIR@/users/missing", "@DIR@/users", "users/$arg_t"))  # fmt: skip
        nodes.append(Node(f"auth_basic_user_file {file}"))
    return nodes


def access(leaves: Leaves, scope: Scope) -> list[Node]:
    lines = ["allow 127.0.0.1", "deny all", "allow all", "deny 127.0.0.5", "allow 127.0.0.0/30", "deny 127.0.0.0/8", "allow unix:", "deny ::1",
             "deny 10.0.0.0/8", "allow 127.0.0.5/32"]  # fmt: skip
    nodes = [Node(line) for line in leaves.random.sample(lines, leaves.random.choice([1, 2, 2, 3]))]
    if scope.where != "limit_except" and leaves.chance(0.4):
        nodes.append(Node("satisfy any"))
    return nodes


def auth_request(leaves: Leaves, scope: Scope) -> list[Node]:
    nodes = one(f"auth_request {leaves.pick('/auth', '/auth', '/auth', 'off', '/a', '/api/check', '/b?x=1', '/missing', '/admin', '/sign-in', '/auth$arg_t')}")
    if leaves.chance(0.35):
        leaves.variables.add("$auth_user")
        value = leaves.pick("$upstream_http_x_up", "$upstream_status", "$remote_user", "$upstream_http_www_authenticate", "$upstream_http_set_cookie",
                            "$uri", "$request_uri", "$http_x_a", "$sent_http_location", "$upstream_addr")  # fmt: skip
        nodes.append(Node(f"auth_request_set $auth_user {value}"))
    return nodes


def auth_set_only(leaves: Leaves, scope: Scope) -> list[Node]:
    leaves.variables.add("$auth_user")
    return one(f"auth_request_set $auth_user {leaves.value()}")


# rewriting


def rewrite(leaves: Leaves, scope: Scope) -> list[Node]:
    pattern = leaves.random.choice(REWRITES)
    if "?<first>" in pattern:
        leaves.variables.add("$first")
    to = leaves.pick("/b/$1", "/b/$1", "/dir/$1", "/new/$1?", "/x", "/x?y=1", "http://b.example/$1", "https://$host/", "$scheme://h.example$uri", "/$arg_t", "/", "$1", "/admin",
                     "/api/$1?a=$args", "/x.php?p=$1", "/b?$1", "/dir/", "$uri/", "/a%20b", "/p?x=%2f&$args?", "/q$1&z")  # fmt: skip
    flag = leaves.pick("", "", " last", " last", " break", " break", " redirect", " permanent")
    return one(f"rewrite {pattern} {to}{flag}")


def set_variable(leaves: Leaves, scope: Scope) -> list[Node]:
    name = leaves.pick("$s1", "$s2", "$s1")
    leaves.variables.add(name)
    return one(f"set {name} {leaves.value()}")


def conditional(leaves: Leaves, scope: Scope) -> list[Node]:
    inner = Scope("server-if" if scope.where == "server" else "if", scope.kind, scope.path)
    body: list[Node] = []
    for _ in range(leaves.random.choice([1, 1, 2])):
        body += leaves.some(inner)
    return [Node(f"if ({leaves.condition()})", _once([node for node in body if node.name not in NOT_IN_IF]))]


def limit_except(leaves: Leaves, scope: Scope) -> list[Node]:
    methods = leaves.pick("GET", "GET POST", "OPTIONS", "POST", "GET HEAD OPTIONS", "PUT DELETE")
    body: list[Node] = []
    for _ in range(leaves.random.choice([1, 1, 2])):
        body += leaves.some(Scope("limit_except", scope.kind, scope.path))
    return [Node(f"limit_except {methods}", _once(body))]


NOT_IN_IF = ("index", "client_max_body_size", "recursive_error_pages", "proxy_intercept_errors", "fastcgi_intercept_errors",
             "add_header_inherit")  # fmt: skip


def _once(nodes: list[Node]) -> list[Node]:
    repeated = ("set", "rewrite", "return", "add_header", "allow", "deny", "error_page", "break", "more_set_headers")
    seen: set[str] = set()
    out = []
    for node in nodes:
        if node.name in repeated or node.name not in seen:
            out.append(node)
        seen.add(node.name)
    return out


def error_page(leaves: Leaves, scope: Scope) -> list[Node]:
    codes = leaves.pick("401", "403", "404", "401 403", "500 502 503 504", "404", "405", "400", "413", "301", "418 429", "302", "416", "401 404 500", "497", "494")
    equal = leaves.pick("", "", "", "=200 ", "= ", "=302 ", "=401 ", "=403 ", "=404 ", "=204 ", "=301 ")
    if leaves.chance(0.35):
        target = leaves.name_location()
    else:
        target = leaves.pick("/err/401.html", "/err/404.html", "/err/50x.html", "/b", "/a/b?x=1", "http://b.example/sign-in", "https://$host/login?r=$uri", "/missing",
                             "/sign-in", "/x.php?e=$status", "$arg_t", "/admin", "/api/err", "b")  # fmt: skip
    nodes = one(f"error_page {codes} {equal}{target}")
    if leaves.chance(0.25):
        nodes.append(Node(f"recursive_error_pages {leaves.pick('on', 'on', 'off')}"))
    if leaves.chance(0.35):
        nodes.append(Node("proxy_intercept_errors on"))
        if leaves.chance(0.3):
            nodes.append(Node("fastcgi_intercept_errors on"))
    return nodes


# answers


def add_header(leaves: Leaves, scope: Scope) -> list[Node]:
    name = leaves.pick("X-Cfg", "X-Cfg", "Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "WWW-Authenticate", "Cache-Control", "Vary", "Set-Cookie",
                       "Location", "X-Other", "x-cfg", "Access-Control-Allow-Credentials")  # fmt: skip
    value = leaves.pick("'Basic realm=x'", "Bearer") if name == "WWW-Authenticate" and leaves.chance(0.6) else leaves.value()
    nodes = one(f"add_header {name} {value}{leaves.pick('', ' always', ' always')}")
    if leaves.recent and leaves.chance(0.15):
        nodes.append(Node(f"add_header_inherit {leaves.pick('on', 'off', 'merge')}"))
    return nodes


def more(leaves: Leaves, scope: Scope) -> list[Node]:
    if not leaves.headers_more:
        return add_header(leaves, scope)
    if scope.where == "if":
        return one(leaves.pick("more_set_headers 'X-More: 1'", "more_clear_headers WWW-Authenticate"))
    return one(leaves.pick(
        "more_set_headers 'X-More: 1'", "more_set_headers -s '401 404' 'X-More: $uri'", "more_clear_headers WWW-Authenticate", "more_clear_headers 'X-*'",
        "more_set_headers 'WWW-Authenticate: Bearer'", "more_set_input_headers 'Authorization: Basic eA=='", "more_clear_input_headers Authorization",
        "more_set_input_headers 'X-In: $remote_addr'", "more_set_input_headers -r 'X-A: changed'", "more_clear_input_headers X-A X-B",
        "more_set_headers 'Set-Cookie: m=1'", "more_set_headers 'Cache-Control: no-store'", "more_set_input_headers 'Host: more.example'",
        "more_set_headers -a 'X-More: 2'", "more_set_headers 'X-Cfg:'", "more_clear_input_headers 'X-*'"))  # fmt: skip


REALIP = choice_of("set_real_ip_from 127.0.0.1", "set_real_ip_from 127.0.0.0/8", "set_real_ip_from 10.0.0.0/8", "real_ip_header X-Forwarded-For", "real_ip_header X-Real-IP",
                   "real_ip_recursive on", "set_real_ip_from 0.0.0.0/0", "real_ip_header X-A")  # fmt: skip
SWITCHES = choice_of(
    "client_max_body_size 4", "client_max_body_size 1k", "client_max_body_size 0", "absolute_redirect off", "port_in_redirect off", "server_name_in_redirect on",
    "recursive_error_pages on", "log_not_found off", "index index.html", "index x.html index.php /a.txt", "index missing index.html", "autoindex on", "autoindex off",
    "expires 1h", "expires -1", "expires max", "expires epoch", "expires off", "etag off", "msie_padding off", "chunked_transfer_encoding off", "if_modified_since off",
    "if_modified_since before", "max_ranges 0", "satisfy any", "satisfy all", "log_subrequest on", "default_type text/x", "server_tokens off", "types { }",
    "expires $arg_t", "gzip on", "gzip_vary on", "disable_symlinks off", "error_page 401 @none", "client_body_in_single_buffer on", "charset utf-8",
    "keepalive_timeout 0", "proxy_intercept_errors on", "open_file_cache off", "fastcgi_intercept_errors on", "auth_basic_user_file users/plain", "auth_delay 0",
)  # fmt: skip


def switches(leaves: Leaves, scope: Scope) -> list[Node]:
    node = SWITCHES(leaves, scope)[0]
    if node.text == "types { }":
        node = Node("types", [])
    if node.text.endswith("@none") or node.text.startswith("client_body_in"):
        node = Node("index index.html")
    return [node]


MIRROR = choice_of("mirror /mirror", "mirror off", "mirror /b", "mirror /auth", "mirror_request_body off", "mirror /api/")
INTERNAL = choice_of("internal")
BREAK = choice_of("break")
REGISTRY = choice_of("proxy_pass_request_headers off", "proxy_http_version 1.1", "proxy_hide_header X-Up")

COMMON: list[Maker] = [set_header] * 5 + [basic] * 4 + [access] * 3 + [auth_request] * 3 + [error_page] * 4 + [add_header] * 4 + [switches] * 5 + [more] * 2 + [REALIP, cgi_param]
REWRITING: list[Maker] = [rewrite] * 3 + [set_variable] * 2 + [conditional] * 4 + [returned]

MAKERS: dict[str, list[Maker]] = {
    "http": [*COMMON, *PROXY[-9:]],
    "server": [*COMMON, *REWRITING, *PROXY[-9:], tried, auth_set_only, MIRROR],
    "location": [*COMMON, *REWRITING, *PROXY[-9:], limit_except, limit_except, INTERNAL, INTERNAL, MIRROR, BREAK, auth_set_only, tried, bounded],
    "named": [*COMMON, *REWRITING, *PROXY[-9:], auth_set_only],
    "if": [rewrite, rewrite, set_variable, returned, returned, proxied, add_header, add_header, error_page, BREAK, static, more, fastcgi,
           choice_of("expires 1h", "client_max_body_size 4", "index x.html")],
    "server-if": [rewrite, rewrite, set_variable, returned, returned, BREAK],
    "limit_except": [access, access, access, basic, basic, proxied],
}  # fmt: skip
