"""Credentials against the text of a user file, as the servers judge them: nginx (ngx_http_auth_basic_module and
ngx_crypt()) and Apache httpd (mod_auth_basic, mod_authn_file, apr_password_validate()).

Strings are latin-1 readings of bytes. The servers are written in C: a NUL byte ends a password.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Any

from auditor.patterns import lazy_re

NGINX = "nginx"
APACHE = "apache"

# Hashes that the server's C library computes. The older ones are in every one of them; where it lacks the others
# (musl has no yescrypt) the server refuses, and only that machine can tell.
# Strings, compiled where they are used: most runs check no password.
_LIBC = r"\$(1|2a|2b|2y|5|6)\$"
_LIBC_DEPENDS = r"\$(y|gy|7|2x|md5|sha1|3)[$,]|_[./0-9A-Za-z]{19}$"
# A hash can ask for hours of work; beyond these costs it is not computed here.
_COSTLY = r"\$2.\$(1[5-9]|[2-9]\d)\$|\$[56]\$rounds=\d{7,}\$"
_SCHEMES = {
    "apr1": "MD5 (apr1)",
    "1": "MD5 crypt",
    "5": "SHA-256 crypt",
    "6": "SHA-512 crypt",
    "2a": "bcrypt",
    "2b": "bcrypt",
    "2x": "bcrypt",
    "2y": "bcrypt",
    "y": "yescrypt",
    "gy": "yescrypt",
    "7": "scrypt",
    "md5": "Sun MD5",
    "sha1": "SHA-1 crypt",
    "3": "NT hash",
}
_APACHE_LINE = 8191  # MAX_STRING_LEN without the final NUL, the line feed counted
_ITOA64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE64 = lazy_re(r"[A-Za-z0-9+/]*")
_libcrypt: Any = None


def decode_basic(header: str, server: str = NGINX) -> tuple[str, str] | None:
    """User and password of an Authorization header's value, or None where the server finds none (401).

    As ngx_http_auth_basic_user(): the scheme in any case, at least one space and no tab, base64 (RFC 7617), in it a
    colon; the user is not empty and ends at the first colon. Apache's get_basic_auth() takes whatever it can read: the
    base64 ends at the first foreign character, and user and password may be empty.
    """
    if server == APACHE:
        scheme, _, rest = header.partition(" ")
        if scheme.lower() != "basic":
            return None
        decoded = _decode_what_is_there(rest.lstrip(" ")).partition("\0")[0]
        user, _, password = decoded.partition(":")
        return user, password
    if header[:6].lower() != "basic ":
        return None
    given = _decode_base64(header[6:].lstrip(" "))
    if not given:
        return None
    user, colon, password = given.partition(":")
    if not user or not colon:
        return None
    return user, password


def _decode_base64(text: str) -> str | None:
    """As ngx_decode_base64(): the padding may lack, what follows the first `=` is not looked at, any other foreign
    character is an error, and so is a single character over."""
    text = text.partition("=")[0]
    if not _BASE64.fullmatch(text) or len(text) % 4 == 1:
        return None
    return binascii.a2b_base64(text + "=" * (-len(text) % 4)).decode("latin-1")


def _decode_what_is_there(text: str) -> str:
    """As apr_base64_decode(): up to the first foreign character, without a single character over."""
    found = _BASE64.match(text)
    text = found[0] if found is not None else ""
    if len(text) % 4 == 1:
        text = text[:-1]
    return binascii.a2b_base64(text + "=" * (-len(text) % 4)).decode("latin-1")


def verify(text: str, user: str, password: str, server: str = NGINX) -> bool | None:
    """Whether the user file's text admits this user with this password; None where that is not knowable here.

    The first line of a user counts. Its hash ends at a colon or at the end of the line.
    """
    stored = find_hash(text, user, server)
    return False if stored is None else check_hash(stored, password, server)


def find_hash(text: str, user: str, server: str = NGINX) -> str | None:
    """The hash in the first line of that user, or None.

    nginx: lines end with a line feed, a `#` or a carriage return at the beginning hides one, and blanks count. Apache:
    see `apache_rows`.
    """
    if server == APACHE:
        return next((stored or "" for _, name, stored in apache_lines(text) if name == user), None)
    if not user or user[0] in "#\r\n":
        return None
    wanted = user + ":"
    for line in text.split("\n"):
        if line.startswith(wanted):
            return re.split("[\r:]", line[len(wanted) :], maxsplit=1)[0]
    return None


def apache_rows(text: str, longest: int | None = None) -> Iterator[tuple[int, str]]:
    """The lines of a file as ap_cfg_getline() reads them, with the number of the first: blanks around a line go, a
    backslash at its end joins the next one, empty ones and those with `#` in front are passed over. Behind a line that
    is longer than `longest` bytes nothing is read."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        number, line, size = at + 1, "", 0
        while at < len(lines):
            more = at + 1 < len(lines)
            size = len(line) + len(lines[at]) + more
            line += lines[at].removesuffix("\r") if more else lines[at]
            at += 1
            if not more or not line.endswith("\\"):
                break
            line = line[:-1]
        if longest is not None and size > longest:
            return
        line = line.partition("\0")[0].strip(" \t\v\f\r")
        if line and line[0] != "#":
            yield number, line


