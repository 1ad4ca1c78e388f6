"""A configuration as a tree that can be printed and taken apart: what the generator makes and the shrinker cuts."""

from __future__ import annotations

from collections.abc import Iterator

HTTP_HEAD = """\
daemon off;
master_process off;
pid nginx.pid;
error_log error.log info;
events {}
http {
    access_log off;
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
"""


class Node:
    """A directive as text without its `;`, a block where `block` is a list. A node with `file` is an include: its block
    lies in that file."""

    __slots__ = ("block", "file", "text")

    def __init__(self, text: str, block: list[Node] | None = None, file: str = "") -> None:
        self.text = text
        self.block = block
        self.file = file

    @property
    def name(self) -> str:
        return self.text.split(None, 1)[0]

    def copy(self) -> Node:
        return Node(self.text, None if self.block is None else [node.copy() for node in self.block], self.file)


def render(nodes: list[Node], files: dict[str, str], depth: int = 1) -> str:
    """The text of the nodes; the bodies of includes go to `files`."""
    pad, out = "    " * depth, []
    for node in nodes:
        if node.file:
            files[node.file] = render(node.block or [], files, 0)
            out.append(f"{pad}{node.text};\n")
        elif node.block is None:
            out.append(f"{pad}{node.text};\n")
        else:
            out.append(f"{pad}{node.text} {{\n{render(node.block, files, depth + 1)}{pad}}}\n")
    return "".join(out)


def whole(nodes: list[Node], files: dict[str, str]) -> str:
    """The text of nginx.conf around these nodes of its http block."""
    return HTTP_HEAD + render(nodes, files) + "}\n"


def walk(nodes: list[Node]) -> Iterator[Node]:
    """All nodes below, outer ones first."""
    for node in nodes:
        yield node
        yield from walk(node.block or [])


def lists(nodes: list[Node]) -> Iterator[list[Node]]:
    """All the lists that hold nodes, the outermost first."""
    yield nodes
    for node in nodes:
        if node.block is not None:
            yield from lists(node.block)
