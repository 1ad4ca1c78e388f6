""".htaccess files: where they are read, and what AllowOverride lets them say (core.c: set_override,
ap_parse_htaccess)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from auditor.files import Files
from auditor.regex import RegexError
from auditor.servers.apache.arguments import wrong_arguments
from auditor.servers.apache.build import htaccess_section
from auditor.servers.apache.config import METHODS, Directive, Layers, Section
from auditor.servers.apache.directives import spec_of
from auditor.servers.apache.load import Item, Loader
from auditor.source import InputError, Place, SourceFile


class Override(NamedTuple):
    """What AllowOverride and AllowOverrideList permit: class letters, names of directives, and what is skipped instead
    of answered with 500 (Nonfatal). Where no line says anything (`unset`), httpd reads .htaccess files all the same,
    and lets them say nothing. `options` are those that Options may set, None for all."""

    classes: frozenset[str]
    names: frozenset[str]
    nonfatal_override: bool = False
    nonfatal_unknown: bool = False
    line: Directive | None = None
    unset: bool = False
    options: frozenset[str] | None = None

    @property
    def reads(self) -> bool:
        """Whether .htaccess files are looked at."""
        return bool(self.classes or self.names or self.unset)


_CLASSES = {"authconfig": "A", "fileinfo": "F", "indexes": "I", "limit": "L", "options": "O"}
ALL = frozenset("AFILO")
NOTHING = Override(frozenset(), frozenset())


def override_of(layers: Layers) -> Override:
    """What the sections say (manual: AllowOverride)."""
    found: Override = layers.memo("override", _override_of)
    return found


def _override_of(layers: Layers) -> Override:
    classes: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    skips = skips_unknown = False
    options: frozenset[str] | None = None
    line = layers.last("allowoverride")
    if line is not None:
        letters: set[str] = set()
        for word in line.args:
            low = word.lower()
            if low == "all":
                letters |= ALL
            elif low == "none":
                letters.clear()
            elif low.startswith("nonfatal="):
                what = low.partition("=")[2]
                skips = skips or what in ("override", "all")
                skips_unknown = skips_unknown or what in ("unknown", "all")
            elif low.partition("=")[0] in _CLASSES:
                letters.add(_CLASSES[low.partition("=")[0]])
                if low.startswith("options="):
                    options = frozenset(low.partition("=")[2].split(","))
        classes = frozenset(letters)
    listed = layers.last("allowoverridelist")
    if listed is not None:
        names = frozenset(word.lower() for word in listed.args if word.lower() != "none")
    return Override(classes, names, skips, skips_unknown, line or listed, line is None, options)


class Htaccess(NamedTuple):
    """A .htaccess as it was read, before anything is known of AllowOverride. `broken` is why httpd cannot parse it."""

    source: SourceFile
    items: tuple[Item, ...]
    broken: str | None


class Overrides:
    """The .htaccess files of a machine. `read` remembers them, `judged` the lines that AllowOverride does not let
    count, for rules. `whole`: all of the server's configuration is at hand, so that a line which is not here is not
    there."""

    def __init__(
        self,
        loader: Loader,
        files: Files | None,
        name: str = ".htaccess",
        removed: frozenset[object] = frozenset(),
        whole: bool = False,
    ) -> None:
        self._loader = loader
        self._files = files
        self.name = name
        self.methods = METHODS
        self.whole = whole
        self._removed = removed
        self._read: dict[str, Htaccess | None] = {}
        self._sections: dict[tuple[str, Override], Section] = {}
        self.ignored: dict[Place, tuple[str, Override]] = {}
        # What the sections and files of a row of folders come to on top of others.
        self.merged: dict[tuple[Layers, tuple[str, ...]], Layers] = {}

    def without(self, removed: frozenset[object]) -> "Overrides":
        """The same files without these lines."""
        twin = Overrides(self._loader, self._files, self.name, removed, self.whole)
        twin._read = self._read
        twin.methods = self.methods
        return twin

    def change(self, folder: str, found: Htaccess) -> None:
        """Another .htaccess for that folder, here only."""
        self._read = {**self._read, folder: found}
        self.merged.clear()

    def known(self) -> Iterable[tuple[str, Htaccess]]:
        """The files that were read so far, by folder."""
        return [(folder, found) for folder, found in self._read.items() if found is not None]

    def put(self, folder: str, source: SourceFile) -> None:
        """The .htaccess of a folder, read from here."""
        before = len(self._loader.errors)
        items = tuple(self._loader.read(source))
        broken = self._loader.errors[before].message if len(self._loader.errors) > before else None
        self._read[folder] = Htaccess(source, items, broken)
        self.merged.clear()

    def judged(self) -> Iterable[Section]:
        """The sections that were made of the files so far."""
        return list(self._sections.values())

    def in_folder(self, folder: str) -> Htaccess | None:
        """The .htaccess of a folder of the deployed machine, None where there is none, or none at hand."""
        if folder not in self._read:
            self._read[folder] = self._open(folder)
        return self._read[folder]

    def may_hide(self, folder: str) -> bool:
        """Whether the folder may have a .htaccess that is not at hand."""
        if self._files is None:
            return True
        return self.in_folder(folder) is None and self._files.state(f"{folder.rstrip('/')}/{self.name}") is None

    def _open(self, folder: str) -> Htaccess | None:
        if self._files is None:
            return None
        path = f"{folder.rstrip('/')}/{self.name}"
        try:
            source = self._files.open(path)
        except InputError as error:
            self._loader.errors.append(error)
            return None
        if source is None:
            return None
        before = len(self._loader.errors)
        items = tuple(self._loader.read(source))
        broken = self._loader.errors[before].message if len(self._loader.errors) > before else None
        return Htaccess(source, items, broken)

    def section(self, folder: str, layers: Layers) -> Section | None:
        """The section that the folder's .htaccess adds under what the sections so far allow."""
        override = override_of(layers)
        if not override.reads and not (override.unset and self.whole):
            found = self.in_folder(folder)
            if found is not None:
                for item in found.items:
                    self.ignored.setdefault(item.directive.place, ("none", override))
            return None
        key = (folder, override)
        if key not in self._sections:
            found = self.in_folder(folder)
            if found is None:
                return None
            self._sections[key] = self._judged(folder, found, override)
        return self._sections[key]

    def _judged(self, folder: str, found: Htaccess, override: Override) -> Section:
        faults: list[Directive] = []
        kept = self._allowed(found.items, override, faults)
        section = htaccess_section(self._loader, folder, kept, self._removed)
        section.place = kept[0].directive.place if kept else Place(found.source, 1)
        if faults:
            section.fault = faults[0]
        elif found.broken is not None:
            place = Place(found.source, 1)
            section.fault = Directive(".htaccess", ".htaccess", (), "", place)
        return section

    def _allowed(
        self, items: Sequence[Item], override: Override, faults: list[Directive], outer: bool = True
    ) -> list[Item]:
        kept = []
        for item in items:
            directive = item.directive
            if directive.place in self._removed:
                continue
            why = self._refused(directive, override)
            if why == "skipped":
                self.ignored.setdefault(directive.place, ("skipped", override))
                if directive.key in _UNMERGED:
                    kept.append(Item(directive._replace(args=(), rest="")))
                continue
            if why is not None:
                self.ignored.setdefault(directive.place, (why, override))
                faults.append(directive)
                continue
            if _is_bad_expression(directive) or (outer and _is_bad_container(item, True)):
                faults.append(directive)
                continue
            if item.items is not None:
                inner = directive.key not in _CONTAINERS
                item = Item(directive, tuple(self._allowed(item.items, override, faults, inner)))
            kept.append(item)
        return kept

    def _refused(self, directive: Directive, override: Override) -> str | None:
        """Why a directive does not count: "skipped", or a reason for which every request gets status 500."""
        spec = spec_of(directive.key)
        if spec is None:
            self._loader.unknown(directive)
            return None
        if not self._loader.modules.has(spec.module):
            if not self._loader.modules.known:
                self._loader.modules.show(spec.module)
                return None
            return "skipped" if override.nonfatal_unknown else "module"
        if "h" not in spec.contexts:
            return "context"
        if directive.key == "options" and override.options is not None and "O" in override.classes:
            words = {word.lower().lstrip("+-") for word in directive.args} - {"none"}
            if not words <= override.options:
                return "skipped" if override.nonfatal_override else "override"
        allowed = spec.overrides == "*" or any(letter in override.classes for letter in spec.overrides)
        if spec.overrides == "*" and not override.classes:
            allowed = False
        if allowed or directive.key.lstrip("<") in override.names:
            wrong = wrong_arguments(directive, restricted=True)
            if wrong is not None and not self._loader.template:
                self._loader.error(directive.place, wrong)
                return "arguments"
            if directive.key in ("<limit", "<limitexcept") and not self.methods.issuperset(directive.args):
                return "method"  # only the server's own configuration makes methods known
            return None
        return "skipped" if override.nonfatal_override else "override"


