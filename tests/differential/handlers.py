"""Random handlers: what answers a request in a block, and how it asks an upstream."""

from __future__ import annotations

from tests.differential.leaves import Leaves, Maker, Scope, choice_of, one
from tests.differential.tree import Node
from tests.differential.words import SET_NAMES


def proxy_target(leaves: Leaves, scope: Scope) -> str:
    bases = ["http://@A@", "http://@A@", "http://@B@", "http://app", "http://@AUTH@"]
    base = leaves.random.choice(bases)
    if leaves.chance(0.12):
        local = "http://@SOCK@" + ("" if scope.no_uri else leaves.pick("", "", ":/", ":/x/", ":/x?y=1"))
        return leaves.pick(local, "https://@TLS@", "https://@TLS@$request_uri")
    if leaves.chance(0.22):
        return leaves.pick("http://$backend", "http://$backend$request_uri", f"{base}$request_uri", f"{base}$uri",
                           f"{base}/p$is_args$args",
                           f"{base}/v/$1", f"{base}/x$uri$is_args$args", f"{base}/$arg_t", "http://$backend/fixed",
                           f"{base}/q?u=$uri",
                           f"{'http' if leaves.tls else '$scheme'}://{base[7:]}", f"{base}/$http_x_a",
                           f"{base}$document_uri",
                           f"{base}?only=$arg_x")  # fmt: skip
    if scope.no_uri or leaves.chance(0.45):
        return base
    return base + leaves.pick(
        "/",
        "/",
        "/x",
        "/x/",
        "/x/y",
        "/x?y=1",
        "/%20z",
        "/a b".replace(" ", "%20"),
        "/?",
        "?q=1",
        "/x#f",
        "/x/../y",
        "//",
    )


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
        folder = leaves.pick(
            "@DIR@/other/", "@DIR@/other", "@DIR@/www/dir/", "@DIR@/www/a.txt", "other/", "@DIR@/other/$arg_t"
        )
        return one(f"alias {folder}")
    return []


def returned(leaves: Leaves, scope: Scope) -> list[Node]:
    text = leaves.pick(
        "204", "403", "404", "401", "444", "200", '200 "ok"', '200 "$uri $args"', "301 /new",
        "302 http://$host$request_uri",
        "308 https://a.example/", '"https://$host/x"', "http://b.example/", "$scheme://x.example$uri", "302 b",
        "303 /b?$args", "307 $uri",
        "401 \"who\"", "500", "503 \"\"", "418", "400 \"bad\"", "200 $remote_user", "301 $arg_t", "302 \"\"", "405",
        "429", "302 @x", "301 //e.example/", "499",
        '302 "/login?to=$uri"', "201 created", "0" if False else "206", "304", "413", "411", "416", "497", "408",
        "302 /a%20b", "199" if False else "402",
    )  # fmt: skip
    return one(f"return {text}")


