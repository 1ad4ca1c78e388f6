"""gzip_vary: the Vary line that goes with answers that would be compressed for a client that takes that
(src/http/modules/ngx_http_gzip_filter_module.c)."""

from __future__ import annotations

from typing import NamedTuple

from auditor.http import Pairs
from auditor.servers.nginx.run import OutHeader, Run, decides
from auditor.values import SERVER, literal
from auditor.world import Answer, Question


class Body(NamedTuple):
    """What is known of an answer's body: its media type, its length in bytes."""

    type: str
    length: int


BUILT_IN = Body("text/html", 140)  # nginx's own pages
LONG = 1 << 30

_BY_SUFFIX = {
    "html": "text/html",
    "htm": "text/html",
    "shtml": "text/html",
    "css": "text/css",
    "js": "application/javascript",
    "json": "application/json",
    "xml": "text/xml",
    "txt": "text/plain",
    "svg": "image/svg+xml",
}


def type_of(run: Run, knows_types: bool = True) -> str:
    """The media type of an answer under the current URI: by its suffix, else default_type."""
    name = run.uri.rpartition("/")[2]
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if (knows_types and suffix in _BY_SUFFIX and run.level.line("types") is not None) or suffix in ("html",):
        return _BY_SUFFIX[suffix]
    line = run.level.line("default_type")
    return line.args[0] if line is not None and line.args else "text/plain"


def of_answer(run: Run, status: int | None, headers: Pairs) -> Body | None:
    """An upstream's answer: where its length is not told, and decides, both ways are followed."""
    fields = {name.lower(): value for name, value in headers}
    media = fields.get("content-type", "").partition(";")[0].strip().lower()
    if not media or "content-encoding" in fields or vary(run, status, Body(media, LONG)) is None:
        return None
    length = fields.get("content-length", "")
    if length.isdigit():
        return Body(media, int(length))
    answer = run.ask(
        Question("variable", "the length of the answer"),
        [Answer("long", "the answer is long enough to be compressed", LONG), Answer("short", "the answer is short", 0)],
    )
    return Body(media, int(answer.value))


def vary(run: Run, status: int | None, body: Body | None) -> OutHeader | None:
    """`Vary: Accept-Encoding`, or None."""
    line = run.level.line("gzip_vary")
    if line is None or body is None or line.args[:1] != ["on"] or not run.level.flag("gzip", False):
        return None
    if status not in (200, 403, 404):
        return None
    least = run.level.line("gzip_min_length")
    if body.length < (int(least.args[0]) if least is not None and least.args and least.args[0].isdigit() else 20):
        return None
    types = run.level.line("gzip_types")
    wanted = {"text/html", *(types.args if types is not None else ())}
    if body.type not in wanted and "*" not in wanted:
        return None
    return OutHeader("Vary", literal("Accept-Encoding", SERVER), decides(line))
