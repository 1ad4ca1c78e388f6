"""Random requests for a random configuration of httpd: what tests.differential.requests makes, with httpd's words."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.apache.differential.words import URIS
from tests.differential.requests import AUTHORIZATIONS, Plan, Requests
from tests.differential.requests import HEADERS as SHARED
from tests.differential.words import basic

HEADERS: list[tuple[str, list[str]]] = [
    *(entry for entry in SHARED if entry[0] not in ("Range", "X-Accel-Redirect")),
    ("Connection", ["close", "X-A", "Authorization", "close, X-B", "X-Forwarded-For", "keep-alive, TE", "Cookie"]),
    ("Access-Control-Request-Method", ["PUT", "GET"]),
    ("Access-Control-Request-Headers", ["authorization, x-a"]),
    ("Origin", ["https://app.example", "https://evil.example"]),
    ("X-Forwarded-Host", ["evil.example"]),
    ("X-Forwarded-Proto", ["https"]),
    ("Cookie", ["user=alice", "t=1; user=bob"]),
    ("User-Agent", ["Mozilla/5.0 MSIE", "curl/8"]),
]  # fmt: skip
AUTHORIZED = [basic("alice", "secret")] * 6 + [basic("bob", "hunter2")] * 2


class ApacheRequests(Requests):
    """Makes requests for one configuration of httpd."""

    headers = HEADERS
    authorizations = AUTHORIZED + AUTHORIZATIONS

    def __init__(self, random: Random, config: Plan) -> None:
        super().__init__(random, config)
        self.paths = [*config.paths, *config.paths, *URIS]

    def line(self) -> dict[str, Any]:
        line = super().line()
        del line["upstream_responses"]
        return line
