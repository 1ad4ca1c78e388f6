"""A line of one's own stands in a block that another program writes anew.

## What it does

Reports lines about gates and headers between the marks of WordPress (`# BEGIN WordPress`) and of
cPanel (`# php -- BEGIN cPanel-generated handler`). Rewrite rules are passed over: WordPress and its
plugins write many. The line that hands Authorization on is reported in other forms than that which
WordPress itself writes since 5.6.

## Why it is bad

The line is lost, without a word, as soon as the program writes its block again: when permalinks are
saved, a plugin is switched on, or another version of PHP is chosen. A gate is open then, and an API
gets no credentials any more.

## Bad example

```apache
# .htaccess
# BEGIN WordPress
<IfModule mod_rewrite.c>
RewriteEngine On
SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1
RewriteBase /
RewriteRule ^index\\.php$ - [L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule . /index.php [L]
</IfModule>
# END WordPress
```

## Good example

```apache
# .htaccess
SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1

# BEGIN WordPress
<IfModule mod_rewrite.c>
RewriteEngine On
RewriteBase /
RewriteRule ^index\\.php$ - [L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule . /index.php [L]
</IfModule>
# END WordPress
```

## Measured on

Nothing to measure on a server: WordPress writes its block by insert_with_markers() and
WP_Rewrite::mod_rewrite_rules().

## References

- https://developer.wordpress.org/reference/functions/insert_with_markers/
- https://docs.cpanel.net/cpanel/software/multiphp-manager-for-cpanel/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding, Related
from auditor.server import Route, Site
from auditor.settings import Settings

NAME = "managed-block-edit"
SEVERITY = WARNING


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for block in site.managed():
        line, *others = block.lines
        yield Finding(
            NAME,
            WARNING,
            f"{block.owner} writes this block anew from time to time, and this line is not in it then.",
            line,
            related=tuple(Related(other, "this one, too") for other in others[:5]),
            help=f"Move it above the block, which begins on line {block.first}.",
        )
