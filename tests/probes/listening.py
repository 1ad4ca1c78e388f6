"""Runs commands in a network namespace of its own and prints what tried to leave it, as JSON.

    unshare --net --mount python listening.py COMMANDS    a JSON list of commands, each a list of words

There is a default route out of the namespace, and a name server at the other end of it; what is sent there is seen here
and goes nowhere.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile

SETUP = (
    "ip link set lo up",
    "ip link add out type veth peer name far",
    "ip link set out addrgenmode none",  # or the kernel itself asks for routers
    "ip link set far addrgenmode none",
    "ip link set out arp off",  # what is sent is sent at once, without asking for the neighbour first
    "ip address add 198.51.100.2/24 dev out",
    "ip address add 2001:db8::2/64 dev out nodad",
    "ip link set out up",
    "ip link set far up",
    "ip route add default dev out",
    "ip -6 route add default dev out",
)
ALL = 3  # ETH_P_ALL
ICMPV6, HOP_BY_HOP = 58, 0


def main(commands: list[list[str]]) -> None:
    for line in SETUP:
        subprocess.run(line.split(), check=True)
    with tempfile.NamedTemporaryFile("w") as servers:
        servers.write("nameserver 198.51.100.53\noptions timeout:1 attempts:1\n")
        servers.flush()
        os.chmod(servers.name, 0o644)
        subprocess.run(["mount", "--bind", servers.name, "/etc/resolv.conf"], check=True)
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL)) as seen:
            seen.bind(("out", ALL))
            seen.setblocking(False)
            for command in commands:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                result = {"status": done.returncode, "out": done.stdout, "err": done.stderr, "left": packets(seen)}
                print(json.dumps(result), flush=True)


def packets(seen: socket.socket) -> list[str]:
    """What was sent since the last call, but for what the kernel says by itself."""
    found: list[str] = []
    while True:
        try:
            data = seen.recv(65536)
        except BlockingIOError:
            return found
        if data[0] >> 4 == 6 and data[6] in (ICMPV6, HOP_BY_HOP):
            continue
        found.append(data[:80].hex())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
