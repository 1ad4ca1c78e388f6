"""The sealed configuration, read once more before it is started: nothing in it may lead out of the sandbox."""

from __future__ import annotations

import re
from collections.abc import Sequence

from auditor.servers.apache.directives import spec_of
from auditor.servers.apache.modules import module_name
from auditor.servers.apache.syntax import Node, parse, words_of
from auditor.source import InputError, SourceFile
from probes.runners.httpd import Httpd
from probes.sandbox.apache import tables
from probes.sandbox.apache.seal import Plan, misspelt
from probes.sandbox.apache.text import walk
from probes.sandbox.check import Unsafe
from probes.sandbox.sealed import Sealed

# What the sandbox writes itself, and how it must be meant.
_OWN = ("listen", "defaultruntimedir", "pidfile", "errorlog", "serverroot", "mutex", "typesconfig", "proxyremote")


def check_sealed(sealed: Sealed, plan: Plan, program: Httpd) -> None:
    """Reads the sealed configuration again. Raises Unsafe for a line that would reach or listen outside of it, write
    elsewhere, or run a program."""
    for name, text in {**sealed.files, "httpd.conf": sealed.main}.items():
        if name in ("mime.types", "empty.txt"):
            continue
        source = SourceFile(f"{plan.folder}/{name}", text)
        try:
            nodes = parse(source)
        except InputError:
            continue  # the server refuses it
        for node, _ in walk(nodes):
            if not _is_safe(node, sealed, plan, program, name == "httpd.conf"):
                raise Unsafe(f"{node.place.text} in {source.name}:{node.place.line}")


def _is_safe(node: Node, sealed: Sealed, plan: Plan, program: Httpd, own: bool) -> bool:
    key, words = node.key, words_of(node.rest)
    root = f"{plan.folder}/root"
    if key == "loadmodule":
        name = module_name(words[0]) if words else ""
        return len(words) == 2 and name not in tables.BARRED and words[1] in program.modules.values()
    if key in ("include", "includeoptional"):
        return all(word.startswith(f"{plan.folder}/conf/") for word in words)
    if key in _OWN and own:
        if key == "listen":
            return words[0].startswith(f"{plan.address}:")
        if key == "proxyremote":
            return words[1].removeprefix("http://") in sealed.addresses
        return key == "mutex" or f"{words[0]}/".startswith((f"{plan.folder}/", f"{plan.state}/"))
    if spec_of(key) is None:
        return misspelt(key)  # so the server does not start
    if key in tables.HOUSEKEEPING or key in tables.TAKEN:
        return False
    if (tables.TLS.match(key) and not own) or (key in tables.CERTIFICATES and words != (plan.certificate,)):
        return False
    if node.children is None and any(tables.RUNS.match(word) for word in words):
        return False
    if key == "<virtualhost":
        return all(word == "*" or word.startswith(("*:", f"{plan.address}:")) for word in words)
    if key in tables.PATHS and words:
        at = tables.PATHS[key] if tables.PATHS[key] < len(words) else 0
        return _inside(words[at], root)
    if key == "<directory" and words and words[0] != "~":
        return _inside(words[0], root)
    if key == "cacheroot":
        return words[:1] == (f"{plan.state}/cache",)
    if key == "rewritemap":
        kind, _, path = words[1].partition(":")
        return kind == "int" or ((kind in ("txt", "rnd") or kind.startswith("dbm")) and path.startswith(plan.folder))
    if key == "require" and any(word.lower() in ("host", "forward-dns") for word in words[:2]):
        return False
    return _sockets_are_ours(words, sealed, root)


def _inside(path: str, root: str) -> bool:
    if ".." in path.split("/"):
        return False
    return path.startswith(root) if path.startswith(("/", "$", "%")) else True


def _sockets_are_ours(words: Sequence[str], sealed: Sealed, root: str) -> bool:
    found = (match for word in words for match in re.findall(r"unix:/[^\s|\"']*", word))
    return all(one in sealed.addresses or one.startswith(f"unix:{root}/") for one in found)