def tried(leaves: Leaves, scope: Scope) -> list[Node]:
    files = leaves.random.sample(["$uri", "$uri/", "$uri.html", "/index.html", "/missing", "$document_uri/index.html",
                            "/a.txt", "/dir/", "$uri/x.html",
                                  "$arg_t", "/err/$1", "$uri$is_args$args"],
                                                          leaves.random.choice([1, 1, 2, 3]))  # fmt: skip
    last = leaves.name_location() if leaves.chance(0.4) else leaves.pick(
        "=404", "=403", "=401", "=204", "/index.html", "/x.php?q=$uri&$args", "/x.php", "/b$is_args$args", "/missing",
        "=200", "/index.php?$args", "$uri", "/dir/", "/admin")  # fmt: skip
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
    name = leaves.pick("SCRIPT_FILENAME", "HTTP_AUTHORIZATION", "HTTP_PROXY", "REMOTE_USER", "PATH_INFO", "HTTP_X_A",
                       "X", "HTTP_HOST", "HTTPS",
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
            # The origin's HTTP/2 library gives up on a length that is none.
            name = leaves.random.choice([name for name in SET_NAMES if name.lower() != "content-length"])
            nodes.append(Node(f"grpc_set_header {name} {leaves.value()}"))
        if leaves.chance(0.2):
            nodes.append(Node("grpc_intercept_errors on"))
    return nodes


def empty(leaves: Leaves, scope: Scope) -> list[Node]:
    return []


def set_header(leaves: Leaves, scope: Scope) -> list[Node]:
    nodes = one(f"proxy_set_header {leaves.random.choice(SET_NAMES)} {leaves.value()}")
    if leaves.chance(0.3):
        nodes += one(leaves.pick("proxy_set_header Host $host", "proxy_set_header Host $http_host",
                     'proxy_set_header Authorization ""',
                                 "proxy_set_header Authorization $http_authorization",
                                 "proxy_set_header X-User $remote_user",
                                 "proxy_set_header Upgrade $http_upgrade",
                                 "proxy_set_header Connection $who"))  # fmt: skip
    return nodes


def cached(leaves: Leaves, scope: Scope) -> list[Node]:
    """Caching; the requests of such a configuration get a server each."""
    leaves.zone = True
    lines = ["proxy_cache zone",
             leaves.pick("proxy_cache_valid any 1m", "proxy_cache_valid 200 401 1m", "proxy_cache_valid 5m"),
             leaves.pick("proxy_cache_key $host$uri", "proxy_cache_bypass $http_x_a", "proxy_no_cache $arg_t",
                         "proxy_cache_methods GET HEAD POST",
                         "proxy_cache_convert_head off", "proxy_ignore_headers Cache-Control Set-Cookie",
                         "proxy_cache_revalidate on")]  # fmt: skip
    return [Node(line) for line in lines]


PROXY: tuple[Maker, ...] = (
    *[set_header] * 12,
    choice_of("proxy_pass_request_headers off", "proxy_pass_request_headers on"),
    choice_of("proxy_pass_request_body off"),
    choice_of("proxy_method POST", "proxy_method $request_method", "proxy_method HEAD", "proxy_method GET"),
    choice_of("proxy_http_version 1.1", "proxy_http_version 1.0", "proxy_http_version 1.1"),
    choice_of("proxy_hide_header WWW-Authenticate", "proxy_hide_header Set-Cookie", "proxy_hide_header Authorization",
              "proxy_hide_header cache-control"),
    choice_of("proxy_pass_header Authorization", "proxy_pass_header Server", "proxy_pass_header X-Accel-Redirect",
              "proxy_pass_header Set-Cookie"),
    choice_of("proxy_ignore_headers X-Accel-Redirect", "proxy_ignore_headers Cache-Control Expires",
              "proxy_ignore_headers Vary Set-Cookie"),
    choice_of("proxy_redirect off", "proxy_redirect http://@A@/ /via/", "proxy_redirect ~^http://[^/]+(/.*)$ $1",
              "proxy_redirect / /root/", "proxy_redirect http://up.example/ https://$host/",
              "proxy_redirect ~*^(HTTP)://up(.*) $1s://x$2"),
    choice_of("proxy_cookie_path / /sub/", "proxy_cookie_path off", "proxy_cookie_path ~^/(.*)$ /$1x",
              "proxy_cookie_domain up.example $host",
              "proxy_cookie_flags ~ secure httponly", "proxy_cookie_flags sid samesite=lax",
              "proxy_cookie_domain ~\\.?example x"),
    choice_of('proxy_set_body "fixed"', "proxy_set_body $request_uri", 'proxy_set_body ""'),
    choice_of("proxy_intercept_errors on"),
    choice_of("proxy_request_buffering off", "proxy_buffering off", "proxy_ignore_client_abort on",
              "proxy_force_ranges on"),
)  # fmt: skip

HANDLERS: tuple[Maker, ...] = (
    *[proxied] * 14, *[static] * 3, *[returned] * 3, *[tried] * 2, *[fastcgi] * 2, uwsgi, grpc, empty,
)  # fmt: skip
