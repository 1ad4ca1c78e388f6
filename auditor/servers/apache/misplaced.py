"""Gates that stand where httpd does not look at them, or takes them for something else; and those that lack a line
without which httpd answers 500."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.http import Request
from auditor.patterns import lazy_re
from auditor.samples import samples
from auditor.server import GATE, Misplaced
from auditor.servers.apache.areas import gate_of, served, uri_of
from auditor.servers.apache.config import Directive, Section, Server
from auditor.servers.apache.load import Item
from auditor.source import Place, SourceFile
from auditor.trace import Outcome
from auditor.world import Answer, Question

if TYPE_CHECKING:
    from auditor.servers.apache.site import ApacheSite

_GATES = ("authtype", "require", "<requireall", "<requireany")
# What no path of a prefix holds, and regular expressions are made of; a lone `*` or `?` is a wildcard.
_REGEX = lazy_re(r"^\^|\$$|\.[*+]|\\|\(.*\)")
_MAPPED = ("proxypass", "alias", "scriptalias")


class _Nobody:
    """The world of somebody without credentials."""

    def ask(self, question: Question) -> Answer | None:
        if question.kind == "credentials":
            return Answer("refused", "the credentials are refused", False)
        return None


def make_misplaced(site: ApacheSite) -> Iterator[Misplaced]:
    """The lines, each once."""
    seen: set[Place] = set()
    for server, section in site.sections():
        line = gate_of(section)
        if line is None or section.place is None or section.place in seen:
            continue
        found = _of_section(site, server, section, line)
        if found is not None:
            seen.add(section.place)
            yield found
    yield from _ignored(site)
    yield from _unfinished(site)


def _unfinished(site: ApacheSite) -> Iterator[Misplaced]:
    """Gates that do not say how the client is asked: whoever would be asked is answered 500 (measured: APA-207,
    APA-209, APA-210). Of a part of a configuration, what is missing may stand elsewhere."""
    seen: set[object] = set()
    template = any(note.kind == "template" for note in site.notes)
    for route in site.routes() if not site.partial and not template else ():
        if GATE not in route.traits or (route.likeness is not None and route.likeness in seen):
            continue
        seen.add(route.likeness)
        for outcome in site.trace(route.request, _NOBODY):
            for gate in outcome.gates:
                line = gate.because[0].place
                if gate.reason != "misconfigured" or line is None or line in seen:
                    continue
                seen.add(line)
                yield _lacking(line, route.request)


def _lacking(line: Place, witness: Request) -> Misplaced:
    what = "Whoever this gate asks for a password is answered 500: "
    words = line.text.lower().split()
    if words[0] != "authtype":
        return Misplaced(line, what + "it has no AuthType.", _WHOLE, witness=witness)
    if words[1].strip("\"'") == "none":
        what = "Whoever comes here is answered 500: a user is required, and this line says that nobody is asked."
        return Misplaced(line, what, f"Require all granted  where everybody may come in, else\n{_WHOLE}", (), witness)
    return Misplaced(line, what + "it has no AuthName.", 'AuthName "Restricted area"', witness=witness)


# What a gate needs beside its Require line.
_WHOLE = 'AuthName "Restricted area"\nAuthUserFile /etc/apache2/NAME.htpasswd\nAuthType Basic'


def _of_section(site: ApacheSite, server: Server, section: Section, line: Directive) -> Misplaced | None:
    place = section.place
    assert place is not None
    pattern = section.pattern
    if section.kind == "files" and _needs_slash(section):
        what = "This gate guards nothing: <Files> and <FilesMatch> see a file's name alone, which has no slash."
        path = "/" + re.sub(r"[\^$\\]", "", pattern).lstrip("/")
        return Misplaced(place, what, f"<LocationMatch {pattern}>" if section.regex else f"<Location {path}>")
    if section.kind == "location" and not section.regex and _REGEX.search(pattern):
        what = f"This gate guards only paths that begin with {pattern} as it stands: <Location> without ~ knows no "
        return Misplaced(place, what + "regular expressions.", f"<LocationMatch {pattern}>")
    if section.kind == "location" and not section.regex and _is_folder(site, pattern):
        what = f"This gate guards nothing: <Location> is about paths of URLs, and {pattern} is a folder of the machine."
        return Misplaced(place, what, f"<Directory {pattern}>")
    if section.kind != "directory" or section.regex:
        return None
    mapped = _mapped(server, pattern)
    if mapped is not None and uri_of(site, server, pattern) is None:
        what = (
            f"This gate guards nothing: <Directory> is about folders of the machine, and {pattern} is a path of URLs."
        )
        return Misplaced(place, what, f"<Location {pattern}>", (mapped.place,))
    return None


def _is_folder(site: ApacheSite, pattern: str) -> bool:
    """Whether a path is a folder that is served, under a path that does not begin like it."""
    for server in site.servers():
        for path, root in served(site, server):
            if root.count("/") > 1 and (pattern.rstrip("/") + "/").startswith(root + "/"):
                return not (pattern.rstrip("/") + "/").startswith(path.rstrip("/") + "/") or path == "/"
    return False


def _needs_slash(section: Section) -> bool:
    """Whether the pattern fits no name, because whatever fits it has a slash."""
    if not section.regex:
        return "/" in section.pattern
    if "/" not in re.sub(r"\[[^\]]*\]", "", section.pattern):
        return False
    found = samples(section.pattern, False)
    return bool(found) and all("/" in name for name in found)


def _mapped(server: Server, path: str) -> Directive | None:
    """The line that says that this is a path of URLs."""
    bare = path.rstrip("/")
    return next(
        (line for line in server.all(*_MAPPED) if bare and line.args and line.args[0].rstrip("/") == bare),
        None,
    )


def _ignored(site: ApacheSite) -> Iterator[Misplaced]:
    """The gates of .htaccess files that AllowOverride does not let count: of each file, the first line."""
    site.routes()  # so that all files at hand have been read
    seen: set[str] = set()
    for folder, found in site.overrides.known():
        for item in found.items:
            directive = item.directive
            why = site.overrides.ignored.get(directive.place)
            if why is None or found.source.name in seen or not _holds_gate(item):
                continue
            said = why[1].line if why[0] in ("none", "skipped", "override") else None
            if said is not None and said.place.source not in site.files:
                continue  # only assumed
            if not _belongs(site, found.source):
                continue
            seen.add(found.source.name)
            witness = _witness(site, folder, 200 if why[0] in ("none", "skipped") else 500)
            if witness is None:
                continue
            about = (said.place,) if said is not None else ()
            yield Misplaced(directive.place, _SAYS[why[0]], _OTHERWISE.get(why[0], _INSTEAD), about, witness)
            break


def _holds_gate(item: Item) -> bool:
    return item.directive.key in _GATES or any(_holds_gate(inner) for inner in item.items or ())


def _belongs(site: ApacheSite, source: SourceFile) -> bool:
    """Whether a .htaccess is surely one of this configuration: on its own machine, or near it in a tree. Pages farther
    off were found by the name of their folder alone."""
    main = site.files[0].path if site.files else None
    if site.known_files is not None and site.known_files.own:
        return True
    if main is None or source.path is None:
        return False
    near = os.path.dirname(os.path.dirname(os.path.abspath(main)))
    return os.path.abspath(source.path).startswith(near.rstrip(os.sep) + os.sep)


_SAYS = {
    "none": "This gate is ignored: AllowOverride None has httpd pass over this file.",
    "skipped": "This gate is ignored: AllowOverride does not allow it here, and Nonfatal passes over such lines.",
    "override": "Every request to this folder is answered 500: AllowOverride does not allow this line here.",
    "context": "Every request to this folder is answered 500: this line may not stand in a .htaccess.",
    "module": "Every request to this folder is answered 500: the module of this line is not loaded.",
    "method": "Every request to this folder is answered 500: httpd does not know a method that this line names.",
    "arguments": "Every request to this folder is answered 500: httpd does not take what this line says.",
}
_OTHERWISE = {
    "method": "the method as httpd spells it, in capitals (others need RegisterHttpMethod in the main file)",
    "arguments": "what the manual says of the line",
}
_INSTEAD = "AllowOverride AuthConfig  for this folder, or the lines in a <Directory> of the configuration itself"


def _witness(site: ApacheSite, folder: str, status: int) -> Request | None:
    """A request for the folder that no gate refuses."""
    for server in site.servers():
        uri = uri_of(site, server, folder)
        base = next((route for route in site.routes() if route.server == (server.label or "_")), None)
        if uri is None or base is None:
            continue
        request = base.request._replace(method="GET", target=uri.rstrip("/") + "/")
        outcomes = site.trace(request, _NOBODY)
        if outcomes and all(_is_unguarded(outcome, status) for outcome in outcomes):
            return request
    return None


def _is_unguarded(outcome: Outcome, status: int) -> bool:
    if status == 500:
        return outcome.status == 500
    return outcome.status not in (401, 500) and not any(gate.result == "refused" for gate in outcome.gates)


_NOBODY = _Nobody()
