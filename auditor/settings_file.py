"""The settings file: one table says which keys there are, and the parser, the file that `audit init` writes, and the
schema for editors are made from it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from auditor import rules
from auditor.settings import (
    AUTO,
    DEFAULT,
    EDGE,
    FILE,
    IDENTITY_HEADERS,
    IDENTITY_PREFIXES,
    INNER,
    SHARED_FILE,
    WATCHED_HEADERS,
    Settings,
    SettingsError,
)

SEVERITIES = ("off", "info", "warning", "error")
_VERSION = r"auto|\d+(\.\d+){1,2}"
_HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token of RFC 9110, 5.6.2


class Key(NamedTuple):
    """A key of the file. `default` and `example` are as TOML writes them; without a default, nothing is set. `schema`
    is the JSON schema of its values."""

    name: str
    about: str
    schema: dict[str, Any]
    default: str = ""
    example: str = ""


def _list(pattern: str = ".") -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "pattern": pattern}}


def _table(values: dict[str, Any], names: Iterable[str] | None = None) -> dict[str, Any]:
    if names is None:
        return {"type": "object", "additionalProperties": values}
    return {"type": "object", "properties": dict.fromkeys(names, values), "additionalProperties": False}


_RULES = _table({"enum": list(SEVERITIES)}, rules.NAMES)
_FLAG = {"type": "boolean"}

KEYS = (
    Key(
        "position",
        "Whether another proxy in front has checked what clients send: edge (there is none), inner, or auto (as the "
        "configuration shows).",
        {"enum": [AUTO, EDGE, INNER]},
        '"auto"',
    ),
    Key("fail-on", "The least severity that gives exit status 1.", {"enum": list(SEVERITIES[1:])}, '"warning"'),
    Key(
        "nginx-version",
        'The version of nginx, or "auto": the tag of the image in the tree\'s Dockerfile or Compose file. If it is not '
        "set, what holds in the oldest or the newest known version is reported.",
        {"type": "string", "pattern": f"^({_VERSION})$"},
        example='"1.25.3"',
    ),
    Key(
        "baseline",
        "A file of findings that are known, as --write-baseline writes it.",
        {"type": "string", "pattern": "."},
        example='"audit-baseline.json"',
    ),
    Key(
        "exclude",
        "Files and folders that are passed over, where a folder that holds them is audited: patterns from the folder "
        "of this file, ** for any number of folders.",
        _list(),
        "[]",
        '["vendor", "**/testdata"]',
    ),
    Key(
        "watched-headers",
        f"Headers that the application needs, besides {', '.join(WATCHED_HEADERS)}.",
        _list(f"^{_HEADER}$"),
        "[]",
        '["X-Tenant"]',
    ),
    Key("default-watched-headers", "false: the headers above alone.", _FLAG, "true"),
    Key(
        "identity-headers",
        "Headers by which the application recognises its users, besides the usual ones such as X-Remote-User; a * at "
        "the end stands for the rest of a name.",
        _list(f"^{_HEADER}$"),
        "[]",
        '["X-Corp-User", "X-Badge-*"]',
    ),
    Key("default-identity-headers", "false: the headers above alone.", _FLAG, "true"),
    Key(
        "roots",
        "Where paths of the deployed machine lie here, from the folder of this file.",
        {**_table({"type": "string", "pattern": "."}), "propertyNames": {"pattern": "^/"}},
        "{}",
        '"/etc/nginx" = "conf"',
    ),
    Key("rules", "Severities of rules: off, info, warning or error.", _RULES, "{}", 'leaked-credentials = "off"'),
    Key(
        "per-path",
        "The same for some files only: patterns as in exclude. The last one that covers a file counts.",
        _table(_RULES),
        "{}",
        '"legacy" = { missing-challenge = "info" }',
    ),
)
_BY_NAME = {key.name: key for key in KEYS}


def load(path: str) -> Settings:
    """The settings of the file at that path: all of it, or the table [tool.audit] of a pyproject.toml. Raises
    SettingsError with a sentence that names file and key."""
    import tomllib

    try:
        with open(path, "rb") as file:
            value: Any = tomllib.loads(file.read().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: is no TOML: {error}") from None
    prefix = ""
    if os.path.basename(path) == SHARED_FILE:
        tool = value.get("tool")
        value = tool.get("audit", {}) if isinstance(tool, dict) else {}
        prefix = "tool.audit."
    return parse(value, f"{path}: {prefix}", os.path.dirname(os.path.abspath(path)))


def parse(table: Any, place: str, folder: str) -> Settings:
    """The settings that a table holds. `place` stands before the key in complaints, `folder` is where paths begin.
    Raises SettingsError."""
    if not isinstance(table, dict):
        raise SettingsError(f"{place.rstrip('.')} must be a table, not {_written(table)}")
    for name, value in table.items():
        if name not in _BY_NAME:
            raise SettingsError(f"{place}{name}: there is no such key{_hint(name, _BY_NAME)}")
        _check(value, _BY_NAME[name].schema, f"{place}{name}")

    def here(path: str) -> str:
        return os.path.normpath(os.path.join(os.path.relpath(folder), path))

    added = [name.lower() for name in table.get("identity-headers", ())]
    usual = table.get("default-identity-headers", True)
    names = {name for name in added if not name.endswith("*")}
    prefixes = tuple(name.removesuffix("*") for name in added if name.endswith("*"))
    watched = [*(WATCHED_HEADERS if table.get("default-watched-headers", True) else ())]
    watched += [name for name in table.get("watched-headers", ()) if name.lower() not in map(str.lower, watched)]
    return DEFAULT._replace(
        watched=tuple(watched),
        identity=(IDENTITY_HEADERS if usual else frozenset()) | names,
        prefixes=(IDENTITY_PREFIXES if usual else ()) + prefixes,
        position=table.get("position", AUTO),
        severities=tuple(table.get("rules", {}).items()),
        per_path=tuple((pattern, tuple(own.items())) for pattern, own in table.get("per-path", {}).items()),
        baseline=here(table["baseline"]) if "baseline" in table else None,
        fail_on=table.get("fail-on", DEFAULT.fail_on),
        roots=tuple((there, here(path)) for there, path in table.get("roots", {}).items()),
        version=table.get("nginx-version"),
        exclude=tuple(table.get("exclude", ())),
        base=folder,
    )


def _check(value: Any, schema: dict[str, Any], where: str) -> None:
    """Complains about a value that is not as the schema says; just what the schemas here use of JSON Schema."""
    if "enum" in schema:
        if value not in schema["enum"]:
            choices = ", ".join(f'"{choice}"' for choice in schema["enum"])
            raise SettingsError(f"{where}: must be one of {choices}, not {_written(value)}")
        return
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind][0]):
        raise SettingsError(f"{where}: must be {_TYPES[kind][1]}, not {_written(value)}")
    if kind == "string" and "pattern" in schema and not re.search(schema["pattern"], value):
        raise SettingsError(f"{where}: {_written(value)} {_WANTED.get(schema['pattern'], 'must not be empty')}")
    if kind == "array":
        for item in value:
            _check(item, schema["items"], where)
    if kind == "object":
        for name, item in value.items():
            if "propertyNames" in schema and not re.search(schema["propertyNames"]["pattern"], name):
                raise SettingsError(f'{where}: "{name}" must be a path on the deployed machine, which begins with /')
            known = schema.get("properties")
            if known is not None and name not in known:
                raise SettingsError(f'{where}: there is no rule "{name}"{_hint(name, known)}')
            _check(item, schema["additionalProperties"] if known is None else known[name], f"{where}.{name}")


_TYPES: dict[str, tuple[Any, str]] = {
    "string": (str, "a string"),
    "array": (list, "a list of strings"),
    "object": (dict, "a table"),
    "boolean": (bool, "true or false"),
}
_WANTED = {
    f"^({_VERSION})$": 'must be a version such as "1.25.3", or "auto"',
    f"^{_HEADER}$": "is no name of a header (RFC 9110, 5.1)",
}


def _written(value: Any) -> str:
    if isinstance(value, (str, bool, int, float)):
        return json.dumps(value, ensure_ascii=False)
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date"


def _hint(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name.replace("_", "-").lower(), list(known), 1)
    return f"; did you mean {close[0]}?" if close else f"; `audit init` writes an {FILE} with all keys"


def template() -> str:
    """An audit.toml in which every key has its default, explained."""
    import textwrap

    def comment(text: str) -> str:
        return textwrap.fill(text, 100, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)

    parts = [comment("Settings of audit, each with its default. What the command line says wins over this file.")]
    for key in KEYS:
        lines = [comment(key.about)]
        table = key.default == "{}"
        if table:
            lines += [f"[{key.name}]", f"# {key.example}"]
        else:
            if key.example:
                lines.append(f"# {key.name} = {key.example}")
            if key.default:
                lines.append(f"{key.name} = {key.default}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def schema() -> str:
    """The JSON schema of an audit.toml, as text."""
    properties = {key.name: {"description": key.about, **key.schema, **_default(key)} for key in KEYS}
    value = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Settings of audit",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return json.dumps(value, indent=2) + "\n"


def _default(key: Key) -> dict[str, Any]:
    return {"default": json.loads(key.default)} if key.default else {}
