"""What the one who asks knows: the client's address and what the upstreams answer, given beside a request."""

from __future__ import annotations

from typing import Any

from auditor.http import Pairs, Request, Response, make_request
from auditor.world import Answer, Question

ANY = "*"


class Given:
    """The world of one line of a requests file.

    `answers` are (role, upstream, response) in the order of the file, "*" for any role or upstream; the first that fits
    answers an exchange. Without one that fits, what the upstream answers stays unknown.
    """

    __slots__ = ("answers", "client_ip")

    def __init__(self, client_ip: str | None = None, answers: tuple[tuple[str, str, Response], ...] = ()) -> None:
        self.client_ip = client_ip
        self.answers = answers

    def ask(self, question: Question) -> Answer | None:
        if question.kind == "client-address" and self.client_ip is not None:
            return Answer(self.client_ip, f"the client's address is {self.client_ip}", self.client_ip)
        if question.kind == "exchange":
            role = question.detail.partition(":")[0]
            for wanted_role, upstream, response in self.answers:
                if wanted_role in (ANY, role) and upstream in (ANY, question.subject):
                    return Answer(str(response.status), f"{question.subject} answers {response.status}", response)
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and (self.client_ip, self.answers) == (other.client_ip, other.answers)

    def __hash__(self) -> int:
        return hash((self.client_ip, self.answers))


def read_line(line: Any) -> tuple[Request, Given]:
    """The request and the world of one object of a requests file (its keys: README, "audit trace").

    Raises ValueError, with a sentence for people, where it cannot be read.
    """
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")
    url = _text(line, "url", None)
    method = _text(line, "method", "GET")
    if not method or " " in method:
        raise ValueError(f"bad method: {method!r}")
    version = _text(line, "http_version", "1.1")
    if version not in ("0.9", "1.0", "1.1", "2", "2.0", "3"):
        raise ValueError(f"unknown http_version: {version!r}")
    request = make_request(url, method, _pairs(line.get("headers") or []), version)
    answers = [
        (_text(item, "role", ANY), _text(item, "upstream", ANY), _response(item))
        for item in _objects(line.get("upstream_responses") or [])
    ]
    if line.get("upstream_response") is not None:
        answers.append((ANY, ANY, _response(line["upstream_response"])))
    client_ip = None if line.get("client_ip") is None else _text(line, "client_ip", None)
    return request, Given(client_ip, tuple(answers))


def _objects(value: Any) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("upstream_responses must be a list of objects")
    return value


def _response(item: Any) -> Response:
    if not isinstance(item, dict):
        raise ValueError("upstream_response must be an object")
    status = item.get("status", 200)
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 999:
        raise ValueError(f"bad status of an upstream's answer: {status!r}")
    return Response(status, _pairs(item.get("headers") or []))


def _text(item: dict[str, Any], key: str, default: str | None) -> str:
    value = item.get(key, default)
    if value is None:
        raise ValueError(f"{key!r} is missing")
    if not isinstance(value, str):
        raise ValueError(f"{key!r} must be a string")
    return _octets(value, key)


def _octets(text: str, what: str) -> str:
    """The text, if it is a latin-1 reading of bytes that fit on one line."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        message = f"{what!r} has characters that are no bytes (strings are the latin-1 reading of the bytes)"
        raise ValueError(message) from None
    if "\n" in text:
        raise ValueError(f"{what!r} has a line break")
    return text


def _pairs(value: Any) -> Pairs:
    if not isinstance(value, list | tuple):
        raise ValueError("headers must be a list of [name, value] pairs")
    pairs = []
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise ValueError("headers must be a list of [name, value] pairs")
        pairs.append((_octets(pair[0], "headers"), _octets(pair[1], "headers")))
    return tuple(pairs)
