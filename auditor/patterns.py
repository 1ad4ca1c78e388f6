"""Patterns of our own text work, compiled when they are first used: most runs use few of them, and to compile one costs
about as much as to import a small module. (The patterns of configurations are the business of auditor.regex.)"""

from __future__ import annotations

import re
from typing import Any, cast


class _Pattern:
    """Stands for a compiled pattern; its methods are taken over from that one when they are first asked for."""

    def __init__(self, text: str, flags: int) -> None:
        self._source = (text, flags)

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(*self._source), name)
        setattr(self, name, found)
        return found


def lazy_re(text: str, flags: int = 0) -> re.Pattern[str]:
    """As re.compile, later: what does not compile raises re.error with the first use."""
    return cast("re.Pattern[str]", _Pattern(text, flags))
