"""Secrets in configurations are never printed: a credential is shown as `Basic ***`."""

from __future__ import annotations

import re

# A variable (`$token`, `%{TOKEN}e`) is no secret, and neither is what is masked already, or what our own requests make
# up. A word that ends an expression is left.
_MADE_UP = r"(?:audit-probe|YXVkaXQ6cHJvYmU=)(?![^\s\"';$&])"
_SECRET = rf"(?!\$|%\{{|\*\*\*|{_MADE_UP})[^\s\"';$&]+"
_SCHEMES = r"(?:Basic|Bearer|Digest|Negotiate|Token|ApiKey)"
_SCHEME = rf"\b((?:{_SCHEMES}\s+)++)(?!realm\b)"  # twice is a mistake, and the credential still one
# password=..., api_key: ..., $http_x_api_key != "...": a name that says so, and then a value.
_NAMES = r"\b(?:[\w-]{0,40}[_-])?(?:api[_-]?key|auth[_-]?key|token|secret|passwd|password)"
_GIVEN = rf"({_NAMES}\s*(?:!?~\*?+|!?==?+|:)\s*[\"']?)"
_NAME = rf"({_NAMES}\s+[\"']?)"
_USERINFO = r"(://[^\s/@:$\"']*:)[^\s/@$\"']+(?=@)"
# The whole value of a line that sets Cookie, or Authorization without a scheme that is known.
_NAMED = r"(?:_header|_param|_headers)\s+[\"']?(?:(?:proxy[_-]|http_)*authorization|cookie)[\"']?\s+"
_HEADER = rf"({_NAMED})(?!([\"']?){_SCHEMES}\b)"
_WHOLE = (
    r"(?:\"(?!\$|\*\*\*|(?:expr=)?%\{)[^\"$]+\"|'(?!\$|\*\*\*|(?:expr=)?%\{)[^'$]+'"
    r"|(?!\$|\*\*\*|(?:expr=)?%\{|off(?:;|\s|$))[^\s\"';$]+)"
)
# The same in a quoted line: "Authorization: ...".
_LINE = rf"([\"'](?:proxy-)?authorization:\s*+)(?!\*\*\*|{_SCHEMES}\b)[^\"'$]+"
# Lines of httpd: AuthBasicFake USER PASSWORD, AuthLDAPBindPassword, OIDCClientSecret, SessionCryptoPassphrase,
# Auth_PG_pwd, and RequestHeader as above. What is made of the request is no secret.
_HTTPD = (
    r"^(\s*(?:\w+(?:password|secret|passphrase|_pwd)|authbasicfake\s+(?:\"[^\"]*\"|\S+))\s+)",
    r"(requestheader\s+(?:add|append|merge|set|setifempty)\s+[\"']?(?:proxy-authorization|authorization|cookie)[\"']?\s+)"
    rf"(?!([\"']?){_SCHEMES}\b)",
)
_WHOLE_OF_HTTPD = r"(?![\"']?(?:expr=|%\{))" + _WHOLE
_SET = rf"(\b\w*authorization[:=])(?!%|\$|\*|[\"']|{_SCHEMES}\b)[^\s\],\"']+"  # E=HTTP_AUTHORIZATION:..., SetEnvIf
_DBD = r"(dbdparams\s.*?\bpass(?:wd|word)?=)[^\s\"',]+"
# In a sentence, what follows the name of a scheme is a credential only if it does not look like a word.
_NO_WORD = r"(?=[^\s\"';]*(?:\d|=|[a-z][A-Z]))"
# A value that a client sends because the configuration compares with it: letters and digits, and no word, path or list.
_RANDOM = r"(?=[\w.~+=-]*\d)(?=[\w.~+=-]*[A-Za-z])"
_ARGUMENT = rf"([?&][\w.-]+=){_RANDOM}(?!{_MADE_UP})[\w.~+-]{{8,}}={{0,2}}"
_COOKIE = rf"((?:^|;\s*)[^=;]+=)(?!{_MADE_UP})[^;]{{6,}}"  # "audit=probe" is one of ours
# Headers that say nothing secret.
_ORDINARY = frozenset(
    (
        "host",
        "origin",
        "referer",
        "user-agent",
        "content-type",
        "accept",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "access-control-request-headers",
    )
)
_HINTS = ("basic", "bearer", "digest", "negotiate", "token", "key", "secret", "pass", "pwd", "authorization", "cookie")


def mask(text: str) -> str:
    """A line of a configuration with its credentials replaced by `***`: behind the name of a scheme (RFC 9110, 11.4),
    behind a name such as `api_key` or `X-Auth-Token`, and in the authority of a URL."""
    # Compiled here, by re's own cache: a run without findings prints nothing.
    if _says_something(text):
        text = re.sub(_SCHEME + _SECRET, r"\1***", text, flags=re.IGNORECASE)
        text = re.sub(_GIVEN + _SECRET, r"\1***", text, flags=re.IGNORECASE)
        text = re.sub(_NAME + r"(?![!=~:])" + _SECRET, r"\1***", text, flags=re.IGNORECASE)
        text = re.sub(_HEADER + _WHOLE, r'\1"***"', text, flags=re.IGNORECASE)
        text = re.sub(_LINE, r"\1***", text, flags=re.IGNORECASE)
        for line in _HTTPD:
            text = re.sub(line + _WHOLE_OF_HTTPD, r'\1"***"', text, flags=re.IGNORECASE)
        text = re.sub(_SET, r"\1***", text, flags=re.IGNORECASE)
        text = re.sub(_DBD, r"\1***", text, flags=re.IGNORECASE)
    return _without_userinfo(text)


def mask_header(name: str, value: str) -> str:
    """The value of a header line of our own requests. What a configuration asks clients for is a secret as a rule, if
    it is no word that everybody knows: a key, a session, what a network of content delivery in front says."""
    masked = mask(f"{name}: {value}")[len(name) + 2 :]
    if name.lower() == "cookie":
        return re.sub(_COOKIE, r"\1***", masked)
    if re.fullmatch(rf"{_RANDOM}(?!{_MADE_UP}$)[\w.~+=-]{{8,}}", masked) and name.lower() not in _ORDINARY:
        return "***"
    return masked


def mask_sentence(text: str) -> str:
    """A sentence of ours, or a URL, with the credentials that it quotes replaced: "the password of the Basic gate" has
    none."""
    if _says_something(text):
        text = re.sub(rf"(?i:{_SCHEME})" + _NO_WORD + _SECRET, r"\1***", text)
        text = re.sub(rf"({_NAMES}[=:][\"']?)" + _SECRET, r"\1***", text, flags=re.IGNORECASE)
    if "?" in text:
        text = re.sub(_ARGUMENT, r"\1***", text)
    return _without_userinfo(text)


def _without_userinfo(text: str) -> str:
    return re.sub(_USERINFO, r"\1***", text) if "@" in text else text


def _says_something(text: str) -> bool:
    low = text.lower()
    return any(hint in low for hint in _HINTS)
