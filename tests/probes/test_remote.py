"""`audit probe --url --origin` at a real nginx: what it reports is what the origin got."""

from __future__ import annotations

import base64

import pytest

from probes.runners.local import Binary
from tests.probes.controlled import Controlled
from tests.probes.stage import PASSWORD, ask, nginx_with, run

GATE = 'auth_basic "Staff"; auth_basic_user_file USERS;'
PASS = "proxy_pass http://ORIGIN;"


def test_a_good_site_is_fine(nginx: Binary, origin: Controlled) -> None:
    lines = f"location / {{ {PASS} proxy_set_header X-Forwarded-For $remote_addr; }}"
    with nginx_with(nginx, origin, lines) as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url)
    assert ran.status == 0
    assert set(ran.verdicts.values()) <= {"info"}
    assert ran.fate("bearer", "Authorization") == "forwarded"
    assert ran.fate("bearer", "Host") == "replaced"
    assert ran.fate("bearer", "X-Forwarded-For") == "added"
    assert ran.fate("forwarding", "X-Forwarded-For") == "replaced"
    assert ran.fate("forwarding", "Cookie") == "forwarded"
    assert ran.fate("hop-by-hop", "Connection") == ("replaced" if nginx.version < "1.29" else "stripped")
    assert ran.fate("spoofed", "X-Remote-User") == "forwarded"
    # nginx passes over header names with underscores unless it is told otherwise.
    assert ran.fate("spoofed-underscores", "X_Remote_User") == "stripped"
    assert ran.probe("origin-401")["status"] == 401
    assert ran.probe("origin-403")["status"] == 403


def test_a_token_that_is_cleared(nginx: Binary, origin: Controlled) -> None:
    with nginx_with(nginx, origin, f'location / {{ {PASS} proxy_set_header Authorization ""; }}') as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url)
    assert ran.status == 1
    assert ran.fate("bearer", "Authorization") == "stripped"
    assert ran.verdicts["stripped-authorization"] == "warning"


def test_a_gate_that_keeps_the_password(nginx: Binary, origin: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_PASSWORD", PASSWORD)
    lines = f'location / {{ {GATE} {PASS} proxy_set_header Authorization ""; }}'
    with nginx_with(nginx, origin, lines) as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url, "--user", "alice")
    assert ran.status == 0
    assert ran.probe("no-credentials")["status"] == 401
    assert ran.probe("no-credentials")["reached"] is None
    assert ran.probe("basic")["status"] == 200
    assert ran.fate("basic", "Authorization") == "stripped"
    assert ran.fate("lower-case", "Authorization") == "stripped"
    assert "stripped-authorization" not in ran.verdicts  # Bearer does not get so far
    # No CORS header says that pages of other origins are meant, so this is no defect.
    assert ran.verdicts["gated-preflight"] == "info"
    assert ran.text("gated-preflight") == "The preflight is refused with 401: browsers will not send the request."


def test_a_password_that_goes_on(nginx: Binary, origin: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_PASSWORD", PASSWORD)
    with nginx_with(nginx, origin, f"location / {{ {GATE} {PASS} }}") as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url, "--user", "alice")
    assert ran.verdicts["leaked-credentials"] == "info"


def test_a_gate_before_cors(nginx: Binary, origin: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_PASSWORD", PASSWORD)
    cors = "add_header Access-Control-Allow-Origin https://app.example always;"
    cors += "add_header Access-Control-Allow-Headers Authorization;"
    with nginx_with(nginx, origin, f"location / {{ {GATE} {cors} {PASS} }}") as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url, "--user", "alice")
    assert (ran.status, ran.verdicts["gated-preflight"]) == (1, "error")


def test_an_identity_header_that_another_url_sets(
    nginx: Binary, origin: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_PASSWORD", PASSWORD)
    lines = f"""location /staff/ {{ {GATE} {PASS} proxy_set_header X-Remote-User $remote_user; }}
        location / {{ {PASS} }}"""
    with nginx_with(nginx, origin, lines) as proxy:
        alone = ask("--url", proxy.url(), "--origin", origin.url)
        both = ask("--url", proxy.url(), "--url", proxy.url("/staff/"), "--origin", origin.url, "--user", "alice")
    assert alone.verdicts["identity-headers"] == "info"
    assert "spoofable-identity-header" not in alone.verdicts
    verdicts = [
        {one["rule"]: one for one in target["verdicts"] if one["severity"] == "error"}
        for target in both.report["targets"]
    ]
    assert both.status == 1
    assert list(verdicts[0]) == ["spoofable-identity-header"]
    assert "X-Remote-User reaches the origin as the client sent it" in verdicts[0]["spoofable-identity-header"]["text"]
    assert verdicts[1] == {}


def test_an_identity_header_in_another_spelling(nginx: Binary, origin: Controlled) -> None:
    lines = f"location / {{ {PASS} proxy_set_header X-Remote-User somebody; }} underscores_in_headers on;"
    with nginx_with(nginx, origin, lines) as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url)
    assert ran.fate("spoofed", "X-Remote-User") == "replaced"
    assert ran.fate("spoofed-underscores", "X_Remote_User") == "forwarded"
    assert (ran.status, ran.verdicts["spoofable-identity-header"]) == (1, "warning")


