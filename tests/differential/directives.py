"""Random directives: what may stand in which block, with arguments of all shapes."""

from __future__ import annotations

from tests.differential.handlers import (
    HANDLERS,
    PROXY,
    cached,
    cgi_param,
    fastcgi,
    proxied,
    returned,
    set_header,
    static,
    tried,
)
from tests.differential.leaves import Leaves, Maker, Scope, choice_of, one
from tests.differential.tree import Node
from tests.differential.words import REWRITES


def some(leaves: Leaves, scope: Scope) -> list[Node]:
    """One random directive for this scope, with those that go with it."""
    return leaves.random.choice(MAKERS[scope.where])(leaves, scope)


def handler(leaves: Leaves, scope: Scope) -> list[Node]:
    """What answers in this block."""
    return leaves.random.choice(HANDLERS)(leaves, scope)


# gates


def basic(leaves: Leaves, scope: Scope) -> list[Node]:
    draw = leaves.random.random()
    if draw < 0.2:
        return one("auth_basic off")
    realm = leaves.pick(
        '"area"', "area", '"a \\"b\\""', "$http_x_a", "$mode", '"$host area"', '""', "$flag", '"off"', "'x$arg_t'"
    )
    nodes = one(f"auth_basic {realm}") if draw < 0.85 else []
    if draw > 0.3:
        file = leaves.pick("users/apr1", "@DIR@/users/apr1", "@DIR@/users/plain", "users/ssha", "users/crypt",
                           "users/empty", "users/sha5",
                           "users/plain", "@DIR@/users/plain",
                           "users/apr1", leaves.pick("@DIR@/users/missing", "@DIR@/users", "users/$arg_t"))  # fmt: skip
        nodes.append(Node(f"auth_basic_user_file {file}"))
    return nodes


def access(leaves: Leaves, scope: Scope) -> list[Node]:
    lines = ["allow 127.0.0.1", "deny all", "allow all", "deny 127.0.0.5", "allow 127.0.0.0/30", "deny 127.0.0.0/8",
             "allow unix:", "deny ::1",
             "deny 10.0.0.0/8", "allow 127.0.0.5/32"]  # fmt: skip
    nodes = [Node(line) for line in leaves.random.sample(lines, leaves.random.choice([1, 2, 2, 3]))]
    if scope.where != "limit_except" and leaves.chance(0.4):
        nodes.append(Node("satisfy any"))
    return nodes


def auth_request(leaves: Leaves, scope: Scope) -> list[Node]:
    uri = leaves.pick("/auth", "/auth", "/auth", "/auth", "off", "/a", "/api/check", "/b?x=1", "/missing", "/admin",
                      "/sign-in",
                      "/auth$arg_t")  # fmt: skip
    nodes = one(f"auth_request {uri}")
    if leaves.chance(0.35):
        leaves.variables.add("$auth_user")
        value = leaves.pick("$upstream_http_x_up", "$upstream_status", "$remote_user",
                            "$upstream_http_www_authenticate", "$upstream_http_set_cookie",
                            "$uri", "$request_uri", "$http_x_a", "$sent_http_location", "$upstream_addr")  # fmt: skip
        nodes.append(Node(f"auth_request_set $auth_user {value}"))
    return nodes


def auth_set_only(leaves: Leaves, scope: Scope) -> list[Node]:
    leaves.variables.add("$auth_user")
    return one(f"auth_request_set $auth_user {leaves.value()}")


def rewrite(leaves: Leaves, scope: Scope) -> list[Node]:
    pattern = leaves.random.choice(REWRITES)
    if "?<first>" in pattern:
        leaves.variables.add("$first")
    to = leaves.pick("/b/$1", "/b/$1", "/dir/$1", "/new/$1?", "/x", "/x?y=1", "http://b.example/$1", "https://$host/",
                     "$scheme://h.example$uri", "/$arg_t", "/", "$1", "/admin",
                     "/api/$1?a=$args", "/x.php?p=$1", "/b?$1", "/dir/", "$uri/", "/a%20b", "/p?x=%2f&$args?",
                     "/q$1&z")  # fmt: skip
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
        body += some(leaves, inner)
    return [Node(f"if ({leaves.condition()})", _once([node for node in body if node.name not in NOT_IN_IF]))]


def limit_except(leaves: Leaves, scope: Scope) -> list[Node]:
    methods = leaves.pick("GET", "GET POST", "OPTIONS", "POST", "GET HEAD OPTIONS", "PUT DELETE")
    body: list[Node] = []
    for _ in range(leaves.random.choice([1, 1, 2])):
        body += some(leaves, Scope("limit_except", scope.kind, scope.path))
    return [Node(f"limit_except {methods}", _once(body))]


