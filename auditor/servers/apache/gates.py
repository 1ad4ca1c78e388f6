"""What the gates that stand in a request's way tell of themselves (trace.Gate)."""

from __future__ import annotations

import os

from auditor.servers.apache import authz
from auditor.servers.apache.config import Directive
from auditor.servers.apache.htaccess import override_of
from auditor.servers.apache.providers import providers_of, realm_of, type_of
from auditor.servers.apache.run import Run, decides
from auditor.trace import INHERITED, Because, Gate

KINDS = {"basic": "auth_basic", "digest": "auth_digest", "form": "auth_form"}
ADDRESSES = ("ip", "host", "local", "forward-dns")


def tell(run: Run, gate: Gate) -> None:
    """Note what a gate said; those of a subrequest decide about nobody."""
    if run.main is None:
        run.shared.gates.append(gate)


def tell_addresses(run: Run, verdict: authz.Verdict) -> None:
    """Note what the lines about addresses said."""
    for node, result in verdict.said:
        if node.provider in ADDRESSES and node.line is not None:
            said = "refused" if result == authz.DENIED else "passed"
            tell(run, Gate("access", None, None, said, decides(node.line), needs="address"))


def wants_credentials(node: authz.Node) -> bool:
    """Whether a line that is no AuthType's judges credentials all the same."""
    text = node.rest.lower()
    return node.provider == "expr" and any(name in text for name in ("authorization", "cookie", "remote_user"))


def tell_auth(run: Run, result: str, line: Directive, reason: str = "") -> None:
    """Note what the gate of AuthType said."""
    name = type_of(run)
    if name is None:
        return
    realm = realm_of(run)
    scheme = {"basic": "Basic", "digest": "Digest"}.get(name.lower())
    kind = KINDS.get(name.lower(), "auth_module")
    source = next((provider.source for provider in providers_of(run) if provider.source), None)
    because = decides(line)
    authtype = run.layers.last("authtype")
    if authtype is not None and authtype is not line:
        because += (Because(INHERITED, authtype.place),)
    tell(run, Gate(kind, scheme, realm.text if realm else None, result, because, reason, source=source))


def skip(run: Run, reason: str) -> None:
    """Tell of the gate that stands here and asks nobody."""
    tree = authz.rules_of(run.layers).tree
    if tree is not None and tree.needs_user(run.method):
        tell_auth(run, "skipped", gate_line(run), reason)


def tell_open(run: Run, tree: authz.Node, verdict: authz.Verdict) -> None:
    """Everybody is let in. Where AuthType stands, that is a choice between two conditions, a line that opens, or an
    AuthType that no Require follows."""
    kind = run.layers.last("authtype")
    if kind is None:
        return
    granting = verdict.line(authz.GRANTED)
    if granting is None or granting.line is None:
        return  # the lines are for other methods
    if tree.needs_user(run.method):
        if granting.provider in (*ADDRESSES, "all"):
            tell_auth(run, "skipped", gate_line(run), "satisfied")
            if granting.provider == "all":
                tell(run, Gate("access", None, None, "passed", decides(granting.line), needs="address"))
        else:
            tell_auth(run, "off", granting.line)
        return
    sections = run.layers.sections
    typed = max(at for at, section in enumerate(sections) if kind in section.directives)
    opened = [at for at, section in enumerate(sections) if authz.mentions(section)]
    if (opened and max(opened) >= typed) or _may_be_supplied(run):
        tell_auth(run, "off", granting.line)
    else:
        tell_auth(run, "skipped", kind, "no-require")


def _may_be_supplied(run: Run) -> bool:
    """Whether a .htaccess that is not at hand may hold the Require lines."""
    override = override_of(run.layers)
    if run.is_proxy or run.filename is None or not ("A" in override.classes or "require" in override.names):
        return False
    return run.shared.overrides.may_hide(os.path.dirname(run.filename))


def gate_line(run: Run) -> Directive:
    """The line that asks for a user: the last Require of that sort, else AuthType."""
    tree = authz.rules_of(run.layers).tree
    found = authz.asking(tree, run.method) if tree is not None else None
    line = found or run.layers.last("authtype")
    assert line is not None
    return line
