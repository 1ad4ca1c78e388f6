"""An identity header is made of something that is never there.

## What it does

Reports lines that set an identity header from a value which is empty whatever the client does, such as the name
in a client certificate where no certificate is asked for.

It is silent where the same line counts in another block, too, in which the value is there.

With httpd that is `%{REMOTE_USER}e`, and `%{REMOTE_USER}s` without mod_ssl: `(null)` is sent. It is also a variable
that a RewriteRule outside of all sections makes of `%{REMOTE_USER}`: these run before the gate, which only
`%{LA-U:REMOTE_USER}` waits for. Each route with a gate is asked; what is filled on one of them is in order. A client
address that is `(null)` for everybody is reported, too.

## Why it is bad

The application gets no user, and takes everybody for a guest or refuses everybody.

## Bad example

```nginx
server {
    listen 80;
    location / {
        proxy_set_header X-SSL-Client-S-DN $ssl_client_s_dn;
        proxy_pass http://app;
    }
}
```

```apache
<VirtualHost *:80>
    <Location />
        AuthType Basic
        AuthName "Staff"
        AuthUserFile /etc/apache2/staff.htpasswd
        Require valid-user
        RequestHeader set X-Remote-User %{REMOTE_USER}e
    </Location>
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
```

## Good example

```nginx
server {
    listen 443 ssl;
    ssl_certificate /etc/ssl/site.pem;
    ssl_certificate_key /etc/ssl/site.key;
    ssl_client_certificate /etc/ssl/clients.pem;
    ssl_verify_client on;
    location / {
        proxy_set_header X-SSL-Client-S-DN $ssl_client_s_dn;
        proxy_pass http://app;
    }
}
```

```apache
<VirtualHost *:80>
    <Location />
        AuthType Basic
        AuthName "Staff"
        AuthUserFile /etc/apache2/staff.htpasswd
        Require valid-user
        RequestHeader unset Authorization
        RequestHeader set X-Remote-User expr=%{REMOTE_USER}
    </Location>
    ProxyPass / http://127.0.0.1:9000/
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3

Apache 2.4.71 (facts APA-018, APA-030)

## References

- https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_verify_client
- RFC 9440 (client certificates in headers)
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#requestheader
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding, Related
from auditor.rules.common import ADMITTED, BASIC, deciding, guards, traced
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Exchange, SentHeader

NAME = "empty-identity-header"
SEVERITY = WARNING

_CERTIFICATE = "SSLVerifyClient require  (or optional), and SSLCACertificateFile: a certificate is asked for then"
_ADDRESSES = ("x-real-ip", "x-forwarded-for", "x-client-ip")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    told: set[Place] = set()
    for unfilled in site.unfilled():
        if settings.names_identity(unfilled.header):
            told.add(unfilled.line)
            yield Finding(
                NAME,
                WARNING,
                f"{unfilled.header} never reaches the application: {unfilled.value} is empty, {unfilled.why}.",
                unfilled.line,
                help=unfilled.instead,
            )
    if site.kind == "apache":
        yield from (finding for finding in _empty(site, routes, settings) if finding.place not in told)


def _empty(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    """Lines whose value is empty for everybody whom a gate has let in, and those whose address is `(null)`."""
    found: dict[Place, Finding] = {}
    filled: set[Place] = set()
    named: set[str] = set()  # headers that some line fills: another that leaves one empty takes the client's away
    for route, request, outcome in traced(site, routes, BASIC, ADMITTED):
        for sent in outcome.main.headers if outcome.main is not None else ():
            line = deciding(sent.because)
            if line is None or "%{" not in line.text:
                continue
            address = sent.name.lower() in _ADDRESSES
            if not address and not settings.names_identity(sent.name):
                continue
            # No gate, but a certificate that nobody asks for.
            certificate = "%{SSL_CLIENT_" in line.text
            if not _is_empty(sent, address):
                filled.add(line)
                named.add(sent.name.lower())
            elif line not in found and (address or certificate or guards(outcome)):
                assert outcome.main is not None
                about = "the client's address" if address else "who the client is"
                what = f"{about}, but {_shown(sent)}"
                found[line] = Finding(
                    NAME,
                    WARNING,
                    f"{sent.name} never tells the application {what}: nothing fills what this line is made of.",
                    line,
                    related=_related(outcome.main),
                    routes=(route.label,),
                    witness=request,
                    help=_CERTIFICATE if certificate else _help(sent.name, address),
                    server=route.server,
                    pattern=route.pattern,
                )
    for line, finding in found.items():
        if _depends(site, line):
            continue
        blanks = "%{SSL_CLIENT_" in line.text and finding.message.split()[0].lower() in named
        if line not in filled and not blanks:
            yield finding


def _depends(site: Site, line: Place) -> bool:
    """Whether a SetEnvIf fills what the line is made of, for requests with a header that was not tried."""
    names = re.findall(r"%\{(\w+)\}e", line.text)
    wanted = "|".join(map(re.escape, names))
    return bool(names) and any(
        re.search(rf"(?im)^\s*SetEnvIf\w*\s.*[\s\"'](?:{wanted})(?:[=\s]|$)", source.text) for source in site.files
    )


def _is_empty(sent: SentHeader, address: bool) -> bool:
    return sent.value.text == "(null)" or (sent.value.text == "" and not address)


def _shown(sent: SentHeader) -> str:
    return sent.value.text or "an empty value"


def _related(exchange: Exchange) -> tuple[Related, ...]:
    return () if exchange.place is None else (Related(exchange.place, "it goes to this upstream"),)


def _help(name: str, address: bool) -> str:
    variable = "REMOTE_ADDR" if address else "REMOTE_USER"
    return f"RequestHeader set {name} expr=%{{{variable}}}"
