"""HTTP as the wire carries it: ordered header lines, requests that are never normalised, responses.

Every string is the latin-1 reading of the bytes, so that no byte is lost and `len` counts bytes (RFC 9110, 5.5).
"""

# Annotations are not postponed here: each of a named tuple would be compiled from its text again at every start.

from collections.abc import Iterable, Iterator
from typing import NamedTuple

Pairs = tuple[tuple[str, str], ...]


class Headers:
    """Header lines in order, repeated names kept; look-up ignores case (RFC 9110, 5.1 and 5.3)."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs: Pairs = tuple((name, value) for name, value in pairs)

    def all(self, name: str) -> list[str]:
        """All values of the lines named `name`, in order."""
        low = name.lower()
        return [value for key, value in self.pairs if key.lower() == low]

    def first(self, name: str) -> str | None:
        """The value of the first line named `name`, or None."""
        low = name.lower()
        for key, value in self.pairs:
            if key.lower() == low:
                return value
        return None

    def __contains__(self, name: str) -> bool:
        return self.first(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return f"Headers({list(self.pairs)!r})"


class Request(NamedTuple):
    """A request as a client sends it.

    `target` is the request target as sent (RFC 9112, 3.2), never normalised. `headers` holds every line that is sent,
    Host included and at its place. `port` (and `tls`) pick the listener; `address` is the server's address where the
    URL names one as an IP literal, else "".
    """

    method: str = "GET"
    tls: bool = False
    host: str = "localhost"
    port: int = 80
    target: str = "/"
    http_version: str = "1.1"
    headers: Pairs = ()

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def url(self) -> str:
        """The URL that asks for this, default ports left out."""
        default = 443 if self.tls else 80
        port = "" if self.port == default else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.target}"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.split("?", 1)[0]

    def with_headers(self, *pairs: tuple[str, str]) -> "Request":
        """The same request with these lines after the others."""
        return self._replace(headers=self.headers + pairs)


# The response headers that this product watches, beside Access-Control-*.
_WATCHED = frozenset(("www-authenticate", "proxy-authenticate", "location", "set-cookie", "cache-control", "vary"))


def is_watched(name: str) -> bool:
    """Whether traces tell of this response header in any case."""
    low = name.lower()
    return low in _WATCHED or low.startswith("access-control-")


class Response(NamedTuple):
    """What a server answered. `status` is None where only the origin knows it."""

    status: int | None = None
    headers: Pairs = ()


def make_request(
    url: str,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
    http_version: str = "1.1",
) -> Request:
    """The request that a client makes of `url`; a Host line in `headers` takes the place of the URL's host.

    Raises ValueError where the URL has no http(s) scheme, no host, or a port that is no number.
    """
    scheme, sep, rest = url.partition("://")
    scheme = scheme.lower()
    if not sep or scheme not in ("http", "https"):
        raise ValueError(f"not an http or https URL: {url!r}")
    end = len(rest)
    for mark in "/?#":
        at = rest.find(mark)
        if at != -1:
            end = min(end, at)
    authority, target = rest[:end], rest[end:]
    if not target.startswith("/"):
        target = "/" + target
    authority = authority.rpartition("@")[2]
    host, port = split_port(authority)
    if not host:
        raise ValueError(f"no host in the URL: {url!r}")
    tls = scheme == "https"
    if port is None:
        number = 443 if tls else 80
    elif port.isdigit() and 0 < int(port) < 65536:
        number = int(port)
    else:
        raise ValueError(f"bad port in the URL: {url!r}")
    lines = tuple((name, value) for name, value in headers)
    if not any(name.lower() == "host" for name, _ in lines):
        lines = (("Host", authority), *lines)
    return Request(method, tls, host, number, target, http_version, lines)


def split_port(authority: str) -> tuple[str, str | None]:
    """`host:port` in two; the port is None where there is none. Brackets of an IPv6 literal stay (RFC 3986, 3.2.2)."""
    if authority.startswith("["):
        literal, close, tail = authority.partition("]")
        if close:
            return literal + close, tail[1:] if tail.startswith(":") else None
    host, colon, port = authority.partition(":")
    return host, port if colon else None


class Challenge(NamedTuple):
    """One challenge of a WWW-Authenticate line (RFC 9110, 11.6.1)."""

    scheme: str
    realm: str | None = None
