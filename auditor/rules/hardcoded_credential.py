"""A secret stands in the configuration.

## What it does

Reports header lines and parameters that send a credential which is written in the configuration: an
Authorization with a password or token, a key or token under a name that says so (`X-Api-Key`), a
password for the application (`DB_PASSWORD`). With httpd also passwords of its own, which no request shows: for LDAP,
a database, an identity provider, the sessions, and one in an upstream's URL, which is not even sent. Reports never
show it.

It is silent for what is filled in elsewhere (variables, templates, words such as `changeme`), and
for files whose name says that they hold secrets: those are kept apart already.

## Why it is bad

Configurations are copied, printed (`nginx -T`), kept in repositories and shown to others. Whoever
sees one has the credential, and it cannot be changed without a change of the configuration.

## Bad example

```nginx
location /reports/ {
    proxy_set_header Authorization "Basic cmVwb3J0czpKNHQ4MXhRcA==";
    allow 10.0.0.0/8;
    deny all;
    proxy_pass http://app;
}
```

```apache
<Location /reports/>
    Require ip 10.0.0.0/8
    RequestHeader set Authorization "Basic cmVwb3J0czpKNHQ4MXhRcA=="
</Location>
ProxyPass /reports/ http://127.0.0.1:9000/
```

## Good example

```nginx
location /reports/ {
    include /etc/nginx/secrets/reports/*.conf;  # readable by root only, and in no repository
    allow 10.0.0.0/8;
    deny all;
    proxy_pass http://app;
}
```

```apache
<Location /reports/>
    Require ip 10.0.0.0/8
    # readable by root only, and in no repository
    IncludeOptional /etc/apache2/secrets/reports/*.conf
</Location>
ProxyPass /reports/ http://127.0.0.1:9000/
```

## Measured on

nginx 1.22.1, 1.31.3 (fact NGX-019); Apache 2.4.71, by this rule's own proof and
fact APA-017

## References

- CWE-798 (use of hard-coded credentials)
- RFC 7617, 4 (Basic: base64 hides nothing)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.findings import MEDIUM, WARNING, Finding, Related
from auditor.rules.common import ADMITTED, by_block, deciding, of_kind, signed_in, traced
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.trace import SentHeader
from auditor.values import CONFIG

NAME = "hardcoded-credential"
SEVERITY = WARNING

_SCHEMES = r"(?i)(basic|bearer|token|api-?key|splunk|bot|key)\s+(\S+)$"
_PASSWORD = r"(?:^|-)(?:password|passwd|secret)$"
_KEY = r"(?:^|-)(?:api-?key|access-?key|auth-?key|secret-?key|token)$"
# What stands for a secret until somebody fills it in.
_PLACEHOLDER = r"(?i)change.?me|place.?holder|example|your|xxx|\*\*|[<>{}%$]|dummy|insert|replace|todo|redacted"


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for line, what, text in site.passwords():
        if len(text) >= 4 and not _is_placeholder(text) and not _is_apart(line.file):
            yield Finding(
                NAME,
                WARNING,
                f"A password stands in the configuration (of {what}): whoever sees this file, a copy or a dump of it "
                "has it.",
                line,
                confidence=MEDIUM,
                help=_help(site),
            )
    yield from by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for asked in (traced(site, routes, None, ADMITTED), signed_in(site, routes, ADMITTED)):
        for route, request, outcome in asked:
            for exchange in outcome.exchanges:
                for sent in exchange.headers:
                    line = deciding(sent.because)
                    if line is None or not _is_secret(sent) or _is_apart(line.file):
                        continue
                    yield Finding(
                        NAME,
                        WARNING,
                        f"A credential stands in the configuration ({sent.name}): whoever sees this file, a copy or "
                        "a dump of it has it.",
                        line,
                        confidence=MEDIUM,
                        related=() if exchange.place is None else (Related(exchange.place, "it is sent there"),),
                        routes=(route.label,),
                        witness=request,
                        help=_help(site),
                        server=route.server,
                        pattern=route.pattern,
                    )


def _help(site: Site) -> str:
    return "Keep the line in a file of its own, readable by root only and in no repository:\n" + of_kind(
        site, "include /etc/nginx/secrets/NAME.conf;", "Include /etc/apache2/secrets/NAME.conf"
    )


def _is_secret(sent: SentHeader) -> bool:
    text = sent.value.text
    if not text or sent.value.sources != (CONFIG,):
        return False
    name = sent.name.lower().replace("_", "-").removeprefix("http-")
    if name in ("authorization", "proxy-authorization"):
        match = re.match(_SCHEMES, text)
        if match is None:
            return False
        return _is_login(match[2]) if match[1].lower() == "basic" else _is_key(match[2])
    if re.search(_PASSWORD, name):
        return len(text) >= 4 and not any(char.isspace() for char in text) and not _is_placeholder(text)
    return re.search(_KEY, name) is not None and _is_key(text)


def _is_login(text: str) -> bool:
    """Whether this is the base64 of a name and a password (RFC 7617, 2)."""
    from base64 import b64decode
    from binascii import Error

    try:
        name, colon, password = b64decode(text, validate=True).decode("latin-1").partition(":")
    except (Error, ValueError):
        return False
    return bool(name and colon and password) and not _is_placeholder(password)


def _is_key(text: str) -> bool:
    """Whether it looks made by chance: `Bearer service` and `X-Atlassian-Token: no-check` are words, not secrets."""
    if len(text) < 8 or any(char.isspace() for char in text) or _is_placeholder(text):
        return False
    return any(char.isdigit() for char in text) and any(char.isalpha() for char in text)


def _is_placeholder(text: str) -> bool:
    return re.search(_PLACEHOLDER, text) is not None


def _is_apart(file: str) -> bool:
    *folders, name = file.lower().split("/")
    return folders[-1:] in (["secrets"], ["credentials"], ["private"]) or "secret" in name or "credential" in name
