"""What fixes are made of: small edits of the lines that findings are about.

Each function gives the edits, or none where the text beside the line would suffer. Comments are never deleted: one that
stood behind a deleted line stays on a line of its own. A line that a comment of this product speaks to
(`# audit: ...`, behind it or above it) is left alone, because the comment would speak to another line then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from auditor.findings import Edit, Fix
from auditor.server import Comment
from auditor.source import Place
from auditor.trace import Exchange, LostHeader

SAFE = "safe"
UNSAFE = "unsafe"

_SPEAKS = r"#\s*audit:"

Edits = tuple[Edit, ...]


def fix(safe: bool, edits: Edits) -> Fix | None:
    """The edits as a fix; None where there are none."""
    return Fix(safe, edits) if edits else None


def written(line: Place) -> str:
    """The directive as it stands in the file (latin-1), its credentials with it: never for a report."""
    start, end = line.span
    return line.source.text[start:end]


def without(line: Place) -> Edits:
    """Deletes the directive: with its whole line, indentation and line end, where it stands alone there."""
    start, end = line.span
    text = line.source.text
    begin, stop, before, after = _around(line)
    if written(line).endswith("{") or _holds_comment(line) or _is_spoken_to(line):
        return ()
    if not before.strip() and not after.strip():
        return (Edit(line.source, begin, min(stop + 1, len(text)), ""),)
    if after.strip():
        return (Edit(line.source, start, end + len(after) - len(after.lstrip()), ""),)
    return (Edit(line.source, start - (len(before) - len(before.rstrip())), stop, ""),)


def with_word(line: Place, word: str) -> Edits:
    """Adds a word at the end of a directive that ends with `;`."""
    body = written(line)
    if not body.endswith(";") or _holds_comment(line):
        return ()
    at = line.span[0] + len(body[:-1].rstrip())
    return (Edit(line.source, at, at, f" {word}"),)


def with_part(line: Place, pattern: str, new: str) -> Edits:
    """Puts `new` in the place of what the regular expression matches in the directive, if it matches once."""
    found = list(re.finditer(pattern, written(line)))
    if len(found) != 1 or _holds_comment(line):
        return ()
    start = line.span[0]
    return (Edit(line.source, start + found[0].start(), start + found[0].end(), new),)


def beside(line: Place, *directives: str) -> Edits:
    """Adds lines below the directive, with its indentation; nothing where others share its line."""
    _, stop, before, after = _around(line)
    if not directives or before.strip() or (after.strip() and not after.lstrip().startswith("#")):
        return ()
    if not written(line).endswith(";") or any("\n" in directive for directive in directives):
        return ()
    return (Edit(line.source, stop, stop, "".join(f"\n{before}{directive}" for directive in directives)),)


def without_comment(comment: Comment) -> Edits:
    """Deletes a comment, with its whole line where it stands alone there."""
    source = comment.source
    begin = source.start_of(comment.line)
    stop = source.text.find("\n", begin)
    stop = len(source.text) if stop == -1 else stop
    text = source.text[begin:stop]
    at = text.rfind("#", 0, len(text.rstrip()) - len(comment.text.strip()))
    if at == -1:
        return ()
    if not text[:at].strip():
        return (Edit(source, begin, min(stop + 1, len(source.text)), ""),)
    return (Edit(source, begin + len(text[:at].rstrip()), stop, ""),)


def always(withheld: Iterable[LostHeader], prefix: str) -> Edits:
    """Puts the response headers whose names begin so on answers of every status."""
    lines: dict[Place, None] = {}
    for header in withheld:
        for because in header.because[:1]:
            if because.place is not None and header.name.lower().startswith(prefix):
                lines[because.place] = None
    edits = [with_word(line, "always") for line in lines if written(line).startswith("add_header")]
    return tuple(edit for each in edits for edit in each) if all(edits) else ()


def is_own(withheld: Iterable[LostHeader], prefix: str) -> bool:
    """Whether those lines stand in the very block that answers: no other block has them."""
    return all(len(header.because) == 1 for header in withheld if header.name.lower().startswith(prefix))


def cleared(exchange: Exchange, names: Iterable[str]) -> Edits:
    """Clears those headers or parameters of requests to this upstream, beside the lines that count there now. A line at
    a level that has none would keep the upstream from getting what it inherits; where no line counts, it stands beside
    the one that sends the request on."""
    place = exchange.place
    if place is None:
        return ()
    because = [item for sent in exchange.headers for item in sent.because]
    because += [item for lost in exchange.lost for item in lost.because]
    lines = [item.place for item in because if item.place is not None and re.match(_SETS, written(item.place))]
    if not lines and not exchange.protocol.startswith("HTTP"):
        return ()  # without parameters of its own a program gets nothing at all
    near = [line for line in lines if line.source is place.source] if lines else [place]
    if not near:
        return ()
    last = max(near, key=lambda line: line.span[0])
    directive = written(last).split()[0] if lines else "proxy_set_header"
    if not lines and not written(place).startswith("proxy_pass"):
        return ()
    return beside(last, *(f'{directive} {name} "";' for name in names))


_SETS = r"(proxy_set_header|grpc_set_header|fastcgi_param|scgi_param|uwsgi_param)\s"


def _around(line: Place) -> tuple[int, int, str, str]:
    """Where the first of its lines begins and the last one ends, and what else stands on them."""
    start, end = line.span
    text = line.source.text
    begin, stop = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    stop = len(text) if stop == -1 else stop
    return begin, stop, text[begin:start], text[end:stop]


def _holds_comment(line: Place) -> bool:
    """Whether a comment stands between its words, or may."""
    body = written(line)
    return "\n" in body and "#" in body


def _is_spoken_to(line: Place) -> bool:
    begin, _, before, after = _around(line)
    if re.match(r"\s*" + _SPEAKS, after):
        return True
    above = line.source.text[:begin].split("\n")[-2::-1] if not before.strip() else []
    for text in above:
        if not text.strip().startswith("#"):
            return False
        if re.match(_SPEAKS, text.strip()):
            return True
    return False
