"""What a configuration means to guard, the user files it names, and what rules ask beside traces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.http import Request
from auditor.patterns import lazy_re
from auditor.server import Area, Logged, Suspect, Unfilled, UserFile
from auditor.servers.apache.config import Directive, Section, Server
from auditor.servers.apache.intake import find_listener, neighbours
from auditor.servers.apache.rewrite_rules import own_rules
from auditor.servers.apache.sending import escape
from auditor.source import Place

if TYPE_CHECKING:
    from auditor.servers.apache.site import ApacheSite

_CREDENTIALS = (
    "valid-user",
    "user",
    "group",
    "ldap-user",
    "ldap-group",
    "ldap-filter",
    "claim",
    "shibboleth",
    "dbm-group",
)
_REQUIRE = ("require", "<requireall", "<requireany")


def make_areas(site: ApacheSite) -> list[Area]:
    """The sections that ask for credentials, with the path prefix that each is about."""
    return list(dict.fromkeys(area for server in site.servers() for area in areas_of(site, server)))


def areas_of(site: ApacheSite, server: Server) -> Iterator[Area]:
    """Those of one server."""
    name = server.label or "_"
    for prefix, section in _of_server(site, server):
        line = gate_of(section)
        if line is None or prefix is None or section.place is None:
            continue
        authtype = section.last("authtype") or server.base.last("authtype")
        kind = "auth_digest" if authtype is not None and authtype.args[:1] == ("Digest",) else "auth_basic"
        yield Area(name, server.name or "localhost", prefix or "/", False, section.place, line.place, kind)


def gate_of(section: Section) -> Directive | None:
    """The line of a section that asks for credentials, or says how they are asked for."""
    for line in section.directives:
        if line.key in _REQUIRE and _asks(line):
            return line
    return None


def _asks(line: Directive) -> bool:
    if line.children:
        return any(_asks(child) for child in line.children)
    return line.args[:1] != () and line.args[0].lower() in _CREDENTIALS


def _of_server(site: ApacheSite, server: Server) -> Iterator[tuple[str | None, Section]]:
    """Each section of a server with the path prefix that leads into it; None where there is no such one."""
    sections = list(server.section.sections)
    # A virtual host without a DocumentRoot of its own is there for what it hands on.
    pages = server.main is None or server.section.last("documentroot") is not None
    if server.main is not None:
        sections += [one for one in server.main.section.sections if pages or one.kind != "directory"]
    for section in sections:
        if section.kind == "location":
            yield (None if section.regex or any(c in section.pattern for c in "*?[") else section.pattern), section
        elif section.kind == "directory":
            yield (None if section.regex else uri_of(site, server, section.pattern)), section
    for section in site.overrides.judged() if pages else ():
        yield uri_of(site, server, section.folder), section


def uri_of(site: ApacheSite, server: Server, folder: str) -> str | None:
    """The path under which a folder of the machine is served; None where it is not."""
    folder = folder.rstrip("/")
    if any(char in folder for char in "*?["):
        return None
    for path, root in served(site, server):
        if folder == root or folder.startswith(root + "/"):
            return path.rstrip("/") + folder[len(root) :] + "/"
        if root.startswith(folder + "/") or not folder:
            return path if path else "/"
    return None


def served(site: ApacheSite, server: Server) -> list[tuple[str, str]]:
    """The folders that a server serves: the path of each, and the folder without its final slash."""
    from auditor.servers.apache.routes import document_root_of

    found = [
        (line.args[0], site.config.path(line.args[1]).rstrip("/"))
        for line in server.all("alias", "scriptalias")
        if len(line.args) > 1
    ]
    return [*found, ("/", document_root_of(site, server).rstrip("/"))]


def make_user_files(site: ApacheSite) -> list[UserFile]:
    """Each AuthUserFile line once, with the lines of its section that use it."""
    found: dict[Place, UserFile] = {}
    for _, section in site.sections():
        for line in section.all("authuserfile"):
            if not line.args or line.place in found:
                continue
            path: str | None = line.args[0]
            if path is not None and "${" in path:
                path = None
            resolved = site.config.path(path) if path is not None else None
            gates = tuple(one.place for one in section.directives if one.key in _REQUIRE)
            found[line.place] = UserFile(path, resolved, line.place, gates, site.state(resolved))
    return list(found.values())


def make_addresses(site: ApacheSite, path: str) -> Iterator[Request]:
    """The requests that name a file by the folders that are served, each once."""
    found: list[tuple[int, str, str, Request]] = []
    folder, slash, _ = path.rpartition("/")
    while slash:
        found += site.served().get(folder, ())
        folder, slash, _ = folder.rpartition("/")
    seen: dict[Request, None] = {}
    for _, prefix, folder, base in sorted(found, key=lambda one: one[0]):
        seen[base._replace(target=escape(prefix.rstrip("/") + path[len(folder) :]))] = None
    yield from seen


def served_folders(site: ApacheSite) -> dict[str, list[tuple[int, str, str, Request]]]:
    """The folders that are served, without their final slash: for each its rank, the path under which it is served,
    the folder itself, and a request that its virtual host gets."""
    bases: dict[str, Request] = {}
    for route in site.routes():
        bases.setdefault(route.server, route.request._replace(method="GET", headers=route.request.headers[:1]))
    found: dict[str, list[tuple[int, str, str, Request]]] = {}
    rank = 0
    for server in site.servers():
        base = bases.get(server.label or "_")
        for prefix, folder in served(site, server) if base is not None else ():
            assert base is not None
            rank += 1
            found.setdefault(folder, []).append((rank, prefix, folder, base))
    return found


# --- logs

_FIELD = lazy_re(r"%[<>!,0-9]*\{([^}]+)\}[<>]?(i|C|o)")


def make_logged(site: ApacheSite) -> Iterator[Logged]:
    """The log formats that are used, with the headers and cookies that they name (mod_log_config)."""
    formats: dict[str, Directive] = {}
    logs: dict[Place, dict[Place, None]] = {}
    lines: dict[Place, Directive] = {}
    for _, section in site.sections():
        for line in section.all("logformat"):
            if len(line.args) > 1:
                formats[line.args[1]] = line
    for _, section in site.sections():
        for line in section.all("customlog"):
            if len(line.args) < 2 or line.args[0] == "/dev/null":
                continue
            source = line if "%" in line.args[1] else formats.get(line.args[1])
            if source is not None:
                lines[source.place] = source
                logs.setdefault(source.place, {})[line.place] = None
    for place, used in logs.items():
        line = lines[place]
        text = line.args[1] if line.key == "customlog" else line.args[0]
        names = tuple(
            dict.fromkeys(f"cookie {name}" if kind == "C" else name.lower() for name, kind in _FIELD.findall(text))
        )
        if names:
            yield Logged(place, names, tuple(used))


# --- passwords of the server's own

_PASSWORDS = {
    "authldapbindpassword": "the LDAP directory",
    "oidcclientsecret": "the identity provider",
    "oidccryptopassphrase": "the sessions of mod_auth_openidc",
    "sessioncryptopassphrase": "the sessions of mod_session_crypto",
    # mod_auth_mysql and its spellings in packages, mod_auth_pgsql
    **dict.fromkeys(("authmysqlpassword", "auth_mysql_password", "authmysql_password", "auth_pg_pwd"), "the database"),
}
_UPSTREAMS = ("proxypass", "proxypassmatch", "balancermember", "rewriterule")
_USERINFO = lazy_re(r"^\w+://[^/@:\s]*:([^/@\s]+)@([^/\s]+)")


def make_passwords(site: ApacheSite) -> Iterator[tuple[Place, str, str]]:
    """Passwords by which httpd signs in, or seals its sessions; those of an upstream's URL, which it does not even send
    (measured: APA-017). What a program is asked for (exec:) is none."""
    seen: set[Place] = set()
    for _, section in site.sections():
        for line in section.directives:
            if line.place in seen or not line.args:
                continue
            seen.add(line.place)
            what = _PASSWORDS.get(line.key)
            if what is not None and not line.args[-1].lower().startswith("exec:"):
                yield line.place, what, line.args[-1]
            elif line.key == "dbdparams":
                found = re.search(r"(?i)\bpass(?:wd|word)?=([^\s\"',]+)", line.rest)
                if found is not None:
                    yield line.place, "the database", found[1]
            elif line.key in _UPSTREAMS:
                for word in line.args:
                    given = _USERINFO.match(word)
                    if given is not None and "$" not in given[1] and "%" not in given[1]:
                        yield line.place, f"{given[2]}, to which it is not sent: httpd drops it", given[1]


# --- headers that are never filled


def make_unfilled(site: ApacheSite) -> Iterator[Unfilled]:
    """RequestHeader lines made of REMOTE_USER by a form in which it is never there: as an environment variable, which
    it is for programs only, and as an SSL variable without mod_ssl (measured: APA-018)."""
    sets = any(
        re.search(r"REMOTE_USER[=:]", word)
        for _, section in site.sections()
        for line in section.directives
        if line.key in ("setenvif", "setenvifnocase", "setenvifexpr", "rewriterule")
        for word in line.args[1:]
    )
    early = _made_before_gates(site)
    for _, section in site.sections():
        for line in section.all("requestheader"):
            if len(line.args) < 3 or line.args[0].lower() not in ("set", "append", "merge", "add", "setifempty"):
                continue
            variable = re.fullmatch(r"%\{(\w+)\}e", line.args[2])
            if variable is not None and variable[1] in early:
                why = "a RewriteRule outside of all sections makes it of REMOTE_USER, before the gate knows the user"
                instead = f"RequestHeader {line.args[0]} {line.args[1]} expr=%{{REMOTE_USER}}"
                yield Unfilled(line.place, line.args[1], line.args[2], why, instead)
                continue
            match = re.fullmatch(r"%\{REMOTE_USER\}([es])", line.args[2])
            if match is None or (match[1] == "e" and sets):
                continue
            if match[1] == "s" and (site.config.modules.has("ssl") or not site.config.modules.known):
                continue
            why = "it is no environment variable yet when request headers are made"
            if match[1] == "s":
                why = "%{...}s asks mod_ssl, which is not loaded"
            instead = f"RequestHeader {line.args[0]} {line.args[1]} expr=%{{REMOTE_USER}}"
            yield Unfilled(line.place, line.args[1], line.args[2], why, instead)


def _made_before_gates(site: ApacheSite) -> set[str]:
    """The variables that only rules of servers make, and only of REMOTE_USER, which these come too early for."""
    early: set[str] = set()
    others: set[str] = set()
    for _, section in site.sections():
        for rule in own_rules(section) if section.all("rewriterule") else ():
            of_user = any("%{REMOTE_USER}" in " ".join(one.line.args) for one in rule.conditions)
            for text in rule.flags.get("E", ()):
                name, _, value = text.partition(":")
                made = "%{REMOTE_USER}" in value or (of_user and "%" in value)
                (early if made and section.kind == "server" else others).add(name)
        for line in section.directives:
            if line.key in ("setenvif", "setenvifnocase", "setenvifexpr", "setenv", "passenv"):
                others.update(word.partition("=")[0] for word in line.args)
    return early - others


# --- lines that may have no effect


def make_suspects(site: ApacheSite) -> Iterator[Suspect]:
    """Lines that name a gate or its challenge and look as if they did nothing, where no request shows a difference."""
    for line, header, why, instead in _suspects(site):
        yield Suspect(line.place, line.name, header, why, instead, anywhere=True)
    for server in site.servers():
        upstreams = [line for line in server.all("proxypass") if len(line.args) > 1]
        yield from _overtaken([line for line in server.section.all("proxypass") if len(line.args) > 1])
        yield from _too_late(site, server)
        if any(line.args[1] == "!" for line in upstreams):
            continue
        for section in server.sections("location"):
            line_there = next((one for one in upstreams if section.pattern.startswith(one.args[0])), None)
            if section.regex or line_there is None or not line_there.args[1].startswith(("http://", "https://")):
                continue
            for line in section.directives:
                if _is_for_programs(line):
                    why = "it is about programs (CGI, FastCGI and the like), and this upstream gets the header anyway"
                    yield Suspect(line.place, line.name, "Authorization", why, exchanges=(line_there.place,))


def _too_late(site: ApacheSite, server: Server) -> Iterator[Suspect]:
    """Limits of a virtual host that is chosen by its name: header lines have been read when that is known."""
    ports = {address.port for address in server.addresses}
    for line in server.section.directives if ports and None not in ports else ():
        if line.key not in ("limitrequestfieldsize", "limitrequestfields", "limitrequestline"):
            continue
        listeners = [find_listener(site.config, port) for port in ports if port is not None]
        if any(one is None or one.tls for one in listeners):  # by its name at the handshake
            continue
        firsts = [neighbours(site.config, server, port)[0] for port in ports if port is not None]
        if all(first is not server for first in firsts):
            why = (
                "header lines are read before the name is known, by the limits of the first virtual host of the address"
            )
            yield Suspect(line.place, line.name, "", why, "Put it into the first virtual host, or outside of all")


_OPENS = lazy_re(r"(?i)^wss?://|\bupgrade=(?!none)")


def _overtaken(lines: list[Directive]) -> Iterator[Suspect]:
    """ProxyPass lines whose paths an earlier one takes: the first that fits counts (mod_proxy.c: proxy_trans)."""
    for at, line in enumerate(lines):
        for earlier in lines[:at]:
            if not _takes(earlier.args[0], line.args[0]) or earlier.place.text == line.place.text:
                continue
            first = f"{earlier.name} {earlier.args[0]} ..."
            why = f"`{first}` comes before it, takes its paths, and the first that fits counts"
            opens = [bool(_OPENS.search(" ".join(one.args[1:]))) for one in (earlier, line)]
            header = "Upgrade" if opens == [False, True] else ""
            yield Suspect(line.place, line.name, header, why, f"Put it above the line for {earlier.args[0]}")
            break


def _takes(prefix: str, path: str) -> bool:
    """Whether a path of ProxyPass lies below another one, segment by segment (ap_proxy_alias_match)."""
    bare = prefix.rstrip("/")
    return "!" not in prefix and (path + "/").startswith(bare + "/") and (bare != path.rstrip("/") or prefix == path)


def _is_for_programs(line: Directive) -> bool:
    if line.key in ("cgipassauth", "wsgipassauthorization"):
        return line.args[:1] != () and line.args[0].lower() == "on"
    copies = line.key in ("setenvif", "setenvifnocase") and "authorization" in line.args[:1][0].lower()
    return copies and all(word.startswith("HTTP_AUTHORIZATION=") for word in line.args[2:])


def _suspects(site: ApacheSite) -> Iterator[tuple[Directive, str, str, str]]:
    seen: set[Place] = set()
    for _, section in site.sections():
        for line in section.directives:
            if line.place in seen:
                continue
            seen.add(line.place)
            if line.key == "errordocument" and len(line.args) > 1 and line.args[0] == "401" and "://" in line.args[1]:
                why = "httpd ignores a full URL for 401, because the redirect would take the challenge away"
                yield line, "WWW-Authenticate", why, "ErrorDocument 401 /a-page-of-this-server.html"
            elif line.key == "header" and "unset" in (word.lower() for word in line.args[:2]):
                if line.args[-1].lower() == "www-authenticate" or "www-authenticate" in (
                    w.lower() for w in line.args[1:3]
                ):
                    why = "httpd adds its own challenge behind all Header lines"
                    if line.args[0].lower() == "always":
                        why += ", and `always` lines do not touch that of an upstream"
                    yield line, "WWW-Authenticate", why, ""
            elif line.key == "require" and tuple(word.lower() for word in line.args) == ("all", "denied"):
                others = [one for one in section.directives if one.key in _REQUIRE and one.place != line.place]
                if others:
                    why = "lines that stand side by side are alternatives (RequireAny), and another one admits"
                    yield line, "", why, "<RequireAll> around all of them, or remove the line"


# --- position

_TOLD = lazy_re(r"(?i)x-forwarded-(proto|for|ssl|port)")


def find_position(site: ApacheSite) -> Place | None:
    """The line that shows that another proxy stands in front, None where nothing does."""
    for _, section in site.sections():
        for line in section.directives:
            if line.key == "remoteipproxyprotocol" and line.args[:1] and line.args[0].lower() == "on":
                return line.place
            proxies = line.args if line.key in ("remoteipinternalproxy", "remoteiptrustedproxy") else ()
            if any(not word.endswith("/0") for word in proxies):  # everybody is nobody in front
                return line.place
            if line.key in ("remoteipinternalproxylist", "remoteiptrustedproxylist"):
                return line.place
            if line.key == "setenvif" and line.args and line.args[0].lower() == "x-forwarded-proto":
                return line.place
            if line.key == "rewritecond" and line.args and re.search(r"(?i)HTTP:X-Forwarded-(Proto|Ssl)", line.args[0]):
                return line.place
    return None
