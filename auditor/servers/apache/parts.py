"""What a file with virtual hosts, or for them, says that other files of the same folder share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.parts import Facts
from auditor.servers.apache.build import parse_address
from auditor.servers.apache.directives import spec_of
from auditor.servers.apache.load import TESTS, Item, Loader, read_assumed
from auditor.servers.apache.syntax import Node, parse, words_of
from auditor.source import InputError, SourceFile

# What a main file says, and no part of one.
_MAIN = re.compile(
    r"(?mi)^[ \t]*(ServerRoot\s|LoadModule\s|Include(Optional)?\s+\S*(mods-enabled|sites-enabled|conf\.modules\.d))"
)


def is_main(text: str) -> bool:
    """Whether the text is surely a main file's: a Listen line stands in parts, too."""
    return _MAIN.search(text) is not None


def facts_of(source: SourceFile) -> Facts | None:
    """None for what is no part of a configuration that a main file could include."""
    if is_main(source.text):
        return None
    try:
        nodes = parse(source)
    except InputError:
        return None
    hosts: set[tuple[str, str]] = set()
    defines: set[str] = set()
    uses: set[str] = set()
    once: set[str] = set()
    others = calls = False
    for node in _through_tests(nodes):
        words = words_of(node.rest)
        first = words[0].lower() if words else ""
        if node.key == "<virtualhost":
            hosts.update(_names(node, words))
            continue
        others = True
        if node.key == "<macro":
            defines.add(f"macro {first}")
            once.add(f"macro {first}")
        elif node.key == "use":
            calls = True
        elif node.key == "listen":
            address = parse_address(first, listen=True)
            once.add(f"listen {address.host}:{address.port}")
        elif node.key == "define" and words:
            defines.add(f"${words[0]}")
        else:
            spec = spec_of(node.key)
            if spec is not None and "s" not in spec.contexts and not node.key.startswith("<"):
                return None  # httpd refuses it outside of a section: the file is one to be included in some
    uses.update(f"macro {name.lower()}" for name in re.findall(r"(?mi)^[ \t]*Use[ \t]+(\S+)", source.text))
    uses.update(f"${name}" for name in re.findall(r"\$\{(\w+)\}", source.text))
    shared = others and not hosts and not calls
    return Facts(frozenset(hosts), shared, frozenset(defines), frozenset(uses - defines), frozenset(once))


def read_parts(loader: Loader, parts: Sequence[SourceFile]) -> list[Item]:
    """The items of files that are read as one, one after the other."""
    items = [item for part in parts for item in loader.read(part)]
    return [*items, *read_assumed(loader, _unlistened(loader, items))]


def _unlistened(loader: Loader, items: Sequence[Item]) -> str:
    """Listen lines for the ports of virtual hosts for which parts that are read as one have none, though they have some
    for others: the main file may have them."""
    lines = [item.directive for item in items if item.directive.key == "listen" and item.directive.args]
    hosts = [item.directive for item in items if item.directive.key == "<virtualhost"]
    known = {parse_address(line.args[0], listen=True).port for line in lines}
    ports = [parse_address(word).port for host in hosts for word in host.args]
    missing = [str(port) for port in dict.fromkeys(ports) if port is not None and port not in known] if lines else []
    if missing:
        loader.note("assumed", f"no Listen line is at hand for the ports of virtual hosts: {', '.join(missing)}")
    return "".join(f"Listen {port}\n" for port in missing)


def _through_tests(nodes: Sequence[Node]) -> Iterator[Node]:
    """What stands outside of any section, or in <IfModule> and its like alone."""
    for node in nodes:
        if node.key in TESTS:
            yield from _through_tests(node.children or ())
        else:
            yield node


def _names(host: Node, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    lines = list(_through_tests(host.children or ()))
    names = [word for line in lines if line.key == "servername" for word in words_of(line.rest)[:1]]
    found = {name.rpartition("://")[2].partition(":")[0].lower() for name in names} or {""}
    for line in lines:
        if line.key == "serveralias":
            found.update(word.lower() for word in words_of(line.rest))
    secure = any(line.key == "sslengine" and line.rest.lower().startswith("on") for line in lines)
    for word in words:
        port = parse_address(word).port or (443 if secure else 80)
        yield from ((name, str(port)) for name in found)
