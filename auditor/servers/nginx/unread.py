"""Files that are included around a line and are not at hand: what the line lacks may stand in them."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.server import Unread
from auditor.servers.nginx.syntax import Directive, Tree
from auditor.source import Place

# Lines that keep those of the blocks around them from being inherited.
_HEADERS = frozenset(
    ("proxy_set_header", "grpc_set_header", "fastcgi_param", "uwsgi_param", "scgi_param", "add_header")
)


def find_unread(tree: Tree, line: Place) -> Iterator[Unread]:
    """The include lines in the blocks around that line, and in its own block, up to the server; from the inside out."""
    if not tree.unread:
        return
    counts = True
    for block in reversed(_blocks_around(tree.directives, line) or ()):
        if block.name == "http":
            return
        inner = block.block or []
        for include in tree.unread.get(id(inner), ()):
            yield Unread(include.args[0], include.place, block.name, counts)
        counts = counts and not any(item.name in _HEADERS for item in inner)


def _blocks_around(directives: list[Directive], line: Place) -> list[Directive] | None:
    """The blocks that the line stands in, from the outside in, and the block that it opens; None where it is not."""
    for item in directives:
        if item.place == line:
            return [item] if item.block is not None else []
        if item.block is not None:
            found = _blocks_around(item.block, line)
            if found is not None:
                return [item, *found]
    return None
