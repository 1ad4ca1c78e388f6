"""What a configuration sends requests to, with stand-ins in its place: upstream groups, pass directives, variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from auditor.servers.nginx.proxy import parse_url
from auditor.servers.nginx.site import NginxSite
from auditor.servers.nginx.syntax import Directive
from auditor.source import Place
from probes.sandbox import tables
from probes.sandbox.edits import line, quoted
from probes.sandbox.targets import CATCH_ALL, Targets

Evaluated = Mapping[Place, Iterable[tuple[str, str]]]
NOWHERE = "no-resolver.invalid"
# What is no server, so that nginx answers 500: no host, or a port that is none.
_NO_PORT = r"(?:0*|[^/?]*[^\d/?][^/?]*|0*(?:6553[6-9]|655[4-9]\d|65[6-9]\d\d|6[6-9]\d{3}|[7-9]\d{4}|[1-9]\d{5,}))"
_NO_SERVER = rf"(?!unix:)(?:[^\[:/?]*:{_NO_PORT})?"
_PATH_VARIABLES = re.compile(r"\$\{?(?:request_uri|uri|document_uri|is_args|args)\b")


class Upstreams:
    """Rewrites the lines that name upstreams. `evaluated` is what those with variables come to.

    `addresses` are all that the rewritten lines name; `maps` the tables that go into the http block, for variables.
    `resolves` says whether there is a resolver where the next line stands: set by who reads the configuration.
    """

    def __init__(self, site: NginxSite, evaluated: Evaluated, targets: Targets) -> None:
        self._site = site
        self._evaluated = evaluated
        self._targets = targets
        self._groups = _group_kinds(site)
        self._unresolved = 0
        fixed = [each.args[0] for each in site.tree.walk() if each.name in tables.PASSES and each.args]
        urls = [parse_url(_as_http(text)) for text in fixed if "$" not in text]
        self._fixed = {url.server for url in urls if url is not None}
        self.addresses: set[str] = set()
        self.maps: list[str] = []
        self.resolves = False

    def _address(self, kind: str, server: str, shown: str | None = None) -> str:
        address = self._targets.address(kind, server, shown)
        self.addresses.add(address)
        return address

    def server(self, directive: Directive) -> str:
        """The text of a server line of an upstream group."""
        group = self._groups.get(directive.place, "http")
        name, *options = directive.args
        if ":" not in name.rpartition("]")[2]:
            name += ":443" if group in ("https", "grpcs") else ":80"
        kept = [word for word in options if not word.startswith(tables.SERVER_OPTIONS_OUT)]
        return line("server", [self._address(group, name), *kept])

    def passed(self, directive: Directive) -> str:
        """The text of a pass directive."""
        name, text = directive.name, directive.args[0]
        kind = tables.PASSES[name]
        if kind == "memcached":
            target = self._address(kind, text)
        elif "$" in text:
            target = self._variable(directive, kind, text)
        elif kind in ("http", "grpc"):
            target = self._url(kind, text)
        else:
            scheme, sep, server = text.rpartition("://")  # uwsgi:// and suwsgi:// there may be
            target = text
            if not self._is_group(server):
                target = scheme + sep + self._address(scheme or kind, _with_port(server))
        return line(name, [target])

    def _is_group(self, name: str) -> bool:
        return name in self._site.http.upstreams

    def _url(self, kind: str, text: str) -> str:
        """The target of proxy_pass or grpc_pass, its server replaced."""
        bare = "://" not in text
        url = parse_url(f"grpc://{text}" if bare and kind == "grpc" else text)
        if url is None or (self._is_group(url.host) and not url.explicit_port):
            return text
        if url.host.startswith("unix:"):
            address = self._address(url.scheme, url.host)
            return f"{'' if bare else url.scheme + '://'}{address}{':' + url.uri if url.uri else ''}"
        address = self._address(url.scheme, url.server, url.host_header)
        return f"{'' if bare else url.scheme + '://'}{address}{url.uri}"

    def _variable(self, directive: Directive, kind: str, text: str) -> str:
        """A target made of variables: what they come to is looked up in a table of the stand-ins."""
        scheme, sep, rest = text.partition("://")
        if not sep or "$" in scheme:
            return self._looked_up(directive, kind, text, whole=kind in ("http", "grpc"))
        cuts = [at for at in (rest.find("/"), rest.find("?")) if at != -1]
        found = _PATH_VARIABLES.search(rest)
        if found is not None:
            cuts.append(found.start())
        cut = min(cuts, default=len(rest))
        server, tail = rest[:cut], rest[cut:]
        if "$" not in server:
            if not self._reachable(f"{scheme}://{server}"):
                return f"{scheme}://{self._nowhere(server)}{tail}"
            return self._url(kind, f"{scheme}://{server}") + tail
        if not cuts and kind == "http":  # the variable may hold a path, too
            return self._looked_up(directive, scheme, text, whole=True)
        return f"{scheme}://{self._looked_up(directive, scheme, server)}{tail}"

    def _reachable(self, text: str) -> bool:
        """Whether a URL with variables behind its server can be followed: an address, a group, a server that a line
        without variables names, or any where there is a resolver (ngx_http_upstream_init_request)."""
        url = parse_url(text)
        if url is None or self.resolves or self._is_group(url.host):
            return True
        address = url.host.startswith(("unix:", "[")) or url.host.replace(".", "").isdigit()
        return address or url.server in self._fixed

    def _has_port(self, name: str) -> bool:
        return name.startswith("unix:") or self._is_group(name) or ":" in name.rpartition("]")[2]

    def _nowhere(self, server: str) -> str:
        """A name that nobody resolves; there is no resolver in the sandbox that could."""
        self._unresolved += 1
        name = f"{self._unresolved}.{NOWHERE}"
        self._targets.names.add(name, server)
        return name

    def _looked_up(self, directive: Directive, kind: str, text: str, whole: bool = False) -> str:
        """The variable that holds the stand-in for what `text` comes to: a `whole` URL, or a server alone."""
        entries: dict[str, str] = {}
        web = kind in ("http", "https")  # which have a port by default
        for upstream, uri in self._evaluated.get(directive.place, ()):
            scheme, sep, name = upstream.partition("://")
            if not sep:
                scheme, name = kind, upstream
            if not self._reachable(_as_http(f"{scheme}://{name}")) or not (web or self._has_port(name)):
                continue
            if whole:
                sealed = self._url(kind, f"{scheme}://{name}")
                if kind == "grpc":  # which needs no scheme
                    entries[name] = sealed
                for full in dict.fromkeys((name, _with_port(name, scheme))):
                    entries[f"{scheme}://{full}"] = sealed
                    if uri:
                        entries[f"{scheme}://{full}{uri}"] = sealed + uri
            elif self._is_group(name):
                entries[name] = name
            elif name.startswith("unix:") and kind in ("http", "https"):  # a URI may follow behind a colon
                entries[name] = self._url(kind, f"{kind}://{name}").partition("://")[2]
                entries[f"{name}:"] = f"{entries[name]}:"
            elif kind in ("http", "https", "grpc", "grpcs"):
                sealed = self._url(kind, f"{kind}://{name}").partition("://")[2]
                entries[name] = entries[_with_port(name, kind)] = sealed
            else:
                entries[name] = entries[f"{kind}://{name}"] = self._address(kind, name)
        anywhere = self._address("http" if whole and web else kind, CATCH_ALL)
        nowhere = anywhere if self.resolves else f"0.{NOWHERE}{'' if web else ':1'}"
        # Of what is no URL or no server nginx says so; an address can be reached without a resolver.
        if whole and web:
            rules = [
                (rf"~*^https?://{_NO_SERVER}(?:[/?]|$)", "http://:/"),
                ("~*^https?://[0-9.:]+(?:[/?]|$)", f"http://{anywhere}"),
                ("~*^https?://", f"http://{nowhere}"),
            ]
            default = quoted(text)
        else:
            scheme = r"(?:grpcs?://|s?uwsgi://)?"
            rules = [("", ":"), (f"~^{scheme}{_NO_SERVER}$", ":")]  # no regular expression matches what is empty
            if web:
                rules.append((r"~^[0-9.]+(?::\d+)?$", anywhere))
            else:
                rules += [(rf"~^{scheme}[^:]*$", ":"), (rf"~^{scheme}[0-9.]+:\d+$", anywhere)]
            default = quoted(nowhere)
        variable = f"$audit_to_{len(self.maps)}"
        pairs = " ".join(
            [*(line(key(name), [value]) for name, value in entries.items()), *(line(quoted(k), [v]) for k, v in rules)]
        )
        self.maps.append(f"map {quoted(text)} {variable} {{ volatile; default {default}; {pairs} }}")
        return variable


def _as_http(text: str) -> str:
    """The target of any pass directive as a URL that can be taken apart."""
    return text if text.startswith(("http://", "https://")) else f"http://{text.rpartition('://')[2]}"


def key(text: str) -> str:
    """A value as the first word of a line of a map; a leading special word is taken literally."""
    return quoted(text) if text not in ("default", "include", "volatile", "hostnames") else "\\" + text


def _with_port(name: str, scheme: str = "") -> str:
    if name.startswith("unix:") or ":" in name.rpartition("]")[2]:
        return name
    return name + (":443" if scheme in ("https", "grpcs") else ":80")


def _group_kinds(site: NginxSite) -> dict[Place, str]:
    """How the servers of each upstream group are spoken to, by the lines that name them."""
    kinds: dict[str, str] = {}
    for directive in site.tree.walk():
        kind = tables.PASSES.get(directive.name)
        if kind is None or not directive.args:
            continue
        scheme, sep, rest = directive.args[0].partition("://")
        if sep and kind in ("http", "grpc"):
            kind = scheme if scheme in ("http", "https", "grpc", "grpcs") else kind
        name = re.split(r"[/?$:]", rest if sep else directive.args[0])[0]
        if name in site.http.upstreams:
            kinds.setdefault(name, kind)
        elif "$" in directive.args[0]:
            kinds.setdefault("$", kind)
    found = {}
    for name, group in site.http.upstreams.items():
        for child in group.block or ():
            found[child.place] = kinds.get(name, kinds.get("$", "http"))
    return found
