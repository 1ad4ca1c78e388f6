"""From what the command line names to configurations: which files are entries, and of which kind of server."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from auditor.files import Files, is_main
from auditor.globs import below, has_magic, repository, walk_tree
from auditor.server import Note
from auditor.servers.nginx.stock import stock_text
from auditor.source import InputError, SourceFile, read_source, split_dump, standard_input
from auditor.surroundings import MAX_TREE, Surroundings

if TYPE_CHECKING:
    from auditor.servers.apache.entries import Contents

MAX_CANDIDATE = 4 * 1024 * 1024  # bytes; a longer file in a folder is passed over, unless it is named itself


class Reading(Protocol):
    """How to read: see auditor.check.Options."""

    @property
    def kind(self) -> str | None: ...
    @property
    def roots(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def stdin_name(self) -> str: ...
    @property
    def known_only(self) -> bool: ...
    @property
    def exclude(self) -> tuple[str, ...]: ...
    @property
    def base(self) -> str: ...


class Named(NamedTuple):
    """A configuration that was found: all that is kept of each of thousands until its turn comes.

    `name` is what reports print, `path` where its main file lies, `folder` the folder that was named, None where the
    file itself was. `kind` is the server's, None where that is not told, `dump` says that it is an `nginx -T` dump,
    `size` counts its characters. `source` is the main file where it cannot be read again, or is the only one.
    """

    name: str
    path: str | None
    folder: str | None
    kind: str | None
    dump: bool
    size: int
    source: SourceFile | None


class Entry(NamedTuple):
    """A configuration to read.

    `kind` is the server's, `source` the main file, `files` how further files are found. `context` is the block that the
    text is meant for: "main", or for a part of a configuration "http", "server" or "location".
    """

    kind: str
    source: SourceFile
    files: Files
    context: str


class Found(NamedTuple):
    """What discover found: configurations in the order of the paths, inputs that could not be read, and notes. `near`
    is what has been looked up around them."""

    entries: tuple[Named, ...]
    errors: tuple[InputError, ...]
    notes: tuple[Note, ...]
    near: Surroundings


def discover(paths: Sequence[str], options: Reading) -> Found:
    """The configurations that the paths name: files, folders, "-" for standard input, `nginx -T` dumps.

    A file that another one includes is no entry of its own: it is read where it is included. For a part of a
    configuration that is named alone, the entry is the main file of the same repository that includes it, if there is
    one. Raises nothing.
    """
    errors: list[InputError] = []
    notes: list[Note] = []
    candidates: list[Named] = []
    finder = _Finder(options)
    for path in paths:
        try:
            if path == "-":
                source = standard_input(options.stdin_name)
                if options.stdin_name != "-":  # an editor's text of that file
                    source.path = options.stdin_name
                candidates.append(_named(source, None)._replace(source=source))
            elif os.path.isdir(path):
                inside = list(_in_folder(path, options))
                if not inside:
                    notes.append(Note("unread", f"{path} holds no configuration that is known here"))
                candidates.extend(inside)
            else:
                source = read_source(path)
                if options.known_only and _is_excluded(path, options):
                    continue
                if options.known_only and not options.kind and not _is_known(source):
                    notes.append(Note("unread", f"{path} does not look like a configuration that is known here"))
                    continue
                named = _named(source, None)
                if len(paths) == 1 or not os.path.isfile(path):  # a pipe is read once
                    named = named._replace(source=source)
                candidates.extend(finder.including(source) or [named])
        except InputError as error:
            errors.append(error)
    return Found(tuple(finder.without_included(candidates)), tuple(errors), tuple(notes), finder.near)


def open_entry(named: Named, options: Reading, near: Surroundings) -> Entry:
    """Reads the main file of what discover found. Raises InputError where it cannot be read any more."""
    source = _source_of(named)
    if named.dump:
        parts = split_dump(source)
        if parts:
            return Entry("nginx", parts[0], Files(parts[0], options.roots, dump=parts), "main")
    if (options.kind or named.kind) == "apache":
        return _apache(source, named.folder, options, near)
    files = Files(source, options.roots, _top(source, named.folder), near=near)
    return Entry(options.kind or "nginx", source, files, context_of(source.text))


def _apache(source: SourceFile, folder: str | None, options: Reading, near: Surroundings) -> Entry:
    from auditor.servers.apache.entries import Around, open_files

    context, files = open_files(source, Around(options.roots, _top(source, folder), near))
    return Entry("apache", source, files, context)


def _named(source: SourceFile, folder: str | None) -> Named:
    dump = split_dump(source) is not None
    kind = "nginx" if dump else kind_of(source)
    if kind is None or kind == "apache":
        _refuse_listing(source)
    return Named(source.name, source.path, folder, kind, dump, len(source.text), None)


def _refuse_listing(source: SourceFile) -> None:
    if source.text.startswith(_LISTINGS):
        from auditor.servers.apache.dump import refuse_listing

        refuse_listing(source)


def _source_of(named: Named) -> SourceFile:
    if named.source is not None:
        return named.source
    assert named.path is not None
    return read_source(named.path, named.name)


def _top(source: SourceFile, folder: str | None) -> str | None:
    """The folder in which everything that belongs to the entry is looked for: its repository, else the folder that was
    named, else its own."""
    if source.path is None:
        return None
    start = os.path.dirname(os.path.abspath(source.path))
    return repository(start) or (os.path.abspath(folder) if folder else start)


# What names and lines tell. In a folder, only what no other program's files hold makes a file a configuration of nginx;
# a file that is named itself, or stands in a folder of parts, needs less. Patterns are compiled where they are first
# used (by re's own cache): most runs need few of them, and each costs start-up time.
_NGINX_NAME = r"(?i)(nginx|tengine|openresty)[\w.-]*$|.*\.(nginx|vhost|nginxconf)$"
_CONF_NAME = r"(?i).*\.(conf|inc|dump|j2|jinja2?|erb|tmpl|tpl|template|ctmpl|gotmpl)$"
_PART_FOLDER = r"(sites-(enabled|available)|conf\.d|http\.d|vhosts?(\.d)?|snippets|nginx)$"
# What stands beside configurations in such folders and is none, even where it quotes one.
_OTHER_NAME = (
    r"(?i).*\.(py[ciw]?|[mc]?[jt]s|[jt]sx|go|rb|java|kts?|php|cc?|hh?|cpp|rs|sh|bash|zsh|ps1|bat|pl|lua|sql|ya?ml|json5?"
    r"|toml|ini|env|xml|html?|s?css|md|rst|adoc|txt|lock|pem|crt|key|csr|log|gz|zip|tar)$"
)
_APACHE_NAME = r"(\.htaccess|(httpd|apache2?)([._-][\w.-]*)?)$"
_APACHE = (
    r"(?m)^[ \t]*(<(VirtualHost|Directory|Location|Files|FilesMatch|LocationMatch|IfModule|Proxy)\b[^\n]*>"
    r"|(ServerRoot|DocumentRoot|LoadModule|RewriteEngine|RewriteRule|ProxyPass|AuthType|Require|Header)[ \t][^\n;{]+$)"
)
_NGINX = (
    r"(?m)^[ \t]*((proxy|fastcgi|uwsgi|scgi|grpc|auth_(basic|request|jwt))_\w+\s[^\n]*;|auth_(basic|request)\s[^\n]*;"
    r"|(server_name|try_files|add_header|worker_connections|ssl_certificate|satisfy|limit_req)\s[^\n]*;"
    r"|location\s[^\n{;]+\{|listen\s+[\w.:\[\]*${}/-][^\n;]*;)"
)
# In a folder one line that other programs might have, too, is not enough.
_APACHE_SURELY = (
    r"(?im:^[ \t]*(<(VirtualHost|Directory|Location|Files|FilesMatch|LocationMatch|IfModule|Proxy)\b[^\n]*>"
    r"|(ServerRoot|DocumentRoot|LoadModule|RewriteEngine|RewriteRule|ProxyPass|AuthUserFile)[ \t][^\n;{]+$"
    r"|(Require[ \t]+(all|valid-user|user|ip|host)|(Request)?Header[ \t]+(always|set|unset|append|add|edit)"
    r"|AuthType[ \t]+\w+|SetEnvIf(NoCase)?[ \t]+\S+)\b[^\n;{]*$))"
)
_APACHE_INCLUDE = r"^[ \t]*Include(Optional)?[ \t]"
# How what apachectl prints begins, where it is no configuration.
_LISTINGS = ("VirtualHost configuration:", "Loaded Modules:", "ServerRoot: ", "Compiled in modules:")
_NGINX_PERHAPS = r"(?m)^[ \t]*([a-z_]+(\s[^\n]*)?;|(http|events|server|upstream\s+\S+|map\s[^\n{]+)\s*\{)"


def kind_of(source: SourceFile, named: bool = True) -> str | None:
    """The kind of server that the file configures, told from name and content: "nginx", "apache" or None."""
    path = source.path or source.name
    name = posixpath.basename(path)
    if name.startswith(".htaccess") or _is_apache_dump(source.text):
        return "apache"
    if re.match(_APACHE_NAME, name) and (named or re.search(rf"{_APACHE_SURELY}|(?mi:{_APACHE_INCLUDE})", source.text)):
        return "apache"
    if re.search(_NGINX, source.text):
        return "nginx"
    if re.search(_APACHE if named else _APACHE_SURELY, source.text):
        return "apache"
    parent = posixpath.basename(posixpath.dirname(os.path.abspath(path)))
    likely = re.match(_NGINX_NAME, name) or re.match(_PART_FOLDER, parent)
    if (likely or named) and re.search(_NGINX_PERHAPS, source.text):
        return "nginx"
    return None


def _is_apache_dump(text: str) -> bool:
    if "# In file: " not in text:
        return False
    from auditor.servers.apache.dump import is_dump

    return is_dump(text)


_CONTEXTS = (
    ("main", r"(?m)^[ \t]*(http|events|stream|mail)\s*\{"),
    ("http", r"(?m)^[ \t]*((server|(upstream|map|geo)\s[^\n{;]*)\s*\{|\w+_zone\s)"),
    ("server", r"(?m)^[ \t]*(location\s[^\n{;]*\{|(server_name|listen|ssl_certificate)\s)"),
)


def context_of(text: str) -> str:
    """The block that a text is meant for: "main", "http", "server" or "location"; told by the outermost block or
    directive that it holds."""
    for context, pattern in _CONTEXTS:
        if re.search(pattern, text):
            return context
    return "location"


def _is_known(source: SourceFile) -> bool:
    return kind_of(source, named=False) is not None or split_dump(source) is not None


def _is_excluded(path: str, options: Reading) -> bool:
    return bool(options.exclude) and below(options.base, options.exclude, path)


def _in_folder(folder: str, options: Reading) -> Iterator[Named]:
    for count, path in enumerate(walk_tree(folder, lambda path: _is_excluded(path, options))):
        if count >= MAX_TREE:
            return
        name = os.path.basename(path)
        parent = os.path.basename(os.path.dirname(os.path.abspath(path)))
        if parent in ("mods-available", "conf-available") and os.path.isdir(_enabled(path)):
            continue  # what counts of them is included from there
        other = re.match(_OTHER_NAME, name)
        part = not other and (re.match(_PART_FOLDER, parent) or re.match(_APACHE_NAME, name))
        if not part and not any(re.match(pattern, name) for pattern in (_CONF_NAME, _NGINX_NAME)):
            continue
        try:
            if os.path.getsize(path) > MAX_CANDIDATE:
                continue
            source = read_source(path, os.path.normpath(path))
        except (InputError, OSError):
            continue
        if stock_text(path) is not None:  # a package's own file; where it is included, it is read
            continue
        if _is_known(source):
            yield _named(source, folder)


def _enabled(path: str) -> str:
    """The folder of what is switched on, beside Debian's folder of what is available."""
    return os.path.dirname(os.path.abspath(path)).removesuffix("available") + "enabled"


