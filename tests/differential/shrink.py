"""A failing configuration made small: parts are cut as long as the same kind of difference stays."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable
from typing import Any, Protocol

from tests.differential.play import Case, Line
from tests.differential.tree import Node, lists

Failing = Callable[[Case], list[str]]


class Whole(Protocol):
    """What the nodes of a case become: the main file and, beside the files that every case has, those it includes."""

    common: dict[str, str]

    def whole(self, nodes: list[Node], files: dict[str, str]) -> str: ...


def kind(found: list[str]) -> str:
    """What sort of difference it is: the first line, without numbers and values; statuses are kept."""
    text = found[1] if len(found) > 1 and found[0].startswith("none of") else (found[0] if found else "")
    if not text.startswith(("status:", "action:", "crash")):
        text = text.split(" predicted")[0].split(" (-")[0]
    first = re.sub(r"exchange \d+", "exchange", text.split("\n")[0])
    return first.split(" at ")[0][:70]


class Shrinker:
    """Holds the smallest case so far. `failing` gives the differences of a case, empty where it is fine or refused."""

    def __init__(self, served: Whole, nodes: list[Node], case: Case, failing: Failing, seconds: float = 20) -> None:
        self.nodes = nodes
        self.line: Line = case.lines[0]
        self._served = served
        self._failing = failing
        self._deadline = time.monotonic() + seconds
        self.found = failing(self.case())
        self._kind = kind(self.found)

    def case(self) -> Case:
        files = dict(self._served.common)
        text = self._served.whole(self.nodes, files)
        return Case(text, files, [self.line])

    def _still(self) -> bool:
        if time.monotonic() > self._deadline:
            return False
        found = self._failing(self.case())
        if found and kind(found) == self._kind:
            self.found = found
            return True
        return False

    def run(self) -> None:
        if not self.found:
            return
        self._request()
        before = -1
        while before != (before := sum(len(entry) for entry in lists(self.nodes))):
            for entry in list(lists(self.nodes)):
                self._cut(entry)
            self._inline(self.nodes)
        self._request()

    def _cut(self, entry: list[Any]) -> None:
        """Slices out of one list, large ones first."""
        size = len(entry)
        while size:
            at = 0
            while at < len(entry):
                taken = entry[at : at + size]
                del entry[at : at + size]
                if not self._still():
                    entry[at:at] = taken
                    at += size
            size //= 2

    def _inline(self, nodes: list[Node]) -> None:
        """Includes replaced by what they include."""
        for entry in list(lists(nodes)):
            for at, node in enumerate(entry):
                if node.file and node.block is not None:
                    entry[at : at + 1] = node.block
                    if not self._still():
                        entry[at : at + len(node.block)] = [node]
                    break

    def _request(self) -> None:
        whole_line = self.line
        self.line = line = copy.deepcopy(whole_line)
        for key in ("upstream_responses", "http_version", "method"):
            if key in line:
                value = line.pop(key)
                if not self._still():
                    line[key] = value
        self._cut(line["headers"])
        if "upstream_response" in line:
            self._cut(line["upstream_response"]["headers"])
            status = line["upstream_response"]["status"]
            line["upstream_response"]["status"] = 200
            if not self._still():
                line["upstream_response"]["status"] = status
