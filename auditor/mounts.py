"""What a repository's own Compose files and Dockerfiles tell of where its files lie on the deployed machine.

Only the lines that say so are looked at, with the indentation that groups them by service: neither format is parsed as
a whole, and nothing in them is run.
"""

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from auditor.globs import to_config, to_local, walk_tree
from auditor.source import InputError, read_source

Pairs = list[tuple[str, str]]  # a path on the deployed machine, and the file or folder here


class Group(NamedTuple):
    """What one service or build stage says: where files lie, and which variables its environment holds, where their
    values stand there. `templates` are the files here that the image fills in with these when it starts."""

    pairs: Pairs
    environment: dict[str, str]
    templates: set[str]


_COMPOSE = r"(docker-)?compose[\w.-]*\.ya?ml$"
_DOCKER = r"(Dockerfile|Containerfile)([.-][\w.-]+)?$|[\w.-]+\.(Dockerfile|dockerfile)$"
_KEY = r"""( *)["']?([\w.-]+)["']?:\s*(#.*)?$"""
_SHORT = r"""\s*-\s*["']?([^"'\s:#][^"':]*?|\$\{PWD\}[^"':]*?):(/[^"':]*?)(:[\w,]+)?["']?\s*(#.*)?$"""
_LONG = r"""\s*(?:-\s*)?(source|src|target|destination|dst):\s*["']?([^"'#]+?)["']?\s*(#.*)?$"""


def mounts_of(folder: str) -> list[Group]:
    """The mappings of each service and of each build stage that the files of this folder describe."""
    groups: list[Group] = []
    for text, reader in _described(folder):
        groups.extend(_with_templates(group) for group in reader(text, folder) if group.pairs)
    return groups


_IMAGE = (
    r"""(?mi)^\s*(?:FROM\s+(?:--\S+\s+)*|(?:-\s+)?image:\s*["']?)"""
    r"""(?:[\w.:-]+/)*(?:nginx[\w-]*|openresty):v?(\d+\.\d+(?:\.\d+)?)"""
)


def image_versions_of(folder: str) -> list[str]:
    """The versions that the tags of nginx images name in the Dockerfiles and Compose files of this folder, each once.
    Variables count with their defaults (ARG, `${NAME:-default}`) and with what the file .env beside a Compose file
    says."""
    found: dict[str, None] = {}
    for text, _ in _described(folder):
        found.update(dict.fromkeys(re.findall(_IMAGE, text)))
    return list(found)


# What a Dockerfile does to the modules of httpd: Debian's a2enmod, LoadModule lines that sed or echo put in their
# place, and images that bring mod_php.
_ENABLED = r"\ba2enmod[ \t]+([\w \t-]+)"
_LOADED = r"LoadModule(?:\\?[ \t]|\\s)+\+?(\w+?)_module"
_PHP = (
    r"""(?mi)^\s*(?:FROM\s+(?:--\S+\s+)*|(?:-\s+)?image:\s*["']?)(?:[\w.-]+/)*"""
    r"""(?:php:\S*apache|wordpress(?::(?!\S*(?:fpm|cli))|\s))"""
)


def apache_modules_of(folder: str) -> list[str]:
    """The modules of httpd that the Dockerfiles and Compose files of this folder switch on, each once."""
    found: dict[str, None] = {}
    for text, _ in _described(folder):
        joined = re.sub(r"\\[ \t]*\n", " ", text)
        for names in re.findall(_ENABLED, joined):
            found.update(dict.fromkeys(name for name in names.split() if not name.startswith("-")))
        found.update(dict.fromkeys(re.findall(_LOADED, joined)))
        if re.search(_PHP, text):
            found["php"] = None
    return list(found)


Reader = Callable[[str, str], list[Group]]