class _Finder:
    """What includes what. A text is looked at once and not kept."""

    def __init__(self, options: Reading) -> None:
        self._options = options
        self.near = Surroundings()
        self._includes: dict[str, list[str]] = {}  # what the files here include, by their paths
        self._mains: dict[str, dict[str, list[Named]]] = {}
        self._apache: dict[str, list[Named]] = {}  # the configurations of httpd in trees, and what belongs to them
        self._read: dict[str, Contents] = {}

    def including(self, source: SourceFile) -> list[Named]:
        """The main files of the repository in whose configurations this part of one stands."""
        if source.path is None or split_dump(source):
            return []
        real = os.path.realpath(source.path)
        top = repository(os.path.dirname(real))
        if top is None:
            return []
        if kind_of(source) == "apache":
            return self._including_apache(source, real, top)
        if is_main(source.text):
            return []
        if top not in self._mains:
            found: dict[str, list[Named]] = {}
            for named in _in_folder(os.path.relpath(top), self._options):
                main = _source_of(named)
                if is_main(main.text):
                    for path in self._included(main, top):
                        found.setdefault(path, []).append(named)
            self._mains[top] = found
        return self._mains[top].get(real, [])

    def _including_apache(self, source: SourceFile, real: str, top: str) -> list[Named]:
        """The same for httpd; a .htaccess belongs to the configurations that serve its folder, else to the topmost one
        above it."""
        from auditor.servers.apache import entries
        from auditor.servers.apache.dump import is_dump
        from auditor.servers.apache.layout import is_main as is_apache_main

        if is_dump(source.text) or is_apache_main(source.text):
            return []
        access = entries.is_access_file(source.path)
        found = []
        for named in self._of_apache(top):
            path = named.path or ""
            if os.path.realpath(path) == real or entries.is_access_file(path):
                continue
            contents = self._contents(named)
            if entries.is_served(real, contents.served) if access else real in contents.included:
                found.append(named)
        if access and not found:
            above = entries.topmost(source.path or "", top)
            return [_named(read_source(above), None)] if above != source.path else []
        inner = {path for named in found for path in self._contents(named).included}
        return [named for named in found if os.path.realpath(named.path or "") not in inner] or found

    def _of_apache(self, top: str) -> list[Named]:
        if top not in self._apache:
            self._apache[top] = [one for one in _in_folder(os.path.relpath(top), self._options) if one.kind == "apache"]
        return self._apache[top]

    def _contents(self, named: Named) -> Contents:
        from auditor.servers.apache.entries import Around, contents

        key = os.path.realpath(named.path) if named.path else named.name
        if key not in self._read:
            source = _source_of(named)
            self._read[key] = contents(source, Around(self._options.roots, _top(source, named.folder), self.near))
        return self._read[key]

    def without_included(self, candidates: Sequence[Named]) -> list[Named]:
        """Each candidate once, without those that another one includes, itself or through other files."""
        if len(candidates) < 2:
            return list(candidates)
        included: set[str] = set()
        own: dict[str, Named] = {}
        for candidate in candidates:
            real = os.path.realpath(candidate.path) if candidate.path else candidate.name
            # The same file by two ways, as sites-enabled links to sites-available: the way that is no link stays.
            if real not in own or os.path.islink(own[real].path or ""):
                own[real] = candidate
        served: set[str] = set()
        for real, candidate in own.items():
            if (self._options.kind or candidate.kind) == "apache":
                try:
                    contents = self._contents(candidate)
                except InputError:
                    continue
                included |= contents.included - {real}
                served.update(contents.served)
            elif not candidate.dump:
                try:
                    source = _source_of(candidate)
                except InputError:  # gone since, as its turn will tell
                    continue
                included |= self._included(source, _top(source, candidate.folder)) - {real}
        left = [candidate for real, candidate in own.items() if real not in included]
        left = _without_access_files(left, served)
        # Files that only include each other in a circle: one of them stays, and reading it tells of the circle.
        return left or list(own.values())[:1]

    def _included(self, source: SourceFile, top: str | None) -> set[str]:
        """The real paths here of the files that the include lines of this text name, and of those that these
        include."""
        found: set[str] = set()
        todo = [_includes(source.text)]
        if not todo[0]:
            return found
        files = Files(source, self._options.roots, top, near=self.near)
        while todo:
            for path in todo.pop():
                for one in (files.glob(path) or []) if has_magic(path) else [path]:
                    local = files.local(one)
                    if local is None or os.path.realpath(local) in found:
                        continue
                    found.add(os.path.realpath(local))
                    todo.append(self._includes_of(local))
        return found

    def _includes_of(self, path: str) -> list[str]:
        if path not in self._includes:
            try:
                self._includes[path] = _includes(read_source(path).text)
            except InputError:
                self._includes[path] = []
        return self._includes[path]


def _without_access_files(candidates: Sequence[Named], served: set[str]) -> list[Named]:
    """Without the .htaccess files that are read with a configuration that serves them, or with one further up."""
    paths = [one.path for one in candidates if one.path is not None and os.path.basename(one.path) == ".htaccess"]
    if not paths:
        return list(candidates)
    from auditor.servers.apache.entries import is_served, without_lower

    own = without_lower([path for path in paths if not is_served(path, served)])
    return [one for one in candidates if one.path not in paths or one.path in own]


_INCLUDE = r"""(?m)(?:^|[;{}])[ \t]*include\s+("[^"\n]*"|'[^'\n]*'|[^\s;]+)\s*;"""


def _includes(text: str) -> list[str]:
    """The paths and patterns that the include lines of a text name, each once."""
    return list(dict.fromkeys(match[1].strip("\"'") for match in re.finditer(_INCLUDE, text)))
