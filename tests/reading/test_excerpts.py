"""What is kept of a configuration's text says the same as the whole."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.check import Options, load_sites
from auditor.excerpts import excerpted
from auditor.findings import Edit, Finding, Fix, Related, finding_json
from auditor.reports.terminal import Terminal
from auditor.server import Comment, Note
from auditor.servers.apache.site import ApacheSite
from auditor.servers.nginx.site import NginxSite
from auditor.source import Place, SourceFile

TREES = Path(__file__).parents[1] / "trees"


def told(place: Place | None) -> Iterator[Any]:
    """All that a report can ask of a place."""
    while place is not None:
        yield place.key, place.column, place.end, place.shown, place.text
        yield Terminal().excerpt(place, 4, "", "error")
        place = place.via


@pytest.mark.parametrize("name", sorted(path.name for path in TREES.iterdir() if path.is_dir() and path.name[0] != "_"))
@pytest.mark.parametrize("step", [1, 5])
def test_places_of_real_configurations(name: str, step: int) -> None:
    sites, _, _ = load_sites([str(TREES / name)], Options())
    for site in sites:
        if isinstance(site, NginxSite):
            places = [directive.place for directive in site.tree.walk()][::step]
        else:
            assert isinstance(site, ApacheSite)
            places = [line.place for _, section in site.sections() for line in section.directives][::step]
        places += [Place(place.source, place.line) for place in places[::3]]
        copies, _, _ = excerpted(Finding("x", "error", "", place) for place in places)
        copies = pickle.loads(pickle.dumps(copies))
        for place, copy in zip(places, copies, strict=True):
            assert copy.place.source is not place.source
            assert list(told(copy.place)) == list(told(place))


TEXT = (
    """\
one; two a; three
  b "c;
d"; # caf\xc3\xa9
block {
  four; four; }
# audit: ignore[x] y

unfinished a b c
"""
    + "word\n" * 5000
)


@pytest.mark.parametrize("offsets", [True, False])
def test_odd_places(offsets: bool) -> None:
    source = SourceFile("a.conf", TEXT + "last; {\n")
    names = [("two", 1, 0), ("three", 1, 0), ("block", 4, 0), ("four", 5, 1), ("unfinished", 8, 0), ("", 3, 0)]
    names += [("last", 8 + 5001, 0), ("", 7, 0), ("absent", 5, 0), ("", 99_999, 0)]
    places = [
        Place(source, line, name, nth, None, source.start_of(line) + 2 if offsets and name == "four" else None)
        for name, line, nth in names
    ]
    for chosen in (places, places[1:2], places[2:5], places[4:5], places[6:7], places[::-1]):
        copies, _, _ = excerpted(Finding("x", "error", "", place) for place in chosen)
        for place, copy in zip(chosen, copies, strict=True):
            assert list(told(copy.place)) == list(told(place))


def test_everything_that_has_a_place_is_copied_and_the_rest_of_the_text_is_not() -> None:
    source = SourceFile("a.conf", "".join(f"line{number} x;\n" for number in range(100)), "/a.conf")
    place = {number: Place(source, number + 1, f"line{number}") for number in (3, 7, 70, 71)}
    start = source.start_of(51)
    fix = Fix(True, (Edit(source, start, source.start_of(52), ""), Edit(source, start + 7, start + 7, "y")))
    whole = Finding(
        "x", "error", "", place[3], related=(Related(place[7], ""),), fix=fix, way=(Related(place[70], ""),)
    )
    (finding,), (note, plain), (comment,) = excerpted(
        [whole],
        [Note("assumed", "", place[71]), Note("assumed", "")],
        [Comment(source, 91, "audit: ignore[x] y", 91, 91)],
    )
    assert finding_json(finding) == finding_json(whole)
    assert plain == Note("assumed", "")
    kept = comment.source
    assert finding.fix is not None and note.place is not None
    places = (finding.place, finding.related[0].place, finding.way[0].place, note.place)
    sources = [*(each.source for each in places), *(edit.source for edit in finding.fix.edits)]
    assert [source is kept for source in sources] == [True] * 6
    # The lines behind a line that may be deleted are kept: there its end is.
    assert [line for line in kept.text.split("\n") if line] == [
        f"line{number} x;" for number in (3, 7, 50, 51, 70, 71, 90, 91)
    ]
    assert (kept.name, kept.path) == ("a.conf", "/a.conf")
