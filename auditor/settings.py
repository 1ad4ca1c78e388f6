"""What a user can set. Tiny on purpose: the command line fills it, and a file, which auditor.settings_file reads."""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from auditor.globs import repository

EDGE = "edge"
INNER = "inner"
AUTO = "auto"  # as the configuration shows


class SettingsError(Exception):
    """Settings, or a file that they name, cannot be followed; the message says why. The run ends with status 2."""


# Headers by which applications recognise a user that a proxy in front has checked. Names in lower case.
IDENTITY_HEADERS = frozenset(
    {
        "remote-user",
        "x-remote-user",
        "x-remote-name",
        "x-remote-email",
        "x-remote-group",
        "x-remote-groups",
        "remote-name",
        "remote-email",
        "remote-groups",
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-preferred-username",
        "x-webauth-user",
        "x-webauth-name",
        "x-webauth-email",
        "x-webauth-groups",
        "x-webauth-role",
        "x-auth-request-user",
        "x-auth-request-email",
        "x-auth-request-groups",
        "x-auth-request-preferred-username",
        "x-authenticated-user",
        "x-authentik-username",
        "x-authentik-groups",
        "x-authentik-email",
        "x-client-cert",
        "x-client-dn",
        "x-client-verify",
        "x-ssl-client-cert",
        "x-ssl-client-dn",
        "x-ssl-client-s-dn",
        "x-ssl-client-verify",
        "ssl-client-cert",
        "ssl-client-s-dn",
        "ssl-client-subject-dn",
        "ssl-client-verify",
        "x-proxy-user",
        "x-vouch-user",
    }
)
# Of those names, what carries no identity.
NO_IDENTITY = frozenset({"x-auth-request-redirect"})
IDENTITY_PREFIXES = ("x-client-cert-", "ssl-client-", "x-auth-request-", "x-webauth-", "x-vouch-idp-")

WATCHED_HEADERS = ("Authorization", "Host", "Cookie", "X-Forwarded-For", "X-Forwarded-Proto")


class Settings(NamedTuple):
    """What a user can set.

    `watched` headers make the table of `audit routes`; `identity` are lower-case names and `prefixes` beginnings of
    such; `position` is edge, inner or auto: an inner proxy stands behind another one that has already checked what
    clients send; `severities` replace a rule's default severity ("off" silences it), and `per_path` does so for the
    files that a pattern covers, the last one that does. `baseline` is the path of a file of known findings, `fail_on`
    the least severity that is a failure. `roots` and `version` are those of auditor.check.Options; `exclude` are
    patterns of what is passed over in folders. Patterns are relative to the folder `base` (see globs.below).
    """

    watched: tuple[str, ...] = WATCHED_HEADERS
    identity: frozenset[str] = IDENTITY_HEADERS
    position: str = AUTO
    severities: tuple[tuple[str, str], ...] = ()
    baseline: str | None = None
    prefixes: tuple[str, ...] = IDENTITY_PREFIXES
    per_path: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    fail_on: str = "warning"
    roots: tuple[tuple[str, str], ...] = ()
    version: str | None = None
    exclude: tuple[str, ...] = ()
    base: str = ""

    def names_identity(self, header: str) -> bool:
        """Whether a header (or a CGI parameter, HTTP_X_REMOTE_USER) of that name carries an identity."""
        name = header.lower().replace("_", "-").removeprefix("http-")
        return name in self.identity or (name.startswith(self.prefixes) and name not in NO_IDENTITY)

    def severity(self, rule: str, file: str) -> str | None:
        """The severity that is set for that rule in that file, None where none is."""
        found = dict(self.severities).get(rule)
        if self.per_path:
            from auditor.globs import below

            for pattern, severities in self.per_path:
                if below(self.base, (pattern,), file):
                    found = dict(severities).get(rule, found)
        return found


DEFAULT = Settings()

FILE = "audit.toml"
SHARED_FILE = "pyproject.toml"


def find(paths: Iterable[str]) -> str | None:
    """The settings file for these paths ("-" is the folder that one works in), as it is named from here: the nearest
    one upwards from the folder that they have in common, up to the top of its repository; outside of a repository, up
    to the folder that one works in."""
    here = os.getcwd()
    folders = []
    for path in paths:
        whole = os.path.join(here, path)
        folders.append(here if path == "-" else whole if os.path.isdir(whole) else os.path.dirname(whole))
    folder = os.path.normpath(os.path.commonpath(folders or [here]))
    top = repository(folder)
    if top is None:
        top = here if os.path.commonpath((here, folder)) == here else folder
    while True:
        for name in (FILE, SHARED_FILE):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and (name == FILE or _has_table(path)):
                return os.path.relpath(path)
        if folder == top:
            return None
        folder = os.path.dirname(folder)


def _has_table(path: str) -> bool:
    """Whether the file seems to have a table [tool.audit]. To parse each pyproject.toml would cost start-up time."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return False
    return b"audit" in data and re.search(rb"\btool\W{1,9}audit\b", data) is not None
