"""What is never printed, and what must stay readable."""

from __future__ import annotations

import pytest

from auditor.secrets import mask


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('proxy_set_header Authorization "Basic c2VjcmV0";', 'proxy_set_header Authorization "Basic ***";'),
        ("Authorization: bearer abc.def", "Authorization: bearer ***"),
        ('proxy_set_header X-Api-Key "k3y";', 'proxy_set_header X-Api-Key "***";'),
        ("proxy_set_header X-Auth-Token k3y;", "proxy_set_header X-Auth-Token ***;"),
        ("proxy_pass http://user:pw@host/;", "proxy_pass http://user:***@host/;"),
        ("return 302 /x?token=abc&b=c;", "return 302 /x?token=***&b=c;"),
        ("curl -H 'X-Api-Key: abc'", "curl -H 'X-Api-Key: ***'"),
    ],
)
def test_masked(text: str, shown: str) -> None:
    assert mask(text) == shown
    assert mask(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "proxy_set_header Authorization $http_authorization;",
        'proxy_set_header Authorization "Bearer $token";',
        "proxy_set_header X-Auth-Token $http_x_auth_token;",
        'WWW-Authenticate: Basic realm="area"',
        "proxy_pass http://host:8080/;",
        "set $token $arg_token;",
        "auth_basic_user_file /etc/nginx/passwords;",
        "location /token/ {",
    ],
)
def test_left(text: str) -> None:
    assert mask(text) == text
