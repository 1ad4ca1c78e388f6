"""A gate's user file cannot be read.

## What it does

Looks whether the files that the gates name as their user files are files that the server's workers
may read. A path of the deployed machine is only judged where this tree says what lies there, or on
that machine itself.

## Why it is bad

Nobody can log in. nginx starts all the same, answers 401 to those without credentials and 500 to
everybody with some, good or bad. So does httpd.

## Bad example

```nginx
auth_basic "Area";
auth_basic_user_file /etc/nginx/passwords;  # a folder
```

```apache
<Location />
    AuthType Basic
    AuthName "Area"
    AuthUserFile /etc/apache2/passwords
    Require valid-user
</Location>
ProxyPass / http://app.internal/
```

## Good example

```nginx
auth_basic "Area";
auth_basic_user_file /etc/nginx/passwords/area.htpasswd;
```

```apache
<Location />
    AuthType Basic
    AuthName "Area"
    AuthUserFile /etc/apache2/passwords/area.htpasswd
    Require valid-user
</Location>
ProxyPass / http://app.internal/
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-203, NGX-205)
Apache httpd 2.4.71 (facts APA-202, APA-204)

## References

- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic_user_file
- https://httpd.apache.org/docs/2.4/mod/mod_authn_file.html#authuserfile
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, Finding, Related
from auditor.server import Route, Site
from auditor.settings import Settings

NAME = "unreadable-user-file"
SEVERITY = ERROR

_WHY = {"directory": "is a folder", "unreadable": "cannot be read by the server's workers"}


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for file in site.user_files():
        if file.state not in _WHY:
            continue
        path = file.resolved or file.path
        yield Finding(
            NAME,
            ERROR,
            f"Nobody can log in: the user file {path} {_WHY[file.state]}. "
            "Without credentials the answer is 401, with any it is 500.",
            file.line,
            related=tuple(Related(gate, "this gate asks it") for gate in file.gates[:3]),
            help="Name a file." if file.state == "directory" else f"chown root:www-data {path}; chmod 640 {path}",
        )
