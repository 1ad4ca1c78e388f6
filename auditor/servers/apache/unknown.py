"""Directives and sections that are not known here: other projects' modules, misspelt names."""

from __future__ import annotations

from auditor.servers.apache.directives import known_names
from auditor.source import Place

# What begins so belongs to a module of another project.
_FAMILIES = (
    ("sec", "mod_security"),
    ("<oidc", "mod_auth_openidc"),
    ("oidc", "mod_auth_openidc"),
    ("oauth", "mod_auth_openidc"),
    ("mellon", "mod_auth_mellon"),
    ("shib", "mod_shib"),
    ("cas", "mod_auth_cas"),
    ("krb", "mod_auth_kerb"),
    ("gssapi", "mod_auth_gssapi"),
    ("fcgid", "mod_fcgid"),
    ("fastcgi", "mod_fastcgi"),
    ("jk", "mod_jk"),
    ("passenger", "Passenger"),
    ("rails", "Passenger"),
    ("rack", "Passenger"),
    ("perl", "mod_perl"),
    ("<perl", "mod_perl"),
    ("python", "mod_python"),
    ("lua", "mod_lua"),
    ("dos", "mod_evasive"),
    ("modpagespeed", "mod_pagespeed"),
    ("pagespeed", "mod_pagespeed"),
    ("svn", "mod_dav_svn"),
    ("authzsvn", "mod_authz_svn"),
    ("xsendfile", "mod_xsendfile"),
    ("geoip", "mod_geoip"),
    ("maxmind", "mod_maxminddb"),
    ("rpaf", "mod_rpaf"),
    ("suphp", "mod_suphp"),
    ("lsapi", "mod_lsapi"),
    ("weblogic", "mod_wl"),
    ("tkt", "mod_auth_tkt"),
    ("evasive", "mod_evasive"),
    ("qs_", "mod_qos"),
)


def family_of(key: str) -> str | None:
    """The project whose directive that is, by its name in lower case."""
    return next((name for start, name in _FAMILIES if key.startswith(start)), None)


def about(name: str, key: str, place: Place) -> tuple[str, str]:
    """What is said once, and the sentence, of a name that is not known here."""
    family = family_of(key)
    if family is not None:
        return family, f"{family} is not analysed: {name} and the like are taken to change nothing"
    if key.startswith("<"):
        return key, f"{place.text} is not analysed"
    from difflib import get_close_matches

    near = get_close_matches(key, known_names(), 1, 0.85)
    if near:
        return key, f"{name} is not known here, and taken to change nothing: is it a slip for {near[0]}?"
    return key, f"{name} is not known here, and taken to change nothing"
