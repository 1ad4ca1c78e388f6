"""Random lines of mod_rewrite."""

from __future__ import annotations

from random import Random

from tests.differential.tree import Node

CONDITIONS = [
    "%{REQUEST_FILENAME} !-f", "%{REQUEST_FILENAME} !-d", "%{REQUEST_FILENAME} -f", "%{HTTP_HOST} ^a\\.",
    "%{QUERY_STRING} (^|&)t=(\\w+)",
    "%{HTTP:X-A} !^$", "%{HTTP:X-A} =v", "%{REQUEST_METHOD} ^(GET|POST)$", "%{REQUEST_URI} !^/dir", "%{ENV:V1} =1",
    "%{HTTPS} off", "%{HTTP:Authorization} ^(.*)$", "%{HTTP:Authorization} .", "expr \"%{HTTP:X-A} == 'v'\"",
    "%{REMOTE_ADDR} ^127\\.0\\.0\\.[15]$",
    "%{HTTP_COOKIE} user=([^;]+)", "%{HTTP_USER_AGENT} MSIE [NC]", "%{REQUEST_URI} \\.(txt|html)$ [NC]",
    "%{HTTP:X-B} ^b [OR]",
    "%{THE_REQUEST} \\s/+a", "%{DOCUMENT_ROOT}/dir/%{HTTP:X-A} -d", "%{REMOTE_USER} alice",
    "%{LA-U:REMOTE_USER} alice", "%{SERVER_PORT} !=80",
    "%{HTTP_ORIGIN} ^https://([^/]+)$", "%{QUERY_STRING} ^$", "%{REQUEST_URI} >/d", "%{ENV:REDIRECT_STATUS} ^$",
]  # fmt: skip
FLAGS = ["L", "L", "L", "QSA", "NC", "NE", "E=V1:1", "E=V2:$1", "E=HTTP_AUTHORIZATION:%{HTTP:Authorization}", "C",
         "S=1", "NS",
         "E=!V1", "CO=c:v:.a.example", "END", "DPI", "QSD", "B", "BNP", "T=text/plain", "E=V3:%1", "QSL",
         "N=3"]  # fmt: skip
# Patterns and substitutions for the server, and (without the leading slash) for folders.
RULES = [
    ("^/old/(.*)$", "/dir/$1"), ("^/r/(.*)$", "/$1"), ("^/x/(.*)$", "/app/e.cgi/$1"), ("^/(.*)\\.bak$", "/$1.txt"),
    ("^/api/(.*)$", "/app/$1"),
    ("^(.*)$", "-"), (".*", "-"), ("^/dir/(.*)$", "/new/$1?from=$1"), ("^/q/(\\w+)$", "/a.txt?id=$1"), ("^/app$",
    "/app/"), ("^/s", "/dir/x.txt"),
    ("!^/(dir|app)", "-"), ("^/missing", "/e.cgi"), ("^/m/(.+)$", "/${m:$1|none.txt}"), ("^/(index\\.html)?$",
    "/b.html"), ("\\.php$", "/x.php"),
    ("^/up/(.*)$", "/dir/%1$1"), ("^/abs(.*)$", "http://t.example/dir$1"),
]  # fmt: skip
ASKED = ["/old/x.txt", "/r/a.txt", "/x/y", "/a.bak", "/api/a.txt", "/dir/x.txt", "/q/7", "/app", "/s", "/missing/x",
         "/m/a", "/",
         "/up/x.txt", "/abs/x.txt", "/r/dir/", "/old/a%20b", "/r/%3fq", "/go/x", "/pass/x", "/dir/go/x",
         "/dir/pass/a%20b"]  # fmt: skip


class Rewriting:
    """Makes RewriteEngine, RewriteCond and RewriteRule lines."""

    def __init__(self, random: Random, paths: list[str]) -> None:
        self.random = random
        self.paths = paths
        self.has_map = False

    def lines(self, kind: str, pattern: str) -> list[Node]:
        nodes = [Node("RewriteEngine On")]
        choice = self.random.choice
        if self.random.random() < 0.08:
            nodes.append(Node("RewriteOptions " + choice(["Inherit", "InheritBefore", "AllowNoSlash", "InheritDown",
                                                         "IgnoreInherit", "InheritDownBefore"])))  # fmt: skip
        if kind in ("htaccess", "directory") and self.random.random() < 0.25:
            nodes.append(Node("RewriteBase " + choice(["/", "/dir/", "/app", "/new/"])))
        for _ in range(choice([1, 1, 1, 2, 3])):
            nodes += self._rule(kind)
        self.paths += self.random.sample(ASKED, 3)
        return nodes

    def _rule(self, kind: str) -> list[Node]:
        choice, chance = self.random.choice, self.random.random
        nodes = [Node(f"RewriteCond {choice(CONDITIONS)}") for _ in range(choice([0, 0, 0, 1, 1, 2]))]
        pattern, target = choice([rule for rule in RULES if self.has_map or "${" not in rule[1]])
        flags = self.random.sample(FLAGS, choice([0, 1, 1, 1, 2, 3]))
        way = chance()
        if way < 0.12:
            pattern, target = choice([("^/pass/(.*)$", "http://@A@/$1"), ("^/p", "http://@A@%{REQUEST_URI}"),
                                      ("^(/.*\\.php)$", "fcgi://@FCGI@/srv$1"), ("^/pass(.*)",
                                      "http://@B@/b$1?x=1")])  # fmt: skip
            flags.append("P")
        elif way < 0.22:
            pattern, target = choice([("^/go/(.*)$", "/$1"), ("^/go", "https://new.example/"), ("^/go(.*)",
                                      "http://t.example$1?z"),
                                      ("^(.*)$", "https://%{HTTP_HOST}$1")])  # fmt: skip
            flags.append(choice(["R", "R=301", "R=308", "R=403", "R=404", "F", "G"]))
            if target.startswith("https://%{"):
                nodes.append(Node("RewriteCond %{HTTP:X-Forwarded-Proto} =http"))
        elif way < 0.27:
            target = "-"
            flags.append(choice(["F", "G", "R=401", "R=503"]))
            nodes.append(Node(f"RewriteCond {choice(['%{HTTP:X-A} =v2', '%{QUERY_STRING} a=b', '%{HTTP:X-User} .'])}"))
        elif kind == "server" and chance() < 0.2 and target != "-":
            flags.append("PT")
        if kind != "server":
            pattern = pattern.replace("^/", "^", 1) if chance() < 0.9 else pattern
            if target.startswith("/") and chance() < 0.5:
                target = target[1:]
        flags = list(dict.fromkeys(flags))
        text = f'RewriteRule "{pattern}" "{target}"' + (f' "[{",".join(flags)}]"' if flags else "")
        return [*nodes, Node(text)]
