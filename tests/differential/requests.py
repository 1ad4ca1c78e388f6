"""Random requests for a random configuration, in the form of a requests file."""

from __future__ import annotations

from random import Random
from typing import Any, Protocol

from tests.differential.words import ANSWER_STATUS, METHODS, PAGES, basic

HEADERS: list[tuple[str, list[str]]] = [
    ("X-A", ["v", "v2", "one", "", "a.example", "x y", "off", "1", "V"]),
    ("X-B", ["b", "", "two"]),
    ("x-a", ["lower"]),
    ("X_C", ["under"]),
    ("X.D", ["dot"]),
    ("X-User", ["mallory"]),
    ("X-Token", ["tok", "Bearer tok"]),
    ("Cookie", ["sid=1", "a=b; sid=2; c=d", "sid", ""]),
    ("X-Forwarded-For", ["192.0.2.7", "192.0.2.7, 127.0.0.5", "127.0.0.5", "junk", "192.0.2.7:80"]),
    ("X-Real-IP", ["192.0.2.8", "127.0.0.5"]),
    ("Origin", ["https://o.example", "null"]),
    ("Connection", ["close", "keep-alive", "upgrade", "Upgrade, X-A", "X-B"]),
    ("Upgrade", ["websocket", "h2c"]),
    ("TE", ["trailers", "gzip"]),
    ("Expect", ["100-continue"]),
    ("Range", ["bytes=0-1", "bytes=90-", "junk"]),
    ("If-None-Match", ["*", '"x"']),
    ("If-Modified-Since",
     ["Sun, 13 Sep 2020 12:26:40 GMT", "Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2038 00:00:00 GMT", "junk"]),
    ("If-Unmodified-Since", ["Mon, 01 Jan 2001 00:00:00 GMT"]),
    ("If-Match", ['"x"', "*"]),
    ("User-Agent", ["test/1", ""]),
    ("Accept-Encoding", ["gzip", "identity"]),
    ("Accept", ["*/*"]),
    ("Referer", ["http://a.example/"]),
    ("Content-Type", ["application/json"]),
    ("Proxy-Authorization", ["Basic eA=="]),
    ("Proxy-Connection", ["close"]),
    ("Proxy", ["http://evil.example/"]),
    ("Keep-Alive", ["300"]),
    ("Via", ["1.1 x"]),
    ("X-Cafe", ["caf\xe9", " padded ", "\ttab", "a  b"]),
    ("X!Odd~", ["v"]),
    ("X-Http-Method-Override", ["DELETE"]),
    ("Depth", ["1"]),
    ("X-Accel-Redirect", ["/admin"]),
    ("Remote-User", ["root"]),
    ("Forwarded", ["for=1.2.3.4"]),
    ("_under", ["1"]),
    ("1digit", ["1"]),
]  # fmt: skip
# Lines that the server often refuses.
ODD: list[tuple[str, list[str]]] = [
    ("Transfer-Encoding", ["gzip", "identity"]),
    ("X-Long", ["z" * 300, "z" * 1100, "z" * 9000]),
    ("Bad Name", ["v"]),
    ("X-A ", ["space before the colon"]),
    ("Content-Length", ["3", "0", "2000", "junk"]),
    ("Host", ["second.example"]),
    ("Authorization", ["Bearer second"]),
]  # fmt: skip
AUTHORIZATIONS = [
    basic("alice", "secret"), basic("alice", "secret"), basic("alice", "secret"), basic("bob", "hunter2"),
    basic("alice", "wrong"), basic("nobody", ""),
    basic("alice", "secret").lower().replace("basic ", "basic ", 1), "basic " + basic("alice", "secret")[6:], "Basic",
    "Basic ", "Basic !!!", "Basic YWxpY2U=",
    "Bearer tok", "Bearer", "", "Digest x", "Basic  " + basic("alice", "secret")[6:], basic("", "secret"), "Token a=b",
]  # fmt: skip
ANSWER_HEADERS: list[tuple[str, list[str]]] = [
    ("WWW-Authenticate", ["Bearer", 'Basic realm="up"', "Bearer realm=up", "Digest qop=auth"]),
    ("Location",
     ["http://@A@/x/y", "/next", "http://up.example/z", "http://@B@/x", "http://app/q", "rel", "https://@A@/x"]),
    ("Set-Cookie", ["sid=1; Path=/", "a=b; path=/x; Domain=up.example", "sid=2; HttpOnly"]),
    ("Cache-Control", ["no-store", "max-age=60", "private"]),
    ("Vary", ["Origin", "Accept-Encoding", "*"]),
    ("X-Accel-Redirect", ["/a.txt", "/b?x=1", "@fallback", "/missing", "/admin", "/files/a.txt", "http://x/"]),
    ("X-Up", ["alice", ""]),
    ("Access-Control-Allow-Origin", ["*"]),
    ("Proxy-Authenticate", ["Basic"]),
    ("Content-Type", ["text/html", "application/json"]),
    ("Last-Modified", ["Sun, 13 Sep 2020 12:26:40 GMT"]),
    ("Expires", ["Thu, 01 Jan 1970 00:00:00 GMT"]),
    ("ETag", ['"e"']),
    ("X-Accel-Expires", ["0", "10"]),
    ("X-Accel-Buffering", ["no"]),
    ("Refresh", ["5; url=http://@A@/r"]),
    ("Server", ["up"]),
    ("Content-Encoding", ["identity"]),
]  # fmt: skip


