"""A gate asks those who read for credentials and lets others write without.

## What it does

Asks every route that treats methods differently, without credentials and with each method. Reports the
gate that refuses GET where POST, PUT, PATCH or DELETE is let through. Where httpd changes files itself
(`Dav On`), also the one that refuses GET, PUT or DELETE where WebDAV's own methods are let through:
PROPPATCH, MKCOL, COPY, MOVE and LOCK, and PROPFIND beside a GET that is refused.

In a .htaccess alone, of which it is not known whether programs answer there, it is a warning.

It is silent where only reading is open, which is what `limit_except GET` and `<LimitExcept GET>` are
for, where OPTIONS alone is exempt, and where another gate guards the other methods.

## Why it is bad

The methods named by `limit_except` are those that are not limited. Whoever takes it the other way round
guards the pages and leaves the changes to everybody. httpd's `<Limit GET POST>` guards these two (and
HEAD) only: PUT, DELETE and methods that nobody has heard of go through; a file is sent to a POST as to
a GET. Behind `<Limit PUT DELETE>` a MOVE still takes files away, and COPY writes over others.

## Bad example

```nginx
location /files/ {
    limit_except POST PUT DELETE {
        auth_basic "Files";
        auth_basic_user_file /etc/nginx/passwords/files.htpasswd;
    }
    proxy_set_header Authorization "";
    proxy_pass http://app;
}
```

```apache
<Location /files/>
    AuthType Basic
    AuthName "Files"
    AuthUserFile /etc/apache2/files.htpasswd
    <Limit GET POST>
        Require valid-user
    </Limit>
</Location>
ProxyPass /files/ http://app.internal/
```

## Good example

```nginx
location /files/ {
    limit_except GET {
        auth_basic "Files";
        auth_basic_user_file /etc/nginx/passwords/files.htpasswd;
    }
    proxy_set_header Authorization "";
    proxy_pass http://app;
}
```

```apache
<Location /files/>
    AuthType Basic
    AuthName "Files"
    AuthUserFile /etc/apache2/files.htpasswd
    Require valid-user
</Location>
ProxyPass /files/ http://app.internal/
```

## Measured on

nginx 1.22.1, 1.31.3
Apache httpd 2.4.71 (facts APA-241, APA-242, APA-243, and this rule's own proofs)

## References

- https://nginx.org/en/docs/http/ngx_http_core_module.html#limit_except
- RFC 9110, 9.2.1 (safe methods)
- https://httpd.apache.org/docs/2.4/mod/core.html#limit
- https://httpd.apache.org/docs/2.4/mod/core.html#limitexcept
- https://httpd.apache.org/docs/2.4/mod/mod_dav.html#dav
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, HIGH, MEDIUM, WARNING, Finding, Related
from auditor.rules.common import STRANGER, by_block, deciding, guards, of_kind, serves
from auditor.server import DAV, Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import Outcome

NAME = "method-limited-gate"
SEVERITY = ERROR

_WRITING = ("POST", "PUT", "PATCH", "DELETE")
# What mod_dav knows besides. (LOCK alone needs a DavLockDB, and changes little.)
_DAV = ("PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK")


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for route in routes:
        read = route.request._replace(method="GET")
        line = _refusing(site.trace(read, STRANGER))
        dav = DAV in route.traits
        methods: Sequence[str] = (*_WRITING, *_DAV, "PROPFIND") if dav else _WRITING
        if line is None and dav:
            # Everybody may read; changes are guarded, or some of them.
            changes = (site.trace(read._replace(method=method), STRANGER) for method in ("PUT", "DELETE"))
            line = next((found for found in map(_refusing, changes) if found is not None), None)
            methods = _DAV
        if line is None:
            continue
        open_ = {}
        sure = True
        for method in methods:
            request = read._replace(method=method)
            outcomes = site.trace(request, STRANGER)
            outcomes = tuple(outcome for outcome in outcomes if outcome.status != 404) or outcomes
            if method not in _WRITING:
                if all(_is_open(outcome) and outcome.main is None for outcome in outcomes):
                    open_[method] = request
            elif all(_is_open(outcome) or (site.partial and _asks_nobody(outcome)) for outcome in outcomes):
                open_[method] = request
                sure = sure and all(_is_open(outcome) for outcome in outcomes)
        if not open_ or list(open_) == ["LOCK"]:
            continue
        static = any(outcome.action == "static" for outcome in site.trace(open_[next(iter(open_))], STRANGER))
        names = list(open_)
        listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        # Pages of a .htaccess alone have no block of their own: their place is that file's first line.
        block = None if route.handler is None or route.handler.file.endswith(".htaccess") else route.handler
        yield Finding(
            NAME,
            ERROR if sure else WARNING,
            f"This gate guards {'reading' if 'POST' in open_ and not static else 'some methods'} only: {listed} "
            f"{'goes' if len(names) == 1 else 'go'} through without credentials.",
            line,
            confidence=HIGH if sure else MEDIUM,
            related=() if block is None else (Related(block, "in this block"),),
            routes=(f"{names[0]} {read.url}",),
            witness=open_[names[0]],
            help=of_kind(
                site,
                "limit_except GET { ... }  exempts GET (and HEAD) from what the block says; all else is guarded.",
                "Take the Require lines out of <Limit>: without it they hold for all methods. Where reading shall be "
                "open, <LimitExcept GET OPTIONS> guards all else.",
            ),
            server=route.server,
            pattern=route.pattern,
        )


def _refusing(outcomes: Sequence[Outcome]) -> Place | None:
    """The gate that refuses a stranger, whatever else happens."""
    lines = []
    for outcome in outcomes:
        refused = next((gate for gate in guards(outcome) if gate.result == "refused"), None)
        if refused is None:
            return None
        lines.append(deciding(refused.because))
    return lines[0] if lines else None


def _is_open(outcome: Outcome) -> bool:
    answers = outcome.main is not None or outcome.action == "static"
    return serves(outcome) and answers and not any(gate.result == "refused" for gate in outcome.gates)


def _asks_nobody(outcome: Outcome) -> bool:
    """Whether nothing but the lack of a program refuses: where only a part of a configuration is at hand, one may be
    there."""
    return outcome.action == "answered" and outcome.status == 405 and not outcome.gates
