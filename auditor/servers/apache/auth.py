"""Access, authentication and authorization of a request: the part of ap_process_request_internal() between
header_parser and fixups.

What the gates said goes into `run.shared.gates`; who is refused leaves by `Respond`.
"""

from __future__ import annotations

from typing import NoReturn

from auditor.servers.apache import access, authn, authz
from auditor.servers.apache.gates import (
    ADDRESSES,
    gate_line,
    may_be_completed,
    open_here,
    skip,
    stands_apart,
    tell,
    tell_addresses,
    tell_auth,
    tell_open,
    wants_credentials,
)
from auditor.servers.apache.handlers import is_php
from auditor.servers.apache.providers import type_of
from auditor.servers.apache.run import Respond, Run, decides
from auditor.trace import Gate

_FOLDERS = ("directory", "htaccess")


def check(run: Run) -> None:
    """Let the request on, with its user, or raise Respond (401, 403, 405, 500, or a redirect to a login page).

    A request made of one with the same sections is not asked again, as a rule.
    """
    kept = run.config.modules
    # Where only a part of the configuration is at hand, the packages' <FilesMatch> for PHP is taken to be there, too.
    run.notes["script section"] = not kept.known and is_php(run)
    for before in (run.prev, run.main):
        if before is None or before.layers.sections != run.layers.sections:
            continue
        if before.notes.get("script section") != run.notes["script section"]:
            continue
        # Where a module has hooks of the old kind, sections are never known to be the same (auth_internal_per_conf).
        again = kept.known and any(kept.has(name) for name in ("allowmethods", "lua", "wsgi"))
        if not again or _merged_before(run, before):
            run.user, run.auth_type = before.user, before.auth_type
            return
    run.user = None
    run.notes.pop("supposed", None)
    any_line = access.satisfies(run)
    refused = access.refuses(run)
    if refused is not None:
        status, line = refused
        if status != 405:
            tell(run, Gate("access", None, None, "refused", decides(line), needs="address"))
        if any_line is None:
            run.step(line, f"refused: {status}")
            raise Respond(status, line)
    else:
        passed = access.passed_line(run) or any_line
        if any_line is not None and (access.depends(run) or stands_apart(run, any_line)):
            run.step(any_line, "nobody is asked for credentials here")
            open_here(run, any_line)
            return
        if passed is not None:
            tell(run, Gate("access", None, None, "passed", decides(passed), needs="address"))
        if any_line is not None:
            run.step(any_line, "the address is enough: nobody is asked for credentials")
            skip(run, "satisfied")
            return
    if _needs_user(run):
        authn.authenticate(run)
        _authorize(run)


def _merged_before(run: Run, before: Run) -> bool:
    """Whether the sections that both have are merged already: the walks of server/request.c keep what they merged for
    a folder, a file in it, and a path; <If> and <Proxy> are merged each time (measured)."""
    folder = bool(run.notes.get("walk reused"))
    kept = dict.fromkeys(_FOLDERS, folder)
    kept["files"] = folder and run.filename == before.filename
    kept["location"] = run.uri == before.uri
    own = run.layers.sections[len(run.server.base.sections) :]
    return all(kept.get(one.kind, False) for one in own)


# --- authorization


def _needs_user(run: Run) -> bool:
    """authorize_userless(): whether the user decides; raises Respond where nobody is let in."""
    tree = authz.rules_of(run.layers).tree
    if tree is None:
        kind = run.layers.last("authtype")
        if kind is not None and type_of(run) is not None:
            run.step(kind, "AuthType without any Require: 500")
            raise Respond(500, kind)
        return False
    verdict = authz.judge(run, tree)
    tell_addresses(run, verdict)
    if verdict.result == authz.GRANTED:
        tell_open(run, tree, verdict)
        return False
    if verdict.result == authz.NO_USER:
        return True
    _refuse_all(run, verdict)


def _authorize(run: Run) -> None:
    """authorize_user()."""
    rules = authz.rules_of(run.layers)
    assert rules.tree is not None
    verdict = authz.judge(run, rules.tree)
    if verdict.result == authz.GRANTED:
        line = gate_line(run)
        run.step(line, "the user is let in")
        tell_auth(run, "passed", line)
        return
    if verdict.result == authz.ERROR:
        _refuse_all(run, verdict)
    node = verdict.line(authz.DENIED, authz.NO_USER)
    line = node.line if node is not None and node.line is not None else gate_line(run)
    status = 403 if rules.forbids and verdict.result != authz.NO_USER else 401
    run.step(line, f"the user is not the one who is asked for: {status}")
    if status == 401:
        authn.challenge(run)
    tell_auth(run, "refused", line, "no-group-file" if _lacks_groups(run, verdict) else "")
    raise Respond(status, line)


def _lacks_groups(run: Run, verdict: authz.Verdict) -> bool:
    """Whether a user is refused for the one reason that groups are asked for and no file names any: so is everybody."""
    refusing = [node for node, result in verdict.said if result == authz.DENIED and node.needs_user(run.method)]
    groups = all(node.provider == "group" and not node.negate for node in refusing)
    return bool(refusing) and groups and run.layers.last("authgroupfile") is None and not may_be_completed(run)


def _refuse_all(run: Run, verdict: authz.Verdict) -> NoReturn:
    """Refused whoever it is: 403; 500 where a line cannot be judged."""
    status = 500 if verdict.result == authz.ERROR else 403
    node = verdict.line(authz.ERROR if status == 500 else authz.DENIED)
    line = node.line if node is not None else None
    if line is not None and node is not None and node.provider not in ADDRESSES:
        needs = "credentials" if wants_credentials(node) else "address"
        tell(run, Gate("access", None, None, "refused", decides(line), needs=needs))
    run.step(line, f"refused: {status}")
    raise Respond(status, line)
