"""From what the command line names to configurations: which files are entries, and of which kind of server."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from auditor.belonging import (
    Belonging,
    Named,
    Reading,
    describe,
    in_folder,
    is_excluded,
    may_be_part,
    source_of,
    top_of,
)
from auditor.files import Files
from auditor.kinds import context_of, is_known
from auditor.server import Note
from auditor.source import InputError, SourceFile, read_source, split_dump, standard_input
from auditor.surroundings import Surroundings


class Entry(NamedTuple):
    """A configuration to read.

    `kind` is the server's, `source` the main file, `files` how further files are found. `context` is the block that the
    text is meant for: "main", or for a part of a configuration "http", "server" or "location". `parts` are all files
    that are read as one, in their order, where these are several, and `note` says so.
    """

    kind: str
    source: SourceFile
    files: Files
    context: str
    parts: tuple[SourceFile, ...] = ()
    note: str = ""


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
    finder = Belonging(options)
    alone: set[str] = set()
    for path in paths:
        try:
            if path == "-":
                source = standard_input(options.stdin_name)
                if options.stdin_name != "-":  # an editor's text of that file
                    source.path = options.stdin_name
                alone.add(source.name)
                candidates.append(describe(source, None)._replace(source=source))
            elif os.path.isdir(path):
                inside = list(in_folder(path, options))
                if not inside:
                    notes.append(Note("unread", f"{path} holds no configuration that is known here"))
                candidates.extend(finder.in_mains(path, inside))
            else:
                source = read_source(path)
                if options.known_only and is_excluded(path, options):
                    continue
                if options.known_only and not options.kind and not is_known(source):
                    notes.append(Note("unread", f"{path} does not look like a configuration that is known here"))
                    continue
                named = describe(source, None)
                if len(paths) == 1 or not os.path.isfile(path):  # a pipe is read once
                    named = named._replace(source=source)
                candidates.extend(finder.including(source) or [named])
        except InputError as error:
            errors.append(error)
    entries = finder.without_included(candidates)
    if any(named.path is not None and may_be_part(named.path) for named in entries):
        from auditor.together import Together

        together = Together(finder, options)
        entries = together.merge(entries, frozenset(alone))
        notes += together.notes
    return Found(tuple(entries), tuple(errors), tuple(notes), finder.near)


def open_entry(named: Named, options: Reading, near: Surroundings) -> Entry:
    """Reads the main file of what discover found. Raises InputError where it cannot be read any more."""
    if named.parts:
        return _together(named, options, near)
    source = source_of(named)
    if named.dump:
        parts = split_dump(source)
        if parts:
            return Entry("nginx", parts[0], Files(parts[0], options.roots, dump=parts), "main")
    if (options.kind or named.kind) == "apache":
        return _apache(source, named.folder, options, near)
    files = Files(source, options.roots, top_of(source, named.folder), near=near)
    return Entry(options.kind or "nginx", source, files, context_of(source.text))


def _together(named: Named, options: Reading, near: Surroundings) -> Entry:
    parts = tuple(read_source(path, name) for path, name in named.parts)
    lead = next(part for part in parts if part.name == named.name)
    if (options.kind or named.kind) == "apache":
        return _apache(lead, named.folder, options, near)._replace(context="part", parts=parts, note=named.note)
    files = Files(lead, options.roots, top_of(lead, named.folder), near=near)
    return Entry("nginx", lead, files, "http", parts, named.note)


def _apache(source: SourceFile, folder: str | None, options: Reading, near: Surroundings) -> Entry:
    from auditor.servers.apache.entries import Around, open_files

    context, files = open_files(source, Around(options.roots, top_of(source, folder), near))
    return Entry("apache", source, files, context)
