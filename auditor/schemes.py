"""Whether a configuration may treat one kind of credentials otherwise than another: a token otherwise than a password.

Most look at Authorization as a whole, if they do at all: they hand it on, clear it, or ask if it is there. Told from
the text, so a line that is not known to be of these counts as one that looks further.
"""

from __future__ import annotations

from collections.abc import Iterable

from auditor.patterns import lazy_re

# What reads the header without its name, or is code.
_READS = lazy_re(
    r"(?i)remote_user|auth_jwt|_by_lua|\bjs_|\bperl|\blua|authbasicfake|setenvif(?:nocase)?\s+[\"']?(?:\^|\S*[\\[(.*])"
)
_ANY_TEXT = r"[\"']?(?:\.|\.\+|\.\*|\^\(?\.[+*]\)?\$?|\(\.[+*]\)\$?|!?\^\$)[\"']?"
_WHOLE = lazy_re(
    rf"""(?xi)
    \s*(?:
      \#
    | RewriteCond \s+ ["']?%\{{HTTP:Authorization\}}["']? \s+ {_ANY_TEXT} (?:\s+ \[[^\]]*\])? \s*$
    | RewriteRule \s+ (?:"[^"]*"|\S+) \s+ - \s+ \[
    | SetEnvIf(?:NoCase)? \s+ ["']?Authorization["']? \s+ {_ANY_TEXT} \s
    | (?:CGIPassAuth|WSGIPassAuthorization|FcgidPassHeader) \s
    | (?:RequestHeader|Header) \s (?!.*\b(?:expr=|edit)) .*
    | (?:proxy|grpc)_set_header \s | (?:fastcgi|uwsgi|scgi)_param \s | proxy_(?:pass|hide)_header \s
    | (?:add_header|more_(?:set|clear)_(?:input_)?headers) \s
    )"""
)


def tells_apart(texts: Iterable[str]) -> bool:
    """Whether a line of these may look at more of Authorization than whether it is there."""
    for text in texts:
        if _READS.search(text):
            return True
        low = text.lower()
        at = low.find("authorization")
        while at != -1:
            end = low.find("\n", at)
            end = len(low) if end == -1 else end
            line = text[low.rfind("\n", 0, at) + 1 : end]
            if not _WHOLE.match(line):
                return True
            at = low.find("authorization", end)
    return False
