"""Passes connections on, byte for byte: python -m probes.stack.relay 0.0.0.0:8080=127.0.0.1:9000...

It is the way into the sealed network of the stack, and gives the origin the ports and the loopback addresses that a
user's own configuration names.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence

READY = "/tmp/ready"  # what the health check of the compose file looks for
CHUNK = 1 << 16

Address = tuple[str, int]


def read(word: str) -> tuple[Address, Address]:
    """Where to listen and where to connect. Raises ValueError for a word of another form."""
    here, _, there = word.partition("=")
    left, right = here.rpartition(":"), there.rpartition(":")
    return (left[0], int(left[2])), (right[0], int(right[2]))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All bytes of one direction, and its end."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def listen(here: Address, there: Address) -> asyncio.Server:
    """Starts to pass connections on. Raises OSError where the address is taken."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*there)
            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
            far_writer.close()
        writer.close()

    return await asyncio.start_server(serve, *here)


async def run(words: Sequence[str]) -> None:
    """Runs until it is ended."""
    for word in words:
        await listen(*read(word))
    with open(READY, "w"):
        pass
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1:]))
