"""Requests for what lies behind a redirect.

A configuration that sends everybody on to https, or to its canonical name, shows what it does beside that only to
requests that come back as they were told to: over TLS, with the other name, or through a proxy in front that ended TLS
and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from auditor.http import Request, make_request, split_port
from auditor.trace import Outcomes

# By which a proxy in front says that the client came over TLS.
_SAYINGS = (
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Ssl", "on"),
    ("X-Forwarded-Scheme", "https"),
    ("X-Forwarded-Protocol", "https"),
    ("X-Forwarded-Port", "443"),
    ("Front-End-Https", "on"),
    ("X-Url-Scheme", "https"),
    ("CloudFront-Forwarded-Proto", "https"),
    ("CF-Visitor", '{"scheme":"https"}'),
    ("Forwarded", "proto=https"),
)
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_HOPS = 3


def sayings(texts: Iterable[str]) -> list[tuple[str, str]]:
    """The header lines by which a proxy in front says https, of those that these texts of a configuration name."""
    text = "\n".join(texts)
    return [pair for pair in _SAYINGS if re.search(_name_of(pair[0]), text, re.IGNORECASE)]


def _name_of(header: str) -> str:
    """A pattern for the name as lines of a configuration spell it, and no longer one around it."""
    return rf"(?<!x[-_]){header.replace('-', '[-_]')}(?![-\w])"


def behind(
    request: Request,
    trace: Callable[[Request], Outcomes],
    secure: Sequence[Request],
    said: Sequence[tuple[str, str]],
) -> Request | None:
    """The request for the same path that is not sent elsewhere any more; None where `request` itself is not, or where
    none is found. `secure` are requests that the same virtual host gets over TLS, `said` is what `sayings` found."""
    asked = request
    for _ in range(_MAX_HOPS):
        outcomes = trace(asked)
        there = _sent_to(asked, outcomes)
        if there is None:
            return asked if asked is not request else None
        for further in _next(asked, there, secure, said):
            found = trace(further)
            arrives = all(one.action != "closed" and one.server == outcomes[0].server for one in found)
            if arrives and _sent_to(further, found) != there:
                asked = further
                break
        else:
            return None
    return None


def _sent_to(request: Request, outcomes: Outcomes) -> Request | None:
    """To which other origin the server itself sends the request, in every case and for the same path."""
    there = None
    for outcome in outcomes:
        location = outcome.response_header("Location")
        text = location.value.text if location is not None else None
        if outcome.status not in _REDIRECTS or outcome.exchanges or not text:
            return None
        try:
            target = make_request(text)
        except ValueError:
            return None  # a path, or another scheme
        if target.path != request.path or (there is not None and target != there):
            return None
        there = target
    if there is None or (there.tls == request.tls and there.host == _name(request)):
        return None
    return there


def _next(
    request: Request, there: Request, secure: Sequence[Request], said: Sequence[tuple[str, str]]
) -> Iterator[Request]:
    if there.tls == request.tls:
        yield _named(request, there.host)
        return
    if there.tls:
        for base in secure:
            one = _named(base, there.host) if there.host != _name(request) else base
            yield one._replace(method=request.method, target=request.target, headers=_moved(request, one))
        told = _named(request, there.host) if there.host != _name(request) else request
        for pair in said:
            if pair not in told.headers:
                yield told.with_headers(pair)
        if len(said) > 1:
            yield told.with_headers(*(pair for pair in said if pair not in told.headers))


def _moved(request: Request, other: Request) -> tuple[tuple[str, str], ...]:
    """The header lines of a request, with the Host line of the other."""
    hosts = tuple(pair for pair in other.headers if pair[0].lower() == "host")
    return (*hosts, *(pair for pair in request.headers if pair[0].lower() != "host"))


def _name(request: Request) -> str:
    line = next((value for name, value in request.headers if name.lower() == "host"), request.host)
    return split_port(line)[0].lower()


def _named(request: Request, host: str) -> Request:
    """The same request with another name in its Host line; the port stays."""
    pairs = []
    for name, value in request.headers:
        if name.lower() == "host":
            port = split_port(value)[1]
            value = host if port is None else f"{host}:{port}"
        pairs.append((name, value))
    return request._replace(host=host, headers=tuple(pairs))
