"""One httpd for many small configurations of authentication: a virtual host for each, told apart by its name."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.apache import lab

MODULES = (
    *("authn_core", "authn_file", "authn_anon", "authn_dbm", "authz_core", "authz_host", "authz_user"),
    *("authz_groupfile", "authz_owner", "authz_dbm", "access_compat", "auth_basic", "auth_digest", "session"),
    *("request", "session_cookie", "auth_form", "headers", "setenvif", "dir", "alias", "allowmethods", "rewrite"),
)
# Providers have their own names for the whole server.
ALIASES = """<AuthnProviderAlias file mine>
AuthUserFile @HT@/ht/mine
</AuthnProviderAlias>
<AuthzProviderAlias user staff "alice carol">
</AuthzProviderAlias>"""


_SECRET = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
FILES = {
    "ht/users": f"alice:{_SECRET}\nbob:{_SECRET}\n:{_SECRET}\n",
    "ht/mine": f"alice:{_SECRET}\n",
    "ht/carol": f"carol:{_SECRET}\n",
    "ht/empty": "",
    "ht/folder/": "",
    "ht/unreadable": f"alice:{_SECRET}\n",
    "ht/groups": "# groups\nadmins: bob carol\nusers: alice bob\nadmins: dave\n",
    "ht/odd": (
        f"# a comment\n\n  alice:{_SECRET}  \r\nbob::{_SECRET}:a comment\nda ve:{_SECRET}\ne\\\nve:{_SECRET}\nnocolon\n"
        f"space :{_SECRET}\ntwice:x\ntwice:{_SECRET}\n#frank:{_SECRET}\ninner: {_SECRET}\n"
        "empty:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=\n"
    ),
    "ht/long": "#" * 9000 + f"\nalice:{_SECRET}\n",
    "ht/digest": "alice:R:" + "0" * 32 + "\n",
}
PAGES = ("f.txt", "open/f.txt", "in/f.txt", "in/deep/f.txt")
BASIC = "AuthType Basic\nAuthName R\nAuthUserFile @HT@/ht/users\n"
_SHORT = {"@BASIC@\n": BASIC, "@VALID@\n": BASIC + "Require valid-user\n"}


class Case(NamedTuple):
    """A configuration, and pairs of a request and its answer."""

    text: str
    asked: tuple[tuple[str, str], ...]


def cases() -> dict[str, Case]:
    """The table, by name."""
    found: dict[str, Case] = {}
    for block in Path(__file__).with_name("auth_cases.txt").read_text().split("\n## ")[1:]:
        name, _, rest = block.partition("\n")
        text, *pairs = rest.split(">> ")
        for short, lines in _SHORT.items():
            text = text.replace(short, lines)
        split = (pair.rstrip("\n").partition("\n   ") for pair in pairs)
        found[name] = Case(text, tuple((request, answer) for request, _, answer in split))
    return found


class Asked(NamedTuple):
    """A request as the tables write it: words in any order, `METHOD`, `/path`, `@127.0.0.2` (the client's address),
    `Name:value` behind a plus sign; last the credentials: `-` for none, `user:password`, or `=` and the raw value of
    the Authorization header."""

    method: str = "GET"
    path: str = "/f.txt"
    source: str = "127.0.0.1"
    headers: tuple[tuple[str, str], ...] = ()
    authorization: str | None = None


def asked(text: str) -> Asked:
    """Reads the short form."""
    request = Asked()
    text, equals, raw = text.partition("=") if re.search(r"(^| )=", text) else (text, "", "")
    words = text.split(" ") if text else []
    if equals:
        request = request._replace(authorization=raw)
    else:
        last = words.pop()
        if last != "-":
            encoded = base64.b64encode(last.encode("latin-1")).decode()
            request = request._replace(authorization=f"Basic {encoded}")
    for word in filter(None, words):
        if word[0] == "/":
            request = request._replace(path=word)
        elif word[0] == "@":
            request = request._replace(source=word[1:])
        elif word[0] == "+":
            name, _, value = word[1:].partition(":")
            request = request._replace(headers=(*request.headers, (name, value)))
        else:
            request = request._replace(method=word)
    return request


def host_of(name: str) -> str:
    """The virtual host's name for a case."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".example"


def write_files(folder: Path, files: Mapping[str, str] = FILES) -> None:
    """The user files, and the pages. Folders end in a slash; nobody may read the file `unreadable`."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(text.encode("latin-1"))
            if path.name == "unreadable":
                path.chmod(0)
    for name in PAGES:
        page = folder / "www" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("x")


def configuration(table: Mapping[str, str]) -> str:
    """The lines of httpd.conf for those cases; the user files lie in @HT@/ht, @P1@ is the port."""
    lines = ["LogLevel warn authz_core:info", "<Directory @HT@/www>", "Require all granted", "</Directory>"]
    lines += ['Header always set X-User "expr=%{REMOTE_USER}"', 'Header always set X-Type "expr=%{AUTH_TYPE}"', ALIASES]
    for name, text in table.items():
        lines.append(f"<VirtualHost *:@P1@>\nServerName {host_of(name)}\n{text}\n</VirtualHost>")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def running(table: Mapping[str, str], files: Mapping[str, str] = FILES) -> Iterator[int]:
    """The real server with these configurations, and its port."""
    texts = {name: text for name, text in files.items() if not name.endswith("/")}
    texts |= dict.fromkeys((f"www/{page}" for page in PAGES), "x")
    folders = [name for name in files if name.endswith("/")]
    modes = {name: 0 for name in texts if name.endswith("/unreadable")}
    text = configuration(table).replace("@HT@", "@DIR@")
    with lab.served(text, texts, MODULES, folders=folders, modes=modes) as server:
        yield server.port


def ask(port: int, name: str, text: str) -> str:
    """What the server answers, in short: status, the user (in brackets where the answer is none of content), the
    challenge."""
    request = asked(text)
    lines = [f"{request.method} {request.path} HTTP/1.0", f"Host: {host_of(name)}"]
    lines += [f"{key}: {value}" for key, value in request.headers]
    if request.authorization is not None:
        lines.append(f"Authorization: {request.authorization}")
    reply = lab.ask(port, lines, request.source)
    return short(reply.status or 0, list(reply.headers))


def short(status: int, fields: list[tuple[str, str]]) -> str:
    """The parts of an answer that the tables hold."""
    first = {name.lower(): value for name, value in reversed(fields)}
    words = [str(status)]
    if first.get("x-user"):
        words.append(first["x-user"])
    if first.get("x-type"):
        words.append(f"({first['x-type']})")
    for name, value in fields:
        if name.lower() in ("www-authenticate", "location"):
            words.append(re.sub(r'nonce="[^"]*"', 'nonce="..."', value))
    return " ".join(words)
