"""realip: the client's address taken from a header of a trusted proxy (ngx_http_realip_module)."""

from __future__ import annotations

from auditor.servers.nginx.intake import NOT_KNOWN
from auditor.servers.nginx.run import Run
from auditor.servers.nginx.variables import client_address
from auditor.world import Question


def connection_address(run: Run) -> None:
    """Settle the address that the connection comes from: what the world knows."""
    known = run.shared.path.ask(Question("client-address"), [NOT_KNOWN])
    run.shared.client_address = known.value if isinstance(known.value, str) else None


def real_address(run: Run) -> None:
    """Take the client's address from a header, where the settings that count now trust the connection; once only.

    nginx does so twice: by the server's settings before all else, by the location's before the access phase.
    """
    shared = run.shared
    if "realip_remote_addr" in run.main.scratch:
        return
    trusted = run.level.lines("set_real_ip_from")
    if not trusted or shared.client_address is None:
        return
    line = run.level.line("real_ip_header")
    name = line.args[0] if line is not None and line.args else "X-Real-IP"
    if name == "proxy_protocol":
        return
    values = [value for key, value in run.headers if key.lower() == name.lower()]
    if not values:
        return
    networks = [entry.args[0] for entry in trusted if entry.args]
    if name.lower() == "x-forwarded-for":
        candidates = [part.strip() for value in values for part in value.split(",")]
        recursive = run.level.flag("real_ip_recursive", False)
    else:
        candidates = [part.strip() for part in values[0].split(",")]
        recursive = run.level.flag("real_ip_recursive", False)
    address = walk_back(shared.client_address, candidates, networks, recursive)
    if address != shared.client_address:
        run.main.scratch["realip_remote_addr"] = client_address(run)
        for name in ("remote_addr", "proxy_add_x_forwarded_for", "binary_remote_addr"):
            run.variables.pop(name, None)
        shared.client_address = address
        run.step(trusted[0], f"the client's address is taken from {name}: {address}")


def walk_back(address: str, candidates: list[str], trusted: list[str], recursive: bool) -> str:
    """The address that a list of forwarded ones tells, its end first, as far as they are trusted
    (ngx_http_get_forwarded_addr)."""
    for candidate in reversed(candidates):
        if not _within(address, trusted):
            break
        parsed = _parse(candidate)
        if parsed is None:
            break
        address = parsed
        if not recursive:
            break
    return address


def _parse(text: str) -> str | None:
    """An address, with or without a port; None where it is none."""
    import ipaddress  # here: few configurations use realip

    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def _within(address: str, networks: list[str]) -> bool:
    import ipaddress

    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    for network in networks:
        try:
            if parsed in ipaddress.ip_network(network, strict=False):
                return True
        except ValueError:
            continue
    return False
