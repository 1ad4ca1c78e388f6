"""Origins behind the CGI-like protocols: FastCGI, uwsgi and SCGI. Their parameters are recorded in order, as sent."""

from __future__ import annotations

import struct

from auditor.http import Pairs
from probes.connection import BODY_KEPT, HEAD_LIMIT, IDLE, LINGER, Body, Connection
from probes.http1 import reason
from probes.origin import Answer, Origin


def cgi_bytes(answer: Answer) -> bytes:
    """A CGI response (RFC 3875, 6), with its status even where that is 200."""
    lines = [
        f"Status: {answer.status} {reason(answer.status)}",
        *(f"{name}: {value}" for name, value in answer.headers),
    ]
    text = "\r\n".join(lines) + "\r\n\r\n"
    bodiless = answer.status in (204, 304)
    return text.encode("latin-1") + (b"" if bodiless else answer.body)


def quiet(data: bytes) -> bytes:
    """The same response without a status of 200, as php-fpm writes it; some header line there must be. Beside Location
    it stays, because without it that one means 302 (RFC 3875, 6.2.3)."""
    rest = data.removeprefix(b"Status: 200 OK\r\n")
    if b"\r\nlocation:" in data.partition(b"\r\n\r\n")[0].lower():
        return data
    return b"Audit-Origin: 1\r\n" + rest if rest.startswith(b"\r\n") else rest


class Gateway(Origin):
    """What the three have in common: one request for each connection, a block of parameters and then a body."""

    async def converse(self, connection: Connection) -> None:
        if not connection.buffer and not await connection.more(IDLE):
            return
        params, body, fault = b"", Body(complete=False), ""
        pairs: Pairs = ()
        self.log.begin()
        try:
            try:
                params = await self.params(connection)
                pairs = self.pairs(params)
                body = await self.body(connection, pairs)
            except EOFError:
                fault = "the request breaks off"
            except (ValueError, IndexError, struct.error):
                fault = f"this is not {self.protocol}"
            raw = params or connection.take(HEAD_LIMIT)
            received = self.receive(connection, self.protocol, "", "", pairs, body, "", raw, fault)
        finally:
            self.log.begin(-1)
        if not fault:
            await connection.send(self.pack(cgi_bytes(await self.decide(received))))
        if fault or not body.complete:
            await connection.linger(LINGER)

    async def params(self, connection: Connection) -> bytes:
        """Reads the block of parameters. Raises EOFError, ValueError and struct.error."""
        raise NotImplementedError

    def pairs(self, params: bytes) -> Pairs:
        """Names and values of a block of parameters. Raises ValueError, IndexError and struct.error."""
        raise NotImplementedError

    async def body(self, connection: Connection, pairs: Pairs) -> Body:
        """Reads the body: what CONTENT_LENGTH announces."""
        text = dict(pairs).get("CONTENT_LENGTH", "")
        return await connection.body(int(text) if text.isascii() and text.isdigit() else 0, self.patience)

    def pack(self, data: bytes) -> bytes:
        """A CGI response in the frame of the protocol."""
        return data


class FastCGI(Gateway):
    """A FastCGI responder (FastCGI 1.0, section 3)."""

    protocol = "fastcgi"

    async def params(self, connection: Connection) -> bytes:
        params = bytearray()
        while content := await self._record(connection, 4, IDLE):
            params += content
            if len(params) > HEAD_LIMIT:
                raise ValueError("too many parameters")
        return bytes(params)

    async def body(self, connection: Connection, pairs: Pairs) -> Body:
        kept, size = b"", 0
        try:
            while content := await self._record(connection, 5, self.patience):
                size += len(content)
                kept += content[: BODY_KEPT - len(kept)]
        except EOFError:
            return Body(kept, size, False)
        return Body(kept, size)

    async def _record(self, connection: Connection, wanted: int, patience: float) -> bytes:
        """The content of the next record of that type; others are passed over."""
        while True:
            version, kind, _, size, padding = struct.unpack("!BBHHBx", await connection.need(8, patience))
            if version != 1:
                raise ValueError("another version")
            content = await connection.need(size, patience)
            await connection.need(padding, patience)
            if kind == wanted:
                return content

    def pairs(self, params: bytes) -> Pairs:
        """Name-value pairs of a PARAMS stream (section 3.4)."""
        pairs, at = [], 0
        while at < len(params):
            sizes = []
            for _ in "nv":
                long = params[at] >> 7
                sizes.append(struct.unpack_from("!L", params, at)[0] & 0x7FFFFFFF if long else params[at])
                at += 4 if long else 1
            if at + sum(sizes) > len(params):
                raise ValueError("a pair is longer than the block")
            name, value = params[at : at + sizes[0]], params[at + sizes[0] : at + sum(sizes)]
            pairs.append((name.decode("latin-1"), value.decode("latin-1")))
            at += sum(sizes)
        return tuple(pairs)

    def pack(self, data: bytes) -> bytes:
        data = quiet(data)
        out = [struct.pack("!BBHHBx", 1, 6, 1, len(data[at : at + 65535]), 0) + data[at : at + 65535]
               for at in range(0, len(data), 65535)]  # fmt: skip
        end = struct.pack("!BBHHBx", 1, 6, 1, 0, 0) + struct.pack("!BBHHBxLBxxx", 1, 3, 1, 8, 0, 0, 0)
        return b"".join(out) + end


class Uwsgi(Gateway):
    """An application behind the uwsgi protocol (modifier 0)."""

    protocol = "uwsgi"

    async def params(self, connection: Connection) -> bytes:
        _, size, _ = struct.unpack("<BHB", await connection.need(4))
        return await connection.need(size)

    def pairs(self, params: bytes) -> Pairs:
        pairs, at = [], 0
        while at < len(params):
            parts = []
            for _ in "kv":
                (length,) = struct.unpack_from("<H", params, at)
                at += 2 + length
                if at > len(params):
                    raise ValueError("a pair is longer than the block")
                parts.append(params[at - length : at].decode("latin-1"))
            pairs.append((parts[0], parts[1]))
        return tuple(pairs)

    def pack(self, data: bytes) -> bytes:
        # As uWSGI itself answers: nginx reads a CGI response, too, Apache's mod_proxy_uwsgi does not.
        return b"HTTP/1.0" + data.removeprefix(b"Status:")


class Scgi(Gateway):
    """An SCGI application: a netstring of NUL-ended names and values."""

    protocol = "scgi"

    def pack(self, data: bytes) -> bytes:
        return quiet(data)

    async def params(self, connection: Connection) -> bytes:
        while b":" not in connection.buffer[:8]:
            if len(connection.buffer) >= 8:
                raise ValueError("no netstring")
            if not await connection.more(IDLE):
                raise EOFError
        size = int(connection.buffer[: connection.buffer.index(b":")])
        if not 0 <= size <= HEAD_LIMIT:
            raise ValueError("too many parameters")
        connection.take(connection.buffer.index(b":") + 1)
        params = await connection.need(size)
        if await connection.need(1) != b",":
            raise ValueError("no netstring")
        return params

    def pairs(self, params: bytes) -> Pairs:
        parts = params.decode("latin-1").split("\0")
        return tuple(zip(parts[0:-1:2], parts[1::2], strict=False))
