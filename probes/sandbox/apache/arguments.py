"""Arguments of httpd's directives in the sandbox: paths lead into the mirror, names of clients are not looked up."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Mapping
from typing import NamedTuple

from auditor.servers.apache.syntax import Node
from probes.sandbox.apache import tables
from probes.sandbox.apache.text import line

NOBODY = "192.0.2.255"  # an address for documentation (RFC 5737): no client has it
_TOP = r"/(?:bin|boot|dev|etc|home|lib\w*|media|mnt|opt|proc|root|run|s?bin|srv|sys|tmp|usr|var)/"


class New(NamedTuple):
    """What a line becomes. With `why` it is told as left out; `changed` says that the prediction is made without the
    line, too."""

    text: str
    why: str = ""
    changed: bool = False


class Arguments:
    """Edits lines by their arguments. `folder` is the sandbox, `state` where the server writes, `server_root` the
    ServerRoot of the deployed machine."""

    def __init__(self, folder: str, state: str, server_root: str) -> None:
        self.folder = folder
        self.state = state
        self.root = f"{folder}/root"
        self.server_root = server_root

    def of(self, node: Node, words: list[str]) -> New | None:
        """What becomes of the line; None for one that stays."""
        key = node.key
        if any(tables.RUNS.match(word) for word in words) and node.children is None:
            return New("", tables.CODE, True)
        if key in tables.PATHS and words:
            at = tables.PATHS[key] % len(words) if tables.PATHS[key] < len(words) else 0
            return self._replaced(node, words, {at: self._inside(words[at])})
        if key in ("<directory", "<directorymatch") and words:
            regex = key == "<directorymatch" or words[0] == "~"
            at = 1 if words[0] == "~" and len(words) > 1 else 0
            return self._replaced(node, words, {at: self._regex(words[at]) if regex else self._inside(words[at])})
        if key == "cacheroot":
            return New(line(node.name, [f"{self.state}/cache"]))
        if key == "rewritemap" and len(words) > 1:
            return self._map(node, words)
        if key == "rewritecond" and len(words) > 1:
            return self._condition(node, words)
        if key == "rewriterule" and len(words) > 1 and re.match(_TOP, words[1]):
            return self._replaced(node, words, {1: self._inside(words[1])})
        if key in ("require", "allow", "deny"):
            return self._host(node, words)
        if key in ("authbasicprovider", "authdigestprovider"):
            unknown = any(word.lower() not in tables.PROVIDERS for word in words)
            return New("", "what it asks is not here", True) if unknown else None
        if key in ("<if", "<elseif") and tables.FILE_TEST.search(node.rest):
            return New(f"{node.name} {self._file_tests(node.rest)}>")
        if key in ("proxypass", "proxypassmatch", "balancermember"):
            kept = [word for word in words if not re.match(r"(?i)hc\w+=", word)]
            return New(line(node.name, kept)) if kept != words else None
        return None

    def _file_tests(self, text: str) -> str:
        return tables.FILE_TEST.sub(lambda found: f"{found[1]}{self.root}", text)

    def _replaced(self, node: Node, words: list[str], new: Mapping[int, str]) -> New | None:
        if all(words[at] == word for at, word in new.items()):
            return None
        return New(line(node.name, [new.get(at, word) for at, word in enumerate(words)]))

    def _inside(self, path: str) -> str:
        """A path of the deployed machine in the sandbox; `..` does not lead out of it."""
        if path.startswith("/"):
            if ".." in path.split("/"):
                path = posixpath.normpath("/" + path.lstrip("/")) + "/" * path.endswith("/")
            return self.root + path
        if path.startswith(("$", "%{")):  # a macro's parameter
            return self.root + path
        if ".." in path.split("/"):
            return self.root + posixpath.normpath(f"{self.server_root}/{path}")
        return path

    def _regex(self, pattern: str) -> str:
        """A pattern for paths of the deployed machine: what begins at the beginning begins behind the mirror."""
        return re.sub(r"(^|[|(])\^(?=[/(\[.])", lambda found: f"{found[1]}^{re.escape(self.root)}", pattern)

    def _map(self, node: Node, words: list[str]) -> New | None:
        kind, colon, rest = words[1].partition(":")
        low = kind.lower()
        if not colon:
            kind, low, rest = "txt", "txt", words[1]
        if low in ("txt", "rnd") or low.startswith("dbm"):
            return self._replaced(node, words, {1: f"{kind}:{self._inside(rest)}"})
        if low == "int":
            return None
        text = line(node.name, [words[0], f"txt:{self.folder}/empty.txt"])
        return New(text, "programs and databases are not asked")

    def _condition(self, node: Node, words: list[str]) -> New | None:
        new = {}
        if words[0].startswith("/") and re.match(r"!?-[dfslLhFUx]$", words[1]):
            new[0] = self._inside(words[0])
        if tables.DEPLOYED.search(words[0]):
            bare = words[1].lstrip("!")
            mark = words[1][: len(words[1]) - len(bare)]
            new[1] = mark + (f"={self.root}{bare[1:]}" if bare.startswith("=/") else self._regex(bare))
        if words[0].lower() == "expr" and tables.FILE_TEST.search(words[1]):
            new[1] = self._file_tests(words[1])
        return self._replaced(node, words, new)

    def _host(self, node: Node, words: list[str]) -> New | None:
        """Names of clients are not looked up: nobody has the address that stands in their place."""
        why = "names are not looked up: no client has that one"
        low = [word.lower() for word in words]
        if node.key == "require":
            start = 1 if low[:1] == ["not"] else 0
            if low[start : start + 1] in (["host"], ["forward-dns"]):
                return New(line(node.name, [*words[:start], "ip", NOBODY]), why)
        elif low[:1] == ["from"]:
            new = {at: NOBODY for at, word in enumerate(words) if at and _is_name(word)}
            if new:
                return New(line(node.name, [new.get(at, word) for at, word in enumerate(words)]), why)
        return None


def _is_name(word: str) -> bool:
    """Whether this is a client's name: no address, network, beginning of one, `all`, or `env=`."""
    low = word.lower()
    if low == "all" or low.startswith("env=") or re.fullmatch(r"[\d.]+(?:/[\d.]+)?", word):
        return False
    try:
        ipaddress.ip_network(word, strict=False)
    except ValueError:
        return True
    return False
