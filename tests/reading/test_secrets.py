"""What is never printed, and what must stay readable."""

from __future__ import annotations

import pytest

from auditor.secrets import mask, mask_header, mask_sentence


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('proxy_set_header Authorization "Basic c2VjcmV0";', 'proxy_set_header Authorization "Basic ***";'),
        ("Authorization: bearer abc.def", "Authorization: bearer ***"),
        ('proxy_set_header X-Api-Key "k3y";', 'proxy_set_header X-Api-Key "***";'),
        ('proxy_set_header Authorization "Bearer Bearer k3y";', 'proxy_set_header Authorization "Bearer Bearer ***";'),
        ('proxy_set_header Cookie "sid=k3y; a=b";', 'proxy_set_header Cookie "***";'),
        ("proxy_set_header X-Auth-Token k3y;", "proxy_set_header X-Auth-Token ***;"),
        ("proxy_pass http://user:pw@host/;", "proxy_pass http://user:***@host/;"),
        ("return 302 /x?token=abc&b=c;", "return 302 /x?token=***&b=c;"),
        ("curl -H 'X-Api-Key: abc'", "curl -H 'X-Api-Key: ***'"),
        ('if ($http_x_api_key != "k3y") {', 'if ($http_x_api_key != "***") {'),
        ("if ($arg_token !~* ^k3y$) {", "if ($arg_token !~* ***$) {"),
        ("proxy_set_header Proxy-Authorization k3y;", 'proxy_set_header Proxy-Authorization "***";'),
        ("proxy_set_header Authorization 'AWS k3y:x';", 'proxy_set_header Authorization "***";'),
        ("more_set_input_headers 'Authorization: AWS k3y:x';", "more_set_input_headers 'Authorization: ***';"),
        ("fastcgi_param HTTP_AUTHORIZATION k3y;", 'fastcgi_param HTTP_AUTHORIZATION "***";'),
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
        "proxy_pass_header Authorization;",
        'proxy_set_header Authorization "";',
        'proxy_set_header Authorization "Bearer Bearer $token";',
        "proxy_set_header Cookie $http_cookie;",
        "proxy_set_header Authorization off;",
        "more_set_input_headers 'Authorization: $auth';",
        'more_set_headers "Access-Control-Allow-Headers: Authorization, Content-Type";',
        'proxy_set_header Authorization "Bearer audit-probe";',
    ],
)
def test_left(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It goes on as Basic YWRtaW46eA== to http://u:pw@app.", "It goes on as Basic *** to http://u:***@app."),
        ("GET http://a.example/?access_token=abc&x=1", "GET http://a.example/?access_token=***&x=1"),
        ("Bearer s3same is compared.", "Bearer *** is compared."),
    ],
)
def test_masked_in_sentences(text: str, shown: str) -> None:
    assert mask_sentence(text) == shown
    assert mask_sentence(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "The password of the Basic gate goes on, as do Bearer tokens.",
        "Ask for a password here (auth_basic, auth_basic_user_file).",
        "add_header WWW-Authenticate 'Bearer realm=\"api\"' always;",
        "curl -H 'Authorization: Bearer audit-probe'",
        "The secret: it is known.",
    ],
)
def test_sentences_are_left(text: str) -> None:
    assert mask_sentence(text) == text


@pytest.mark.parametrize(
    "line",
    [
        "AuthBasicFake reports {}",
        "AuthBasicFake %{{REMOTE_USER}} {}",
        '    AuthLDAPBindPassword "{}"',
        "OIDCClientSecret {}",
        "AuthMySQLPassword {}",
        'Auth_MySQL_Password "{}"',
        "Auth_PG_pwd {}",
        "SessionCryptoPassphrase {}",
        'RequestHeader set Authorization "{}"',
        'RequestHeader set Cookie "session={}"',
        'RequestHeader set X-Api-Key "{}"',
        "SetEnv DB_PASSWORD {}",
        "RewriteRule ^ - [E=HTTP_AUTHORIZATION:{},L]",
        'SetEnvIf Host "^a" HTTP_AUTHORIZATION={}',
        'DBDParams "host=db user=site pass={}"',
        "ProxyPass / http://site:{}@app.internal/",
    ],
)
def test_lines_of_httpd(line: str) -> None:
    masked = mask(line.format("NineTons42"))
    assert "NineTons42" not in masked
    assert masked.startswith(line.split()[0] if not line.startswith(" ") else " ")


@pytest.mark.parametrize(
    "line",
    [
        "RequestHeader unset Authorization",
        "RequestHeader set Authorization expr=%{HTTP:X-Token}",
        'RequestHeader set Authorization "%{AUTH}e"',
        "RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]",
        'SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1',
        "AuthUserFile /etc/apache2/site.htpasswd",
        "SSLPassPhraseDialog builtin",
    ],
)
def test_lines_of_httpd_without_secrets(line: str) -> None:
    assert mask(line) == line


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("X-Origin-Verify", "9f1c2b7a", "***"),
        ("X-Api-Key", "k1", "***"),
        ("Cookie", "lang=de; session=letmein", "lang=de; session=***"),
        ("Cookie", "audit=probe; sid=audit-probe", "audit=probe; sid=audit-probe"),
        ("X-Forwarded-Proto", "https", "https"),
        ("User-Agent", "Mozilla/5.0", "Mozilla/5.0"),
        ("Origin", "https://app1.example.com", "https://app1.example.com"),
        ("X-Env", "staging", "staging"),
    ],
)
def test_what_clients_have_to_send(name: str, value: str, shown: str) -> None:
    assert mask_header(name, value) == shown


def test_the_hash_of_a_link() -> None:
    url = "GET http://a.example/video/?md5=NbzgyKeA_naJrVUpl2pydg&expires=4102444800&page=2"
    assert mask_sentence(url) == "GET http://a.example/video/?md5=***&expires=4102444800&page=2"
