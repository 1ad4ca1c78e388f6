"""A server that the user named: where it is, what goes there, and what goes wrong on the way, said in a sentence."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from typing import NamedTuple

from auditor.http import Request
from probes.client import Reply, send

TIMEOUT = 10.0  # seconds for one request with its answer
SIZE = 1 << 20  # bytes of an answer that are read


class Unreachable(Exception):
    """There is no answer; the message is a sentence that says why."""


class Late(Unreachable):
    """The server took the request and did not answer in time."""


class Target(NamedTuple):
    """How a server is reached: `host` and `port` of the URL; `name` is what a TLS certificate must be for."""

    host: str
    port: int
    tls: bool = False
    name: str = ""

    @classmethod
    def of(cls, request: Request, name: str = "") -> Target:
        """For this request; `name` is the host that clients use, if it is another one."""
        return cls(request.host.strip("[]"), request.port, request.tls, (name or request.host).strip("[]"))

    @property
    def label(self) -> str:
        """How messages name it: `staging.example:443`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Peer:
    """Sends to one target. Its name is looked up once, and everything goes to the first of its addresses that takes a
    connection; no proxy of the environment is asked. A certificate is verified unless `insecure` or on loopback."""

    def __init__(self, target: Target, insecure: bool = False, timeout: float = TIMEOUT, size: int = SIZE) -> None:
        self.target = target
        self._size = size
        self._insecure = insecure
        self._timeout = timeout
        self._addresses: list[str] = []
        self._settled = False

    @property
    def address(self) -> str | None:
        """The IP address that is asked, None before the first answer."""
        return self._addresses[0] if self._settled else None

    def send(self, data: bytes) -> Reply:
        """Sends the bytes of a request and reads the answer. Raises Unreachable."""
        if not self._addresses:
            self._addresses = self._look_up()
        while True:
            try:
                reply = self._send(data)
            except Unreachable:
                if self._settled or len(self._addresses) == 1:
                    raise
                self._addresses.pop(0)
                continue
            self._settled = True
            return reply

    def _look_up(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self.target.host, self.target.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unreachable(f"{self.target.host}: no address found for this name ({_reason(error)})") from error
        except UnicodeError as error:
            raise Unreachable(f"{self.target.host}: this is no host name") from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _send(self, data: bytes) -> Reply:
        address, label = self._addresses[0], self.target.label
        at = label if address == self.target.host else f"{label} ({address})"
        verify = None
        if self.target.tls:
            verify = not self._insecure and not ipaddress.ip_address(address.partition("%")[0]).is_loopback
        try:
            return send(
                (address, self.target.port),
                data,
                timeout=self._timeout,
                tls=(self.target.name if verify or not _literal(self.target.name) else "") if self.target.tls else None,
                verify=verify,
                total=self._timeout,
                size=self._size,
                patience=self._timeout,
            )
        except TimeoutError as error:
            self._settled = True  # another address of the same name would not be the same server
            raise Late(f"{at}: no answer within {self._timeout:g} s") from error
        except ssl.SSLCertVerificationError as error:
            self._settled = True
            raise Unreachable(
                f"{at}: its certificate cannot be trusted: {error.verify_message} (--insecure asks all the same)"
            ) from error
        except ssl.SSLError as error:
            self._settled = True
            reason = (error.reason or str(error)).replace("_", " ").lower()
            raise Unreachable(f"{at}: no TLS connection: {reason}") from error
        except ConnectionRefusedError as error:
            raise Unreachable(f"{at}: nothing listens there (connection refused)") from error
        except OSError as error:
            raise Unreachable(f"{at}: no connection: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
