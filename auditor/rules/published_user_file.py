"""A gate's user file can be fetched like any other file of the site.

## What it does

Looks for the user files of the gates in the folders that are served, asks for each one by its URL without
credentials, and reports the line that names a file which is sent. Where only somebody who has passed the gate
gets it, it is a warning.

It is silent where the answer is a refusal, as with `location ~ /\\.ht { deny all; }` or the
`<FilesMatch "^\\.ht">` that httpd's packages bring. A `<Location />` with `Require all granted` takes
the place of that.

## Why it is bad

The names and the hashes of all passwords are there for everybody, and hashes can be tried out at leisure.

## Bad example

```nginx
server {
    root /var/www/site;
    location /staff/ {
        auth_basic "Staff";
        auth_basic_user_file /var/www/site/staff.htpasswd;
    }
}
```

```apache
<VirtualHost *:80>
    ServerName shop.example
    DocumentRoot /home/new-shop/public
    <Location /orders/>
        AuthType Basic
        AuthName "Orders"
        AuthUserFile /home/new-shop/public/orders.users
        Require valid-user
    </Location>
</VirtualHost>
```

## Good example

```nginx
server {
    root /var/www/site;
    location /staff/ {
        auth_basic "Staff";
        auth_basic_user_file /etc/nginx/passwords/staff.htpasswd;
    }
}
```

```apache
<VirtualHost *:80>
    ServerName shop.example
    DocumentRoot /home/new-shop/public
    <Location /orders/>
        AuthType Basic
        AuthName "Orders"
        AuthUserFile /home/new-shop/.htpasswd
        Require valid-user
    </Location>
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3
Apache httpd 2.4.71 (facts APA-268, APA-269)

## References

- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic_user_file
- https://nginx.org/en/docs/http/ngx_http_core_module.html#root
- https://httpd.apache.org/docs/2.4/mod/mod_authn_file.html#authuserfile
- https://httpd.apache.org/docs/2.4/mod/core.html#files
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, WARNING, Finding
from auditor.http import Request
from auditor.rules.common import ADMITTED, BASIC, STRANGER, with_header
from auditor.server import Route, Site, UserFile
from auditor.settings import Settings

NAME = "published-user-file"
SEVERITY = ERROR


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for file in site.user_files():
        if file.resolved is None or file.state not in (None, "file"):
            continue
        found = _fetched(site, file.resolved)
        if found is not None:
            yield _finding(file, *found)


def _fetched(site: Site, path: str) -> tuple[Request, bool] | None:
    """A request that gets the file, and whether that takes a password."""
    requests = list(site.addresses(path))
    for request in requests:
        if any(outcome.file == path and outcome.status == 200 for outcome in site.trace(request, STRANGER)):
            return request, False
    for request in requests:
        known = with_header(request, BASIC)
        if any(outcome.file == path and outcome.status == 200 for outcome in site.trace(known, ADMITTED)):
            return known, True
    return None


def _finding(file: UserFile, request: Request, gated: bool) -> Finding:
    path = file.resolved or ""
    who = "Who knows one of the passwords" if gated else "Everybody"
    return Finding(
        NAME,
        WARNING if gated else ERROR,
        f"{who} can fetch the user file {path}, with the hashes of all passwords.",
        file.line,
        routes=(f"GET {request.url}",),
        witness=request,
        help=f"Move {path} out of the folders that are served.",
    )
