"""Where httpd's configuration and pages lie on a machine, and where they are found here."""

from __future__ import annotations

import os

from auditor.files import Files, Layout
from auditor.globs import walk_tree
from auditor.patterns import lazy_re

MAX_FOLDERS = 20_000

_MAIN = lazy_re(
    r"(?mi)^[ \t]*(ServerRoot\s|LoadModule\s|Listen\s+\d"
    r"|Include(Optional)?\s+\S*(mods-enabled|sites-enabled|conf\.modules\.d))"
)


def is_main(text: str) -> bool:
    """Whether this looks like a main file: one that loads modules, sets ServerRoot, or includes the packages'
    folders."""
    return _MAIN.search(text) is not None


APACHE = Layout(
    (
        "/etc/apache2",
        "/etc/httpd",
        "/usr/local/apache2/conf",
        "/usr/local/etc/apache24",
        "/etc/apache24",
        "/opt/homebrew/etc/httpd",
        "/opt/bitnami/apache/conf",
        "/opt/bitnami/apache2/conf",
    ),
    "/etc/apache2",
    is_main,
)

# Files of the packages that a repository seldom holds: it adds its own beside them.
_STOCK = lazy_re(
    r"(^|/)(mods-enabled|conf-enabled|conf\.modules\.d|modsecurity\.d)/[^/]*$|(^|/)ports\.conf$"
    r"|(^|/)conf/(extra|original/extra)/(httpd|proxy)-[\w-]+\.conf$|(^|/)httpd-le-ssl\.conf$"
    r"|(^|/)etc/letsencrypt/options-ssl-apache\.conf$"
)


def is_stock(path: str) -> bool:
    """Whether an included path is one that packages and images fill, or the hosting panel does."""
    return _STOCK.search(path) is not None


def folder_of_pages(files: Files, root: str) -> str | None:
    """The folder here that a DocumentRoot stands for: where nothing else tells, the only one below the tree that is
    called like it and holds pages, or a .htaccess further down; where that lies apart from the configuration, the
    folder around it must be called alike, too."""
    known = files.local(root, guess=False)
    if known is not None or files.tree is None or files.settled(root):
        return known
    folders = files.near.folders_of_pages(files.tree)
    if folders is None:
        return None
    name = os.path.basename(root.rstrip("/"))
    found = folders.get(name, set())
    whole = bool(found)
    if not found:
        found = files.near.folders_around(files.tree).get(name, set())
    # A folder of that name inside of another one is a part of it.
    tops = {one for one in found if not any(one.startswith(other + os.sep) for other in found)}
    tops = {one for one in tops if _belongs(files, one, root)}
    if len(tops) != 1:
        return None
    here = tops.pop()
    files.adopt(root.rstrip("/"), here, whole)
    return here


def _belongs(files: Files, folder: str, root: str) -> bool:
    """Whether a folder here may be the one of that configuration: it lies below it, or beside it on the way up."""
    home = (files.home or "") + os.sep
    above = os.path.dirname(folder)
    near = (folder + os.sep).startswith(home) or home.startswith(above + os.sep)
    return near or os.path.basename(above) == os.path.basename(os.path.dirname(root.rstrip("/")))


def access_folders(here: str, there: str, name: str) -> list[str]:
    """The folders of the deployed machine, below the document root `there`, whose .htaccess (called `name`) is at hand
    below `here`, the outermost first."""
    found = []
    for count, path in enumerate(walk_tree(here)):
        if count >= MAX_FOLDERS:
            break
        folder, file = os.path.split(path)
        if file == name:
            found.append((there.rstrip("/") + folder[len(here.rstrip(os.sep)) :].replace(os.sep, "/")) or "/")
    return sorted(found, key=lambda folder: (folder.count("/"), folder))
