"""Requests that get past conditions: a client with the key, the cookie or the browser that a configuration asks for.

A configuration that turns everybody away who lacks something shows what it does beside that only to those who have it.
What they would have to send stands in the text: the condition, the maps it looks things up in, and the lines that
set its variables, tell which parts of the request decide, and what these are compared with. Each request that is
made of that is tried; it counts where its trace gets farther than those before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from auditor.http import Request, split_port
from auditor.servers.nginx.config import Http, Level, Server
from auditor.servers.nginx.script import STATEMENTS
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.variables import Var, parse_template
from auditor.source import Place
from auditor.trace import Outcomes

Wish = tuple[tuple[str, str], ...]  # variables of the client, each with the text that it should have

MAX_TRIES = 80  # traces for one search
_MAX_WISHES = 40  # for one condition
_MAX_ENTRIES = 12  # of one map
_MAX_DEPTH = 4
_PROBE = "audit-probe"
_BROWSER = "Mozilla/5.0"
_BASIC = "Basic YXVkaXQ6cHJvYmU="  # audit:probe
_FAR = "4102444800"  # the year 2100: when a link expires


def stages(
    request: Request,
    level: Level,
    server: Server,
    trace: Callable[[Request], Outcomes],
    arrives: Callable[[Request], bool],
) -> Iterator[Request]:
    """Requests like this one that get farther and farther past the conditions of the server and of the level, up to the
    first one that `arrives`."""
    wishes = _Wishes(level, server)
    if not wishes.conditions:
        return
    waiting, asked = [request], {request}
    seen = {_way(trace(request))}
    while waiting:
        current = waiting.pop(0)
        for condition in wishes.in_the_way(trace(current)):
            for further in wishes.granted(current, condition):
                if further is None or further in asked:
                    continue
                if len(asked) > MAX_TRIES:
                    return
                asked.add(further)
                way = _way(trace(further))
                if way not in seen or arrives(further):
                    yield further
                    if arrives(further):
                        return
                    seen.add(way)
                    waiting.append(further)


def is_turned_away(outcomes: Outcomes) -> bool:
    """Whether a `return` or `rewrite` answers the request itself in every case, and gives it nothing."""
    return all(
        (outcome.status is None or not 200 <= outcome.status < 300)
        and outcome.main is None
        and any(step.effect.startswith(("answers ", "redirect ")) for step in outcome.steps)
        for outcome in outcomes
    )


def _way(outcomes: Outcomes) -> frozenset[object]:
    """How far a request gets: the steps of its way, and who answered."""
    return frozenset(
        (outcome.action, outcome.status, outcome.handler, *(step.place for step in outcome.steps))
        for outcome in outcomes
    )


class _Wishes:
    """What the conditions of a level, and of the server around it, look at."""

    def __init__(self, level: Level, server: Server) -> None:
        http = server.outer
        assert isinstance(http, Http)
        self.http = http
        self.server = server
        self.level = level
        self.conditions: dict[Place, Directive] = {}
        # For each variable that `set` fills: the text, and the conditions around the line.
        self.set: dict[str, list[tuple[str, tuple[Directive, ...]]]] = {}
        for one in (level, server) if level is not server else (server,):
            self._read([line for line in one.block if line.name in STATEMENTS], ())

    def _read(self, lines: Iterable[Directive], around: tuple[Directive, ...]) -> None:
        for line in lines:
            if line.name == "if":
                self.conditions[line.place] = line
                self._read(line.block or (), (*around, line))
            elif line.name == "set" and len(line.args) == 2:
                self.set.setdefault(line.args[0].lstrip("$"), []).append((line.args[1], around))

    def in_the_way(self, outcomes: Outcomes) -> list[Directive]:
        """The conditions that could be the reason for these outcomes: the last that held first, then the others, one of
        which should perhaps have held."""
        held: dict[Place, None] = {}
        for outcome in outcomes:
            for step in reversed(outcome.steps):
                if step.place in self.conditions:
                    held[step.place] = None
        return [self.conditions[place] for place in [*held, *(each for each in self.conditions if each not in held)]]

    def granted(self, request: Request, condition: Directive) -> Iterator[Request | None]:
        """The request with each of the wishes for a condition."""
        if condition.args[:1] in (["$secure_link"], ["${secure_link}"]):
            yield self._linked(request)
        for wish in self.of(condition):
            yield granted(request, wish)

    def _linked(self, request: Request) -> Request | None:
        """The request with a hash that secure_link accepts (ngx_http_secure_link_module), where arguments hold it."""
        line, text = self.level.line("secure_link"), self.level.line("secure_link_md5")
        parts = [] if line is None or not line.args else parse_template(line.args[0])
        names = [part.name for part in parts if isinstance(part, Var)]
        if text is None or not text.args or not names or not all(name.startswith("arg_") for name in names):
            return None
        known = {"uri": request.path, "document_uri": request.path, "host": request.host, names[-1]: _FAR}
        known |= {"secure_link_expires": _FAR, "request_method": request.method, "scheme": request.scheme}
        # What is not known here, the client's address above all, leaves open whether a hash is right.
        hashed = "".join(
            known.get(part.name, "") if isinstance(part, Var) else part for part in parse_template(text.args[0])
        )
        import base64
        import hashlib

        digest = hashlib.md5(hashed.encode("latin-1"), usedforsecurity=False).digest()
        values = [base64.urlsafe_b64encode(digest).decode().rstrip("="), _FAR]
        further: Request | None = request
        for name, value in zip(names, values, strict=False):
            further = altered(further, name, value) if further is not None else None
        return further

    def of(self, condition: Directive) -> list[Wish]:
        """What a client can send so that the condition holds, and so that it does not."""
        found: dict[Wish, None] = {}
        for wish in self._of(condition.args, 0):
            found[wish] = None
            if len(found) == _MAX_WISHES:
                break
        return list(found)

    def _of(self, args: list[str], depth: int) -> Iterator[Wish]:
        if not args or not args[0].startswith("$"):
            return
        name = args[0].lstrip("$").strip("{}")
        operator = args[1] if len(args) > 1 else ""
        text = args[2] if len(args) > 2 else "1"
        if operator.lstrip("!") in ("~", "~*"):
            from auditor.samples import samples  # here: few configurations need one

            found = samples(text, operator.endswith("*"))
            texts = [*found, *(sample + _PROBE for sample in found)]
        elif "$" in text:
            texts = [value for variable in _names(text) for value, _ in self.set.get(variable, ())]
        else:
            texts = [text]
        yield from self._reaching(name, texts, depth)

    def _reaching(self, name: str, texts: list[str], depth: int) -> Iterator[Wish]:
        """What gives a variable one of these texts, some other one, or none."""
        if depth > _MAX_DEPTH:
            return
        block = self.http.maps.get(name)
        if block is not None:
            if block.name == "map" and block.args:
                yield from self._looked_up(block, depth)
            return
        if name in self.set:
            for value, around in self.set[name]:
                for variable in _names(value):
                    yield from self._reaching(variable, texts, depth + 1)
                for condition in reversed(around):
                    yield from self._of(condition.args, depth + 1)
            return
        if name == "invalid_referer":
            texts = self._referers()
        elif name in ("host", "http_host"):
            texts = [*texts, *(text + "example" for text in texts if text.endswith(".")), *self.server.names]
        for text in dict.fromkeys([*texts, _usual(name), ""]):
            if "$" not in text:
                yield ((name, text),)

    def _looked_up(self, block: Directive, depth: int) -> Iterator[Wish]:
        """What leads to the entries of a map, and to its default."""
        from auditor.samples import samples

        source = block.args[0]
        entries = [line for line in block.block or () if line.args and line.name not in ("default", "include")]
        for entry in entries[:_MAX_ENTRIES]:
            key = entry.name
            if key.startswith("~"):
                found = samples(key.lstrip("~*"), key.startswith("~*"))
                texts = [*found, *(text + _PROBE for text in found)]
            else:
                texts = [key.removeprefix("\\")]
            for text in texts:
                yield from self._written(source, text, depth)
        for name in _names(source):
            yield from self._reaching(name, [], depth + 1)

    def _written(self, template: str, text: str, depth: int) -> Iterator[Wish]:
        """What makes the text of the template: each of its variables gets its part."""
        parts = parse_template(template)
        names = [part.name for part in parts if isinstance(part, Var)]
        if len(names) == 1 and len(parts) == 1:
            yield from self._reaching(names[0], [text], depth + 1)
            return
        pattern = "".join("(.*?)" if isinstance(part, Var) else re.escape(part) for part in parts)
        match = re.fullmatch(pattern, text, re.IGNORECASE | re.DOTALL)
        if match is not None:
            yield tuple(zip(names, match.groups(), strict=True))

    def _referers(self) -> list[str]:
        """Referers that valid_referers accepts (ngx_http_referer_module)."""
        from auditor.samples import samples

        found: list[str] = []
        for line in self.level.lines("valid_referers"):
            for word in line.args:
                if word.startswith("~"):
                    found += samples(word[1:], True)
                elif word == "server_names":
                    found += self.server.names
                elif word not in ("none", "blocked"):
                    found.append(word)
        hosts = [f"www{host}" if host.startswith(".") else host.replace("*", "www") for host in found if host]
        return [f"https://{host}" if "/" in host else f"https://{host}/" for host in hosts]


def _names(template: str) -> list[str]:
    """The variables of a template, without captures."""
    return [part.name for part in parse_template(template) if isinstance(part, Var) and not part.name.isdigit()]


def _usual(name: str) -> str:
    """What clients send as a rule, where only that there is something counts."""
    if name == "http_user_agent":
        return _BROWSER
    return "POST" if name == "request_method" else _PROBE


def granted(request: Request, wish: Wish) -> Request | None:
    """The request with all of that; None where a client cannot choose it."""
    for name, text in wish:
        further = altered(request, name, text)
        if further is None:
            # The rest decides, too: an entry of a map may name the scheme beside a header.
            if len(wish) == 1:
                return None
            continue
        request = further
    return request


def altered(request: Request, name: str, text: str) -> Request | None:
    """The request in which a variable of the client has this text, "" for none; None where that cannot be."""
    if any(char < " " or char > "~" for char in text):
        return None
    if name == "request_method":
        return request._replace(method=text) if text.isalpha() and text.isupper() else None
    if name == "server_protocol":
        version = text.removeprefix("HTTP/").removesuffix(".0") if text != "HTTP/1.0" else "1.0"
        return request._replace(http_version=version) if version in ("1.0", "1.1", "2") else None
    if name == "is_args":
        return _with_query(request, _PROBE if text else "")
    if name in ("args", "query_string"):
        return _with_query(request, text)
    if name.startswith("arg_"):
        return _with_argument(request, name[4:], text)
    if name in ("host", "http_host"):
        return _with_host(request, text)
    if name.startswith("cookie_"):
        return _with_cookie(request, name[7:], text)
    if name == "remote_user":
        return _with_line(request, "Authorization", _BASIC if text else "")
    if name == "invalid_referer":
        return _with_line(request, "Referer", text)
    if name == "content_type":
        return _with_line(request, "Content-Type", text)
    if name.startswith("http_"):
        return _with_line(request, "-".join(word.capitalize() for word in name[5:].split("_")), text)
    return None


def _with_line(request: Request, name: str, text: str) -> Request:
    """The request with this header line in place of those of its name, without any for an empty text."""
    others = tuple(pair for pair in request.headers if pair[0].lower() != name.lower())
    text = text.strip(" ")  # as a server reads it (RFC 9110, 5.5)
    return request._replace(headers=(*others, (name, text)) if text else others)


def _with_cookie(request: Request, name: str, text: str) -> Request | None:
    given = next((value for key, value in request.headers if key.lower() == "cookie"), "")
    cookies = [part for part in given.split("; ") if part and part.partition("=")[0] != name]
    if ";" in text:
        return None
    return _with_line(request, "Cookie", "; ".join([*cookies, f"{name}={text}"] if text else cookies))


def _with_argument(request: Request, name: str, text: str) -> Request | None:
    query = request.target.partition("?")[2]
    arguments = [part for part in query.split("&") if part and part.partition("=")[0].lower() != name.lower()]
    return _with_query(request, "&".join([*arguments, f"{name}={text}"] if text else arguments))


def _with_query(request: Request, query: str) -> Request | None:
    if " " in query or "#" in query:
        return None
    return request._replace(target=request.path + (f"?{query}" if query else ""))


def _with_host(request: Request, text: str) -> Request | None:
    if not re.fullmatch(r"[a-z0-9_.-]+(:\d+)?", text) or text.startswith("."):
        return None
    given = next((value for name, value in request.headers if name.lower() == "host"), "")
    host, port = split_port(text)
    port = port if port is not None else split_port(given)[1]
    line = host if port is None else f"{host}:{port}"
    pairs = tuple((name, line if name.lower() == "host" else value) for name, value in request.headers)
    return request._replace(host=host, headers=pairs)
