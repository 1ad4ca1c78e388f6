"""mod_remoteip: whose word counts about the client's address (remoteip_modify_request)."""

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from auditor.servers.apache.access import network_of
from auditor.servers.apache.run import Run, decides
from auditor.trace import DECIDES, Because
from auditor.values import ADDRESS, Segment, Value, client_header, join, literal
from auditor.world import Answer, Question

if TYPE_CHECKING:
    from auditor.servers.apache.access import Network

# Addresses that only a proxy of RemoteIPInternalProxy is believed about.
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8")
]
_GLOBAL = ipaddress.ip_network("2000::/3")


class _Proxy(NamedTuple):
    network: "Network"
    internal: bool


def apply(run: Run) -> None:
    """Takes the client's address from the header that RemoteIPHeader names, as far to the left as those who have
    written it are believed. Where no line says who is, everybody is."""
    line = run.server.last("remoteipheader")
    if line is None or not line.args or run.prev is not None:
        return
    name = line.args[0]
    given = run.headers_in.get(name)
    if given is None or given.text is None:
        return
    proxies, told = _proxies(run)
    words = given.text.split(",")
    now = Value((Segment(ADDRESS, run.shared.client_address),))
    passed: list[Value] = []
    believed = None
    while words:
        internal = _internal(run, now, proxies) if told else False
        word = words[-1].strip(" ")
        if internal is None or not _is_address(word, internal):
            break
        words.pop()
        if not internal:
            passed.append(now)
        believed = word
        now = Value((Segment(ADDRESS, word),))
    if believed is None:
        return
    run.shared.client_address = believed
    run.step(line, f"the client's address is taken from {name}: {believed}")
    why = (Because(DECIDES, line.place),)
    if words:
        run.headers_in.set(name, literal(",".join(words), client_header(name)), why)
    else:
        run.headers_in.unset(name, why)
    listed = run.server.last("remoteipproxiesheader")
    if listed is not None and listed.args and passed:
        run.headers_in.set(listed.args[0], join(passed, ", "), decides(listed))


def _proxies(run: Run) -> tuple[list[_Proxy], bool]:
    """Who is believed, and whether any line says so. Those of a list in a file of its own are not known."""
    found = []
    lines = run.server.all("remoteipinternalproxy", "remoteiptrustedproxy")
    for line in lines:
        for word in line.args:
            network = network_of(word)
            if network is not None:
                found.append(_Proxy(network, line.key == "remoteipinternalproxy"))
    lists = run.server.all("remoteipinternalproxylist", "remoteiptrustedproxylist")
    return found, bool(lines or lists)


def _internal(run: Run, address: Value, proxies: list[_Proxy]) -> bool | None:
    """Whether that address is one of RemoteIPInternalProxy; None where it is no proxy at all."""
    text = address.text
    if text is None:
        answers = [Answer("no", "the request does not come from a proxy that is believed")]
        for one in proxies:
            inside = one.network[1] if one.network.num_addresses > 1 else one.network[0]
            answers.append(Answer(str(one.network), f"the request comes from a proxy in {one.network}", str(inside)))
        line = run.server.last("remoteipheader")
        answer = run.ask(Question("client-address", detail="proxies"), answers, line.place if line else None)
        if not isinstance(answer.value, str):
            return None
        text = answer.value
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return next((one.internal for one in proxies if found in one.network), None)


def _is_address(word: str, internal: bool) -> bool:
    try:
        address = ipaddress.ip_address(word)
    except ValueError:
        return False
    if internal:
        return True
    if isinstance(address, ipaddress.IPv6Address):
        return address in _GLOBAL
    return not any(address in network for network in _PRIVATE)
