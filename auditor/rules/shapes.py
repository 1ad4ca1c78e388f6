"""What paths and blocks look like to the one who wrote them: folders, guarded areas, patterns, page assets."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.patterns import lazy_re
from auditor.server import Area
from auditor.source import Place

# What pages are made of and everybody may see; a pattern for these beside a gate is usual.
_ASSETS = (
    *(".css", ".js", ".mjs", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".avif", ".txt"),
    *(".woff", ".woff2", ".ttf", ".otf", ".eot", ".mp4", ".webm"),
)


def folders(path: str) -> Iterator[str]:
    """The path and all above it, without the final slash: "", "/a", "/a/b" for /a/b and for /a/b/."""
    at = 0
    while at != -1:
        yield path[:at]
        at = path.find("/", at + 1)
    if not path.endswith("/"):
        yield path


def merged(path: str) -> str:
    """The path as applications read it: most take several slashes for one."""
    while "//" in path:
        path = path.replace("//", "/")
    return path


def inside(area: Area, path: str) -> bool:
    """Whether the path lies in the area as its author means it: `/admin` is not about /administrator."""
    if area.exact:
        return path == area.prefix
    return path == area.prefix or path.startswith(area.prefix.rstrip("/") + "/")


def shape(handler: Place | None) -> str:
    """How a block says which paths are its own: "exact", "prefix", "anchored" (a pattern that begins with a path),
    "pattern", or "named" (reached only from inside)."""
    words = handler.text.split()[1:] if handler is not None else []
    if not words:
        return "prefix"
    mark, rest = words[0], words[-1].strip("\"'")
    if mark.startswith("@"):
        return "named"
    if mark == "=":
        return "exact"
    if mark.startswith("~"):
        return "anchored" if _ANCHORED.match(_pattern(rest)) else "pattern"
    return "prefix"


def names_folder(handler: Place | None) -> bool:
    """Whether a pattern is about folders of certain names, wherever they lie: /media/ or /(js|css)/."""
    words = handler.text.split()[1:] if handler is not None else []
    return bool(words) and words[0].startswith("~") and _FOLDER.match(_pattern(words[-1].strip("\"'"))) is not None


def _pattern(word: str) -> str:
    return word.lstrip("~*").strip("\"'")


# ^/api, ^(/api, ^/(api|auth), ^/(?:api|auth), ^/\.well-known
_ANCHORED = lazy_re(r"\^[(?:]*/(?:\((?:\?:)?)*(?:\\\.)?\w")
# A whole part of a path: what follows is a slash, a group, or the end.
_FOLDER = lazy_re(r"(?:\((?:\?:)?)*/(?:\((?:\?:)?)*[\w|-]+\)*(?:/|\(|$)")


# What interfaces for programs are called.
_PROGRAMS = frozenset(("api", "apis", "rest", "graphql", "rpc", "jsonrpc", "webdav", "dav"))

# Pages about them, for people: /api/docs, /docs/v1.
_PAGES = frozenset(
    ("doc", "docs", "documentation", "swagger", "swagger-ui", "redoc", "explorer", "help", "ui", "admin")
)


def is_api(path: str) -> bool:
    """Whether the path says that programs call it: /api/, /v1/, /graphql and the like."""
    parts = path.lower().split("/")[1:]
    if not _PAGES.isdisjoint(parts):
        return False
    return not _PROGRAMS.isdisjoint(parts[:3]) or (parts[0][:1] == "v" and parts[0][1:].isdigit())


def is_asset(path: str) -> bool:
    dot = path.rfind(".")
    return dot > path.rfind("/") and path[dot:].lower() in _ASSETS
