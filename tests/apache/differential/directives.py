"""Random directives of httpd: small groups of lines that belong together, for the place where they are to stand."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.apache.differential.rewriting import Rewriting
from tests.apache.differential.words import (
    ANSWER_NAMES,
    CONDITIONS,
    METHODS,
    PREFIXES,
    REQUEST_NAMES,
    URIS,
    VARIABLES,
)
from tests.differential.tree import Node


class Scope(NamedTuple):
    """Where lines stand: server, directory, files, location, if, proxy or htaccess (`htaccess`: below one)."""

    kind: str
    pattern: str = ""
    regex: bool = False
    htaccess: bool = False

    @property
    def inside(self) -> bool:
        return self.kind != "server"


class Leaves:
    """Makes lines. `paths` collects what requests may ask for."""

    def __init__(self, random: Random, paths: list[str]) -> None:
        self.random = random
        self.paths = paths
        self.rewriting = Rewriting(random, paths)
        self.has_balancer = random.random() < 0.15
        self.has_map = random.random() < 0.2
        self.rewriting.has_map = self.has_map

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def of(self, *words: str) -> str:
        return self.random.choice(words)

    def definitions(self) -> list[Node]:
        """What is said once, at server level."""
        nodes = []
        if self.has_balancer:
            members = [Node("BalancerMember http://@A@"), Node("BalancerMember http://@A@/sub")][: 1 + self.chance(0.0)]
            nodes.append(Node("Proxy balancer://pool", members))
        if self.has_map:
            nodes += [Node("RewriteMap m txt:@DIR@/maps/m.txt"), Node("RewriteMap low int:tolower")]
        if self.chance(0.15):
            nodes.append(Node("Define THERE"))
        return nodes

    def some(self, scope: Scope) -> list[Node]:
        """One group of lines for that place."""
        groups: list[tuple[int, Callable[[Scope], list[Node]]]] = [
            (10, self.header), (4, self.environment), (6, self.rewrite), (4, self.redirect), (3, self.errors),
            (3, self.handler), (2, self.index),
        ]  # fmt: skip
        if scope.kind in ("server", "location"):
            groups += [(7, self.proxy)]
        if scope.kind == "server":
            groups += [(3, self.alias), (3, self.setting), (2, self.proxy_setting)]
        else:
            groups += [(9, self.gate), (2, self.options)]
            if not scope.htaccess:
                groups += [(2, self.proxy_setting)]
        total = sum(weight for weight, _ in groups)
        at = self.random.randrange(total)
        for weight, group in groups:
            at -= weight
            if at < 0:
                return group(scope)
        return []

    # --- headers and environment

    def header(self, scope: Scope) -> list[Node]:
        request = self.chance(0.5)
        name = self.random.choice(REQUEST_NAMES if request else ANSWER_NAMES)
        action = self.of("set", "set", "set", "unset", "add", "append", "merge", "setifempty", "edit", "edit*")
        if not request and self.chance(0.05):
            action, name = "echo", "^X-"
        if name == "Content-Type" and action.startswith("edit"):
            action = "set"  # httpd itself breaks off where there is no such line
        value = ""
        if action in ("edit", "edit*"):
            value = self.of("^Bearer|Basic Token", "(.) $1$1", "^(.*)$ <$1>", "o 0", "^$ empty", "Path=/ Path=/app")
            value = " ".join(f'"{word}"' for word in value.split())
        elif action not in ("unset", "echo"):
            value = self.of('"%{V1}e"', '"v"', '"a, b"', "expr=%{REMOTE_USER}", "expr=%{HTTP:X-A}", '"on"', '""',
                            '"expr=%{REQUEST_URI}"', '"%{V2}e;x"', "expr=%{REQUEST_METHOD}", '"*"', '"no-store"',
                            '"expr=%{HTTP:Origin}"', '"Basic svc"', '"sid=9; Path=/"', '"X-B"', "100%%")  # fmt: skip
        clause = ""
        if self.chance(0.3):
            clause = self.of("env=V1", "env=!V1", "env=V2", "early" if not scope.inside else "env=V3",
                             "env=REDIRECT_V1",
                             f'"expr={self.random.choice(CONDITIONS)}"')  # fmt: skip
        always = self.of("", "", "", "always ", "onsuccess ") if not request else ""
        word = "RequestHeader" if request else "Header"
        return [Node(f"{word} {always}{action} {name} {value} {clause}".rstrip().replace("  ", " "))]

    def environment(self, scope: Scope) -> list[Node]:
        name = self.random.choice(VARIABLES)
        kind = self.of("SetEnv", "SetEnvIf", "SetEnvIf", "SetEnvIf", "SetEnvIfNoCase", "SetEnvIfExpr", "BrowserMatch",
                       "UnsetEnv", "PassEnv")  # fmt: skip
        if kind == "SetEnv":
            return [Node(f"SetEnv {name} {self.of('1', 'env value', '').join(chr(34) * 2)}")]
        if kind in ("UnsetEnv", "PassEnv"):
            return [Node(f"{kind} {name}")]
        if kind == "BrowserMatch":
            return [Node(f"BrowserMatch {self.of('MSIE', '^curl', 'test')} {name}")]
        if kind == "SetEnvIfExpr":
            return [Node(f'SetEnvIfExpr "{self.random.choice(CONDITIONS)}" {name}={self.of("1", "x")}')]
        subject, pattern = self.random.choice([
            ("Authorization", '"(.*)"'), ("X-A", "^v"), ("Request_URI", r"\.txt$"), ("Request_Method", "GET"),
            ("X-B", '"^$"'), ("Remote_Addr", '"^127\\.0\\.0\\.[25]"'), ("Host", "example"), ("^X-", "(.+)"), ("V1",
            "1"),
            ("Authorization", '"^(Bearer .*)$"'), ("Cookie", "user=(\\w+)"), ("Request_Protocol", "1.0"),
            ("Server_Addr", "127"), ("Origin", '"^https://(.+)$"'), ("Authorization", ".+"),
        ])  # fmt: skip
        group = "(" in pattern and self.chance(0.7)
        feature = self.of(f"{name}=$1" if group else name, f"{name}=$0", name, f"!{name}", f"{name}=yes", f"{name}=a$1")
        return [Node(f"{kind} {subject} {pattern} {feature}")]

    # --- gates

    def gate(self, scope: Scope) -> list[Node]:
        kind = self.random.random()
        if kind < 0.3:
            return self.basic()
        if kind < 0.7:
            return [self.require(0)]
        if kind < 0.85:
            return self.compat()
        return [Node(self.of("AuthMerging And", "AuthMerging Or", "AuthMerging Off", "Satisfy Any", "Satisfy All",
                             "AuthType None", "AuthzSendForbiddenOnFailure On", "AuthBasicAuthoritative Off",
                             "AuthBasicFake bob pass", 'AuthName "Other realm"', "AuthType Basic",
                             "AuthUserFile @DIR@/ht/both"))]  # fmt: skip

    def basic(self) -> list[Node]:
        nodes = [Node("AuthType Basic"), Node(f"AuthName {self.of('R', 'Two-words'.join(chr(34) * 2), 'Quoted')}"),
                 Node("AuthUserFile " + self.of("@DIR@/ht/good", "ht/both", "@DIR@/ht/none",
                     "@DIR@/ht/empty"))]  # fmt: skip
        if self.chance(0.15):
            nodes.append(Node("AuthGroupFile @DIR@/ht/groups"))
        if self.chance(0.15):
            nodes.append(Node("AuthBasicProvider file"))
        nodes = [node for node in nodes if self.chance(0.96)]
        if self.chance(0.9):
            nodes.append(Node("Require valid-user") if self.chance(0.6) else self.require(0))
        return nodes

    def require(self, depth: int) -> Node:
        if depth < 2 and self.chance(0.25):
            name = self.of("RequireAny", "RequireAll", "RequireAny", "RequireNone") if depth else self.of(
                "RequireAny", "RequireAll")  # fmt: skip
            block = [self.require(depth + 1) for _ in range(self.random.choice([1, 2, 2, 3]))]
            if name == "RequireNone":
                block = [node for node in block if not node.text.startswith("Require not")]
            if name == "RequireAll":
                block.append(Node("Require all granted"))
            return Node(name, block)
        negate = "not " if depth and self.chance(0.15) else ""
        return Node(f"Require {negate}" + self.of(
            "valid-user", "valid-user", "user alice", "user bob alice", "group staff", "all granted", "all denied",
            "ip 127.0.0.1", "ip 127.0.0.5", "ip 10.0.0.0/8 127.0.0", "method GET POST", "method PUT", "env V1",
            "env V2 V3", "local", f'expr "{self.random.choice(CONDITIONS)}"', "method OPTIONS"))  # fmt: skip

    def compat(self) -> list[Node]:
        nodes = [Node(self.of("Order allow,deny", "Order deny,allow", "Order deny,allow"))]
        who = ["all", "all", "127.0.0.1", "127.0.0.5", "127.0.0.0/8", "env=V1", "env=!V1", "10.0.0"]
        for word in ("Allow", "Deny"):
            if self.chance(0.6):
                nodes.append(Node(f"{word} from {self.random.choice(who)}"))
        return nodes

    # --- where the answer comes from

    def target(self) -> str:
        return self.of("http://@A@/", "http://@A@/x/", "http://@A@", "http://@B@/b", "fcgi://@FCGI@/srv/",
                       "fcgi://@FCGI@", "scgi://@SCGI@/", "uwsgi://@UWSGI@/", "http://@A@/",
                       "balancer://pool/" if self.has_balancer else "http://@B@/")  # fmt: skip

    def proxy(self, scope: Scope) -> list[Node]:
        target = self.target()
        options = self.of("", "", "", "", " nocanon", " disablereuse=on", " keepalive=On")
        if scope.kind == "location":
            if scope.pattern.endswith("/") and target.endswith("@"):
                target += "/"
            if self.chance(0.15):
                return [Node("ProxyPass !")]
            nodes = [Node(f"ProxyPass {target}{options}")]
            if scope.regex:
                nodes = [Node(f"ProxyPassMatch {target.rstrip('/')}{self.of('/$1', '')}")]
            elif target.startswith("http") and self.chance(0.4):
                nodes.append(Node(f"ProxyPassReverse {target}"))
            return nodes
        if self.chance(0.2):
            pattern, rest = self.random.choice([("^/api/(.*)$", "$1"), ("^/p(/.*)?$", "/m$1"), (r"^(/.*\.php)$", "$1")])
            self.paths.append("/api/x.php")
            return [Node(f'ProxyPassMatch "{pattern}" {target.rstrip("/")}{"" if rest[:1] == "/" else "/"}{rest}')]
        path = self.random.choice(PREFIXES)
        self.paths += [path, path]
        if path.endswith("/") and target.endswith("@"):
            target += "/"  # or the path would become a part of the port
        nodes = [Node(f"ProxyPass {path} {target}{options}")]
        if self.chance(0.1):
            nodes.insert(0, Node(f"ProxyPass {path.rstrip('/')}/{self.of('x', 'sub', 'a.txt')} !"))
        if target.startswith(("http", "balancer")) and self.chance(0.4):
            nodes.append(Node(f"ProxyPassReverse {path} {target}"))
        if self.chance(0.12):
            nodes.append(Node(self.of("ProxyPassReverseCookiePath / /app", "ProxyPassReverseCookiePath /x /",
                                      "ProxyPassReverseCookieDomain up.example a.example")))  # fmt: skip
        return nodes

    def proxy_setting(self, scope: Scope) -> list[Node]:
        return [Node(self.of("ProxyPreserveHost On", "ProxyAddHeaders Off", "ProxyErrorOverride On",
                             "ProxyPreserveHost Off",
                             "ProxyErrorOverride On 404 500", "ProxyAddHeaders On"))]  # fmt: skip

    def handler(self, scope: Scope) -> list[Node]:
        php = "SetHandler proxy:fcgi://@FCGI@"
        if scope.kind in ("server", "directory", "htaccess") and self.chance(0.4):
            nodes = [Node('FilesMatch "\\.php$"', [Node(php)])]
            self.paths += ["/x.php", "/app/x.php/info", "/x.php/info"]
        else:
            nodes = [Node(self.of(php, "SetHandler proxy:http://@A@", "AddHandler proxy:fcgi://@FCGI@ .php",
                                  "SetHandler none", "RemoveHandler .cgi", "SetHandler default-handler",
                                  "AcceptPathInfo On", "AcceptPathInfo Off",
                                  'ProxyFCGISetEnvIf "true" V3 "%{HTTP:X-A}"',
                                  'ProxyFCGISetEnvIf "true" !HTTP_X_A'))]  # fmt: skip
            if scope.kind == "files" and scope.htaccess is False and self.chance(0.3):
                nodes = [Node(php)]
        if scope.inside and self.chance(0.3):
            nodes.append(Node(f"CGIPassAuth {self.of('On', 'On', 'Off')}"))
        return nodes

    def alias(self, scope: Scope) -> list[Node]:
        path = self.of("/new", "/new/", "/files/", "/cgi/", "/s", "/app")
        self.paths += [path.rstrip("/") + "/a.txt", path.rstrip("/") + "/e.cgi", path]
        folder = self.of("@DIR@/site", "@DIR@/www/dir", "@DIR@/www/app", "@DIR@/www/a.txt")
        if self.chance(0.2):
            folder = "@DIR@/bin"  # what is not executable would answer 500, which nobody can read off a configuration
            return [Node(f"ScriptAlias {path} {folder}{'/' if path.endswith('/') else ''}")]
        if path.endswith("/"):
            folder += "/"
        if self.chance(0.2):
            return [Node(f'AliasMatch "^{path.rstrip("/")}/(.*)$" {folder.rstrip("/")}/$1')]
        return [Node(f"Alias {path} {folder}")]

    def redirect(self, scope: Scope) -> list[Node]:
        status = self.of("", "", "permanent ", "temp ", "seeother ", "gone ", "308 ", "403 ", "404 ")
        word = self.of("Redirect", "Redirect", "RedirectMatch")
        target = self.of("https://new.example", "/dir/", "http://new.example/x?q=1", "/a.txt")
        if status in ("gone ", "403 ", "404 "):
            target = ""
        if word == "RedirectMatch":
            pattern, rest = self.random.choice([(r"^/old/(.*)$", "/$1"), (r"\.bak$", ""), ("^/dir/(x.*)", "?was=$1")])
            self.paths += ["/old/x", "/a.bak"]
            return [Node(f'RedirectMatch {status}"{pattern}" {target + rest if target else ""}'.rstrip())]
        if scope.kind == "location" and self.chance(0.4):
            return [Node(f"Redirect {status}{target}".rstrip())]
        path = self.of("/old", "/old/", "/dir/old", "/r", "/dir/x.txt", "/app/old")
        self.paths += [path, path + "/x"]
        return [Node(f"Redirect {status}{path} {target}".rstrip())]

    def errors(self, scope: Scope) -> list[Node]:
        status = self.of("404", "404", "403", "401", "500", "503", "405", "400")
        page = self.of("/err/404.html", "/err/e.cgi", "/missing.html", '"Sorry"', "http://x.example/e", "/err/401.html",
                       "/x.php", "default", "/admin/s.txt", "/api/err", "/err/404.html?why=1")  # fmt: skip
        return [Node(f"ErrorDocument {status} {page}")]

    def index(self, scope: Scope) -> list[Node]:
        return [Node(self.of("DirectoryIndex index.html a.txt", "DirectoryIndex e.cgi", "DirectoryIndex disabled",
                             "DirectoryIndex missing /x.php", "FallbackResource /index.html", "FallbackResource /x.php",
                             "FallbackResource disabled", "DirectorySlash Off", "DirectoryIndex x.txt",
                             "FallbackResource /e.cgi"))]  # fmt: skip

    def options(self, scope: Scope) -> list[Node]:
        return [Node("Options " + self.of("+Indexes", "-ExecCGI", "None", "All", "Indexes FollowSymLinks", "+ExecCGI",
                                          "-FollowSymLinks", "+Indexes -ExecCGI"))]  # fmt: skip

    def setting(self, scope: Scope) -> list[Node]:
        return [Node(self.of("AllowEncodedSlashes On", "AllowEncodedSlashes NoDecode", "MergeSlashes Off",
                             "UseCanonicalName On", "LimitRequestFieldSize 1000", "LimitRequestFields 6",
                             "TraceEnable Off",
                             "UseCanonicalPhysicalPort On", "LimitRequestLine 200", "AllowEncodedSlashes Off",
                             "UseCanonicalName Off", "TraceEnable On"))]  # fmt: skip

    def rewrite(self, scope: Scope) -> list[Node]:
        return self.rewriting.lines(scope.kind, scope.pattern)


__all__ = ["METHODS", "URIS", "Leaves", "Scope"]
