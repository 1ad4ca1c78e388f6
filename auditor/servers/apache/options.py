"""The Options that count for a request (core.c: set_options)."""

from __future__ import annotations

from auditor.servers.apache.config import Layers, Section
from auditor.servers.apache.directives import spec_of


def options_of(layers: Layers) -> frozenset[str]:
    """The Options that count (core.c: set_options; FollowSymLinks is the default since 2.3.11)."""
    found: frozenset[str] = layers.memo("options", _options_of)
    return found


_ALL = frozenset(("indexes", "includes", "followsymlinks", "execcgi"))  # OPT_ALL


def _options_of(layers: Layers) -> frozenset[str]:
    found: set[str] = {"followsymlinks"}
    added: set[str] = set()
    removed: set[str] = set()
    for section in layers.sections:  # merge_core_dir_configs: what was taken away stays so where a section says nothing
        if section.kind == "htaccess" and not _is_cores(section):
            continue
        own: set[str] | None = None
        plus: set[str] = set()
        minus: set[str] = set()
        for line in section.all("options"):
            if any(word[:1] not in "+-" for word in line.args):
                own = set()
            for word in line.args:
                low = word.lower().lstrip("+-")
                names = set(_ALL) if low == "all" else set() if low == "none" else {low}
                if word.startswith("-"):
                    plus, minus, own = plus - names, minus | names, own - names if own is not None else None
                elif word.startswith("+"):
                    plus, minus, own = plus | names, minus - names, own | names if own is not None else None
                else:
                    own = (own or set()) | names
        if own is not None:
            found, added, removed = own, plus, minus
        else:
            added, removed = (added - minus) | plus, (removed - plus) | minus
            found = (found - removed) | added
    return frozenset(found)


def _is_cores(section: Section) -> bool:
    """Whether a .htaccess has anything of the core's, which otherwise has no part in it that would be merged."""
    specs = [spec_of("<limit" if line.limit is not None else line.key) for line in section.directives]
    return bool(section.sections) or any(spec is not None and spec.module == "core.c" for spec in specs)
