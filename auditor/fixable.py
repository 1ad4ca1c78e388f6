"""Which of the fixes that rules propose can be made: those that are right wherever the changed text is read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from auditor.findings import INFO, Edit, Finding
from auditor.source import Place
from auditor.templates import has_template_name


def with_fixes(
    findings: Sequence[Finding],
    sites: Sequence[Iterable[tuple[str, str | None]]],
    places: Sequence[set[tuple[str, Place]]],
) -> list[Finding]:
    """The findings, without the fixes that cannot be made. `sites` are the files of each configuration, names and
    paths; `places` are what was found in each, and where."""
    readers: dict[str, list[int]] = {}
    for number, site in enumerate(sites) if len(sites) > 1 else ():
        for name, path in site:
            readers.setdefault(_file(path, name), []).append(number)
    # By line and column: of a file that several configurations read, there are several texts or excerpts.
    blamed: dict[str, list[tuple[tuple[int, int], str]]] = {}
    for finding in findings:
        if finding.severity != INFO:
            blamed.setdefault(finding.place.file, []).append(
                (finding.place.source.position(finding.place.span[0]), finding.rule)
            )

    def possible(finding: Finding) -> bool:
        """A fix changes a file for all configurations that read it, so each of them must have the finding. A line that
        something worse than an info is said about is not deleted by another rule's fix: that would be gone with it, and
        what is wrong would not."""
        edits = finding.fix.edits if finding.fix is not None else ()
        if any(_in_template(edit) for edit in edits):
            return False
        for edit in edits:
            wrong = blamed.get(edit.source.name, ()) if edit.text == "" else ()
            if wrong:
                start, end = edit.source.position(edit.start), edit.source.position(edit.end)
                if any(rule != finding.rule and start <= at < end for at, rule in wrong):
                    return False
        changed = {_file(edit.source.path, edit.source.name) for edit in edits}
        return all(
            (finding.rule, finding.place) in places[number] for file in changed for number in readers.get(file, ())
        )

    return [each if each.fix is None or possible(each) else each._replace(fix=None) for each in findings]


@lru_cache(maxsize=4096)
def _file(path: str | None, name: str) -> str:
    """The file itself, by whichever link it was read."""
    return os.path.realpath(path) if path is not None else name


def _in_template(edit: Edit) -> bool:
    """Whether a piece of a template language stands on the lines that the edit changes."""
    text = edit.source.text
    begin, end = text.rfind("\n", 0, edit.start) + 1, text.find("\n", edit.end)
    lines = text[begin : len(text) if end == -1 else end]
    filled_in = has_template_name(edit.source.name) and "${" in lines  # envsubst
    return filled_in or re.search(r"\{\{|\{%|\{#|<%", lines) is not None
