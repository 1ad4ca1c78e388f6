"""What the auth service answers does not get to where it is used.

## What it does

Reports lines by which the answer of an auth subrequest is lost:

- `auth_request_set` in a block that asks no service, such as the location of the subrequest itself, where no
  other block takes the same over;
- a variable of the service's answer (`$upstream_http_...`) in a request header or a condition: before the
  main upstream has answered it is empty, whatever the service said;
- a `set`, `if` or `rewrite` that uses what `auth_request_set` of the same block takes over: these run before
  the service is asked, so that `if ($user = "")` holds for everybody;
- as an info, a variable that is set and never used.

## Why it is bad

The application gets no user name, and the login page no reason. Nothing in the logs tells why.

## Bad example

```nginx
location / {
    auth_request /auth;
    proxy_set_header X-User $upstream_http_x_user;
    proxy_pass http://app;
}
location = /auth {
    internal;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_pass http://auth:9001;
}
```

## Good example

```nginx
location / {
    auth_request /auth;
    auth_request_set $user $upstream_http_x_user;
    proxy_set_header X-User $user;
    proxy_pass http://app;
}
location = /auth {
    internal;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_pass http://auth:9001;
}
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-308 to NGX-319, and this rule's own proofs)

## References

- https://nginx.org/en/docs/http/ngx_http_auth_request_module.html#auth_request_set
- https://nginx.org/en/docs/http/ngx_http_upstream_module.html#var_upstream_http_
- https://nginx.org/en/docs/http/ngx_http_rewrite_module.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import INFO, WARNING, Finding, Related
from auditor.server import Capture, Route, Site
from auditor.settings import Settings

NAME = "uncaptured-auth-response"
SEVERITY = WARNING

_SAYS = {
    "misplaced": "What {} should hold is lost: this block asks no auth service whose answer could fill it.",
    "uncaptured": "{} is empty here: what the auth service answers must be taken over with auth_request_set.",
    "early": "{} is not filled yet here: nginx runs this line before it asks the auth service.",
    "unused": "{} is taken over from the auth service's answer and used nowhere.",
}
_HELP = {
    "misplaced": "Move the line to the block that has auth_request.",
    "uncaptured": "auth_request_set $auth_value {};  and use $auth_value in this line",
    "early": "Use {} itself where the value is needed, or a map on it; who may not come in is the service's to refuse.",
    "unused": "Remove the line.",
}


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    for capture in () if site.partial else site.captures():
        yield _finding(capture)


def _finding(capture: Capture) -> Finding:
    names = " and ".join(
        [", ".join(capture.variables[:-1]), capture.variables[-1]] if len(capture.variables) > 1 else capture.variables
    )
    return Finding(
        NAME,
        INFO if capture.fault == "unused" else WARNING,
        _SAYS[capture.fault].format(names),
        capture.line,
        related=tuple(Related(line, "and this one") for line in capture.beside),
        help=_HELP[capture.fault].format(names),
    )
