"""What may stand in the way of a request, in the words of auditor.server: told from the lines of all sections that it
may meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor import server as words
from auditor.patterns import lazy_re
from auditor.servers.apache.config import Directive, Section, Server
from auditor.servers.apache.seen import Seen

if TYPE_CHECKING:
    from auditor.servers.apache.site import ApacheSite

_LINES = {
    "authtype": (words.GATE, words.CHALLENGE, words.FORBIDS),
    "<requireall": (words.GATE, words.CHALLENGE, words.FORBIDS),
    "<requireany": (words.GATE, words.CHALLENGE, words.FORBIDS),
    "<requirenone": (words.GATE, words.CHALLENGE, words.FORBIDS),
    "order": (words.GATE, words.FORBIDS),
    "deny": (words.GATE, words.FORBIDS),
    "allow": (words.GATE, words.FORBIDS),
    "satisfy": (words.GATE,),
    "authbasicfake": (words.AUTHORIZATION, words.SECRET, words.REQUEST_HEADERS),
    **dict.fromkeys(("authldapbindpassword", "oidcclientsecret", "oidccryptopassphrase"), (words.SECRET,)),
    **dict.fromkeys(("sessioncryptopassphrase", "dbdparams"), (words.SECRET,)),
    **dict.fromkeys(("authmysqlpassword", "auth_mysql_password", "authmysql_password", "auth_pg_pwd"), (words.SECRET,)),
    "remoteipheader": (words.CLIENT_ADDRESS,),
    "cacheenable": (words.CACHE,),
    "fallbackresource": (words.REDIRECTS,),
    "setenvif": (words.REQUEST_HEADERS, words.SECRET),
    "setenvifnocase": (words.REQUEST_HEADERS, words.SECRET),
    "setenvifexpr": (words.IDENTITY, words.REQUEST_HEADERS, words.SECRET),
    "setenv": (words.IDENTITY, words.REQUEST_HEADERS, words.SECRET),
    "limitrequestfieldsize": (words.LIMITS,),
    "limitrequestline": (words.LIMITS,),
    "customlog": (words.LOGGED,),
    "logformat": (words.LOGGED,),
    "authzsvnaccessfile": (words.GATE, words.OPAQUE),
    "luahookaccesschecker": (words.OPAQUE,),
    "luahookauthchecker": (words.OPAQUE,),
    "proxypass": (words.UPSTREAM, words.UPGRADE),
    "proxypassmatch": (words.UPSTREAM, words.UPGRADE),
}
_OPTIONS = lazy_re(r"(?i)(?<![\w-])options(?![\w-])")
_REFUSES = lazy_re(r"(?i)\[(?:.*,)?\s*(?:F|forbidden|R(?:edirect)?=4\d\d)\s*(?:,.*)?\]")  # flags of a RewriteRule
_VARIABLE = lazy_re(r"(?i)[\[,]\s*E(?:NV)?=(?!HTTP_AUTHORIZATION:)")
# A variable that keeps a part of a header, and headers in which nobody is called by name.
_COPY = lazy_re(r"^(?!HTTP_AUTHORIZATION=)[^=]+=.*\$")
_SOMEBODY = lazy_re(r"(?i)^[^=]*(user|auth|ident|name|mail|group|role|remote|client|http)")
_NOBODY = frozenset(("origin", "user-agent", "referer", "host", "x-forwarded-proto", "accept", "content-type"))
_AUTHORIZATION = lazy_re(r"(?i)authorization")
_PROXY_VARIABLE = lazy_re(r"(?i)http.proxy|\bE=[^:\]]*[$%]")  # httpd itself never makes it


# Of lines that count together with others only.
_OVERRIDES = "overrides"
_PAGES = {"401": "page-401", "403": "page-403", "407": "page-403"}
_SENDS = frozenset((words.UPSTREAM, words.UPGRADE, words.PROXY_VARIABLE))


class Traits:
    """The traits of a site's routes."""

    def __init__(self, site: ApacheSite) -> None:
        self._site = site
        self._known: dict[Section, frozenset[str]] = {}

    def of(self, server: Server, seen: Seen) -> frozenset[str]:
        """Those of a route of that server."""
        found: set[str] = set()
        if seen.sections is None:
            stack = [self._site.config.main.section, server.section, *self._site.overrides.judged()]
            while stack:
                section = stack.pop()
                stack.extend(section.sections)
                found |= self._of(section)
        else:
            found |= self._of(self._site.config.main.section) | self._of(server.section)
            for section in seen.sections:
                found |= self._of(section)
            if not seen.sends:
                found -= _SENDS
        # A page for a refusal matters where something refuses: a line of these, or an upstream that is overridden.
        refuses = _OVERRIDES in found or not found.isdisjoint((words.GATE, words.FORBIDS, words.CHALLENGE))
        if refuses and _PAGES["401"] in found:
            found.update((words.REFUSAL, words.FORBIDS))
        if refuses and _PAGES["403"] in found:
            found.add(words.FORBIDS)
        found -= {_OVERRIDES, *_PAGES.values()}
        if not self._site.config.modules.known and self._site.context != "htaccess":
            found.add(words.UPSTREAM)
        if self._site.overrides.ignored:
            found.add(words.GATE)  # perhaps one that does not count
        if words.GATE in found and words.UPSTREAM in found:
            found.add(words.AUTHORIZATION)  # which the gate reads
        if _local(self._site, server):
            found.add(words.LOCAL)
        return frozenset(found)

    def _of(self, section: Section) -> frozenset[str]:
        found = self._known.get(section)
        if found is None:
            found = self._known[section] = _of_section(section, self._site.context == "htaccess")
        return found


