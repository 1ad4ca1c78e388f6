"""Modules and code that may decide about requests and are not followed here; each is told of once."""

from __future__ import annotations

import re

from auditor.servers.apache.config import Directive
from auditor.servers.apache.load import Loader

_FOREIGN = (
    (r"lua(hook\w+|quickhandler|maphandler|authzprovider)$", "code in Lua may decide here"),
    (r"perl\w*handler$", "code in Perl may decide here"),
    (r"sec(rule|action|remoterules)$", "the rules of mod_security may refuse requests here"),
    (r"jk(un)?mount\w*$", "mod_jk hands requests on here"),
    (r"passenger(approot|enabled|starturl|baseuri)$", "Passenger runs an application here"),
    (
        r"(cosign|shib|mellon|cas|openidc|oidc)\w+$",
        "a module for single sign-on sets headers and answers requests here",
    ),
)


def tell(loader: Loader, directive: Directive) -> None:
    """Note such a directive, the first one of its module."""
    for pattern, what in _FOREIGN:
        if re.match(pattern, directive.key):
            text = f"{what}, which is not followed ({directive.name})"
            if not any(note.text.startswith(what) for note in loader.notes):
                loader.note("unanalysed", text, directive.place)
