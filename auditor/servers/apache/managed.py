"""Blocks of a .htaccess that another program writes anew: what stands between its marks is its own.

What such a program writes is known here, in all its versions; plugins add rewrite rules of their own to it. So only
lines count as a user's that no version and no plugin writes there: about who may come in, about headers, and rewrites
to another origin, as to https or to the canonical name (plugins that do so have blocks of their own).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.patterns import lazy_re
from auditor.server import Managed
from auditor.servers.apache.syntax import Line, lines_of
from auditor.source import Place, SourceFile

if TYPE_CHECKING:
    from auditor.servers.apache.site import ApacheSite

_MARKS = {
    "WordPress": (r"#\s*BEGIN WordPress\s*$", r"#\s*END WordPress\s*$"),
    "cPanel": (r"#\s*php -- BEGIN cPanel-generated handler", r"#\s*php -- END cPanel-generated handler"),
}
_OWN = lazy_re(
    r"(?i)(Auth\w+|Require|<Require(All|Any|None)|Satisfy|SetEnvIf(NoCase|Expr)?|CGIPassAuth|Header|RequestHeader)(\s|>|$)"
)
# The line of WordPress itself, since 5.6, and what users write in its place.
_PASSES = lazy_re(r"(?i)Rewrite(Rule|Cond)\s.*(E=\w*AUTHORIZATION|%\{HTTP:Authorization\})")
_ITS_OWN = lazy_re(r"RewriteRule\s+\.\*\s+-\s+\[E=HTTP_AUTHORIZATION:%\{HTTP:Authorization\}\]$")

# A redirect to another origin, and lines about other things than rewriting.
_ELSEWHERE = lazy_re(
    r"(?i)RewriteRule\s+\S+\s+\"?https?://.*\[[^\]]*\bR(edirect)?\b"
    r"|RewriteCond\s+\"?%\{(HTTPS|SERVER_PORT|HTTP:X-Forwarded-Proto)\}"
)
_OTHER = lazy_re(r"(?i)(Order|Deny|Allow|Redirect(Match|Permanent|Temp)?|ErrorDocument|php_(value|flag))\s")


def make_managed(site: ApacheSite) -> Iterator[Managed]:
    """The blocks in which a user's own lines stand."""
    for source in site.files:
        if "# BEGIN" in source.text or "BEGIN cPanel" in source.text:
            yield from _of_source(source)


def _of_source(source: SourceFile) -> Iterator[Managed]:
    owner, first, own = "", 0, list[Place]()
    for line in lines_of(source):
        if not owner:
            owner = next((name for name, (begin, _) in _MARKS.items() if re.match(begin, line.text)), "")
            first, own = line.number, []
        elif re.match(_MARKS[owner][1], line.text):
            if own:
                yield Managed(owner, first, tuple(own))
            owner = ""
        elif _is_own(owner, line.text):
            own.append(_place(source, line))


def _is_own(owner: str, text: str) -> bool:
    if owner == "WordPress" and (_ELSEWHERE.match(text) is not None or _OTHER.match(text) is not None):
        return True
    return _OWN.match(text) is not None or (_PASSES.match(text) is not None and _ITS_OWN.match(text) is None)


def _place(source: SourceFile, line: Line) -> Place:
    return Place(source, line.number, line.text.split()[0], 0, None, line.start, line.stop)
