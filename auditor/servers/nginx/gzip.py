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
    if line is None or line.args[:1] != ["on"] or body is None or status not in (200, 403, 404):
        return None
    return OutHeader("Vary", literal("Accept-Encoding", SERVER), decides(line)) if _compressible(run, body) else None


def _compressible(run: Run, body: Body) -> bool:
    if not run.level.flag("gzip", False) or not _of_type(run, body, "gzip_types"):
        return False
    least = run.level.line("gzip_min_length")
    return body.length >= (int(least.args[0]) if least is not None and least.args and least.args[0].isdigit() else 20)


def _of_type(run: Run, body: Body, name: str) -> bool:
    types = run.level.line(name)
    wanted = {"text/html", *(types.args if types is not None else ())}
    return body.type in wanted or "*" in wanted


def rewritten(run: Run, body: Body) -> bool:
    """Whether a filter works on the body of a 200: then nobody gets a range of it."""
    if run.level.lines("sub_filter") and _of_type(run, body, "sub_filter_types"):
        return True
    if run.level.flag("ssi", False) and _of_type(run, body, "ssi_types"):
        return True
    return _compressible(run, body) and _taken(run)


def _taken(run: Run) -> bool:
    """Whether the client gets compressed answers (ngx_http_gzip_ok); the user agents of gzip_disable are not known."""
    accepted = (run.header("accept-encoding") or "").lower().replace(" ", "")
    words = [part.partition(";q=") for part in accepted.split(",")]
    if not any(name == "gzip" and (not weight or number.strip("0.")) for name, weight, number in words):
        return False
    version = run.level.line("gzip_http_version")
    if run.shared.request.http_version == "1.0" and (version is None or version.args[:1] != ["1.0"]):
        return False
    if run.header("via") is None:
        return True
    proxied = {word for line in run.level.lines("gzip_proxied") for word in line.args}
    return "any" in proxied or ("auth" in proxied and run.header("authorization") is not None)
