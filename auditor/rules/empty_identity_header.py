"""An identity header is made of something that is never there.

## What it does

Reports lines that set an identity header from a value which is empty whatever the client does, such as the name
in a client certificate where no certificate is asked for.

It is silent where the same line counts in another block, too, in which the value is there.

With httpd that is `%{REMOTE_USER}e`, and `%{REMOTE_USER}s` without mod_ssl: `(null)` is sent.

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

from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding
from auditor.server import Route, Site
from auditor.settings import Settings

NAME = "empty-identity-header"
SEVERITY = WARNING


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for unfilled in site.unfilled():
        if settings.names_identity(unfilled.header):
            yield Finding(
                NAME,
                WARNING,
                f"{unfilled.header} never reaches the application: {unfilled.value} is empty, {unfilled.why}.",
                unfilled.line,
                help=unfilled.instead,
            )