class Plan(Protocol):
    """What requests are made of."""

    listeners: list[tuple[str, str]]
    paths: list[str]
    hosts: list[str]


class Requests:
    """Makes requests for one configuration. `headers`, `odd`, `authorizations` and `answers` are the words it takes."""

    headers = HEADERS
    odd = ODD
    authorizations = AUTHORIZATIONS
    answers = ANSWER_HEADERS

    def __init__(self, random: Random, config: Plan) -> None:
        self.random = random
        self.config = config
        self.paths = [path.strip('"').replace(" ", "%20") for path in config.paths] or ["/"]
        self.paths += [
            "/",
            "/missing",
            "/index.html",
            "/a.txt",
            "/a/b",
            "/x.php",
            "/dir",
            "/auth",
            "/admin/.htpasswd",
            "/b",
            "/static/empty/",
            "/b/x",
        ]
        self.paths += ["/" + self.random.choice(sorted(PAGES)).split("/", 1)[1].replace(" ", "%20")]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def line(self) -> dict[str, Any]:
        """One line of a requests file; ports and origins as placeholders."""
        address, port = self.random.choice(self.config.listeners)
        if self.chance(0.12) and ("", port) in self.config.listeners:
            address = self.random.choice(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
        host = self.random.choice(self.config.hosts)
        headers = [[name, value] for name, value in self._headers()]
        authority = f"{address or '127.0.0.1'}:@{port}@"
        if self.chance(0.85):
            shape = self.random.choice(
                ["{h}"] * 14
                + [
                    "{h}:@" + port + "@",
                    "{u}",
                    "{h}.",
                    "",
                    "{h}:80",
                    "127.0.0.1",
                    "b_d.example",
                    "{h}:",
                    "e2.example",
                    "[::1]",
                    "A.Example:80",
                ]
            )
            headers.insert(
                0 if self.chance(0.7) else self.random.randint(0, len(headers)),
                ["Host", shape.format(h=host, u=host.upper())],
            )
        scheme = "https" if port == "P3" and self.chance(0.8) else "http"
        if scheme == "https" and authority.startswith("127.0.0.1:") and self.chance(0.7):
            authority = f"{host}:@{port}@"  # as a name, it is indicated in the handshake
        line: dict[str, Any] = {"url": f"{scheme}://{authority}{self._target()}"}
        method = self.random.choice(METHODS)
        if method != "GET":
            line["method"] = method
        if self.chance(0.06):
            line["http_version"] = "1.0"
        if self.chance(0.15):
            line["client_ip"] = self.random.choice(["127.0.0.5", "127.0.0.2", "127.1.0.1"])
        else:
            line["client_ip"] = "127.0.0.1"
        if method in ("POST", "PUT", "PATCH") or self.chance(0.05):
            headers += self.random.choice([[["Content-Length", "3"]], [["Content-Length", "3"]],
                                    [["Content-Length", "0"]], [["Transfer-Encoding", "chunked"]],
                                           [["Content-Length", "1500"], ["Content-Type", "text/plain"]],
                                           []])  # fmt: skip
        line["headers"] = headers
        line["upstream_response"] = self._answer(0.5)
        line["upstream_responses"] = self._auth_answers()
        return line

    def _target(self) -> str:
        path = self.random.choice(self.paths)
        if self.chance(0.35):
            path = (
                path.rstrip("/")
                + "/"
                + self.random.choice(
                    [
                        "x",
                        "b",
                        "",
                        "v1/x",
                        "x.php",
                        "index.html",
                        "..",
                        "../admin",
                        "%2e%2e/b",
                        "x.php/info",
                        "B",
                        "%62",
                        "a%2Fb",
                        "c%20d",
                        "x.html",
                    ]
                )
            )
        if self.chance(0.1):
            path = self.random.choice([path.upper(), "/" + path, path.replace("/", "//"), path + "%", path + "%zz",
                                    "/." + path, path + "/./", path + "%00", "/x/.." + path,
                                       path + "\xe9", path + "%C3%A9", path.replace("a", "%61"), "/../.." + path,
                                       path + ";p", path + "+x", path + "%3Fq", path + "%23"])  # fmt: skip
        if path.rstrip("/") != path and self.chance(0.15):
            path = path.rstrip("/") or "/"
        if self.chance(0.35):
            path += self.random.choice(
                [
                    "?",
                    "?t=1",
                    "?x=1&t=users",
                    "?a=b&a=c",
                    "?t=%2Fb",
                    "?q=a b".replace(" ", "+"),
                    "?t=/admin",
                    "??",
                    "?ip=127.0.0.5",
                    "?t=apr1",
                    "?T=up",
                    "?=&",
                ]
            )
        if self.chance(0.03):
            path += "#frag"
        if self.chance(0.02):
            path = f"//{self.random.choice(self.config.hosts)}{path}"
        return path

    def _headers(self) -> list[tuple[str, str]]:
        out = []
        for _ in range(self.random.choice([0, 1, 1, 2, 3, 4, 6])):
            name, values = self.random.choice(self.headers)
            out.append((name, self.random.choice(values)))
        if self.chance(0.45):
            out.insert(self.random.randint(0, len(out)), ("Authorization", self.random.choice(self.authorizations)))
        if self.chance(0.03):
            # A line as long as a buffer, give or take: the name, a colon, a space and the line end take 10 bytes.
            buffer = self.random.choice([256, 512, 1024, 8192])
            out.append(("X-Long", "z" * (buffer + self.random.choice([-60, -13, -12, -11, -10, -9, -8, 30]))))
        if out and self.chance(0.06):
            out.append(self.random.choice(out))
        if self.chance(0.06):
            name, values = self.random.choice(self.odd)
            out.append((name, self.random.choice(values)))
        return out

    def _answer(self, share: float) -> dict[str, Any]:
        headers: list[list[str]] = []
        if self.chance(share):
            for _ in range(self.random.choice([1, 1, 2, 3])):
                name, values = self.random.choice(self.answers)
                if name in (
                    "X-Accel-Redirect",
                    "Location",
                    "Last-Modified",
                    "ETag",
                    "Expires",
                    "Content-Type",
                    "X-Up",
                    "X-Accel-Expires",
                    "Server",
                    "Content-Encoding",
                ) and any(name == other for other, _ in headers):
                    continue
                headers.append([name, self.random.choice(values)])
        status = self.random.choice(ANSWER_STATUS)
        if status == 401 and self.chance(0.7):
            headers.append(["WWW-Authenticate", self.random.choice(["Bearer", 'Basic realm="up"'])])
        return {"status": status, "headers": headers}

    def _auth_answers(self) -> list[dict[str, Any]]:
        """The service at @AUTH@ answers the same in every role, by both of its names."""
        answer = self._answer(0.4)
        if self.chance(0.6):
            answer["status"] = self.random.choice([200, 200, 204, 401, 401, 403])
        return [{"role": "*", "upstream": upstream, **answer} for upstream in ("http://@AUTH@", "http://authsvc")]
