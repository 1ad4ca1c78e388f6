"""Credentials in reports: masked as the static reports have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.http import Request
from auditor.reports.trace_text import credential
from auditor.secrets import mask_header, mask_sentence

_SHORTEST = 6


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


def secrets_of(request: Request) -> set[str]:
    """What a witness has to send and a report must not tell (auditor.secrets); not what is too short to be told apart
    from other words of a report."""
    pairs = [
        ("?" + part.partition("=")[0], part.partition("=")[2]) for part in request.target.partition("?")[2].split("&")
    ]
    found = {value for name, value in pairs if mask_sentence(f"{name}={value}") != f"{name}={value}"}
    for name, value in request.headers:
        parts = [part.partition("=")[2] for part in value.split("; ")] if name.lower() == "cookie" else [value]
        found.update(
            part for part in parts if mask_header(name, value) != value and part not in mask_header(name, value)
        )
    return {secret for secret in found if len(secret) >= _SHORTEST}


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
