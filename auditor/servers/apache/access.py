"""What is checked before anybody is asked for a name: Order, Allow, Deny and Satisfy (mod_access_compat), the methods
of AllowMethods, SSLRequireSSL; and the client's address, for these and for `Require ip`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from auditor.servers.apache.config import Directive, Section
from auditor.servers.apache.run import Run
from auditor.world import IN_LISTS, Answer, Question

if TYPE_CHECKING:  # the module is imported with the first address: few configurations name any
    from ipaddress import IPv4Network, IPv6Network

    Network = IPv4Network | IPv6Network

_COMPAT = ("order", "allow", "deny", "satisfy")


def satisfies(run: Run) -> Directive | None:
    """The line that says `Satisfy Any` for this method, None where all conditions must hold."""
    found = _last(run, "satisfy")
    return found if found is not None and found.args[:1] and found.args[0].lower() == "any" else None


def refuses(run: Run) -> tuple[int, Directive] | None:
    """The status with which an access checker refuses, and the line; None where they let the request on
    (ap_run_access_checker: the first that refuses counts)."""
    return _method(run) or _plain(run) or _compat(run)


def passed_line(run: Run) -> Directive | None:
    """The Allow, Deny or Order line by which the address was let in; None where there are none of these."""
    lines = _lines(run, "allow") or _lines(run, "deny")
    return lines[-1] if lines else _last(run, "order")


def depends(run: Run) -> bool:
    """Whether an Allow or Deny line is about a variable: then who is let in depends on the request."""
    return any(
        word.lower().startswith("env=") for key in ("allow", "deny") for line in _lines(run, key) for word in line.args
    )


def _method(run: Run) -> tuple[int, Directive] | None:
    """am_check_access(); TRACE is not its business."""
    for section in reversed(run.layers.sections):
        lines = section.all("allowmethods")
        if lines and run.config.modules.has("allowmethods"):
            names = {name.upper() for line in lines for name in line.args}
            method = "GET" if run.method == "HEAD" else run.method
            if "RESET" in names or method in names or method == "TRACE":
                return None
            return 405, lines[-1]
    return None


def _plain(run: Run) -> tuple[int, Directive] | None:
    line = run.layers.last("sslrequiressl")
    if line is not None and not run.shared.request.tls and run.config.modules.has("ssl"):
        return 403, line
    return None


# --- mod_access_compat


def _section(run: Run) -> Section | None:
    """The innermost section that says anything of the kind: this module merges nothing."""
    if not run.config.modules.has("access_compat"):
        return None
    return run.layers.memo("access_compat", lambda layers: _innermost(layers.sections))  # type: ignore[no-any-return]


def _innermost(sections: Sequence[Section]) -> Section | None:
    return next((one for one in reversed(sections) if any(one.all(key) for key in _COMPAT)), None)


def _lines(run: Run, key: str) -> list[Directive]:
    section = _section(run)
    if section is None:
        return []
    return [line for line in section.all(key) if line.limit is None or line.limit.covers(run.method)]


def _last(run: Run, key: str) -> Directive | None:
    lines = _lines(run, key)
    return lines[-1] if lines else None


def _compat(run: Run) -> tuple[int, Directive] | None:
    """check_dir_access()."""
    section = _section(run)
    if section is None:
        return None
    order = _last(run, "order")
    word = order.args[0].lower() if order is not None and order.args else "deny,allow"
    allow = _found(run, "allow")
    deny = _found(run, "deny")
    if word == "deny,allow":
        return (403, deny) if deny is not None and allow is None else None
    if allow is not None and deny is None:
        return None
    line = deny or order
    assert line is not None  # another order than the default has its line
    return 403, line


def _found(run: Run, key: str) -> Directive | None:
    """find_allowdeny()."""
    for line in _lines(run, key):
        for word in line.args[1:]:
            if _matches(run, line, word):
                return line
    return None


def _matches(run: Run, line: Directive, word: str) -> bool:
    low = word.lower()
    if low == "all":
        return True
    if low.startswith("env=!"):
        return not run.has_variable(word[5:], line.place)
    if low.startswith("env="):
        return run.has_variable(word[4:], line.place)
    network = network_of(word)
    if network is not None:
        return address_in(run, network, line)
    return host_in(run, word, line)


# --- the client's address


def network_of(word: str) -> Network | None:
    """The network that a word names: an address, its first octets, or one with a mask; None for a host's name
    (apr_ipsubnet_create)."""
    import ipaddress

    text, slash, mask = word.partition("/")
    try:
        if slash:
            return ipaddress.ip_network(f"{text}/{mask}", strict=False)
        if ":" in text:
            return ipaddress.ip_network(text)
        octets = text.removesuffix(".").split(".")
        if len(octets) > 4 or not all(octet.isascii() and octet.isdigit() for octet in octets):
            return None
        return ipaddress.ip_network(f"{'.'.join(octets + ['0'] * (4 - len(octets)))}/{8 * len(octets)}")
    except ValueError:
        return None


def address_in(run: Run, network: Network, line: Directive) -> bool:
    """Whether the client's address lies there."""
    from ipaddress import IPv6Address, ip_address

    address = ip_address(_address(run, line))
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address in network


def is_local(run: Run, line: Directive) -> bool:
    """Require local: a loopback address, or the client's address is the server's (local_check_authorization)."""
    from ipaddress import ip_address

    address = ip_address(_address(run, line))
    return address.is_loopback or str(address) == run.shared.request.host.strip("[]")


def host_in(run: Run, name: str, line: Directive) -> bool:
    """Whether the name that the client's address has ends in that one: only a name server knows."""
    return run.truth(
        "variable",
        f"REMOTE_HOST in {name}",
        line.place,
        f"the client's host is {name}, or in it",
        f"the client's host is not in {name}",
    )


def _address(run: Run, line: Directive) -> str:
    """The client's address; where it is not known, one of each kind that the lines tell apart."""
    if run.shared.client_address is not None:
        return run.shared.client_address
    networks = run.layers.memo("networks", lambda layers: list(_networks(layers.all(*_NAMING))))
    answers = [Answer("elsewhere", "the client's address is in none of the lists", _outside(networks))]
    for network in networks:
        inside = str(network[1] if network.num_addresses > 1 else network[0])
        answers.append(Answer(str(network), f"the client's address is in {network}", inside))
    return str(run.ask(Question("client-address", detail=IN_LISTS), answers, line.place).value)


_NAMING = ("allow", "deny", "require", "<requireall", "<requireany", "<requirenone")


def _networks(lines: Iterable[Directive]) -> Iterable[Network]:
    seen: set[Network] = set()
    for line in lines:
        if line.children:
            found = list(_networks(line.children))
        elif line.key != "require" or "ip" in (word.lower() for word in line.args[:2]):
            found = [network for network in map(network_of, line.args) if network is not None]
        else:
            local = network_of("127") if line.args[-1:] == ("local",) else None
            found = [local] if local is not None else []
        for network in found:
            if network not in seen:
                seen.add(network)
                yield network


def _outside(networks: Sequence[Network]) -> str:
    from ipaddress import ip_address

    for candidate in ("203.0.113.7", "198.51.100.7", "192.0.2.7", "8.8.4.4", "2001:db8::7"):
        if not any(ip_address(candidate) in network for network in networks):
            return candidate
    return "203.0.113.7"
