"""A gate stands where it cannot work as meant.

## What it does

Reports a gate in a block that matches far less than its author must have thought: an exact location
that ends like a folder while everything below that folder is open, a prefix location that is written
as a regular expression, and a condition on the client's certificate where no client is asked for one
(`ssl_verify_client`). In httpd it is also a gate in a .htaccess that AllowOverride passes
over or that answers 500; a `<Files>` or `<FilesMatch>` with a path, where only a file's name is
looked at; a `<Directory>` for a path of URLs; and a gate that stands without AuthType or AuthName, or
with `AuthType None`.

## Why it is bad

The gate guards one path, or none at all, and the tree behind it is public. httpd answers 500 to
everybody whom a gate without AuthType or AuthName would ask, with and without a password.

## Bad example

```nginx
location = /admin/ {
    auth_basic "Admin";
    auth_basic_user_file /etc/nginx/admin.htpasswd;
    proxy_pass http://app;
}
location / {
    proxy_pass http://app;
}
```

```apache
<FilesMatch "^/admin/">
    AuthType Basic
    AuthName "Admin"
    AuthUserFile /etc/apache2/admin.htpasswd
    Require valid-user
</FilesMatch>
```

## Good example

```nginx
location /admin/ {
    auth_basic "Admin";
    auth_basic_user_file /etc/nginx/admin.htpasswd;
    proxy_pass http://app;
}
location / {
    proxy_pass http://app;
}
```

```apache
<LocationMatch "^/admin/">
    AuthType Basic
    AuthName "Admin"
    AuthUserFile /etc/apache2/admin.htpasswd
    Require valid-user
</LocationMatch>
```

## Measured on

nginx 1.22.1, 1.31.3
Apache httpd 2.4.71 (facts APA-207, APA-209, APA-210, APA-251, APA-253, APA-254)

## References

- https://nginx.org/en/docs/http/ngx_http_core_module.html#location
- https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_verify_client
- https://httpd.apache.org/docs/2.4/mod/core.html#allowoverride
- https://httpd.apache.org/docs/2.4/mod/core.html#files
- https://httpd.apache.org/docs/2.4/mod/mod_authn_core.html#authname
- https://httpd.apache.org/docs/2.4/howto/auth.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding, Related
from auditor.http import Request
from auditor.rules.common import STRANGER, serves
from auditor.server import Area, Route, Site
from auditor.settings import Settings
from auditor.trace import Outcome

NAME = "misplaced-gate"
SEVERITY = WARNING

# Characters that no path of a real site has in this order, and that regular expressions are made of.
_REGEX = r"^\^|\$$|\.[*+]|\\|\[[^\]]*\]|\([^)]*\)|\*"
# Paths without a final slash that still name a tree.
_TREES = ("admin", "administrator", "phpmyadmin", "wp-admin", "private", "internal", "backend")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for item in site.misplaced():
        yield Finding(
            NAME,
            WARNING,
            item.what,
            item.line,
            related=tuple(Related(place, "because of this") for place in item.about),
            routes=() if item.witness is None else (f"{item.witness.method} {item.witness.url}",),
            witness=item.witness,
            help=item.instead,
        )
    for area in site.areas() if site.kind != "apache" else ():
        if not area.exact and re.search(_REGEX, area.prefix):
            yield _finding(
                area,
                f"This gate guards only paths that begin with {area.prefix} as it stands: "
                "without ~ it is no regular expression.",
                f"location ~ {area.prefix}",
            )
        elif area.exact:
            below = _open_below(site, area)
            if below is not None:
                yield _finding(
                    area,
                    f"This gate guards {area.prefix} alone: {below.path} and all else below it is served without it.",
                    f"location {area.prefix}",
                    below,
                )


def _finding(area: Area, message: str, help: str, witness: Request | None = None) -> Finding:
    return Finding(
        NAME,
        WARNING,
        message,
        area.block,
        related=(Related(area.gate, "the gate"),),
        routes=() if witness is None else (f"{witness.method} {witness.url}",),
        witness=witness,
        help=help,
        server=area.server,
        pattern=area.prefix,
    )


def _names_tree(path: str) -> bool:
    return path.endswith("/") or path.rpartition("/")[2].lower() in _TREES


def _open_below(site: Site, area: Area) -> Request | None:
    """A request below the path that is served without any gate: one that a block of its own answers, or any, where the
    path is called like a tree."""
    home = [route for route in site.routes() if route.server == area.server]
    requests = [
        route.request
        for route in home
        if route.request.path.startswith(area.prefix.rstrip("/") + "/") and area.prefix != "/"
    ]
    if _names_tree(area.prefix) and home:
        requests.append(home[0].request._replace(method="GET", target=area.prefix.rstrip("/") + "/audit-probe"))
    for request in requests:
        if request.path != area.prefix and any(_is_open(outcome) for outcome in site.trace(request, STRANGER)):
            return request
    return None


def _is_open(outcome: Outcome) -> bool:
    return serves(outcome) and not any(gate.result in ("passed", "refused", "off") for gate in outcome.gates)
