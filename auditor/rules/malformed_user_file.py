"""A user file holds entries with which nobody can log in, or passwords that anybody can read.

## What it does

Reads the user files that are at hand, and reports

- a file without any usable entry;
- entries that the server cannot check: a password as it stands, an unknown scheme such as `{SHA256}` or argon2,
  blanks around the name or behind the hash, a line without a colon;
- a second entry of the same user, which never counts;
- passwords that stand there in the clear (`{PLAIN}`; httpd cannot check them, nor `{SSHA}`);
- with httpd, a file that has nobody of those whom the gate's `Require user` lets in.

Unsalted SHA-1 (`{SHA}`) and the old DES hash are infos. Lines are named by their numbers; what stands in them is
never shown.

## Why it is bad

The user is refused with the right password, and nothing tells why.

## Bad example

With the line `alice:secret` in the file:

```nginx
auth_basic "Area";
auth_basic_user_file /etc/nginx/passwords/area.htpasswd;
```

```apache
<Location />
    AuthType Basic
    AuthName "Area"
    AuthUserFile /etc/apache2/area.htpasswd
    Require valid-user
</Location>
ProxyPass / http://app.internal/
```

## Good example

With a line that `htpasswd -B` or `openssl passwd -6` made:

```nginx
auth_basic "Area";
auth_basic_user_file /etc/nginx/passwords/area.htpasswd;
```

```apache
<Location />
    AuthType Basic
    AuthName "Area"
    AuthUserFile /etc/apache2/area.htpasswd
    Require valid-user
</Location>
ProxyPass / http://app.internal/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-211, NGX-212)
Apache httpd 2.4.71 (facts APA-212, APA-213, APA-238)

## References

- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic_user_file
- https://httpd.apache.org/docs/2.4/misc/password_encryptions.html
- https://httpd.apache.org/docs/2.4/mod/mod_authn_file.html#authuserfile
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import partial

from auditor.findings import INFO, WARNING, Finding, Related
from auditor.rules.common import by_block, deciding, with_header
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.world import Answer, Question

NAME = "malformed-user-file"
SEVERITY = WARNING

# A line of a file for AuthType Digest: user, realm, and a hash of all three.
_DIGEST = r"[^:]*:[^:]*:[0-9a-fA-F]{32}"
# A template, which something fills on the way to the server, or a file that something decrypts there.
_PLACEHOLDERS = ("{{", "${", "<%", "$ANSIBLE_VAULT;", "ENC[AES256_", "-----BEGIN AGE", "-----BEGIN PGP")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    texts: dict[str, str] = {}  # of the files in which nothing is wrong
    files = site.user_files()
    for file in files:
        # Where nothing says what lies there, a file of this tree that ends alike is looked at, but an empty one, which
        # may wait for its secrets, says nothing.
        text = site.text_of(file.resolved) if file.state in ("file", None) and file.resolved is not None else None
        if text is None or any(mark in text for mark in _PLACEHOLDERS) or (file.state is None and not text.strip()):
            continue
        if re.fullmatch(rf"({_DIGEST}\s*)+", text):
            continue
        severity, faults = _faults(text, site.kind)
        if faults:
            yield Finding(
                NAME,
                severity,
                f"The user file {file.resolved}: {'; '.join(faults)}.",
                file.line,
                related=tuple(Related(gate, "this gate asks it") for gate in file.gates[:3]),
                help=f"htpasswd -B {file.resolved} USER",
            )
        elif file.resolved is not None:
            texts[file.resolved] = text
    for path, text in texts.items() if site.kind == "apache" and not site.partial else ():
        lines = [file.line for file in files if file.resolved == path]
        yield from by_block(routes, partial(_nobody, site, path, text, lines))


class _Known:
    """The world of somebody whose password is right, if the file has that user."""

    def __init__(self, path: str, users: Collection[str]) -> None:
        self._path = path
        self._users = users

    def ask(self, question: Question) -> Answer | None:
        if question.kind != "credentials" or question.subject != self._path:
            return None
        known = _user_of(question.detail) in self._users
        return Answer("accepted", "the credentials are accepted") if known else None


def _nobody(site: Site, path: str, text: str, lines: Sequence[Place], routes: Sequence[Route]) -> Iterator[Finding]:
    """The Require line of a gate that lets no user of the file in, and nobody else. `lines` name the file."""
    from auditor.user_file import entries

    users = {entry.user for entry in entries(text, site.kind)}
    for route in routes:
        line, wanted = _asked_for(site, route, path)
        if line is None or len(users) > _MOST or not users.isdisjoint(wanted):
            continue
        world = _Known(path, users)
        asked = [with_header(route.request, _credentials(user)) for user in (*users, *wanted)]
        outcomes = [outcome for request in asked for outcome in site.trace(request, world)]
        if all(any(gate.result == "refused" for gate in outcome.gates) for outcome in outcomes):
            yield Finding(
                NAME,
                WARNING,
                f"Nobody can log in: the user file {path} has none of those whom this line lets in.",
                line,
                related=(Related(_nearest(lines, line), "this file"),),
                routes=(route.label,),
                witness=asked[-1],
                help=f"htpasswd -B {path} {wanted[0]}",
                server=route.server,
                pattern=route.pattern,
            )


_MOST = 50  # users that are asked about


def _asked_for(site: Site, route: Route, path: str) -> tuple[Place | None, Sequence[str]]:
    """The `Require user` line that refuses a user of the file who has no rights of his own, and those whom it names."""
    for outcome in site.trace(with_header(route.request, _credentials("audit-probe")), _Known(path, {"audit-probe"})):
        for gate in outcome.gates:
            line = deciding(gate.because)
            if gate.result != "refused" or gate.source != path or gate.kind != "auth_basic" or line is None:
                continue
            words = line.text.split()
            if [word.lower() for word in words[:2]] == ["require", "user"] and len(words) > 2 and "%" not in line.text:
                return line, [word.strip("\"'") for word in words[2:]]
    return None, ()


def _nearest(lines: Sequence[Place], line: Place) -> Place:
    return min(lines, key=lambda one: (one.file != line.file, abs(one.line - line.line)))


def _credentials(user: str) -> tuple[str, str]:
    from base64 import b64encode

    return "Authorization", "Basic " + b64encode(f"{user}:probe".encode("latin-1", "replace")).decode("ascii")


def _user_of(header: str) -> str | None:
    from auditor.passwords import APACHE, decode_basic

    given = decode_basic(header, APACHE)
    return given[0] if given is not None else None


def _faults(text: str, server: str) -> tuple[str, list[str]]:
    """The severity, and what is wrong with which lines."""
    from auditor.user_file import entries

    by_fault: dict[str, list[int]] = {}
    usable = 0
    for entry in entries(text, server):
        if entry.verdict == "locked":
            continue  # on purpose
        usable += entry.usable
        by_fault.setdefault("unusable" if entry.verdict == "no-colon" else entry.verdict, []).append(entry.line)
    by_fault.pop("good", None)
    if not usable:
        return WARNING, ["it has no entry with which anybody could log in"]
    faults = [f"{_lines(numbers)} {_SAYS[fault]}" for fault, numbers in by_fault.items()]
    return (INFO if set(by_fault) == {"weak"} else WARNING), faults


_SAYS = {
    "unusable": "cannot be checked by the server, nobody can log in with it",
    "nameless": "lets in whoever gives an empty name",
    "twice": "repeats a user, only the first entry counts",
    "plain": "holds a password in the clear",
    "weak": "has a hash that is quickly found by trying (SHA-1 without salt, or DES)",
}


def _lines(numbers: Sequence[int]) -> str:
    listed = ", ".join(str(number) for number in numbers[:5]) + (" and others" if len(numbers) > 5 else "")
    return f"line {listed}"