def test_an_identity_header_that_is_copied(nginx: Binary, origin: Controlled) -> None:
    """$http_x_remote_user also holds X_Remote_User: what arrives besides is the client's, and not of the proxy's."""
    lines = f"location / {{ {PASS} proxy_set_header X-Remote-User $http_x_remote_user; }} underscores_in_headers on;"
    with nginx_with(nginx, origin, lines) as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url)
    assert ran.fate("spoofed-underscores", "X-Remote-User") == "added"
    assert ran.verdicts["identity-headers"] == "info"
    assert ran.status == 0


def test_an_identity_header_made_of_an_unchecked_name(nginx: Binary, origin: Controlled) -> None:
    with nginx_with(nginx, origin, f"location / {{ {PASS} proxy_set_header X-Remote-User $remote_user; }}") as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url)
    assert (ran.status, ran.verdicts["spoofable-identity-header"]) == (1, "error")
    assert "nobody has checked" in ran.text("spoofable-identity-header")


def test_parameters_of_fastcgi(nginx: Binary, fastcgi: Controlled) -> None:
    lines = "location / { fastcgi_pass ORIGIN; fastcgi_param REMOTE_USER $remote_user; }"
    with nginx_with(nginx, fastcgi, lines) as proxy:
        ran = ask("--url", proxy.url(), "--origin", fastcgi.url)
    assert ran.fate("bearer", "Authorization") == "forwarded"
    assert ran.fate("wrong-basic", "REMOTE_USER") == "added"
    # The stock parameter files pass REMOTE_USER everywhere: that is no sign that the application believes it.
    assert "spoofable-identity-header" not in ran.verdicts
    assert ran.status == 0


def test_a_challenge_that_is_lost(nginx: Binary, origin: Controlled) -> None:
    with nginx_with(nginx, origin, f"location / {{ {PASS} proxy_hide_header WWW-Authenticate; }}") as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url)
    assert (ran.status, ran.verdicts["missing-challenge"]) == (1, "warning")


def test_an_answer_that_is_replaced(nginx: Binary, origin: Controlled) -> None:
    lines = f"location / {{ {PASS} proxy_intercept_errors on; error_page 401 =302 /login; }}"
    lines += "location /login { return 302 /x; }"
    with nginx_with(nginx, origin, lines) as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url)
    assert ran.probe("origin-401")["status"] == 302
    assert ran.verdicts["changed-answer"] == "info"


@pytest.mark.parametrize("key", ["$uri$is_args$args", "$uri$is_args$args$http_authorization"])
def test_an_answer_out_of_a_cache(nginx: Binary, origin: Controlled, key: str) -> None:
    lines = f"location / {{ {PASS} proxy_cache z; proxy_cache_key {key}; }}"
    with nginx_with(nginx, origin, lines, "proxy_cache_path @DIR@/cache keys_zone=z:1m;") as proxy:
        ran = ask("--url", proxy.url("/?page=1"), "--origin", origin.url, *proxy.predicted())
    other = ran.probe("repeat-other")
    if "authorization" in key:
        assert (ran.status, other["body_of"]) == (0, None)
    else:
        assert (ran.status, other["body_of"], other["reached"]) == (1, "repeat-first", None)
        assert ran.verdicts["answer-of-another-user"] == "error"
    assert all(probe["prediction"]["differences"] == [] for probe in ran.target["probes"])


def test_the_longest_authorization(nginx: Binary, origin: Controlled) -> None:
    """A header line with its end must fit into one buffer (large_client_header_buffers)."""
    lines = f"large_client_header_buffers 4 2k; location / {{ {PASS} }}"
    with nginx_with(nginx, origin, lines) as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url, *proxy.predicted())
        size = ran.target["limit"]["bytes"]
        assert size == 2048 - len("Authorization: \r\n")
        assert (ran.target["limit"]["refusal"], ran.probe(f"oversized-{size + 1}")["status"]) == ("400", 400)
        assert ran.fate(f"oversized-{size}", "Authorization") == "forwarded"
    assert ran.status == 0
    assert ran.report["requests"] <= 40


def test_a_long_authorization_that_does_not_arrive(nginx: Binary, origin: Controlled) -> None:
    """The answer is the same for every length; what reaches the origin is not."""
    http = 'map $http_authorization $kept { "~^.{200}" ""; default $http_authorization; }'
    lines = f"location / {{ {PASS} proxy_set_header Authorization $kept; }}"
    with nginx_with(nginx, origin, lines, http) as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url)
    assert ran.target["limit"] == {"bytes": 199, "longer_tried": True, "refusal": "200 and does not arrive"}
    assert ran.fate("oversized-200", "Authorization") == "stripped"


