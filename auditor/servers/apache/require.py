"""A Require line, and who judges it: the providers of mod_authz_core, _host, _user and _groupfile."""

import re
from collections.abc import Callable
from typing import NamedTuple

from auditor.servers.apache.access import address_in, host_in, is_local, network_of
from auditor.servers.apache.config import Directive, Limit
from auditor.servers.apache.run import Run
from auditor.servers.apache.syntax import words_of
from auditor.source import Place
from auditor.world import Answer, Question

GRANTED = "granted"
DENIED = "denied"
NO_USER = "denied, no user"  # AUTHZ_DENIED_NO_USER: who the client is may change it
NEUTRAL = "neutral"
ERROR = "error"

_USERLESS = frozenset(
    ("all", "env", "expr", "forward-dns", "host", "ip", "local", "method", "ssl", "ssl-verify-client")
)


class Node(NamedTuple):
    """A Require line (`op` is "") or a container of them ("and", "or"); `limits` says for which methods it stands,
    None among them: for all. `line` is None for a section's own container and for two sections that are merged."""

    op: str
    negate: bool
    line: Directive | None
    provider: str = ""
    rest: str = ""
    children: "tuple[Node, ...]" = ()
    limits: tuple[Limit | None, ...] = ()

    def covers(self, method: str) -> bool:
        return any(limit is None or limit.covers(method) for limit in self.limits)

    def needs_user(self, method: str) -> bool:
        """Whether a line in it can only be judged by who the client is."""
        if not self.covers(method):
            return False
        if self.op:
            return any(child.needs_user(method) for child in self.children)
        return self.provider not in _USERLESS or (self.provider == "expr" and _names_user(self.rest))


def ask(run: Run, node: Node) -> str:
    """What the line's provider says, before any `not`."""
    return _PROVIDERS.get(node.provider, _other)(run, node)


def _user(run: Run, node: Node) -> str:
    if run.user is None:
        return NO_USER
    if run.notes.get("supposed"):
        return _as_supposed(node)
    words = _words(run, node)
    user = run.user.text
    if user is None:
        return GRANTED if _holds(run, node, f"REMOTE_USER in {node.rest}", f"the user is {node.rest}") else DENIED
    return GRANTED if user in words else DENIED


def _valid_user(run: Run, node: Node) -> str:
    return NO_USER if run.user is None else GRANTED


def _as_supposed(node: Node) -> str:
    """Whoever is taken to be let in by this gate is whom it asks for."""
    return DENIED if node.negate else GRANTED


def _group(run: Run, node: Node) -> str:
    """group_check_authorization(): the groups that name the user in AuthGroupFile."""
    if run.user is None:
        return NO_USER
    if run.notes.get("supposed"):
        return _as_supposed(node)
    line = run.layers.last("authgroupfile")
    if line is None or not line.args:
        return DENIED
    user = run.user.text
    path = run.config.path(line.args[0])
    answer = run.ask(
        Question("groups", path, user if user is not None else "?"),
        [
            Answer("member", f"the user is in the group {node.rest}", True),
            Answer("other", f"the user is not in the group {node.rest}", False),
        ],
        node.line.place if node.line is not None else None,
    )
    if isinstance(answer.value, bool):
        return GRANTED if answer.value else DENIED
    return GRANTED if not frozenset(_words(run, node)).isdisjoint(answer.value or ()) else DENIED


def _all(run: Run, node: Node) -> str:
    return GRANTED if node.rest.strip("\"'").lower() == "granted" else DENIED


def _ip(run: Run, node: Node) -> str:
    assert node.line is not None
    for word in words_of(node.rest):
        network = network_of(word)
        if network is not None and address_in(run, network, node.line):
            return GRANTED
    return DENIED


def _host(run: Run, node: Node) -> str:
    assert node.line is not None
    line = node.line
    return GRANTED if any(host_in(run, word, line) for word in _words(run, node)) else DENIED


def _forward_dns(run: Run, node: Node) -> str:
    for word in _words(run, node):
        if _holds(run, node, f"REMOTE_ADDR of {word}", f"the client has the address of {word}"):
            return GRANTED
    return DENIED


def _local(run: Run, node: Node) -> str:
    assert node.line is not None
    return GRANTED if is_local(run, node.line) else DENIED


def _method(run: Run, node: Node) -> str:
    """method_check_authorization(): HEAD is GET."""
    method = "GET" if run.method == "HEAD" else run.method
    return GRANTED if method in ["GET" if word == "HEAD" else word for word in words_of(node.rest)] else DENIED


def _env(run: Run, node: Node) -> str:
    return GRANTED if any(run.has_variable(word, _place(node)) for word in words_of(node.rest)) else DENIED


def _place(node: Node) -> Place | None:
    return node.line.place if node.line is not None else None


def _expr(run: Run, node: Node) -> str:
    """expr_check_authorization(): one that asks for REMOTE_USER and does not hold may hold with a user."""
    from auditor.servers.apache import expr

    text = node.rest
    if len(text) > 1 and text[0] == '"' == text[-1]:
        text = text[1:-1]
    try:
        compiled = expr.compile_condition(text)
    except expr.ExprError:
        return ERROR
    holds = expr.holds(run, compiled, node.line.place if node.line is not None else None)
    if holds:
        return GRANTED
    return NO_USER if _names_user(text) else DENIED


def _ssl(run: Run, node: Node) -> str:
    return GRANTED if run.shared.request.tls else DENIED


def _client_certificate(run: Run, node: Node) -> str:
    return GRANTED if _holds(run, node, "SSL_CLIENT_VERIFY", "the client has a good certificate") else DENIED


def _other(run: Run, node: Node) -> str:
    """Directories, databases, owners of files, other projects' modules: nothing here knows."""
    if run.user is None:
        return NO_USER
    if run.notes.get("supposed"):
        return _as_supposed(node)
    what = f"Require {node.provider} {node.rest}".rstrip()
    return GRANTED if _holds(run, node, what, f"{what}: yes") else DENIED


_PROVIDERS: dict[str, Callable[[Run, Node], str]] = {
    "all": _all,
    "env": _env,
    "expr": _expr,
    "forward-dns": _forward_dns,
    "group": _group,
    "host": _host,
    "ip": _ip,
    "local": _local,
    "method": _method,
    "ssl": _ssl,
    "ssl-verify-client": _client_certificate,
    "user": _user,
    "valid-user": _valid_user,
}


def _names_user(text: str) -> bool:
    return re.search(r"%\{REMOTE_USER\}", text, re.IGNORECASE) is not None


def _words(run: Run, node: Node) -> tuple[str, ...]:
    """The arguments of a line, an expression among them resolved; what cannot be known is a word that nobody has."""
    if "%{" not in node.rest:
        return words_of(node.rest)
    from auditor.servers.apache import expr

    value = expr.string(run, expr.compile_string(node.rest), node.line.place if node.line is not None else None)
    return words_of(value.text) if value.text is not None else ()


def _holds(run: Run, node: Node, subject: str, yes: str) -> bool:
    return run.truth("variable", subject, node.line.place if node.line is not None else None, yes, f"not so: {yes}")
