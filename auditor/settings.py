"""What a user can set. Tiny on purpose: the command line fills it."""

from __future__ import annotations

from typing import NamedTuple

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
    """`watched` headers make the table of `audit routes`; `identity` are lower-case names; `position` is edge, inner or
    auto: an inner proxy stands behind another one that has already checked what clients send; `severities` replace a
    rule's default severity ("off" silences it); `baseline` is the path of a file of known findings."""

    watched: tuple[str, ...] = WATCHED_HEADERS
    identity: frozenset[str] = IDENTITY_HEADERS
    position: str = AUTO
    severities: tuple[tuple[str, str], ...] = ()
    baseline: str | None = None

    def names_identity(self, header: str) -> bool:
        """Whether a header (or a CGI parameter, HTTP_X_REMOTE_USER) of that name carries an identity."""
        name = header.lower().replace("_", "-").removeprefix("http-")
        return (name in self.identity or name.startswith(IDENTITY_PREFIXES)) and name not in NO_IDENTITY


DEFAULT = Settings()