def test_a_prediction_that_holds_and_one_that_does_not(
    nginx: Binary, origin: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_PASSWORD", PASSWORD)
    lines = f"location / {{ {GATE} {PASS} }}"
    with nginx_with(nginx, origin, lines) as proxy:
        arguments = ("--url", proxy.url(), "--origin", origin.url, "--user", "alice")
        right = ask(*arguments, *proxy.predicted())
        with open(proxy.config, encoding="utf-8") as file:
            text = file.read()
        with open(proxy.folder + "/other.conf", "w", encoding="utf-8") as file:
            file.write(text.replace("proxy_pass", 'proxy_set_header Authorization ""; proxy_pass'))
        wrong = ask(*arguments, *proxy.predicted(proxy.folder + "/other.conf"))
        shown = run(*arguments, *proxy.predicted(proxy.folder + "/other.conf"))
    assert right.status == 0
    assert all(probe["prediction"]["differences"] == [] for probe in right.target["probes"])
    assert {one["name"]: one["fate"] for one in right.probe("basic")["prediction"]["headers"]}[
        "Authorization"
    ] == "forwarded"
    assert wrong.status == 1
    differing = {probe["name"] for probe in wrong.target["probes"] if probe["prediction"]["differences"]}
    assert {"basic", "lower-case", "origin-401"} <= differing
    assert not {"no-credentials", "bearer"} & differing
    (difference,) = wrong.probe("basic")["prediction"]["differences"]
    assert "+ Authorization: Basic ***" in difference
    assert "Basic, right: the server does not do what was predicted" in shown.out
    assert "DIFFERS" in shown.out


def test_an_auth_request_is_not_taken_for_the_request(nginx: Binary, origin: Controlled) -> None:
    """The origin stands behind the subrequest, too: told to answer 401, it refuses there."""
    lines = f"location / {{ auth_request /auth; {PASS} }} location = /auth {{ internal; {PASS} }}"
    with nginx_with(nginx, origin, lines) as proxy:
        ran = ask("--url", proxy.url(), "--origin", origin.url, *proxy.predicted())
    assert ran.status == 0
    assert (ran.probe("bearer")["exchanges"], ran.probe("bearer")["reached"]["target"]) == (2, "/")
    assert (ran.probe("origin-401")["exchanges"], ran.probe("origin-401")["reached"]) == (1, None)


def test_another_address_than_the_clients(nginx: Binary, origin: Controlled) -> None:
    lines = f"server_name shop.example; location / {{ {PASS} proxy_set_header Host $host; }}"
    default = "server { listen 127.0.0.1:@PORT@ default_server; return 404; }"
    with nginx_with(nginx, origin, lines) as proxy, open(proxy.config, encoding="utf-8") as file:
        text = file.read().replace(origin.origin.address, "192.0.2.9:8000").replace(str(proxy.port), "8080")
        name = proxy.folder + "/deployed.conf"
        with open(name, "w", encoding="utf-8") as copy:
            copy.write(text)
        arguments = ("--url", proxy.url(), "--origin", origin.url, *proxy.predicted(name))
        only = ask(*arguments)
        named = ask(*arguments, "--as", "http://shop.example:8080")
        with open(name, "w", encoding="utf-8") as copy:
            copy.write(text.replace("server {", default.replace("@PORT@", "8081") + " server {"))
        several = ask(*arguments)
    assert only.status == 0
    assert named.status == 0
    assert named.fate("bearer", "Host") == "changed"
    assert ["Host", "shop.example:8080"] in named.probe("bearer")["request"]["headers"]
    assert (several.status, several.out) == (2, "")
    assert "8080, 8081: say with --as" in several.err


def test_secrets_stay_secret(nginx: Binary, origin: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in what the proxy adds, in its answer, in its redirects: nowhere in a report."""
    monkeypatch.setenv("AUDIT_PASSWORD", PASSWORD)
    coded = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    lines = f"""location / {{ {GATE} {PASS} proxy_set_header X-Copy $http_authorization;
        proxy_set_header X-Key "api_key=hunter2hunter2"; add_header X-Echo $http_authorization;
        add_header Location "/?session={PASSWORD}"; }}"""
    with nginx_with(nginx, origin, lines) as proxy:
        arguments = ("--url", proxy.url(), "--origin", origin.url, "--user", "alice")
        with open(proxy.folder + "/other.conf", "w", encoding="utf-8") as file:
            file.write("events {} http { server { listen 8080; location / { proxy_pass http://a.example; } } }")
        reports = [
            ask(*arguments, *proxy.predicted()),
            run(*arguments),
            run(*arguments, *proxy.predicted(proxy.folder + "/other.conf")),
        ]
    assert any(value.startswith("Basic ") for one in origin.received for name, value in one.headers if name == "X-Copy")
    for ran in reports:
        assert "X-Copy" in ran.out
        for secret in (PASSWORD, coded, "hunter2hunter2"):
            assert secret not in ran.out + ran.err
    assert reports[2].status == 1
