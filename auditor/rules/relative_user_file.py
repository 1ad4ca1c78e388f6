"""The path of a user file does not begin where it seems to, or clients choose it.

## What it does

Looks at the path of each user file that a gate names. Reports

- a path that is made of what the client sends;
- in httpd, a relative path in a .htaccess, or one such as `.htpasswd`: it begins at ServerRoot;
- as an info, a relative path in a file of another folder than that of the main configuration: it begins at the
  main configuration's folder (nginx) or at ServerRoot (Apache), not beside the file in which it stands.

It is silent where the path names the folder of the file in which it stands, and where the file is known to
be there.

## Why it is bad

The file is looked for where it is not, and nobody can log in. A path that clients choose lets them choose the
passwords, too: any file with a colon in a line is one of users.

## Bad example

```nginx
location /private/ {
    auth_basic "Private";
    auth_basic_user_file /etc/nginx/passwords/$arg_tenant;
}
```

```apache
<Directory /var/www/html/private>
    AuthType Basic
    AuthName "Private"
    AuthUserFile .htpasswd
    Require valid-user
</Directory>
```

## Good example

```nginx
location /private/ {
    auth_basic "Private";
    auth_basic_user_file /etc/nginx/passwords/private.htpasswd;
}
```

```apache
<Directory /var/www/html/private>
    AuthType Basic
    AuthName "Private"
    AuthUserFile /etc/apache2/private.htpasswd
    Require valid-user
</Directory>
```

## Measured on

nginx 1.22.1, 1.31.3
Apache httpd 2.4.71 (fact APA-205)

## References

- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic_user_file
- https://httpd.apache.org/docs/2.4/mod/mod_authn_file.html#authuserfile
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, WARNING, Finding
from auditor.rules.common import of_kind
from auditor.server import Route, Site, UserFile, is_absolute
from auditor.settings import Settings

NAME = "relative-user-file"
SEVERITY = WARNING


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    main = site.files[0].name.rpartition("/")[0] if site.files else ""
    for file in site.user_files():
        if file.chosen:
            yield _finding(WARNING, file, "Clients choose this user file, and so the passwords: they send its path.")
        elif site.kind == "apache" and _is_in_pages(file):
            yield _finding(WARNING, file, "This path begins at ServerRoot, not at the folder of the pages.")
        elif _is_misread(file, main):
            where = f"not beside this file: it is {file.resolved}"
            begins = of_kind(site, "the main configuration's folder", "ServerRoot")
            yield _finding(INFO, file, f"This path begins at {begins}, {where}.")


def _is_in_pages(file: UserFile) -> bool:
    """Whether a relative path must be meant to begin in a folder of pages: it stands in a .htaccess, or is called like
    what lies there."""
    if file.path is None or not _is_relative(file.path) or file.state == "file":
        return False
    return file.line.file.rpartition("/")[2].startswith(".ht") or file.path.startswith((".ht", "./", "../"))


def _is_relative(path: str) -> bool:
    """Whether it is, and no placeholder that is filled in on the way to the server."""
    return not is_absolute(path) and not path.startswith(("%", "@"))


def _is_misread(file: UserFile, main: str) -> bool:
    """Whether a relative path seems to begin beside the file in which it stands."""
    if file.path is None or not _is_relative(file.path) or file.state is not None:
        return False
    folder = file.line.file.rpartition("/")[0]
    own = folder.rpartition("/")[2]
    return folder != main and not file.path.startswith(f"{own}/")


def _finding(severity: str, file: UserFile, message: str) -> Finding:
    return Finding(NAME, severity, message, file.line, help="Write the whole path, beginning with /.")
