"""A user file holds entries with which nobody can log in, or passwords that anybody can read.

## What it does

Reads the user files that are at hand, and reports

- a file without any usable entry;
- entries that the server cannot check: a password as it stands, an unknown scheme such as `{SHA256}` or argon2,
  blanks around the name or behind the hash, a line without a colon;
- a second entry of the same user, which never counts;
- passwords that stand there in the clear (`{PLAIN}`; httpd cannot check them, nor `{SSHA}`).

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
Apache httpd 2.4.71 (facts APA-212, APA-213)

## References

- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic_user_file
- https://httpd.apache.org/docs/2.4/misc/password_encryptions.html
- https://httpd.apache.org/docs/2.4/mod/mod_authn_file.html#authuserfile
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.findings import INFO, WARNING, Finding, Related
from auditor.server import Route, Site
from auditor.settings import Settings

NAME = "malformed-user-file"
SEVERITY = WARNING

# A line of a file for AuthType Digest: user, realm, and a hash of all three.
_DIGEST = r"[^:]*:[^:]*:[0-9a-fA-F]{32}"
# A template, which something fills on the way to the server, or a file that something decrypts there.
_PLACEHOLDERS = ("{{", "${", "<%", "$ANSIBLE_VAULT;", "ENC[AES256_", "-----BEGIN AGE", "-----BEGIN PGP")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for file in site.user_files():
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
