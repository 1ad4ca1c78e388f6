"""A user file lies in the home of another account than everything else of its site.

## What it does

Looks at user files below a home folder, or below a folder of /var/www that is called like a domain. Reports the
line where the same configuration file speaks of another account's folder beside it (for a .htaccess: any of the
configuration's files), and nothing else in the whole configuration speaks of this one.

## Why it is bad

It is what a moved or copied site leaves behind. Once the old account is removed, nobody can log in; until then
the old account's owner decides who can.

## Bad example

```nginx
server {
    root /home/new-shop/public;
    location / {
        auth_basic "Shop";
        auth_basic_user_file /home/old-shop/.htpasswd;
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
        AuthUserFile /home/old-shop/.htpasswd
        Require valid-user
    </Location>
</VirtualHost>
```

## Good example

```nginx
server {
    root /home/new-shop/public;
    location / {
        auth_basic "Shop";
        auth_basic_user_file /home/new-shop/.htpasswd;
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

Nothing to measure: the server takes any path.

## References

- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic_user_file
- https://httpd.apache.org/docs/2.4/mod/mod_authn_file.html#authuserfile
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding
from auditor.server import Route, Site, UserFile
from auditor.settings import Settings

NAME = "stray-user-file"
SEVERITY = WARNING

_HOME = r"(/home/|/usr/home/|/Users/|/var/www/vhosts/)([\w.-]+)/"
_DOMAIN = r"(/var/www/|/srv/www/)([\w-]+(?:\.[\w-]+)+)/"


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    files = [(file, home) for file in site.user_files() if (home := _home(file.resolved or "")) is not None]
    if not files:
        return
    named: dict[str, set[tuple[str, str]]] = {}
    lines = {(file.line.file, file.line.line) for file, _ in files}
    for source in site.files:
        for number, line in enumerate(source.text.split("\n"), 1):
            if "/" in line and (source.name, number) not in lines and not line.lstrip().startswith("#"):
                named.setdefault(source.name, set()).update(re.findall(_HOME, line) + re.findall(_DOMAIN, line))
    everywhere = set().union(*named.values()) if named else set()
    for file, home in files:
        # A .htaccess seldom names its own folder; the configuration that leads to it does.
        near = everywhere if file.line.file.endswith(".htaccess") else named.get(file.line.file, ())
        others = sorted("".join(other) for other in near if other[0] == home[0])
        if home not in everywhere and others:
            yield _finding(file, "".join(home), others[0])


def _home(path: str) -> tuple[str, str] | None:
    """The folder of all accounts and the account, where the path lies in one."""
    match = re.match(_HOME, path) or re.match(_DOMAIN, path)
    return (match[1], match[2]) if match is not None else None


def _finding(file: UserFile, home: str, other: str) -> Finding:
    return Finding(
        NAME,
        WARNING,
        f"This user file lies below {home}, of which nothing else here speaks: the rest is below {other}.",
        file.line,
        help=f"Move the file to where the site is now: {(file.resolved or '').replace(home, other)}",
    )
