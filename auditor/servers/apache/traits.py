"""What may stand in the way of a request, in the words of auditor.server. Sections of httpd merge, so this is told for
a virtual host as a whole: sound, if coarse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auditor import server as words
from auditor.servers.apache.config import Section, Server

if TYPE_CHECKING:
    from auditor.servers.apache.site import ApacheSite

_LINES = {
    "authtype": (words.GATE, words.CHALLENGE, words.FORBIDS),
    "require": (words.GATE, words.CHALLENGE, words.FORBIDS),
    "<requireall": (words.GATE, words.CHALLENGE, words.FORBIDS),
    "<requireany": (words.GATE, words.CHALLENGE, words.FORBIDS),
    "<requirenone": (words.GATE, words.CHALLENGE, words.FORBIDS),
    "order": (words.GATE, words.FORBIDS),
    "deny": (words.GATE, words.FORBIDS),
    "allow": (words.GATE, words.FORBIDS),
    "satisfy": (words.GATE,),
    "authbasicfake": (words.AUTHORIZATION, words.SECRET, words.REQUEST_HEADERS),
    "requestheader": (words.REQUEST_HEADERS, words.IDENTITY, words.CLIENT_ADDRESS, words.SECRET, words.LOSES),
    "remoteipheader": (words.CLIENT_ADDRESS,),
    "cacheenable": (words.CACHE,),
    "errordocument": (words.REFUSAL, words.REDIRECTS, words.FORBIDS),
    "header": (words.REFUSAL,),
    "fallbackresource": (words.REDIRECTS,),
    "rewriterule": (words.REDIRECTS, words.FORBIDS, words.CHALLENGE),
    "redirect": (words.REDIRECTS, words.FORBIDS, words.CHALLENGE),
    "redirectmatch": (words.REDIRECTS, words.FORBIDS, words.CHALLENGE),
    "setenvif": (words.IDENTITY, words.REQUEST_HEADERS, words.SECRET),
    "setenvifnocase": (words.IDENTITY, words.REQUEST_HEADERS, words.SECRET),
    "setenvifexpr": (words.IDENTITY, words.REQUEST_HEADERS, words.SECRET),
    "setenv": (words.IDENTITY, words.REQUEST_HEADERS, words.SECRET),
    "limitrequestfieldsize": (words.LIMITS,),
    "limitrequestline": (words.LIMITS,),
    "customlog": (words.LOGGED,),
    "logformat": (words.LOGGED,),
    "luahookaccesschecker": (words.OPAQUE,),
    "luahookauthchecker": (words.OPAQUE,),
    "proxypass": (words.UPSTREAM, words.UPGRADE),
    "proxypassmatch": (words.UPSTREAM, words.UPGRADE),
}
_AUTHORIZATION = re.compile(r"(?i)authorization")


def traits_of(site: ApacheSite, server: Server) -> frozenset[str]:
    """The traits of all routes of a virtual host."""
    found: set[str] = set()
    stack: list[Section] = [site.config.main.section, server.section, *site.overrides.judged()]
    assumed = site.context == "htaccess"
    while stack:
        section = stack.pop()
        stack.extend(section.sections)
        for line in section.directives:
            found.update(_LINES.get(line.key, ()))
            if line.limit is not None or line.args[:1] == ("method",):
                found.add(words.METHODS)
            text = line.rest
            if _AUTHORIZATION.search(text) or line.key in ("cgipassauth", "wsgipassauthorization"):
                found.update((words.AUTHORIZATION, words.CGI, words.UPSTREAM))
            low = text.lower()
            if "access-control-" in low or "options" in low:
                found.add(words.CORS)
            if "upgrade" in low or "force-proxy-request" in low:
                found.add(words.UPGRADE)
            if line.key == "requestheader" and line.args[:1] and line.args[0].lower() == "add":
                found.add(words.REPEATED)
            if "access-control-allow-headers" in low and "_" in low:
                found.add(words.LOSES)
            if "www-authenticate" in low:
                found.update((words.CHALLENGE, words.REFUSAL))
            if line.key in ("sethandler", "addhandler", "addtype", "scriptalias", "wsgiscriptalias") or "cgi:" in low:
                found.update((words.CGI, words.UPSTREAM))
                if not assumed:
                    found.add(words.AUTHORIZATION)
            if "[p" in low or ",p" in low:
                found.add(words.UPSTREAM)
            if "php" in low and not assumed:
                found.update((words.CGI, words.UPSTREAM, words.AUTHORIZATION))
    if not site.config.modules.known and not assumed:
        found.update((words.CGI, words.UPSTREAM))
    if site.overrides.ignored:
        found.add(words.GATE)  # perhaps one that does not count
    if _local(site, server):
        found.add(words.LOCAL)
    return frozenset(found)


def _local(site: ApacheSite, server: Server) -> bool:
    hosts = [address.host for address in server.addresses] or ["*"]
    if all(host in ("127.0.0.1", "[::1]", "localhost") for host in hosts):
        return True
    listens = [address.host for address, _, _ in site.config.listens]
    return bool(listens) and all(host in ("127.0.0.1", "[::1]", "localhost") for host in listens)
