"""What the gates that stand in a request's way tell of themselves (trace.Gate)."""

from __future__ import annotations

import os
import re

from auditor.patterns import lazy_re
from auditor.servers.apache import authz
from auditor.servers.apache.config import Directive, Layers, Section
from auditor.servers.apache.directives import spec_of
from auditor.servers.apache.htaccess import override_of
from auditor.servers.apache.providers import providers_of, realm_of, type_of
from auditor.servers.apache.run import Run, decides
from auditor.servers.apache.walk import has_wildcards
from auditor.source import Place
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


def stands_apart(run: Run, line: Directive) -> bool:
    """Whether a line stands in another section than the line that asks for a user."""
    tree = authz.rules_of(run.layers).tree
    if tree is None or not tree.needs_user(run.method):
        return False
    return _section_of(run, line) is not _section_of(run, gate_line(run))


def open_here(run: Run, line: Directive) -> None:
    """Tell that a line of this part of the site opens the gate."""
    tree = authz.rules_of(run.layers).tree
    if tree is not None and tree.needs_user(run.method):
        tell_auth(run, "off", line, "overridden" if _overrides(run, line) else "")


def tell_open(run: Run, tree: authz.Node, verdict: authz.Verdict) -> None:
    """Everybody is let in. Where AuthType stands, that is a choice between two conditions, a line that opens, or an
    AuthType that no Require follows."""
    kind = run.layers.last("authtype")
    granting = verdict.line(authz.GRANTED)
    if granting is None or granting.line is None:
        return  # the lines are for other methods
    if kind is None or type_of(run) is None:
        opening = _section_of(run, granting.line)
        if granting.provider == "all" and opening is not None and (kind is not None or _names_path(opening)):
            tell(run, Gate("access", None, None, "off", decides(granting.line)))
        return
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
    supplied = _may_be_supplied(run)
    beside = granting.provider == "all" and opened[-1:] == [typed]
    if beside and not supplied and _is_complete(sections[typed]):
        # Who writes down how to ask for a password, and beside it that everybody may come in, means one of both.
        tell_auth(run, "skipped", kind, "all-granted")
        tell(run, Gate("access", None, None, "passed", decides(granting.line), needs="address"))
    elif (opened and max(opened) >= typed) or supplied:
        tell_auth(run, "off", granting.line, "overridden" if _overrides(run, granting.line) else "")
    else:
        tell_auth(run, "skipped", kind, "no-require")


def _is_complete(section: Section) -> bool:
    """Whether the section says all that is needed to ask for a password, but that it is asked for."""
    return all(section.last(key) is not None for key in ("authtype", "authname", "authuserfile"))


def _section_of(run: Run, line: Directive) -> Section | None:
    """The section of this request that a line stands in."""
    holders: dict[Place, Section] = run.layers.memo("holders", _holders)
    return holders.get(line.place)


def _holders(layers: Layers) -> dict[Place, Section]:
    found: dict[Place, Section] = {}
    for section in layers.sections:
        stack = list(section.directives)
        while stack:
            line = stack.pop()
            found[line.place] = section
            stack.extend(line.children)
    return found


def _names_path(section: Section) -> bool:
    return section.kind == "location" and section.pattern.rstrip("/") != ""


def _overrides(run: Run, line: Directive) -> bool:
    """Whether a line that admits everybody stands in a section that is not about a part of what the gate is for, and
    takes its place only because httpd merges <Files> behind <Directory>, and <Location> behind both (manual,
    sections.html#merging)."""
    opening = _section_of(run, line)
    if opening is None:
        return False
    sections = run.layers.sections
    guarding = [at for at, one in enumerate(sections[: sections.index(opening)]) if _guards(one, run.method)]
    if not guarding:
        return False
    if opening.kind == "files":
        inner = any(opening in section.sections for section in sections[guarding[-1] :])
        return not inner and (opening.regex or has_wildcards(opening.pattern))
    if opening.kind != "location":
        return False
    prefix = _prefix_of(run, sections[guarding[-1]])
    if opening.regex and re.match(r"\^/[\w(\[]", opening.pattern):
        return False  # about paths that it names
    match = re.match(r"\^?(/[\w/-]*)", opening.pattern)
    path = (match[1] if match else "").rstrip("/")
    return prefix is not None and not path.startswith(prefix.rstrip("/") + "/")


def _guards(section: Section, method: str) -> bool:
    tree = authz.tree_of(section)
    return tree is not None and tree.needs_user(method)


def _prefix_of(run: Run, section: Section) -> str | None:
    """The path prefix that a section is about, as far as it has one."""
    if section.regex or has_wildcards(section.pattern):
        return None
    if section.kind == "location":
        return section.pattern
    folder = (section.folder or section.pattern).rstrip("/")
    name = run.filename or ""
    if section.kind not in ("directory", "htaccess") or not f"{name}/".startswith(folder + "/"):
        return None
    rest = name[len(folder) :]
    return run.uri[: len(run.uri) - len(rest)] if run.uri.endswith(rest) else None


def _may_be_supplied(run: Run) -> bool:
    """Whether a .htaccess that is not at hand may hold the Require lines."""
    override = override_of(run.layers)
    if run.is_proxy or run.filename is None or not ("A" in override.classes or "require" in override.names):
        return False
    return run.shared.overrides.may_hide(os.path.dirname(run.filename))


# Directives of other projects by which a gate may know its users without httpd's own lines, and httpd's own hooks.
_AUTHENTICATES = lazy_re(r"auth|login|tkt|cas|sso|shib|mellon|perl|python|lua|session|token|jwt|cookie")
_HOOKS = ("authnzfcgicheckauthnprovider", "luahookcheckuserid", "luahookauthchecker", "luahookaccesschecker")


def may_be_completed(run: Run) -> bool:
    """Whether what a gate lacks here may stand in what was not read, or another project's module may do without."""
    if _may_be_supplied(run):
        return True
    base = len(run.server.base.sections)
    for at, section in enumerate(run.layers.sections):
        for line in section.directives:
            if line.key in _HOOKS or (line.key.startswith("include") and at >= base):
                return True
            if spec_of(line.key) is None and (at >= base or _AUTHENTICATES.search(line.key)):
                return True
    return False


def gate_line(run: Run) -> Directive:
    """The line that asks for a user: the last Require of that sort, else AuthType."""
    tree = authz.rules_of(run.layers).tree
    found = authz.asking(tree, run.method) if tree is not None else None
    line = found or run.layers.last("authtype")
    assert line is not None
    return line
