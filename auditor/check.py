"""The whole way of a check: discover what there is, load it, ask, judge, suppress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from auditor import rules, settings
from auditor.findings import SEVERITIES, Finding, Suppressed, in_order, merge
from auditor.http import Request
from auditor.server import Comment, Note, Site
from auditor.source import InputError, Place

# The module of each server kind; it has load(entry, options) -> Site.
LOADERS = {"nginx": "auditor.servers.nginx.site", "apache": "auditor.servers.apache.site"}


class Options(NamedTuple):
    """How to read. `roots` are pairs of a path on the deployed machine and the folder here; `version` is the server's,
    None for the known ones, "auto" for that of the tree's own image; `kind` is None where name and content tell it;
    `stdin_name` is what reports call standard input; `known_only` passes over named files that do not look like a
    configuration, as a commit hook needs it. `exclude` are patterns of what is passed over in folders, and with
    `known_only` everywhere, relative to the folder `base` (see globs.below)."""

    kind: str | None = None
    roots: tuple[tuple[str, str], ...] = ()
    version: str | None = None
    stdin_name: str = "-"
    known_only: bool = False
    exclude: tuple[str, ...] = ()
    base: str = ""


class Report(NamedTuple):
    """What a check gives. `files` are the names of all files read, `errors` the inputs that could not be read or
    parsed, `suppressed` the findings that comments silence. `baseline` says that one was applied: findings that it
    holds are `known`, and do not count."""

    findings: tuple[Finding, ...] = ()
    files: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    errors: tuple[InputError, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    baseline: bool = False

    @property
    def new(self) -> list[Finding]:
        """The findings that the baseline does not hold; without a baseline, all."""
        return [finding for finding in self.findings if not finding.known]

    def count(self, severity: str) -> int:
        """How many new findings have this severity."""
        return sum(finding.severity == severity for finding in self.new)

    def fails(self, threshold: str) -> bool:
        """Whether a new finding is at or above that severity."""
        worst = SEVERITIES.index(threshold)
        return any(SEVERITIES.index(finding.severity) <= worst for finding in self.new)


def load_sites(paths: Sequence[str], options: Options) -> tuple[list[Site], list[InputError], list[Note]]:
    """The configurations that the paths name, what could not be read of them, and notes on what was passed over."""
    from auditor.discover import discover

    found = discover(paths, options)
    sites: list[Site] = []
    errors: list[InputError] = list(found.errors)
    for entry in found.entries:
        try:
            site = load_entry(entry, options)
        except InputError as error:
            errors.append(error)
        else:
            sites.append(site)
            errors.extend(error for error in site.errors if error not in errors)
    return sites, errors, list(found.notes)


def load_entry(entry: Any, options: Options) -> Site:
    """The site of one entry that auditor.discover found. Raises InputError."""
    site: Site = import_module(LOADERS[entry.kind]).load(entry, options)
    return site


def check(
    paths: Sequence[str], options: Options, chosen: settings.Settings = settings.DEFAULT, ways: bool = False
) -> Report:
    """Audits files and folders. What cannot be read stands in the report's `errors`; the rest is audited."""
    sites, errors, notes = load_sites(paths, options)
    return judge(sites, chosen, errors, notes, ways)


def judge(
    sites: Sequence[Site],
    chosen: settings.Settings = settings.DEFAULT,
    errors: Sequence[InputError] = (),
    notes: Sequence[Note] = (),
    ways: bool = False,
) -> Report:
    """Lets the rules judge configurations that have been read. A file that several of them include is judged in each,
    and each finding is reported once. `ways` adds to each finding the way of its witness.

    Raises SettingsError where the baseline cannot be read.
    """
    files: dict[str, None] = {}
    seen: dict[Note, None] = dict.fromkeys(notes)
    found: list[Finding] = []
    judged: list[tuple[Finding, Site]] = []
    comments: list[Comment] = []
    places: list[set[tuple[str, Place]]] = []  # for each site: what was found there
    for site in sites:
        files.update((source.name, None) for source in site.files)
        inner = site.position[1] if chosen.position == settings.AUTO else None
        if inner is not None:
            seen[Note("assumed", _INNER, inner)] = None
        comments.extend(site.comments())
        before = len(found)
        found.extend(rules.judge(site, chosen))
        seen.update(dict.fromkeys(site.notes))  # judging makes some of them
        places.append({(finding.rule, finding.place) for finding in found[before:]})
        if ways:
            for finding in found[before:]:
                judged.append((finding, site))
    merged = merge(found)
    if any(finding.fix for finding in merged):
        from auditor.fixable import with_fixes

        merged = with_fixes(merged, sites, places)
    merged = _with_severities(merged, chosen)
    if ways:
        merged = _with_ways(merged, judged)
    suppressed: list[Suppressed] = []
    if comments:
        from auditor import suppressions

        def is_off(rule: str, file: str) -> bool:
            return chosen.severity(rule, file) == "off"

        parts = {source.name for site in sites if not site.complete for source in site.files}
        kept, about_comments, suppressed = suppressions.apply(merged, comments, is_off, parts)
        merged = in_order([*kept, *_with_severities(merge(about_comments), chosen)])
    if chosen.baseline:
        from auditor import baseline

        merged, stale = baseline.apply(merged, baseline.read(chosen.baseline), files, chosen.baseline)
        seen.update(dict.fromkeys(stale))
    return Report(
        findings=tuple(merged),
        files=tuple(files),
        notes=tuple(seen),
        errors=tuple(errors),
        suppressed=tuple(suppressed),
        baseline=bool(chosen.baseline),
    )


_INNER = (
    "taken to stand behind another proxy, because of this line: what that one should have checked is no error here "
    "(--position edge if there is none)"
)


def _with_ways(findings: Sequence[Finding], judged: Iterable[tuple[Finding, Site]]) -> list[Finding]:
    from auditor.ways import way_of

    sites: dict[tuple[str, Place, Request | None], Site] = {}
    for finding, site in judged:
        sites.setdefault((finding.rule, finding.place, finding.witness), site)
    return [
        finding._replace(way=way_of(sites[finding.rule, finding.place, finding.witness], finding))
        for finding in findings
    ]


def _with_severities(findings: Sequence[Finding], chosen: settings.Settings) -> list[Finding]:
    """The severity that is set takes the place of the rule's default one. Where a rule knows that a finding counts for
    less, that stays so."""
    if not chosen.severities and not chosen.per_path:
        return list(findings)
    result = []
    for finding in findings:
        severity = chosen.severity(finding.rule, finding.place.file)
        if severity is None:
            result.append(finding)
        elif severity != "off":
            if SEVERITIES.index(finding.severity) > SEVERITIES.index(rules.load(finding.rule).SEVERITY):
                severity = max(severity, finding.severity, key=SEVERITIES.index)
            result.append(finding._replace(severity=severity))
    return result