NOT_IN_IF = ("index", "client_max_body_size", "recursive_error_pages", "proxy_intercept_errors",
             "fastcgi_intercept_errors",
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
    codes = leaves.pick(
        "401",
        "403",
        "404",
        "401 403",
        "500 502 503 504",
        "404",
        "405",
        "400",
        "413",
        "301",
        "418 429",
        "302",
        "416",
        "401 404 500",
        "497",
        "494",
    )
    equal = leaves.pick("", "", "", "=200 ", "= ", "=302 ", "=401 ", "=403 ", "=404 ", "=204 ", "=301 ")
    if leaves.chance(0.35):
        target = leaves.name_location()
    else:
        target = leaves.pick("/err/401.html", "/err/404.html", "/err/50x.html", "/b", "/a/b?x=1",
                             "http://b.example/sign-in", "https://$host/login?r=$uri", "/missing",
                             "/sign-in", "/x.php?e=$status", "$arg_t", "/admin", "/api/err", "b")  # fmt: skip
    nodes = one(f"error_page {codes} {equal}{target}")
    if leaves.chance(0.25):
        nodes.append(Node(f"recursive_error_pages {leaves.pick('on', 'on', 'off')}"))
    if leaves.chance(0.35):
        nodes.append(Node("proxy_intercept_errors on"))
        if leaves.chance(0.3):
            nodes.append(Node("fastcgi_intercept_errors on"))
    return nodes


def add_header(leaves: Leaves, scope: Scope) -> list[Node]:
    name = leaves.pick("X-Cfg", "X-Cfg", "Access-Control-Allow-Origin", "Access-Control-Allow-Headers",
                       "WWW-Authenticate", "Cache-Control", "Vary", "Set-Cookie",
                       "Location", "X-Other", "x-cfg", "Access-Control-Allow-Credentials")  # fmt: skip
    value = (
        leaves.pick("'Basic realm=x'", "Bearer")
        if name == "WWW-Authenticate" and leaves.chance(0.6)
        else leaves.value()
    )
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
        "more_set_headers 'X-More: 1'", "more_set_headers -s '401 404' 'X-More: $uri'",
        "more_clear_headers WWW-Authenticate", "more_clear_headers 'X-*'",
        "more_set_headers 'WWW-Authenticate: Bearer'", "more_set_input_headers 'Authorization: Basic eA=='",
        "more_clear_input_headers Authorization",
        "more_set_input_headers 'X-In: $remote_addr'", "more_set_input_headers -r 'X-A: changed'",
        "more_clear_input_headers X-A X-B",
        "more_set_headers 'Set-Cookie: m=1'", "more_set_headers 'Cache-Control: no-store'",
        "more_set_input_headers 'Host: more.example'",
        "more_set_headers -a 'X-More: 2'", "more_set_headers 'X-Cfg:'", "more_clear_input_headers 'X-*'"))  # fmt: skip


REALIP = choice_of("set_real_ip_from 127.0.0.1", "set_real_ip_from 127.0.0.0/8", "set_real_ip_from 10.0.0.0/8",
                   "real_ip_header X-Forwarded-For", "real_ip_header X-Real-IP",
                   "real_ip_recursive on", "set_real_ip_from 0.0.0.0/0", "real_ip_header X-A")  # fmt: skip
SWITCHES = choice_of(
    "client_max_body_size 4", "client_max_body_size 1k", "client_max_body_size 0", "absolute_redirect off",
    "port_in_redirect off", "server_name_in_redirect on",
    "recursive_error_pages on", "log_not_found off", "index index.html", "index x.html index.php /a.txt",
    "index missing index.html", "autoindex on", "autoindex off",
    "expires 1h", "expires -1", "expires max", "expires epoch", "expires off", "etag off", "msie_padding off",
    "chunked_transfer_encoding off", "if_modified_since off",
    "if_modified_since before", "max_ranges 0", "satisfy any", "satisfy all", "log_subrequest on",
    "default_type text/x", "server_tokens off", "types { }",
    "expires $arg_t", "gzip on", "gzip_vary on", "disable_symlinks off", "error_page 401 @none",
    "client_body_in_single_buffer on", "charset utf-8",
    "keepalive_timeout 0", "proxy_intercept_errors on", "open_file_cache off", "fastcgi_intercept_errors on",
    "auth_basic_user_file users/plain", "auth_delay 0",
)  # fmt: skip


def switches(leaves: Leaves, scope: Scope) -> list[Node]:
    node = SWITCHES(leaves, scope)[0]
    if node.text == "types { }":
        node = Node("types", [])
    if node.text.endswith("@none") or node.text.startswith("client_body_in"):
        node = Node("index index.html")
    return [node]


MIRROR = choice_of(
    "mirror /mirror", "mirror off", "mirror /b", "mirror /auth", "mirror_request_body off", "mirror /api/"
)
INTERNAL = choice_of("internal")
PARSING = choice_of("large_client_header_buffers 2 1k", "large_client_header_buffers 4 16k",
                    "underscores_in_headers on",
                    "ignore_invalid_headers off", "merge_slashes off", "client_header_buffer_size 256")  # fmt: skip
BREAK = choice_of("break")

COMMON: tuple[Maker, ...] = (
    *[set_header] * 5, *[basic] * 4, *[access] * 3, *[auth_request] * 3, *[error_page] * 4, *[add_header] * 4,
    *[switches] * 5,
    *[more] * 2, REALIP, cgi_param,
)  # fmt: skip
REWRITING: tuple[Maker, ...] = (*[rewrite] * 3, *[set_variable] * 2, *[conditional] * 4, returned)

MAKERS: dict[str, list[Maker]] = {
    "http": [*COMMON, *PROXY[-9:]],
    "server": [*COMMON, *REWRITING, *PROXY[-9:], tried, auth_set_only, MIRROR, PARSING, PARSING],
    "location": [*COMMON, *REWRITING, *PROXY[-9:], limit_except, limit_except, INTERNAL, INTERNAL, MIRROR, BREAK,
                 auth_set_only, tried, cached],
    "named": [*COMMON, *REWRITING, *PROXY[-9:], auth_set_only],
    "if": [rewrite, rewrite, set_variable, returned, returned, proxied, add_header, add_header, error_page, BREAK,
           static, more, fastcgi,
           choice_of("expires 1h", "client_max_body_size 4", "index x.html")],
    "server-if": [rewrite, rewrite, set_variable, returned, returned, BREAK],
    "limit_except": [access, access, access, basic, basic, proxied],
}  # fmt: skip
