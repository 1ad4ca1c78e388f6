"""realip: the client's address taken from a header of a trusted proxy (ngx_http_realip_module)."""

from __future__ import annotations

from auditor.servers.nginx.run import Run
from auditor.servers.nginx.variables import client_address
from auditor.world import Answer, Question

_NOT_KNOWN = Answer("unknown", "the client's address is not known")


def real_address(run: Run) -> None:
    """Settle the client's address: what the world knows, then what a trusted header says."""
    shared = run.shared
    known = shared.path.ask(Question("client-address"), [_NOT_KNOWN])
    shared.client_address = known.value if isinstance(known.value, str) else None
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
        if not run.newer(1, 23) and len(values) > 1:
            values = values  # several lines count as one list in all versions
        candidates = [part.strip() for value in values for part in value.split(",")]
        recursive = run.level.flag("real_ip_recursive", False)
    else:
        candidates = [part.strip() for part in (values[-1] if run.newer(1, 23) else values[0]).split(",")]
        recursive = run.level.flag("real_ip_recursive", False)
    address = shared.client_address
    for candidate in reversed(candidates):
        if not _within(address, networks):
            break
        parsed = _parse(candidate)
        if parsed is None:
            break
        address = parsed
        if not recursive:
            break
    if address != shared.client_address:
        run.scratch["realip_remote_addr"] = client_address(run)
        shared.client_address = address
        run.step(trusted[0], f"the client's address is taken from {name}: {address}")


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
