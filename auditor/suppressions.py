"""Comments that silence findings: `# audit: ignore[rule] reason` and `# audit: ignore-file[rule] reason`."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from auditor import rules
from auditor.findings import WARNING, Finding, Fix, Suppressed
from auditor.rules.repairs import without_comment
from auditor.server import Comment
from auditor.source import Place

_COMMENT = r"(?s)audit:\s*(ignore|ignore-file)\s*\[([^\]]*)\]\s*(.*)"


def apply(
    findings: Sequence[Finding],
    comments: Iterable[Comment],
    is_off: Callable[[str, str], bool] = lambda *_: False,
    parts: Container[str] = (),
) -> tuple[list[Finding], list[Finding], list[Suppressed]]:
    """The findings that stay, findings about the comments themselves, and the findings silenced.

    A comment without a reason silences nothing: the reason is what the next reader needs. One for a rule that is off in
    that file may be needed again and is no finding. `parts` are files of configurations of which not everything was
    read: there a comment may be needed for what was not seen, and removing it is no safe fix.
    """
    found = _by_rule_and_file(findings)
    gone: set[int] = set()
    silenced: list[Suppressed] = []
    about: list[Finding] = []
    seen = set()
    for comment in comments:
        if (comment.source.name, comment.line) in seen:  # the same file, read for several configurations
            continue
        seen.add((comment.source.name, comment.line))
        match = re.match(_COMMENT, comment.text.strip())
        if match is None:
            about.append(_unused(comment, "This comment cannot be read, so it silences nothing.", _FORM))
            continue
        whole_file, names, reason = match.group(1) == "ignore-file", match.group(2), match.group(3).strip(" :-\t")
        wanted = [name.strip() for name in names.split(",") if name.strip()]
        if not reason:
            about.append(_without_reason(comment, ", ".join(wanted)))
            continue
        for name in wanted:
            covered = [
                number
                for number in found.get((name, comment.source.name), ())
                if number not in gone and _covers(comment, whole_file, findings[number])
            ]
            gone.update(covered)
            silenced.extend(Suppressed(findings[number], _place(comment), reason) for number in covered)
            if not covered and not is_off(name, comment.source.name):
                fix = None
                if wanted == [name] and name in rules.NAMES:
                    fix = Fix(comment.source.name not in parts, without_comment(comment))
                about.append(_unused(comment, *_why_unused(name))._replace(fix=fix))
        if not wanted:
            about.append(_unused(comment, "This comment names no rule, so it silences nothing.", _FORM))
    return [finding for number, finding in enumerate(findings) if number not in gone], about, silenced


def _by_rule_and_file(findings: Sequence[Finding]) -> dict[tuple[str, str], list[int]]:
    """The numbers of the findings by their rules and the files in which they can be silenced: a thousand comments need
    not look at all findings of a thousand files."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, finding in enumerate(findings):
        for file in dict.fromkeys(place.file for place in _places(finding)):
            found.setdefault((finding.rule, file), []).append(number)
    return found


def _places(finding: Finding) -> Iterator[Place]:
    """A finding inside an included file can be silenced where the file is included, too."""
    place: Place | None = finding.place
    while place is not None:
        yield place
        place = place.via


def _covers(comment: Comment, whole_file: bool, finding: Finding) -> bool:
    return any(
        place.file == comment.source.name and (whole_file or comment.first <= place.line <= comment.last)
        for place in _places(finding)
    )


_FORM = "# audit: ignore[rule-name] the reason"


def _why_unused(name: str) -> tuple[str, str]:
    if name in rules.NAMES:
        return f"Nothing is found here that ignore[{name}] would silence.", "Remove the comment."
    from difflib import get_close_matches

    close = get_close_matches(name, rules.NAMES, 1)
    return f"There is no rule {name!r}.", f"Did you mean {close[0]!r}?" if close else "`audit rules` lists the rules."


def _place(comment: Comment) -> Place:
    return Place(comment.source, comment.line)


def _unused(comment: Comment, message: str, help: str) -> Finding:
    return Finding("unused-suppression", WARNING, message, _place(comment), help=help)


def _without_reason(comment: Comment, names: str) -> Finding:
    return Finding(
        "suppression-without-reason",
        WARNING,
        f"ignore[{names}] gives no reason, so it silences nothing.",
        _place(comment),
        help=f"# audit: ignore[{names}] why this is right here",
    )