# The modules of these lines merge nothing: even one that is skipped takes away what is inherited.
_UNMERGED = ("authuserfile", "authgroupfile", "order", "allow", "deny", "satisfy")
_CONTAINERS = ("<requireall", "<requireany", "<requirenone")


def _is_bad_container(item: Item, top: bool = False) -> bool:
    """Whether lines on authorization are such that httpd refuses them: `not`, or <RequireNone>, where one line of
    several is enough, and containers with nothing in them (add_authz_provider, add_authz_section)."""
    key = item.directive.key
    if top and _negates(item):
        return True
    if key not in _CONTAINERS:
        return False
    if not item.items:
        return True
    return (key != "<requireall" and any(map(_negates, item.items))) or any(map(_is_bad_container, item.items))


def _negates(item: Item) -> bool:
    args = item.directive.args
    return item.directive.key == "<requirenone" or (
        item.directive.key == "require" and args[:1] != () and args[0].lower() == "not"
    )


def _is_bad_expression(directive: Directive) -> bool:
    """Whether a line has an expression that httpd cannot read."""
    from auditor.servers.apache import headers
    from auditor.servers.apache.expr import ExprError, compile_condition

    args = directive.args
    text = None
    if directive.key in ("<if", "<elseif"):
        text = args[0] if args and directive.rest[:1] in "\"'" else directive.rest
    elif directive.key == "setenvifexpr" and args:
        text = args[0]
    elif directive.key == "require" and args[:1] and args[0].lower() == "expr":
        text = " ".join(args[1:])
    try:
        if directive.key in ("header", "requestheader"):
            headers.read(directive)
        elif text is not None:
            compile_condition(text)
    except (ExprError, RegexError):
        return True
    except ValueError:  # an action that is not known here
        return False
    return False
