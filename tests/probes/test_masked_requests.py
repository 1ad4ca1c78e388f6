"""What a witness has to send stands in no report of a probe."""

from __future__ import annotations

from auditor.http import Request
from probes.reports.masked import secrets_of


def test_what_is_hidden() -> None:
    request = Request(
        target="/?token=tok3n-4711&page=2",
        headers=(("Host", "a.example"), ("X-Origin-Verify", "9f1c2b7a"), ("Cookie", "lang=de; session=letmein")),
    )
    assert secrets_of(request) == {"tok3n-4711", "9f1c2b7a", "letmein"}


def test_what_probes_make_up() -> None:
    request = Request(headers=(("Authorization", "Bearer audit-probe"), ("Cookie", "audit=probe")))
    assert not secrets_of(request)
