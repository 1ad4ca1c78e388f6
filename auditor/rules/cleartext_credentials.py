"""A gate asks for a password over a connection without TLS.

## What it does

Asks every route without credentials and without TLS, and reports the Basic gate that answers with its challenge.
It is an info, since something in front may have ended TLS, and a warning where the same host has a listener with
TLS in this configuration, so that clients talk to this server itself.

It is silent where only programs of the same machine can ask, where another proxy stands in front, and where plain
requests are sent on to https before the gate has its turn.

## Why it is bad

Everybody on the way can read the password.

## Bad example

```nginx
server {
    listen 80;
    listen 443 ssl;
    server_name files.example;
    ssl_certificate /etc/ssl/files.pem;
    ssl_certificate_key /etc/ssl/files.key;
    root /srv/files;
    auth_basic "Files";
    auth_basic_user_file /etc/nginx/passwords/files.htpasswd;
}
```

```apache
<VirtualHost *:80>
    ServerName files.example
    <Location />
        AuthType Basic
        AuthName "Files"
        AuthUserFile /etc/apache2/files.htpasswd
        Require valid-user
    </Location>
</VirtualHost>
<VirtualHost *:443>
    ServerName files.example
    SSLEngine on
    SSLCertificateFile /etc/ssl/files.pem
    <Location />
        AuthType Basic
        AuthName "Files"
        AuthUserFile /etc/apache2/files.htpasswd
        Require valid-user
    </Location>
</VirtualHost>
```

## Good example

```nginx
server {
    listen 80;
    server_name files.example;
    return 301 https://files.example$request_uri;
}
server {
    listen 443 ssl;
    server_name files.example;
    ssl_certificate /etc/ssl/files.pem;
    ssl_certificate_key /etc/ssl/files.key;
    root /srv/files;
    auth_basic "Files";
    auth_basic_user_file /etc/nginx/passwords/files.htpasswd;
}
```

```apache
<VirtualHost *:80>
    ServerName files.example
    Redirect permanent / https://files.example/
</VirtualHost>
<VirtualHost *:443>
    ServerName files.example
    SSLEngine on
    SSLCertificateFile /etc/ssl/files.pem
    <Location />
        AuthType Basic
        AuthName "Files"
        AuthUserFile /etc/apache2/files.htpasswd
        Require valid-user
    </Location>
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3
Apache httpd 2.4.71 (facts APA-296)

## References

- RFC 7617, 4 (Basic without a secure channel)
- https://nginx.org/en/docs/http/configuring_https_servers.html
- https://httpd.apache.org/docs/2.4/mod/mod_alias.html#redirect
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, WARNING, Finding
from auditor.http import Request
from auditor.rules.common import STRANGER, by_block, deciding, guards, may_be_asked, of_kind
from auditor.server import LOCAL, OPAQUE, Route, Site
from auditor.settings import INNER, Settings

NAME = "cleartext-credentials"
SEVERITY = INFO


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    if settings.position == INNER:
        return
    plain_ports = sorted({route.request.port for route in site.routes() if not route.request.tls} | {80})
    secure = {route.request.host for route in site.routes() if route.request.tls}
    # A program may send plain requests on.
    asked = [route for route in routes if not {LOCAL, OPAQUE} & route.traits]
    yield from by_block(asked, lambda block: _judge_block(site, block, plain_ports, secure))


def _judge_block(site: Site, routes: Sequence[Route], ports: Sequence[int], secure: set[str]) -> Iterator[Finding]:
    for route in routes:
        if not may_be_asked(site, route):
            continue
        for request in _plain(route.request, ports):
            for outcome in site.trace(request, STRANGER):
                if outcome.server != route.server or outcome.status != 401:
                    continue
                gate = next((gate for gate in guards(outcome) if gate.result == "refused"), None)
                line = deciding(gate.because) if gate is not None else None
                if gate is None or line is None or gate.scheme != "Basic":
                    continue
                both = request.host in secure
                yield Finding(
                    NAME,
                    WARNING if both else INFO,
                    f"This gate asks for a password without TLS at port {request.port}"
                    + (f", though {request.host} has a listener with TLS." if both else "."),
                    line,
                    routes=(f"{request.method} {request.url}",),
                    witness=request,
                    help=of_kind(
                        site,
                        "return 301 https://$host$request_uri;  in a server of its own for the plain port",
                        f"Redirect permanent / https://{request.host}/  in the <VirtualHost> of the plain port",
                    ),
                    server=route.server,
                    pattern=route.pattern,
                )


def _plain(request: Request, ports: Sequence[int]) -> Iterator[Request]:
    """The same request without TLS, at each port where that may be possible."""
    if not request.tls:
        yield request
        return
    for port in ports:
        host = request.host if port == 80 else f"{request.host}:{port}"
        headers = tuple(("Host", host) if name == "Host" else (name, value) for name, value in request.headers)
        yield request._replace(tls=False, port=port, headers=headers)
