"""What a repository's own Compose files and Dockerfiles tell of where its files lie on the deployed machine.

Only the lines that say so are looked at, with the indentation that groups them by service: neither format is parsed as
a whole, and nothing in them is run.
"""

from __future__ import annotations

import os
import posixpath
import re

from auditor.source import InputError, read_source

Pairs = list[tuple[str, str]]  # a path on the deployed machine, and the file or folder here

_COMPOSE = r"(docker-)?compose[\w.-]*\.ya?ml$"
_DOCKER = r"(Dockerfile|Containerfile)([.-][\w.-]+)?$|[\w.-]+\.(Dockerfile|dockerfile)$"
_KEY = r"""( *)["']?([\w.-]+)["']?:\s*(#.*)?$"""
_SHORT = r"""\s*-\s*["']?([^"'\s:#][^"':]*?|\$\{PWD\}[^"':]*?):(/[^"':]*?)(:[\w,]+)?["']?\s*(#.*)?$"""
_LONG = r"""\s*(?:-\s*)?(source|src|target|destination|dst):\s*["']?([^"'#]+?)["']?\s*(#.*)?$"""


def find_mounts(folder: str, top: str) -> list[Pairs]:
    """The mappings of each service and of each build stage that the folders from `folder` up to `top` describe."""
    groups: list[Pairs] = []
    while True:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            names = []
        for name in names:
            if "ompose" not in name and "ocker" not in name and "ontainer" not in name:  # the patterns cost time
                continue
            reader = _of_compose if re.match(_COMPOSE, name) else _of_dockerfile if re.match(_DOCKER, name) else None
            if reader is None:
                continue
            try:
                text = read_source(posixpath.join(folder, name)).text
            except InputError:
                continue
            groups.extend(group for group in reader(text, folder) if group)
        parent = posixpath.dirname(folder)
        if folder == top or parent == folder:
            return groups
        folder = parent


_IMAGE = (
    r"""(?mi)^\s*(?:FROM\s+(?:--\S+\s+)*|(?:-\s+)?image:\s*["']?)"""
    r"""(?:[\w.:-]+/)*(?:nginx[\w-]*|openresty):v?(\d+\.\d+(?:\.\d+)?)"""
)


def find_image_versions(folder: str, top: str) -> list[str]:
    """The versions that the tags of nginx images name in the Dockerfiles and Compose files of the folders from `folder`
    up to `top`, each once, the nearest first."""
    found: dict[str, None] = {}
    while True:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            names = []
        for name in names:
            if re.match(_COMPOSE, name) or re.match(_DOCKER, name):
                try:
                    text = read_source(posixpath.join(folder, name)).text
                except InputError:
                    continue
                found.update(dict.fromkeys(re.findall(_IMAGE, text)))
        parent = posixpath.dirname(folder)
        if folder == top or parent == folder:
            return list(found)
        folder = parent


def _of_compose(text: str, folder: str) -> list[Pairs]:
    """One group for each service: bind mounts in the short and the long form (Compose specification, volumes)."""
    groups: list[Pairs] = [[]]
    services: int | None = None  # the indentation of the key "services" and, below it, of the services' names
    names: int | None = None
    source: str | None = None
    target: str | None = None
    for line in text.splitlines():
        key = re.match(_KEY, line)
        if key:
            indent = len(key[1])
            if key[2] == "services" and services is None:
                services = indent
            elif services is not None and indent > services and (names is None or indent == names):
                names = indent
                groups.append([])
        short = re.match(_SHORT, line)
        if short:
            _add(groups[-1], short[2], short[1], folder)
            continue
        if line.lstrip().startswith("- "):
            source = target = None
        long = re.match(_LONG, line)
        if long:
            if long[1] in ("source", "src"):
                source = long[2]
            else:
                target = long[2]
            if source and target:
                _add(groups[-1], target, source, folder)
                source = target = None
    return groups


def _of_dockerfile(text: str, folder: str) -> list[Pairs]:
    """One group for each stage: COPY and ADD from the build context, taken to be the Dockerfile's folder."""
    groups: list[Pairs] = [[]]
    workdir = "/"
    for line in re.sub(r"\\[ \t]*\n", " ", text).splitlines():
        words = line.split()
        if not words:
            continue
        verb = words[0].upper()
        if verb == "FROM":
            groups.append([])
            workdir = "/"
        elif verb == "WORKDIR" and len(words) == 2:
            workdir = posixpath.join(workdir, words[1])
        elif verb in ("COPY", "ADD") and not any(word.startswith("--from=") for word in words):
            words = [word for word in words[1:] if not word.startswith("--")]
            if words and words[0].startswith("["):
                import json

                try:
                    words = [str(word) for word in json.loads(" ".join(words))]
                except ValueError:
                    continue
            if len(words) < 2:
                continue
            target = posixpath.join(workdir, words[-1])
            for source in words[:-1]:
                local = posixpath.join(folder, source.lstrip("/"))
                into = target.endswith("/") or len(words) > 2
                if into and not os.path.isdir(local):
                    _add(groups[-1], posixpath.join(target, posixpath.basename(source)), local, folder)
                else:
                    _add(groups[-1], target, local, folder)
    return groups


def _add(group: Pairs, deployed: str, local: str, folder: str) -> None:
    local = re.sub(r"^\$(PWD|\{PWD\})(?=/|$)", ".", local)
    # A named volume has no slash and does not begin with a dot; the value of any other variable is not known here.
    if "$" in local or "*" in local or "$" in deployed or not deployed.startswith("/"):
        return
    if not local.startswith((".", "/")):
        return
    if not local.isascii():  # the text is a latin-1 reading
        local = os.fsdecode(local.encode("latin-1"))
    local = posixpath.normpath(posixpath.join(folder, local))
    group.append((posixpath.normpath(deployed), local))
