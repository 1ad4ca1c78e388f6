"""Guards of links: valid_referers with $invalid_referer, and secure_link
(src/http/modules/ngx_http_referer_module.c, ngx_http_secure_link_module.c)."""

from __future__ import annotations

from auditor.regex import RegexError, compile_regex
from auditor.servers.nginx.maps import find_wildcard
from auditor.servers.nginx.run import Run, Unpredictable
from auditor.values import CLIENT, EMPTY, SERVER, Value, literal, unknown

_BAD = literal("1", CLIENT)


def invalid_referer(run: Run) -> Value:
    """$invalid_referer: "1", or nothing for a referer that is accepted, and where no valid_referers counts."""
    words = [word for line in run.level.lines("valid_referers") for word in line.args]
    entries = [word for word in words if word not in ("none", "blocked", "server_names")]
    if "server_names" in words:
        entries += [name for name in run.server.names if name]
    if not entries:
        return EMPTY
    referer = run.header("referer")
    if referer is None:
        return EMPTY if "none" in words else _BAD
    scheme, sep, rest = referer.partition("://")
    if len(referer) < len("http://i.ru") or not sep or scheme.lower() not in ("http", "https"):
        return EMPTY if "blocked" in words else _BAD
    return EMPTY if _accepted(rest, entries, set(run.server.names)) else _BAD


def _accepted(rest: str, entries: list[str], names: set[str]) -> bool:
    """Whether a referer (without its scheme) is one of the entries."""
    host = rest.partition("/")[0].partition(":")[0].lower()
    path = "/" + rest.partition("/")[2] if "/" in rest else ""
    exact: dict[str, str] = {}
    head: dict[str, str] = {}
    tail: dict[str, str] = {}
    for entry in entries:
        if entry.startswith("~"):
            continue
        name, slash, uri = entry.partition("/")
        name = name.lower()
        if name.startswith("*."):
            head.setdefault(name[1:], slash + uri)
        elif name.startswith("."):
            exact.setdefault(name[1:], slash + uri)
            head.setdefault(name, slash + uri)
        elif name.endswith(".*"):
            tail.setdefault(name[:-1], slash + uri)
        else:
            exact.setdefault(name, slash + uri)
    found = exact.get(host)
    if found is None:
        found = find_wildcard(host, head, tail)
    if found is not None:
        return path.startswith(found)
    try:
        # A server's own name is compared with the host, any other expression with all that follows the scheme.
        return any(
            compile_regex(entry[1:], True).search(host if entry in names else rest) is not None
            for entry in entries
            if entry.startswith("~")
        )
    except RegexError as error:
        raise Unpredictable(str(error)) from error


def secure_link(run: Run) -> Value:
    """$secure_link: empty for a bad hash, "0" for one that has expired, which depends on the clock, else "1"; with
    secure_link_secret the link itself."""
    from auditor.servers.nginx.variables import evaluate

    secret = run.level.line("secure_link_secret")
    if secret is not None and secret.args:
        return _linked(run, secret.args[0])
    line, text_line = run.level.line("secure_link"), run.level.line("secure_link_md5")
    if line is None or text_line is None or not line.args or not text_line.args:
        return EMPTY
    given = evaluate(run, line.args[0]).text
    if given is None:
        return unknown(CLIENT)
    hashed, comma, expires = given.partition(",")
    if comma and (not expires.isdigit() or int(expires) == 0):
        return EMPTY
    run.variables["secure_link_expires"] = literal(expires, CLIENT)
    if len(hashed) > 24:
        return EMPTY
    text = evaluate(run, text_line.args[0]).text
    if text is None:
        return unknown(CLIENT)
    import base64
    import binascii
    import hashlib

    try:
        digest = base64.b64decode((hashed.rstrip("=") + "==").encode("latin-1"), altchars=b"-_")
    except (binascii.Error, ValueError):
        return EMPTY
    if digest != hashlib.md5(text.encode("latin-1"), usedforsecurity=False).digest():
        return EMPTY
    return unknown(SERVER) if comma else literal("1", SERVER)


def _linked(run: Run, secret: str) -> Value:
    """The part of the URI behind /prefix/hash/, where the hash is that of the link and the secret."""
    import hashlib

    _, _, rest = run.uri[1:].partition("/")
    hashed, slash, link = rest.partition("/")
    if len(hashed) != 32 or not slash or not link:
        return EMPTY
    wanted = hashlib.md5((link + secret).encode("latin-1"), usedforsecurity=False).hexdigest()
    return literal(link, CLIENT) if hashed.lower() == wanted else EMPTY
