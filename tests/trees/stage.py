"""Puts a tree where a real nginx accepts it: every path of the deployed machine lies in one temporary folder, names of
upstreams are loopback addresses, certificates and password files are stand-ins. Only for `nginx -t`: what a request
would meet there is another matter."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

# Folders of the deployed machine that the trees name.
_OUTSIDE = re.compile(r"(?<![\w.$}/:])/(?:etc|var|run|srv|data|opt|tmp|usr)/[^\s;\"'$]*")
_PEM = re.compile(r"\b(ssl_certificate(?:_key)?|ssl_trusted_certificate|ssl_client_certificate)\s+\S+;")
_KEYS = re.compile(r"\b(auth_jwt_key_file)\s+\S+;")
_PASS = re.compile(r"\b((?:proxy|grpc|uwsgi|fastcgi)_pass\s+(?:\w+://)?)([A-Za-z][\w.-]*)(:\d+)?(?=[/;$])")
_SERVER = re.compile(r"(\bserver\s+)([A-Za-z][\w.-]*)(:\d+)?(?=[\s;])")
# A key of no use (RFC 7517).
JWKS = '{"keys": [{"kty": "oct", "kid": "1", "k": "c3RhbmQtaW4"}]}'
_UPSTREAM = re.compile(r"\bupstream\s+([\w.-]+)\s*\{")
_USER = re.compile(r"^\s*user\s+[^;]*;", re.MULTILINE)


def stage(tree: Path, target: Path, pem: str) -> Path:
    """Copies the tree to the folder `target`, with stand-ins for all that it names; the path of its nginx.conf.

    `pem` holds a certificate and its key."""
    shutil.copytree(tree, target, dirs_exist_ok=True)
    texts = {path: path.read_text() for path in sorted(target.rglob("*")) if path.is_file()}
    own = {name for text in texts.values() for name in _UPSTREAM.findall(text)}
    for path, text in texts.items():
        if path.name in ("verdicts.json", "mime.types"):
            continue
        # The daemon's user may be missing here, and only root may change to it.
        text = _USER.sub("", text)
        text = _OUTSIDE.sub(lambda found: _place(found.group(), target), text)
        text = _PEM.sub(rf"\1 {target}/stand-in.pem;", text)
        text = _KEYS.sub(rf"\1 {target}/stand-in.json;", text)
        text = _PASS.sub(lambda found: _loopback(found, own), text)
        text = _SERVER.sub(r"\g<1>127.0.0.1:9", text)
        path.write_text(text)
    stand_ins = {"stand-in.pem": pem, "stand-in.json": JWKS, "mime.types": "types { text/html html; }"}
    for name, text in {**stand_ins, "fastcgi_params": ""}.items():
        if not (target / name).exists():
            (target / name).write_text(text)
    return target / "nginx.conf"


def complaint(program: str, config: Path) -> str:
    """What `nginx -t` objects to; empty where it accepts the configuration."""
    run = subprocess.run(
        [program, "-t", "-p", f"{config.parent}/", "-c", str(config), "-e", "stderr"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if run.returncode == 0:
        return ""
    return "\n".join(line for line in run.stderr.splitlines() if "[emerg]" in line) or run.stderr


def _place(path: str, target: Path) -> str:
    """Where that path of the deployed machine lies now; folders on the way are made."""
    if path.startswith("/etc/nginx/"):
        return f"{target}/{path.removeprefix('/etc/nginx/')}"
    staged = target / "machine" / path.strip("/")
    (staged if path.endswith("/") else staged.parent).mkdir(parents=True, exist_ok=True)
    return str(staged)


def _loopback(found: re.Match[str], own: set[str]) -> str:
    if found.group(2) in own or found.group(2) == "unix":
        return found.group()
    return f"{found.group(1)}127.0.0.1{found.group(3) or ''}"
