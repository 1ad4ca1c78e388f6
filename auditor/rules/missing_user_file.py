"""A gate's user file does not exist.

## What it does

Looks whether the files that the gates name as their user files exist. A path is only judged below a
folder that `--root` names, and on the deployed machine itself: a repository seldom holds the secrets
that are put beside it when it is deployed.

## Why it is bad

Nobody can log in. nginx starts all the same, answers 401 to those without credentials, so that all
looks well, and 403 to everybody with some, good or bad. httpd does the same with 401 and 500.

## Bad example

```nginx
auth_basic "Area";
auth_basic_user_file /etc/nginx/area.htpasswd;  # no such file
```

```apache
<Location />
    AuthType Basic
    AuthName "Area"
    AuthUserFile /etc/apache2/gone.htpasswd
    Require valid-user
</Location>
ProxyPass / http://app.internal/
```

## Good example

```nginx
auth_basic "Area";
auth_basic_user_file /etc/nginx/area.htpasswd;  # made with: htpasswd -c /etc/nginx/area.htpasswd alice
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

nginx 1.22.1, 1.31.3 (fact NGX-202)
Apache httpd 2.4.71 (fact APA-201)

## References

- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic_user_file
- https://httpd.apache.org/docs/2.4/mod/mod_authn_file.html#authuserfile
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, Finding, Related
from auditor.rules.common import of_kind
from auditor.server import Route, Site
from auditor.settings import Settings

NAME = "missing-user-file"
SEVERITY = ERROR


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for file in site.user_files():
        if file.state != "missing":
            continue
        yield Finding(
            NAME,
            ERROR,
            f"Nobody can log in: the user file {file.resolved or file.path} does not exist. "
            f"Without credentials the answer is 401, with any it is {of_kind(site, '403', '500')}.",
            file.line,
            related=tuple(Related(gate, "this gate asks it") for gate in file.gates[:3]),
            help=f"htpasswd -c {file.resolved or file.path} USER",
        )
