"""A gate's user file does not exist.

## What it does

Looks whether the files that the gates name as their user files exist. A path is only judged below a
folder that `--root` names, and on the deployed machine itself: a repository seldom holds the secrets
that are put beside it when it is deployed.

With httpd also reports the Basic gate for which no line names a user file, the one with lines for LDAP
and the like that no AuthBasicProvider chooses, and the one that asks for groups where no AuthGroupFile
names any. It is silent where another project's module, a .htaccess or an
include that is not at hand may know the users.

## Why it is bad

Nobody can log in. nginx starts all the same, answers 401 to those without credentials, so that all
looks well, and 403 to everybody with some, good or bad. httpd does the same with 401 and 500; without
a group file, it answers 401 to everybody, again and again.

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
Apache httpd 2.4.71 (facts APA-201, APA-206, APA-237)

## References

- https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic_user_file
- https://httpd.apache.org/docs/2.4/mod/mod_authn_file.html#authuserfile
- https://httpd.apache.org/docs/2.4/mod/mod_authz_groupfile.html#authgroupfile
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, Finding, Related
from auditor.rules.common import BASIC, by_block, deciding, of_kind, traced
from auditor.server import GATE, Route, Site
from auditor.settings import Settings
from auditor.world import Answer, Question

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
    if site.kind == "apache" and not site.partial:
        gated = [route for route in routes if GATE in route.traits]
        yield from by_block(gated, lambda block: _unnamed(site, block))


class _Known:
    """The world of somebody who has an account: what he may is not taken for granted."""

    def ask(self, question: Question) -> Answer | None:
        return Answer("accepted", "the credentials are accepted") if question.kind == "credentials" else None


_KNOWN = _Known()
_UNNAMED = {
    "unnamed-file": (
        "no line names the user file. Without credentials the answer is 401, with any it is 500.",
        "AuthUserFile /etc/apache2/NAME.htpasswd",
    ),
    "unnamed-provider": (
        "the lines about another provider do not choose it, so a user file is asked, which no line names. Without "
        "credentials the answer is 401, with any it is 500.",
        "AuthBasicProvider ldap  (dbd, dbm: the one that the lines are about)",
    ),
    "no-group-file": (
        "this gate asks for groups, and no line names the file that says who is in them. The answer is always 401.",
        "AuthGroupFile /etc/apache2/NAME.groups",
    ),
}


def _unnamed(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    """Gates that compare with a file that no line names."""
    for route, request, outcome in traced(site, routes, BASIC, _KNOWN):
        for gate in outcome.gates:
            line = deciding(gate.because)
            if gate.reason in _UNNAMED and line is not None:
                why, help = _UNNAMED[gate.reason]
                yield Finding(
                    NAME,
                    ERROR,
                    f"Nobody can log in: {why}",
                    line,
                    routes=(route.label,),
                    witness=request,
                    help=help,
                    server=route.server,
                    pattern=route.pattern,
                )