def _described(folder: str) -> Iterator[tuple[str, Reader]]:
    """The texts of these files, variables with a default filled in, and what reads them."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        names = []
    for name in names:
        if "ompose" not in name and "ocker" not in name and "ontainer" not in name:  # the patterns cost time
            continue
        compose = re.match(_COMPOSE, name)
        if not compose and not re.match(_DOCKER, name):
            continue
        try:
            text = read_source(posixpath.join(folder, name)).text
            if "$" in text:
                text = _filled(text, _dot_env(folder) if compose else dict(re.findall(_ARG, text)))
        except InputError:
            continue
        yield text, _of_compose if compose else _of_dockerfile


_ARG = r"""(?mi)^[ \t]*ARG[ \t]+(\w+)=["']?([^\s"'$]+)"""
_SET = r"""(?m)^[ \t]*(?:export[ \t]+)?(\w+)=["']?([^\s"'$#]+)"""
_USE = r"""(?<!\$)\$(?:\{(\w+)(?::?-([^{}$]*))?\}|(\w+))"""


def _dot_env(folder: str) -> dict[str, str]:
    path = posixpath.join(folder, ".env")
    return dict(re.findall(_SET, read_source(path).text)) if os.path.isfile(path) else {}


def _filled(text: str, known: Mapping[str, str]) -> str:
    """The text with variables replaced whose value or default is known (Compose specification, interpolation)."""

    def value(match: re.Match[str]) -> str:
        name, default = match[1] or match[3], match[2]
        return known.get(name, match[0] if default is None else default)

    return re.sub(_USE, value, text)


TEMPLATES = "NGINX_ENVSUBST_TEMPLATE_DIR"  # and below, as the image's 20-envsubst-on-templates.sh has them
SUFFIX = "NGINX_ENVSUBST_TEMPLATE_SUFFIX"
OUTPUT = "NGINX_ENVSUBST_OUTPUT_DIR"


def _with_templates(group: Group) -> Group:
    """The group with what nginx's own image makes of templates when it starts: /etc/nginx/templates/a.conf.template
    becomes /etc/nginx/conf.d/a.conf."""
    folder = group.environment.get(TEMPLATES, "/etc/nginx/templates")
    suffix = group.environment.get(SUFFIX, ".template")
    output = group.environment.get(OUTPUT, "/etc/nginx/conf.d")
    made: Pairs = []
    for there, here in group.pairs:
        if folder.startswith(there.rstrip("/") + "/"):  # the folder above it
            there, here = folder, here + to_local(folder[len(there.rstrip("/")) :])
            if not os.path.isdir(here):
                continue
        elif there != folder and not there.startswith(folder + "/"):
            continue
        for local in walk_tree(here) if os.path.isdir(here) else [here]:
            path = there + to_config(local[len(here) :])
            if path.endswith(suffix):
                made.append((output + path[len(folder) :].removesuffix(suffix), local))
    if not made:
        return group
    return group._replace(pairs=[*group.pairs, *made], templates={local for _, local in made})


def _group() -> Group:
    return Group([], {}, set())


_VARIABLE = r"""\s*(?:-\s*)?["']?([A-Za-z_]\w*)["']?(?:=|:\s)\s*["']?([^"'#$]*?)["']?\s*(?:\s#.*)?$"""


def _of_compose(text: str, folder: str) -> list[Group]:
    """One group for each service: bind mounts in the short and the long form (Compose specification, volumes), and the
    variables under `environment`."""
    groups: list[Group] = [_group()]
    environment: int | None = None  # the indentation of the key "environment", while its lines last
    services: int | None = None  # the indentation of the key "services" and, below it, of the services' names
    names: int | None = None
    source: str | None = None
    target: str | None = None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if environment is not None and line.strip():
            if indent > environment or (indent == environment and line.lstrip().startswith("- ")):
                variable = re.match(_VARIABLE, line)
                if variable and variable[2]:
                    groups[-1].environment[variable[1]] = variable[2]
                continue
            environment = None
        key = re.match(_KEY, line)
        if key:
            if key[2] == "services" and services is None:
                services = indent
            elif services is not None and indent > services and (names is None or indent == names):
                names = indent
                groups.append(_group())
            elif key[2] == "environment" and names is not None:
                environment = indent
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


def _of_dockerfile(text: str, folder: str) -> list[Group]:
    """One group for each stage: COPY and ADD from the build context, taken to be the Dockerfile's folder, and ENV."""
    groups: list[Group] = [_group()]
    workdir = "/"
    for line in re.sub(r"\\[ \t]*\n", " ", text).splitlines():
        words = line.split()
        if not words:
            continue
        verb = words[0].upper()
        if verb == "FROM":
            groups.append(_group())
            workdir = "/"
        elif verb == "ENV" and len(words) > 1:
            pairs = [word.partition("=") for word in words[1:]] if "=" in words[1] else [(words[1], "=", words[-1])]
            groups[-1].environment.update((name, value.strip("\"'")) for name, _, value in pairs if "$" not in value)
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


def _add(group: Group, deployed: str, local: str, folder: str) -> None:
    local = re.sub(r"^\$(PWD|\{PWD\})(?=/|$)", ".", local)
    # A named volume has no slash and does not begin with a dot; the value of any other variable is not known here.
    if "$" in local or "*" in local or "$" in deployed or not deployed.startswith("/"):
        return
    if not local.startswith((".", "/")):
        return
    if not local.isascii():  # the text is a latin-1 reading
        local = os.fsdecode(local.encode("latin-1"))
    local = posixpath.normpath(posixpath.join(folder, local))
    group.pairs.append((posixpath.normpath(deployed), local))
