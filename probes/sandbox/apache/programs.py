"""What stands in the place of the user's programs: programs of ours that note what they were given, and answer what
they are told to. None of the user's own runs."""

from __future__ import annotations

import os
import posixpath
import re

from auditor.http import Pairs
from probes.gateways import cgi_bytes
from probes.log import Answer, Received
from probes.runners.local import fill

SEEN = "seen"  # the folder of the notes
ANSWER = "answer"  # the file with what they answer: a CGI response
_SHELL = """#!/bin/sh
/bin/cat >@STATE@/seen/body.$$
/bin/cat /proc/$$/environ >@STATE@/seen/cgi.$$
/bin/cat @STATE@/answer
"""
_WSGI = """import tempfile
def application(environ, start_response):
    pairs = [(name, value) for name, value in environ.items() if "." not in name and isinstance(value, str)]
    with tempfile.NamedTemporaryFile(dir="@STATE@/seen", prefix="wsgi.", delete=False) as file:
        file.write(b"".join(f"{name}={value}\\0".encode("latin-1") for name, value in pairs))
    with open("@STATE@/answer", "rb") as file:
        head, _, body = file.read().partition(b"\\r\\n\\r\\n")
    status, *lines = head.decode("latin-1").split("\\r\\n")
    start_response(status.partition(": ")[2], [tuple(line.split(": ", 1)) for line in lines])
    return [body]
"""
_PHP = """<?php
header_remove("X-Powered-By");
$text = "";
foreach (["HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION", "AUTH_TYPE", "REMOTE_USER"] as $name)
    if (isset($_SERVER[$name])) $text .= "$name=$_SERVER[$name]\\0";
file_put_contents(tempnam("@STATE@/seen", "php."), $text);
list($head, $body) = explode("\\r\\n\\r\\n", file_get_contents("@STATE@/answer"), 2);
$lines = explode("\\r\\n", $head);
http_response_code(intval(explode(" ", $lines[0])[1]));
foreach (array_slice($lines, 1) as $line) header($line, false);
echo $body;
"""
_IS_PHP = re.compile(r"\.ph(?:p\d?|tml)$", re.IGNORECASE)
PROTOCOLS = {"cgi": "CGI", "wsgi": "WSGI", "php": "PHP"}
# What a program has of whoever started the server.
_INHERITED = frozenset(("LD_LIBRARY_PATH", "OPENSSL_CONF", "OPENSSL_MODULES", "TZ", "OLDPWD", "PWD", "SHLVL", "_"))


def program(path: str, state: str, php: bool, wsgi: bool) -> str:
    """The text of a file at that path: every one is a program, whatever it is called, since a configuration can have
    any file run. `php` and `wsgi` say whether these modules are there."""
    text = _SHELL
    if php and _IS_PHP.search(path):
        text = _PHP
    elif wsgi and posixpath.splitext(path)[1] in (".wsgi", ".py"):
        text = _WSGI
    return fill(text, {"STATE": state})


def wsgi_program(state: str) -> str:
    """The text of a file that mod_wsgi runs."""
    return fill(_WSGI, {"STATE": state})


def answer_bytes(answer: Answer) -> bytes:
    """What a program is to print."""
    if any(name.lower() == "content-type" for name, _ in answer.headers):
        return cgi_bytes(answer)
    return cgi_bytes(answer._replace(headers=(("Content-Type", "text/plain"), *answer.headers)))


def given(state: str) -> list[Received]:
    """What programs were given since the last call, in the order in which they ran."""
    folder = os.path.join(state, SEEN)
    with os.scandir(folder) as entries:
        names = [name for _, name in sorted((entry.stat().st_mtime_ns, entry.name) for entry in entries)]
    found = []
    for name in names:
        kind, _, number = name.partition(".")
        if kind in PROTOCOLS:
            text = _read(os.path.join(folder, name)).decode("latin-1")
            body = _read(os.path.join(folder, f"body.{number}"))
            parts = (pair.partition("=") for pair in text.split("\0")[:-1])
            pairs: Pairs = tuple((key, value) for key, _, value in parts if key not in _INHERITED)
            script = dict(pairs).get("SCRIPT_FILENAME", PROTOCOLS[kind])
            found.append(Received(0, script, "", kind, "", "", pairs, body, size=len(body)))
    for name in names:
        os.unlink(os.path.join(folder, name))
    return found


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
