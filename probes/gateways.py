"""Origins behind the CGI-like protocols: FastCGI, uwsgi and SCGI. Their parameters are recorded in order, as sent."""

from __future__ import annotations

import socket
import struct
from typing import BinaryIO

from auditor.http import Pairs
from probes.origin import Answer, Origin, reason


def _need(reader: BinaryIO, size: int) -> bytes:
    """Exactly `size` bytes. Raises EOFError where the connection ends before."""
    data = reader.read(size)
    if len(data) < size:
        raise EOFError
    return data


def cgi_bytes(answer: Answer) -> bytes:
    """A CGI response (RFC 3875, 6)."""
    lines = [
        f"Status: {answer.status} {reason(answer.status)}",
        *(f"{name}: {value}" for name, value in answer.headers),
    ]
    text = "\r\n".join(lines) + "\r\n\r\n"
    bodiless = answer.status in (204, 304)
    return text.encode("latin-1") + (b"" if bodiless else answer.body)


class FastCGI(Origin):
    """A FastCGI responder (FastCGI 1.0, section 3): one request for each connection."""

    protocol = "fastcgi"

    def converse(self, connection: socket.socket, reader: BinaryIO) -> None:
        params = body = b""
        while True:
            _, kind, _, size, padding = struct.unpack("!BBHHBx", _need(reader, 8))
            content = _need(reader, size)
            _need(reader, padding)
            if kind == 4:
                params += content
            elif kind == 5:
                if not content:
                    break
                body += content
        answer = self.record(self.protocol, "", "", _name_values(params), body)
        data = cgi_bytes(answer)
        out = [struct.pack("!BBHHBx", 1, 6, 1, len(data[at : at + 65535]), 0) + data[at : at + 65535]
               for at in range(0, len(data), 65535)]  # fmt: skip
        end = struct.pack("!BBHHBx", 1, 6, 1, 0, 0) + struct.pack("!BBHHBxLBxxx", 1, 3, 1, 8, 0, 0, 0)
        connection.sendall(b"".join(out) + end)


def _name_values(data: bytes) -> Pairs:
    """Name-value pairs of a FastCGI PARAMS stream (section 3.4)."""
    pairs, at = [], 0

    def length() -> int:
        nonlocal at
        if data[at] < 128:
            at += 1
            return data[at - 1]
        at += 4
        return int(struct.unpack("!L", data[at - 4 : at])[0] & 0x7FFFFFFF)

    while at < len(data):
        name_size, value_size = length(), length()
        name, value = data[at : at + name_size], data[at + name_size : at + name_size + value_size]
        at += name_size + value_size
        pairs.append((name.decode("latin-1"), value.decode("latin-1")))
    return tuple(pairs)


class Uwsgi(Origin):
    """An application behind the uwsgi protocol (modifier 0). Content-Length tells the size of the body."""

    protocol = "uwsgi"

    def converse(self, connection: socket.socket, reader: BinaryIO) -> None:
        _, size, _ = struct.unpack("<BHB", _need(reader, 4))
        data, pairs, at = _need(reader, size), [], 0
        while at < size:
            parts = []
            for _ in "kv":
                (length,) = struct.unpack_from("<H", data, at)
                parts.append(data[at + 2 : at + 2 + length].decode("latin-1"))
                at += 2 + length
            pairs.append((parts[0], parts[1]))
        finish(self, connection, reader, tuple(pairs))


class Scgi(Origin):
    """An SCGI application: a netstring of NUL-ended names and values, then the body."""

    protocol = "scgi"

    def converse(self, connection: socket.socket, reader: BinaryIO) -> None:
        digits = b""
        while (byte := _need(reader, 1)) != b":":
            digits += byte
        parts = _need(reader, int(digits)).decode("latin-1").split("\0")
        _need(reader, 1)
        finish(self, connection, reader, tuple(zip(parts[0:-1:2], parts[1::2], strict=False)))


def finish(origin: Origin, connection: socket.socket, reader: BinaryIO, params: Pairs) -> None:
    """Reads the body that CONTENT_LENGTH announces, records the request and answers it."""
    announced = dict(params).get("CONTENT_LENGTH", "")
    wanted = int(announced) if announced.isdigit() else 0
    body, missing = b"", False
    connection.settimeout(0.3)
    try:
        body = reader.read(wanted) if wanted else b""
    except OSError:
        missing = True
    answer = origin.record(origin.protocol, "", "", params, body, missing or len(body) < wanted)
    connection.sendall(cgi_bytes(answer))
