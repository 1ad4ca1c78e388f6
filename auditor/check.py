"""The whole way of a check: discover what there is, load it, ask, judge, suppress."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from auditor import rules, settings
from auditor.findings import SEVERITIES, Finding, Suppressed, combine, in_order, merge
from auditor.server import Comment, Note, Site
from auditor.source import InputError

if TYPE_CHECKING:
    from auditor.belonging import Named
    from auditor.discover import Found

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


class WorkerDied(Exception):
    """A process of our own ended before its work was done: killed, or out of memory. The message names the file."""


class Judged(NamedTuple):
    """What is kept of one configuration: what the rules found there, with the files read (names and paths), the
    notes, what could not be read, the comments that speak to this product, and whether everything was read."""

    findings: tuple[Finding, ...] = ()
    files: tuple[tuple[str, str | None], ...] = ()
    notes: tuple[Note, ...] = ()
    errors: tuple[InputError, ...] = ()
    comments: tuple[Comment, ...] = ()
    complete: bool = True


def load_sites(paths: Sequence[str], options: Options) -> tuple[list[Site], list[InputError], list[Note]]:
    """The configurations that the paths name, what could not be read of them, and notes on what was passed over."""
    from auditor.discover import discover, open_entry

    found = discover(paths, options)
    sites: list[Site] = []
    errors: list[InputError] = list(found.errors)
    for named in found.entries:
        try:
            site = load_entry(open_entry(named, options, found.near), options)
        except InputError as error:
            errors.append(error)
        else:
            sites.append(site)
            errors.extend(site.errors)
    return sites, errors, list(found.notes)


def load_entry(entry: Any, options: Options) -> Site:
    """The site of one entry that auditor.discover found. Raises InputError."""
    site: Site = import_module(LOADERS[entry.kind]).load(entry, options)
    return site


def check(
    paths: Sequence[str],
    options: Options,
    chosen: settings.Settings = settings.DEFAULT,
    ways: bool = False,
    jobs: int = 1,
    texts: bool = False,
) -> Report:
    """Audits files and folders. What cannot be read stands in the report's `errors`; the rest is audited. `ways` adds
    to each finding the way of its witness. Many configurations are spread over `jobs` processes, and of their texts
    only lines are kept that findings speak of, unless `texts` says that edits are to be made.

    Raises SettingsError where the baseline cannot be read, WorkerDied where one of the processes ends before its work
    does.
    """
    from auditor.discover import discover

    found = discover(paths, options)
    judged = [
        Judged(notes=found.notes, errors=found.errors),
        *_audited(found, options, chosen, ways, 1 if texts else jobs, texts),
    ]
    return _report(judged, chosen)


# Characters of configuration from which on a process of its own pays: it costs about as much as to judge 2,000.
WORTH_A_PROCESS = 5_000


def _audited(
    found: "Found", options: Options, chosen: settings.Settings, ways: bool, jobs: int, texts: bool
) -> Iterable[Judged]:
    """What is found in each configuration, in their order. Each is read, judged and dropped before the next one."""
    from auditor.discover import open_entry

    entries = found.entries
    whole = texts or len(entries) == 1

    def audit(named: "Named") -> Judged:
        try:
            site = load_entry(open_entry(named, options, found.near), options)
        except InputError as error:
            return Judged(errors=(error,))
        judged = judge_site(site, chosen, ways)
        return judged if whole else _in_excerpts(judged)

    jobs = min(jobs, len(entries), sum(named.size for named in entries) // WORTH_A_PROCESS)
    if jobs > 1:
        from auditor.workers import spread

        return spread(audit, entries, jobs)
    return _in_turn(audit, entries)


def _in_turn(audit: Any, entries: "Sequence[Named]") -> Iterator[Judged]:
    for named in entries:
        yield audit(named)
        if len(entries) > 1:
            gc.collect(1)  # sites are circular


def _in_excerpts(judged: Judged) -> Judged:
    from auditor.excerpts import excerpted

    findings, notes, comments = excerpted(judged.findings, judged.notes, judged.comments)
    return judged._replace(findings=findings, notes=notes, comments=comments)


def judge_site(site: Site, chosen: settings.Settings = settings.DEFAULT, ways: bool = False) -> Judged:
    """Lets the rules judge a configuration that has been read."""
    notes: dict[Note, None] = {}
    inner = site.position[1] if chosen.position == settings.AUTO else None
    if inner is not None:
        notes[Note("assumed", _INNER, inner)] = None
    findings = combine(rules.judge(site, chosen))
    notes.update(dict.fromkeys(site.notes))  # judging makes some of them
    if ways:
        from auditor.ways import way_of

        findings = [finding._replace(way=way_of(site, finding)) for finding in findings]
    return Judged(
        tuple(findings),
        tuple((source.name, source.path) for source in site.files),
        tuple(notes),
        tuple(dict.fromkeys(site.errors)),
        tuple(site.comments()),
        site.complete,
    )


def judge(
    sites: Iterable[Site],
    chosen: settings.Settings = settings.DEFAULT,
    errors: Sequence[InputError] = (),
    notes: Sequence[Note] = (),
    ways: bool = False,
) -> Report:
    """Lets the rules judge configurations that have been read; `errors` and `notes` come before theirs.

    Raises SettingsError where the baseline cannot be read.
    """
    judged = [judge_site(site, chosen, ways)._replace(errors=()) for site in sites]
    return _report([Judged(notes=tuple(notes), errors=tuple(errors)), *judged], chosen)


def _report(judged: Sequence[Judged], chosen: settings.Settings) -> Report:
    """A file that several configurations include is judged in each, and each finding is reported once."""
    merged = merge(finding for one in judged for finding in one.findings)
    if any(finding.fix for finding in merged):
        from auditor.fixable import with_fixes

        read = [one for one in judged if one.files]
        places = [{(finding.rule, finding.place) for finding in one.findings} for one in read]
        merged = with_fixes(merged, [one.files for one in read], places)
    merged = _with_severities(merged, chosen)
    files = dict.fromkeys(name for one in judged for name, _ in one.files)
    notes = dict.fromkeys(note for one in judged for note in one.notes)
    comments = [comment for one in judged for comment in one.comments]
    suppressed: list[Suppressed] = []
    if comments:
        from auditor import suppressions

        def is_off(rule: str, file: str) -> bool:
            return chosen.severity(rule, file) == "off"

        parts = {name for one in judged if not one.complete for name, _ in one.files}
        kept, about_comments, suppressed = suppressions.apply(merged, comments, is_off, parts)
        merged = in_order([*kept, *_with_severities(merge(about_comments), chosen)])
    if chosen.baseline:
        from auditor import baseline

        merged, stale = baseline.apply(merged, baseline.read(chosen.baseline), files, chosen.baseline)
        notes.update(dict.fromkeys(stale))
    return Report(
        findings=tuple(merged),
        files=tuple(files),
        notes=tuple(notes),
        errors=tuple(error for one in judged for error in one.errors),
        suppressed=tuple(suppressed),
        baseline=bool(chosen.baseline),
    )


_INNER = (
    "taken to stand behind another proxy, because of this line: what that one should have checked is no error here "
    "(--position edge if there is none)"
)


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