def apache_lines(text: str) -> Iterator[tuple[int, str, str | None]]:
    """Number, user and hash of each entry, as mod_authn_file's check_password() takes them apart: several colons are
    one. The hash is None where there is no colon."""
    for number, line in apache_rows(text, _APACHE_LINE):
        user, colon, rest = line.partition(":")
        yield number, user, rest.lstrip(":").partition(":")[0] if colon else None


def check_hash(stored: str, password: str, server: str = NGINX) -> bool | None:
    """Whether the password belongs to that hash, None where that is not knowable here: ngx_crypt(), or
    apr_password_validate(), which knows neither {PLAIN} nor {SSHA}."""
    stored = stored.partition("\0")[0]
    key = password.partition("\0")[0].encode("latin-1")
    if stored.startswith("$apr1$"):
        return _apr1(key, stored) == stored
    if stored.startswith("{SHA}"):
        return "{SHA}" + _to_base64(_sha1(key)) == stored
    if server != APACHE:
        if stored.startswith("{PLAIN}"):
            return stored[7:].encode("latin-1") == key
        if stored.startswith("{SSHA}"):
            return _ssha(key, stored)
    return _crypt(key, stored)


def scheme_of(stored: str) -> str:
    """The name of the scheme that a stored password is written in; "none" for what is no hash that a server knows."""
    named = re.match(r"\{(PLAIN|SSHA|SHA)\}", stored)
    if named is not None:
        return named[0]
    prefix = re.match(r"\$([0-9a-z]+)[$,]", stored)
    if prefix is not None:
        return _SCHEMES.get(prefix[1], "none")
    if re.fullmatch(r"[./0-9A-Za-z]{13}", stored):
        return "DES crypt"
    return "BSDi crypt" if re.fullmatch(r"_[./0-9A-Za-z]{19}", stored) else "none"


def judge_hash(stored: str, server: str = NGINX) -> str:
    """What a stored password is worth: "good", "weak" (quickly found by trying), "plain" (readable as it stands), or
    "unusable" (nobody can log in with it)."""
    if stored.startswith("{PLAIN}"):
        return "unusable" if server == APACHE else "plain"
    if stored.startswith("{SSHA}") and server == APACHE:
        return "unusable"
    if re.fullmatch(r"\{SHA\}\S+|[./0-9A-Za-z]{13}", stored):
        return "weak"
    known = r"(\$apr1\$|\{SSHA\}|" + _LIBC + "|" + _LIBC_DEPENDS + r")\S+"
    return "good" if re.match(known, stored) and stored == stored.strip() else "unusable"


def _to_base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _ssha(key: bytes, stored: str) -> bool | None:
    """SHA-1 of password and salt, with the salt behind it; compared in base64, so the padding counts."""
    decoded = _decode_base64(stored[6:])
    if decoded is None or len(decoded) < 20:
        return False
    salt = decoded[20:].encode("latin-1")
    return "{SSHA}" + _to_base64(_sha1(key + salt) + salt) == stored


def _sha1(data: bytes) -> bytes:
    import hashlib  # here, as below: OpenSSL is slow to load, and most runs check no password

    return hashlib.sha1(data, usedforsecurity=False).digest()


def _md5(data: bytes) -> bytes:
    import hashlib

    return hashlib.md5(data, usedforsecurity=False).digest()


def _apr1(key: bytes, stored: str) -> str:
    """Apache's variant of the MD5 crypt; no C library has it, nginx computes it by itself (ngx_crypt_apr1)."""
    salt = re.match(r"[^$]{0,8}", stored[6:])[0].encode("latin-1")  # type: ignore[index]
    mixed = _md5(key + salt + key)
    data = key + b"$apr1$" + salt
    data += (mixed * (len(key) // 16 + 1))[: len(key)]
    length = len(key)
    while length:
        data += b"\0" if length & 1 else key[:1]
        length >>= 1
    final = _md5(data)
    for turn in range(1000):
        data = key if turn & 1 else final
        if turn % 3:
            data += salt
        if turn % 7:
            data += key
        data += final if turn & 1 else key
        final = _md5(data)
    out = []
    for a, b, c in ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)):
        out.append(_to64(final[a] << 16 | final[b] << 8 | final[c], 4))
    out.append(_to64(final[11], 2))
    return f"$apr1${salt.decode('latin-1')}$" + "".join(out)


def _to64(value: int, count: int) -> str:
    return "".join(_ITOA64[value >> 6 * at & 0x3F] for at in range(count))


def _crypt(key: bytes, stored: str) -> bool | None:
    """Through the C library's crypt(), where this machine has it (libcrypt of glibc or libxcrypt)."""
    if not stored or not stored.isascii():
        return False
    if re.match(_LIBC_DEPENDS, stored) or re.match(_COSTLY, stored):
        return None
    if stored[0] == "$":
        if not re.match(_LIBC, stored):
            return False
    elif not re.fullmatch(r"[./0-9A-Za-z]{13}", stored):
        # The traditional DES hash is all that is left; plain text and {SHA256} are none.
        return False
    crypt = _load_crypt()
    if crypt is None:
        return None
    result = crypt(key, stored.encode("ascii"))
    return bool(result == stored.encode("ascii"))


def _load_crypt() -> Any:
    global _libcrypt
    if _libcrypt is None:
        try:
            import ctypes

            library = ctypes.CDLL("libcrypt.so.1")
            function = library.crypt
            function.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
            function.restype = ctypes.c_char_p
            _libcrypt = function
        except (ImportError, OSError, AttributeError):
            _libcrypt = False
    return _libcrypt or None