def _of_line(line: Directive) -> Iterator[str]:
    """What depends on the words of a line."""
    key = line.key
    first = line.args[0].lower() if line.args else ""
    if line.limit is not None or first == "method":
        yield words.METHODS
    if line.limit is not None and line.limit.covers("OPTIONS") != line.limit.covers("GET"):
        yield words.CORS
    if key == "require" and tuple(word.lower() for word in line.args) != ("all", "granted"):
        yield from (words.GATE, words.FORBIDS)
        if first != "all":
            yield words.CHALLENGE
    elif key == "authtype" and first not in ("basic", "digest", "form", "none"):
        yield words.OPAQUE  # another project's, which is not followed
    elif key == "dav" and first != "off":
        yield words.DAV
    elif key == "requestheader":
        yield words.REQUEST_HEADERS
        if first == "add":
            yield words.REPEATED
        if first != "unset":
            yield from (words.IDENTITY, words.CLIENT_ADDRESS, words.SECRET, words.LOSES, words.REPEATED)
    elif key in ("redirect", "redirectmatch", "rewriterule"):
        yield words.REDIRECTS
        if key == "rewriterule" and line.args and _VARIABLE.search(line.args[-1]):
            yield from (words.IDENTITY, words.REQUEST_HEADERS, words.SECRET)
        if first[:1] == "4" or _REFUSES.search(line.args[-1] if key == "rewriterule" and line.args else ""):
            yield from (words.FORBIDS, words.CHALLENGE)
    elif key in ("setenvif", "setenvifnocase"):
        copies = [word for word in line.args[2:] if _COPY.search(word)]
        if copies and (first not in _NOBODY or any(map(_SOMEBODY.search, copies))):
            yield words.IDENTITY
        if first == "request_method":
            yield words.METHODS
    elif key == "rewritecond" and "cookie" in first:
        yield words.CHALLENGE
    elif key == "errordocument":
        yield words.REDIRECTS
        if first in _PAGES:
            yield _PAGES[first]
    elif key == "proxyerroroverride":
        yield _OVERRIDES


def _of_section(section: Section, assumed: bool) -> frozenset[str]:
    found: set[str] = set()
    if section.kind in ("if", "elseif") and "method" in section.pattern.lower():
        found.add(words.METHODS)
    for line in section.lines():
        found.update(_LINES.get(line.key, ()))
        found.update(_of_line(line))
        text = line.rest
        if _AUTHORIZATION.search(text) or line.key in ("cgipassauth", "wsgipassauthorization"):
            found.update((words.AUTHORIZATION, words.UPSTREAM))
        low = text.lower()
        found.update(words.cors_traits(text))
        if _OPTIONS.search(text):
            found.add(words.CORS)
        if "upgrade" in low or "force-proxy-request" in low:
            found.add(words.UPGRADE)
        if "access-control-allow-headers" in low and "_" in low:
            found.add(words.LOSES)
        if _PROXY_VARIABLE.search(text):
            found.add(words.PROXY_VARIABLE)
        if "www-authenticate" in low:
            found.update((words.CHALLENGE, words.REFUSAL))
        if line.key in ("sethandler", "addhandler", "addtype", "scriptalias", "wsgiscriptalias") or "cgi:" in low:
            found.add(words.UPSTREAM)
            if not assumed:
                found.add(words.AUTHORIZATION)
        if "[p" in low or ",p" in low:
            found.add(words.UPSTREAM)
        if "@" in text and "://" in text:
            found.add(words.SECRET)
        if "php" in low and not assumed:
            found.update((words.UPSTREAM, words.AUTHORIZATION))
    return frozenset(found)


def _local(site: ApacheSite, server: Server) -> bool:
    hosts = [address.host for address in server.addresses] or ["*"]
    if all(host in ("127.0.0.1", "[::1]", "localhost") for host in hosts):
        return True
    listens = [address.host for address, _, _ in site.config.listens]
    return bool(listens) and all(host in ("127.0.0.1", "[::1]", "localhost") for host in listens)
