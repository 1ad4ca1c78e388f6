"""Credentials in reports: masked as the static reports have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.reports.trace_text import credential


def masked(name: str, value: str) -> list[str]:
    """The pair with a credential in it masked; values that a probe makes up are none, but look like some."""
    return [name, credential(name, value).partition(": ")[2]]


def masked_lines(text: str) -> str:
    """A difference, of which each line may be a header line."""
    lines = []
    for line in text.split("\n"):
        lead, colon, value = line.partition(": ")
        name = lead.split()[-1] if lead.split() else ""
        lines.append(lead + colon + masked(name, value)[1] if colon and value else line)
    return "\n".join(lines)


def without(value: Any, hidden: Sequence[str]) -> Any:
    """A document in which these texts are masked, wherever they stand."""
    if isinstance(value, str):
        for text in hidden:
            value = value.replace(text, "***")
        return value
    if isinstance(value, list):
        return [without(item, hidden) for item in value]
    if isinstance(value, dict):
        return {key: without(item, hidden) for key, item in value.items()}
    return value
