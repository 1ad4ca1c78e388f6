"""Redirects to a login page for those who lack a cookie, the login page's own clients among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from auditor.findings import ERROR, Finding
from auditor.http import Request
from auditor.patterns import lazy_re
from auditor.rules.common import STRANGER, deciding, of_kind, with_header
from auditor.rules.redirects import redirect_of
from auditor.server import Route, Site
from auditor.source import Place

_MOST = 5  # redirects that are followed
# Conditions on cookies: a name of nginx's, or a pattern for the whole line.
_NAME = lazy_re(r"\$\{?cookie_(\w+)")
_PATTERN = lazy_re(r"(?i)\$\{?http_cookie\}?\s+!?~\*?\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s)\"']+))")
_TEST = lazy_re(r"(?i)%\{(?:HTTP_COOKIE|HTTP:Cookie)\}[\"']?\s+(?:\"!?([^\"]*)\"|!?([^\s\"]+))")


class Circle(NamedTuple):
    """A page whose clients are sent back to it in the end, the line that sends them, and where to."""

    request: Request
    line: Place
    target: str


def circles(site: Site, name: str, routes: Sequence[Route]) -> Iterator[Finding]:
    """Routes of one block on which a client without cookies is sent round in a circle, and one with a cookie is not."""
    for route in routes:
        if route.request.method != "GET":
            continue
        found = _circle(site, _without_cookies(route.request))
        if found is None or not _needs_cookie(site, found):
            continue
        path = found.request.path
        yield Finding(
            name,
            ERROR,
            f"Who lacks the cookie is sent in a circle: this line sends those who ask for {path} to {found.target}, "
            "too.",
            found.line,
            routes=(route.label,),
            witness=found.request,
            help=of_kind(
                site,
                f"Put the condition into the locations that need the cookie, and give {path} one without it.",
                f"RewriteCond %{{REQUEST_URI}} !^{re.escape(path)}  above the RewriteRule",
            ),
            server=route.server,
            pattern=route.pattern,
        )


def reads_cookies(site: Site) -> bool:
    """Whether a condition looks at cookies."""
    return any(
        _NAME.search(source.text) or re.search(r"(?i)\$\{?http_cookie|%\{HTTP(_|:)COOKIE\}", source.text)
        for source in site.files
    )


def _without_cookies(request: Request) -> Request:
    return request._replace(headers=tuple(pair for pair in request.headers if pair[0].lower() != "cookie"))


def _circle(site: Site, request: Request) -> Circle | None:
    """Where the way of the redirects comes back to a page that it has been to, for whoever keeps no cookie; None where
    that depends on something that is not known, or where a redirect brings a cookie."""
    visited: dict[str, Request] = {}
    for _ in range(_MOST):
        following, line = _sent(site, request)
        if following is None or line is None or following.host != request.host:
            return None
        page = _page(request)
        if page in visited:  # for the second time, and sent on again
            return Circle(visited[page], line, following.path)
        visited[page] = request
        request = following
    return None


def _page(request: Request) -> str:
    return request.url.partition("?")[0]


def _sent(site: Site, request: Request) -> tuple[Request | None, Place | None]:
    """Where a browser is sent, whatever is not known, and the line that does so."""
    found: set[tuple[Request | None, Place | None]] = set()
    for outcome in site.trace(request, STRANGER):
        header = outcome.response_header("Location")
        if header is None or outcome.exchanges or outcome.response_header("Set-Cookie") is not None:
            return None, None
        line = deciding(header.because)
        if line is not None and re.search(r"(?i)[\[,]\s*(CO|cookie)=", line.text):
            return None, None
        found.add((redirect_of(request, outcome), line))
    return found.pop() if len(found) == 1 else (None, None)


def _needs_cookie(site: Site, circle: Circle) -> bool:
    """Whether one of the cookies that conditions ask for leads out of the circle."""
    for cookie in _cookies(site):
        request = with_header(circle.request, ("Cookie", cookie))
        outcomes = site.trace(request, STRANGER)
        if outcomes and all(outcome.response_header("Location") is None for outcome in outcomes):
            return True
    return False


def _cookies(site: Site) -> list[str]:
    from auditor.samples import samples

    found: dict[str, None] = {}
    for source in site.files:
        for name in _NAME.findall(source.text):
            found[f"{name}=audit-probe"] = None
        patterns = [*_PATTERN.findall(source.text), *_TEST.findall(source.text), *_mapped(source.text)]
        for pattern in ("".join(groups) for groups in patterns):
            made = samples(pattern, False)
            found.update(dict.fromkeys(one for one in made if one and one.isprintable()))
            found.update(dict.fromkeys(f"{one}=audit-probe" for one in made if one.isidentifier()))
    return list(found)[:12]


def _mapped(text: str) -> Iterator[tuple[str]]:
    """The patterns of maps of nginx that look at all cookies."""
    for block in re.findall(r"\bmap\s+\$\{?http_cookie\}?\s+\S+\s*\{([^}]*)\}", text):
        for pattern in re.findall(r"[\"']?~\*?([^\s\"']+)", block):
            yield (pattern,)
