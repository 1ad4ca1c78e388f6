"""What goes to the origin as Authorization can never be valid.

## What it does

Asks every route with and without credentials, and looks at the Authorization header that the configuration
makes of them. Reports

- a scheme in front of a header that has one already: `Bearer Bearer ...`;
- a switch taken for a value: `off` is sent as it stands;
- the name of the header, or a colon behind the scheme, inside the value;
- Basic with a plain `user:password`, which must be base64;
- a scheme without credentials: `Bearer ` and nothing more. It is a warning where a client can fill it;
- httpd's `(null)` for a variable that is not there, an empty value, and two credentials in one value.

## Why it is bad

The origin refuses the request (401, or 400 for what it cannot even parse), whatever the client sends.
The client's own header is lost on top of it.

## Bad example

```nginx
location /api/ {
    proxy_set_header Authorization "Bearer $http_authorization";
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    ProxyPass /api/ http://127.0.0.1:9000/
    <Location /api/>
        RequestHeader set Authorization "expr=Bearer %{HTTP:Authorization}"
    </Location>
</VirtualHost>
```

## Good example

```nginx
location /api/ {
    proxy_set_header Authorization $http_authorization;
    proxy_pass http://app;
}
```

```apache
<VirtualHost *:80>
    ProxyPass /api/ http://127.0.0.1:9000/
    <Location /api/>
        SetEnvIf Cookie "token=([^;]+)" TOKEN=$1
        RequestHeader set Authorization "Bearer %{TOKEN}e" env=TOKEN
    </Location>
</VirtualHost>
```

## Measured on

nginx 1.22.1, 1.31.3 (facts NGX-024, NGX-029)

Apache 2.4.71 (facts APA-006, APA-018)

## References

- RFC 9110, 11.4 (credentials) and 11.6.2 (Authorization)
- RFC 6750, 2.1 (Bearer) and RFC 7617, 2 (Basic)
- https://httpd.apache.org/docs/2.4/mod/mod_headers.html#requestheader
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.findings import ERROR, WARNING, Finding
from auditor.rules.common import ADMITTED, by_block, deciding, of_kind, signed_in, traced
from auditor.rules.repairs import UNSAFE, fix, with_part
from auditor.server import Route, Site
from auditor.settings import Settings
from auditor.source import Place
from auditor.trace import FORWARDED, SentHeader
from auditor.values import CONFIG, client_header

NAME = "malformed-authorization"
SEVERITY = ERROR
FIX = UNSAFE

_SCHEME = r"(basic|bearer|digest|token|negotiate|apikey)"
_SWITCHES = frozenset({"off", "on", "none", "null", "no", "false"})
_OPEN = frozenset("{<%$[")  # placeholders that something fills before the server reads it


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    return by_block(routes, lambda block: _judge_block(site, block))


def _judge_block(site: Site, routes: Sequence[Route]) -> Iterator[Finding]:
    for asked in (signed_in(site, routes, ADMITTED), traced(site, routes, None, ADMITTED)):
        for route, request, outcome in asked:
            for exchange in outcome.exchanges:
                sent = exchange.header("Authorization")
                line = deciding(sent.because) if sent is not None else None
                if sent is None or line is None or sent.fate == FORWARDED:
                    continue
                verdict = _verdict(site, sent, line)
                if verdict is None:
                    continue
                severity, what, help = verdict
                yield Finding(
                    NAME,
                    severity,
                    f"{what} {exchange.upstream} refuses it.",
                    line,
                    routes=(route.label,),
                    witness=request,
                    help=help,
                    server=route.server,
                    pattern=route.pattern,
                    # A client that sends its token without a scheme was understood.
                    fix=fix(False, with_part(line, _PREFIX, "")) if _is_whole_header(sent) else None,
                )


# A scheme at the beginning of a value in quotes, in front of one variable.
_PREFIX = r"(?i)(?<=[\"'])(basic|bearer|token)\s+(?=[^\s\"']+[\"']\s*;)"


def _is_whole_header(sent: SentHeader) -> bool:
    """Whether what follows the scheme is the client's whole header."""
    return [segment.source for segment in sent.value.segments if segment.source != CONFIG] == [
        client_header("Authorization")
    ]


def _verdict(site: Site, sent: SentHeader, line: Place) -> tuple[str, str, str] | None:
    """Severity, what is sent, and what to write instead; None where it can be valid."""
    text = sent.value.text
    if text is None:
        return None
    name = sent.name
    text = text.strip()
    low = text.lower()
    if not text and not name.startswith("HTTP_") and line.text.rstrip("; ").endswith(('""', "''")):
        return WARNING, f"An empty {name} goes out, which is no credentials and yet a header:", _clear(site, name)
    if "(null)" in low.split():
        return (
            WARNING,
            "A client without the value that this line is made of has (null) sent as credentials:",
            "Set the header only where the value is there: env=NAME at the end of the line.",
        )
    if re.match(_SCHEME + r"\s+[^\s,]+\s*,\s*" + _SCHEME + r"\s+\S", low) and CONFIG in sent.value.sources:
        return (
            ERROR,
            "The client's credentials and those of this line are sent in one value, with a comma between them:",
            f"Replace the client's {name}, or pass it on as it came.",
        )
    twice = re.match(_SCHEME + r"\s+" + _SCHEME + r"(\s|$)", low)
    if twice:
        return (
            ERROR,
            f"The scheme is sent twice here ({twice[1].title()} {twice[2].title()} ...):",
            f"Pass {name} on as the client sent it: its value begins with the scheme.",
        )
    if low in _SWITCHES:
        return ERROR, f"The word {low} is sent as the credentials:", _clear(site, name)
    if re.search(r"(?i)%\{(http|req|env|la-u|ssl)[:_]", text) and sent.value.sources == (CONFIG,):
        return (
            ERROR,
            "The name of a variable is sent as it is written, since this line knows none:",
            'SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1',
        )
    if re.match(r"authorization\s*:|" + _SCHEME + r"\s*:", low):
        return (
            ERROR,
            "A header's name or a colon is sent inside the value:",
            f"The value of {name} is the scheme, a blank, the credentials.",
        )
    plain = re.match(r"basic\s+(\S+:.*)", low)
    if plain and not _OPEN & set(low):
        return (
            ERROR,
            "The user and the password of Basic are sent as they are, not in base64:",
            "Write the output of: printf '%s' 'USER:PASSWORD' | base64",
        )
    if re.fullmatch(r"(basic|bearer|token|apikey)", low):
        if line.text.rstrip("\"'; ").lower().endswith(low):
            return ERROR, f"{low.title()} is sent without any credentials:", f"Remove the line, or complete {name}."
        return (
            WARNING,
            f"A client without the value that this line is made of has {low.title()} sent without credentials:",
            f"Make the whole value empty in that case (a map with an empty default): then no {name} is sent.",
        )
    return None


def _clear(site: Site, name: str) -> str:
    return of_kind(site, f"An empty value clears {name}.", f"RequestHeader unset {name}")
