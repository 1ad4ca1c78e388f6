"""The tree of a configuration as httpd's text; a .htaccess is a node whose block lies in a file."""

from __future__ import annotations

from tests.differential.tree import Node

HEAD = """ServerRoot @DIR@
DefaultRuntimeDir @DIR@
PidFile @DIR@/httpd.pid
ErrorLog @DIR@/error.log
Mutex pthread
ServerTokens Prod
TypesConfig @DIR@/mime.types
@LOAD@
ServerName t.example
DocumentRoot @DIR@/www
AddHandler cgi-script .cgi
"""


def render(nodes: list[Node], files: dict[str, str], depth: int = 0) -> str:
    """The text of the nodes; the bodies of .htaccess and included files go to `files`."""
    pad, out = "    " * depth, []
    for node in nodes:
        if node.file:
            files[node.file] = render(node.block or [], files)
            out.append(f"{pad}{node.text}\n" if node.text else "")
        elif node.block is None:
            out.append(f"{pad}{node.text}\n")
        else:
            name = node.text.split()[0]
            out.append(f"{pad}<{node.text}>\n{render(node.block, files, depth + 1)}{pad}</{name}>\n")
    return "".join(out)


def whole(nodes: list[Node], files: dict[str, str]) -> str:
    """The text of httpd.conf with these nodes."""
    return HEAD + render(nodes, files)
