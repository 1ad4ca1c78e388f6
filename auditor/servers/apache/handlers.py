"""Which handler a file gets (SetHandler; mod_mime.c)."""

import posixpath
import re
from collections.abc import Sequence
from typing import NamedTuple

from auditor.servers.apache.config import WALKS, Directive, Layers
from auditor.servers.apache.run import Run


def is_php(run: Run) -> bool:
    """Whether the file is one of those that the packages of PHP have it run."""
    return run.filename is not None and re.search(r"\.ph(p[345]?|tml)$", run.filename) is not None


def find_handler(run: Run) -> None:
    """mod_mime and SetHandler: what is to produce the answer (type_checker)."""
    run.notes["typed"] = True
    if run.is_proxy:
        return
    line = run.layers.last("sethandler")
    if line is not None and line.args and line.args[0].lower() != "none":
        run.handler, run.handler_line = line.args[0], line
        return
    if not run.names_file or run.filename is None:
        return
    name = posixpath.basename(run.filename)
    extensions = [part.lower() for part in name.split(".")[1:]]
    forced = run.layers.last("forcetype")
    if run.config.modules.has("mime"):
        _by_extension(run, extensions)
    if forced is not None and forced.args and forced.args[0].lower() != "none":
        run.content_type = forced.args[0]
    if run.handler is None and run.content_type in _PHP_TYPES:
        run.handler = run.content_type


class Mapping(NamedTuple):
    """What a section says of extensions: (handler or type, extension)."""

    removed: list[tuple[str, str]]
    added: dict[tuple[str, str], tuple[str, Directive]]


def _mappings(layers: Layers) -> list[list[Mapping]]:
    """The sections that say anything, by walks: those of one are merged with each other first."""
    found: list[list[Mapping]] = []
    last = ""
    for section in layers.sections:
        mapping = Mapping([], {})
        for key in ("addhandler", "addtype", "removehandler", "removetype"):
            kind = "handler" if key.endswith("handler") else "type"
            for line in section.all(key):
                if key.startswith("remove"):
                    mapping.removed.extend((kind, word.lstrip(".").lower()) for word in line.args)
                else:
                    for word in line.args[1:]:
                        mapping.added[kind, word.lstrip(".").lower()] = (line.args[0], line)
        if not mapping.removed and not mapping.added:
            continue
        kind = WALKS.get(section.kind, section.kind)
        if kind != last or kind == "server":
            found.append([])
        last = kind
        found[-1].append(mapping)
    return found


_PHP_TYPES = ("application/x-httpd-php", "application/x-httpd-php-source")


def _by_extension(run: Run, extensions: Sequence[str]) -> None:
    handlers: dict[str, tuple[str, Directive]] = {}
    types: dict[str, tuple[str, Directive]] = {}
    for walk_of in run.layers.memo("mime", _mappings):
        # What is taken away by one of several sections is so among themselves only (merge_mime_dir_configs).
        own: dict[tuple[str, str], tuple[str, Directive]] = {}
        for section in walk_of:
            for kind, extension in section.removed:
                own.pop((kind, extension), None)
                if len(walk_of) == 1:
                    (handlers if kind == "handler" else types).pop(extension, None)
            own |= section.added
        for (kind, extension), found in own.items():
            (handlers if kind == "handler" else types)[extension] = found
    for extension in extensions:
        handler = handlers.get(extension)
        if handler is not None and run.notes.get("script-alias") is None:
            run.handler, run.handler_line = handler
        kind_of = types.get(extension)
        if kind_of is not None:
            run.content_type, run.handler_line = kind_of[0], run.handler_line or kind_of[1]
