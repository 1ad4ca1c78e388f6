"""The same challenge twice, or one of Basic beside the application's own.

## What it does

Asks every route without credentials, and with an origin that answers 401 with a challenge of its own.
Reports the line that adds a second challenge of the same scheme to this server's own, or one of Basic
to the origin's. On httpd `Header always set` adds to the challenge of the server's own gates and to
that of an upstream, it replaces neither. An error page that stands behind the gate itself gives its
challenge twice, too.

## Why it is bad

Clients that look at the first challenge only, or that do not expect two, fail; a Basic challenge
beside Bearer makes browsers open their password dialog over the application's own login.

## Bad example

```nginx
location / {
    auth_basic "Area";
    auth_basic_user_file /etc/nginx/area.htpasswd;
    add_header WWW-Authenticate 'Basic realm="Area"' always;
    proxy_set_header Authorization "";
    proxy_pass http://app;
}
```

```apache
<Location />
    AuthType Basic
    AuthName "Area"
    AuthUserFile /etc/apache2/area.htpasswd
    Require valid-user
    Header always set WWW-Authenticate "Basic realm=\\"Area\\", charset=\\"UTF-8\\""
</Location>
```

## Good example

```nginx
location / {
    auth_basic "Area";
    auth_basic_user_file /etc/nginx/area.htpasswd;
    proxy_set_header Authorization "";
    proxy_pass http://app;
}
```

```apache
<Location />
    AuthType Basic
    AuthName "Area"
    AuthUserFile /etc/apache2/area.htpasswd
    Require valid-user
</Location>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-239, NGX-402, NGX-407); Apache 2.4.71 (facts APA-286, APA-334)

## References

- RFC 9110, 11.6.1 (WWW-Authenticate: challenges in several lines are all meant)
- https://nginx.org/en/docs/http/ngx_http_headers_module.html#add_header
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#header
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, Finding, Related
from auditor.rules.common import BEARER, ORIGIN_REFUSES, STRANGER, by_block, deciding, traced
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.trace import Outcome, ResponseHeader

NAME = "duplicated-challenge"
SEVERITY = INFO


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for header, world in ((None, STRANGER), (BEARER, ORIGIN_REFUSES)):
        for route, request, outcome in traced(site, routes, header, world):
            found = _two(outcome) if outcome.status == 401 else None
            if found is None:
                continue
            first, second = found
            line, other = deciding(second.because), deciding(first.because)
            if line is None:
                continue
            same = _scheme(first) == _scheme(second)
            yield Finding(
                NAME,
                INFO,
                f"Clients get {_scheme(second).title()} a second time on this 401."
                if same
                else "Browsers open their password dialog: this adds Basic to whatever challenge the origin has sent.",
                line,
                related=() if other is None or other == line else (Related(other, "the first challenge"),),
                routes=(route.label,),
                witness=request,
                help="Switch the gate off where the error page is: auth_basic off;"
                if other == line
                else "Remove the line: the answer has a challenge already.",
                server=route.server,
                pattern=route.pattern,
            )


def _two(outcome: Outcome) -> tuple[ResponseHeader, ResponseHeader] | None:
    """A challenge, and another one that repeats its scheme or that opens a dialog beside it: the one that could go."""
    before: list[ResponseHeader] = []
    for header in outcome.response_headers:
        if header.name.lower() != "www-authenticate" or (not header.origin and not _scheme(header)):
            continue
        for first in before:
            if first.origin and header.origin:
                continue
            # Which scheme an upstream names is not known; a dialog beside it is wrong in any case.
            own = first if header.origin else header
            if first.origin or header.origin:
                if _scheme(own) == "basic":
                    return (header if own is first else first), own
            elif _scheme(first) == _scheme(header):
                # A server may write its own challenge behind those that lines name.
                return (header, first) if _names(first) and not _names(header) else (first, header)
        before.append(header)
    return None


def _names(header: ResponseHeader) -> bool:
    """Whether the line that adds it says so, other than that of a gate."""
    line = deciding(header.because)
    return line is not None and "www-authenticate" in line.text.lower()


def _scheme(header: ResponseHeader) -> str:
    """The scheme in lower case, "" where it is not known."""
    segments = header.value.segments
    text = segments[0].text if segments else None
    return (text or "").split(" ")[0].lower()
