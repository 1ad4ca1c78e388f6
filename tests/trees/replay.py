"""Makes a tree playable: the same configuration on loopback without TLS, in front of the origins of the differential
suite. What the predictor says of each route's requests can then be compared with what the real server does."""

from __future__ import annotations

import re
from pathlib import Path

from auditor.check import Options, load_sites
from tests.differential.play import Case, Line
from tests.differential.words import COMMON
from tests.trees import stage

_HEAD = """\
daemon off;
master_process off;
pid @DIR@/nginx.pid;
error_log @DIR@/error.log;
"""
_MAIN = r"(?m)^(?:user|worker_\w+|pid|error_log|daemon|pcre_jit|include)\b[^;{]*;\n?"
# What has no part in the question: TLS, addresses of the deployed machine, logs, limits that count, stored answers.
_AWAY = (
    r"(?<![$\w])(?:ssl_\w+|resolver|access_log|error_log|limit_req|limit_conn|proxy_cache\w*|fastcgi_cache\w*"
    r"|http2(?:_\w+)?|client_body_temp_path|real_ip_header)\s[^;{}]*;"
)
_AUTH = re.compile(r"oauth2|auth|vouch|identity|introspect|sessions|:9090")
_PORTS = {"80": "P1", "443": "P2", "8080": "P3"}


def case(tree: Path, lines: list[Line]) -> Case:
    """The tree's files with placeholders, and these requests."""
    texts = {
        str(path.relative_to(tree)): path.read_text()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and path.name not in ("verdicts.json", "mime.types")
    }
    kinds = _kinds("\n".join(texts.values()))
    files = {**COMMON, "keys/jwks.json": stage.JWKS, **{name: _rewritten(text, kinds) for name, text in texts.items()}}
    head, http, rest = re.sub(_MAIN, "", files.pop("nginx.conf")).partition("http {")
    temporary = "".join(f"    {kind}_temp_path tmp;\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    roots = re.findall(r"\b(?:root|alias) @DIR@/([^;\s$]+);", "\n".join([*files.values(), rest]))
    for root in roots:
        for name in ("index.html", "index.php", "x.php", "x.css", "x.pdf", "wp-login.php", "app.js"):
            files.setdefault(f"{root.rstrip('/')}/{name}", f"{name}\n")
    return Case(_HEAD + head + http + "\n" + temporary + rest, files, lines)


def requests(tree: Path) -> list[Line]:
    """Each route's request as it is, with credentials and forged headers, where the auth service or the origin refuses,
    from another origin, with an upgrade, and in other spellings of the path."""
    lines: list[Line] = []
    sites, errors, _ = load_sites([str(tree)], Options())
    assert not errors, errors
    for route in (route for site in sites for route in site.routes()):
        request = route.request
        port = f"@{_PORTS.get(str(request.port), 'P4')}@"
        headers = [[name, value] for name, value in request.headers if name.lower() != "host"]
        headers.insert(0, ["Host", f"{request.host}:{port}"])
        line: Line = {"method": request.method, "url": f"http://127.0.0.1:{port}{request.target}", "headers": headers}
        forged = [[name, "forged"] for name in ("X-Remote-User", "Remote-User", "X-Forwarded-For", "Cookie")]
        password = ["Authorization", "Basic YWxpY2U6c2VjcmV0"]  # alice:secret, of tests/differential/words.py
        refusal = {"status": 401, "headers": [["WWW-Authenticate", 'Bearer realm="origin"']]}
        lines.append(line)
        lines.append({**line, "headers": [*headers, password, *forged]})
        lines.append({**line, "headers": [*headers, password], "upstream_response": refusal})
        preflight = [["Origin", "https://app.example.com"], ["Access-Control-Request-Method", "GET"]]
        lines.append({**line, "method": "OPTIONS", "headers": [*headers, *preflight]})
        upgrade = [["Upgrade", "websocket"], ["Connection", "upgrade"], ["X_Remote_User", "forged"]]
        lines.append({**line, "headers": [*headers, password, *upgrade], "upstream_response": {"status": 404}})
        path, mark, query = request.target.partition("?")
        for spelling in (path.replace("/", "//", 1), f"{path}%2e%2E/x.php", f"{path}X"):
            lines.append({**line, "url": f"http://127.0.0.1:{port}{spelling}{mark}{query}"})
    return lines


def _kinds(text: str) -> dict[str, str]:
    """The origin that plays each upstream, told by the directive that names it and by its name."""
    kinds = {name: "AUTH" if _AUTH.search(name) else "A" for name in re.findall(r"\bupstream\s+([\w.-]+)\s*\{", text)}
    for protocol, origin in (("fastcgi", "FCGI"), ("uwsgi", "UWSGI"), ("grpc", "H2")):
        for name in re.findall(rf"\b{protocol}_pass (?:\w+://)?([\w.-]+);", text):
            kinds[name] = origin
    return kinds


def _rewritten(text: str, kinds: dict[str, str]) -> str:
    text = re.sub(r"#[^\n\"']*$", "", text, flags=re.MULTILINE)
    text = re.sub(_AWAY, "", text)
    text = re.sub(r"\blisten\s+\[[^;]*;", "", text)
    text = re.sub(r"\blisten\s+([^;]*);", _listen, text)
    text = re.sub(r"(auth_basic_user_file)\s+[^;]*;", r"\1 @DIR@/users/apr1;", text)
    text = re.sub(r"\bfastcgi_pass\s+unix:[^;]*;", "fastcgi_pass @FCGI@;", text)
    text = re.sub(r"\buwsgi_pass\s+unix:[^;]*;", "uwsgi_pass @UWSGI@;", text)
    text = re.sub(r"\bupstream\s+([\w.-]+)\s*\{([^{}]*)\}", lambda found: _upstream(found, kinds), text)
    text = re.sub(r"\$server:\$port", "@A@", text)
    text = re.sub(
        r"(proxy_pass|set \$\w+)\s+https?://([\w.-]+(?::\d+)?)(?=[;/])", lambda found: _address(found, kinds), text
    )
    text = re.sub(r"grpcs://", "grpc://", text)
    text = text.replace("/etc/nginx/", "@DIR@/")
    return re.sub(r"(?<![\w.$}/:@])/((?:var|run|srv|data|opt|usr)/[^\s;\"'$]*)", r"@DIR@/machine/\1", text)


def _listen(found: re.Match[str]) -> str:
    words = found.group(1).split()
    port = words[0].rpartition(":")[2]
    default = " default_server" if "default_server" in words else ""
    return f"listen 127.0.0.1:@{_PORTS.get(port, 'P4')}@{default};"


def _upstream(found: re.Match[str], kinds: dict[str, str]) -> str:
    name = found.group(1)
    return f"upstream {name} {{ server @{kinds[name]}@; }}"


def _address(found: re.Match[str], kinds: dict[str, str]) -> str:
    words, host = found.groups()
    if host in kinds:
        return f"{words} http://{host}"
    return f"{words} http://@{'AUTH' if _AUTH.search(host) else 'A'}@"
