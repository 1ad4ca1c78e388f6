"""Which kind of server a text configures, and which part of a configuration it is."""

from __future__ import annotations

import os
import posixpath
import re

from auditor.source import SourceFile, split_dump

# What names and lines tell. In a folder, only what no other program's files hold makes a file a configuration of nginx;
# a file that is named itself, or stands in a folder of parts, needs less. Patterns are compiled where they are first
# used (by re's own cache): most runs need few of them, and each costs start-up time.
_NGINX_NAME = r"(?i)(nginx|tengine|openresty)[\w.-]*$|.*\.(nginx|vhost|nginxconf)$"
_CONF_NAME = r"(?i).*\.(conf|inc|dump|j2|jinja2?|erb|tmpl|tpl|template|ctmpl|gotmpl)$"
_PART_FOLDER = r"((sites|conf)-(enabled|available)|conf\.d|http\.d|vhosts?(\.d)?|snippets|nginx)$"
# What stands beside configurations in such folders and is none, even where it quotes one.
_OTHER_NAME = (
    r"(?i).*\.(py[ciw]?|[mc]?[jt]s|[jt]sx|go|rb|java|kts?|php|cc?|hh?|cpp|rs|sh|bash|zsh|ps1|bat|pl|lua|sql|ya?ml|json5?"
    r"|toml|ini|env|xml|html?|s?css|md|rst|adoc|txt|lock|pem|crt|key|csr|log|gz|zip|tar)$"
)
_APACHE_NAME = r"(\.htaccess|(httpd|apache2?)([._-][\w.-]*)?)$"
_APACHE = (
    r"(?m)^[ \t]*(<(VirtualHost|Directory|Location|Files|FilesMatch|LocationMatch|IfModule|Proxy|Macro)\b[^\n]*>"
    r"|(ServerRoot|DocumentRoot|LoadModule|RewriteEngine|RewriteRule|ProxyPass|AuthType|Require|Header)[ \t][^\n;{]+$)"
)
_NGINX = (
    r"(?m)^[ \t]*((proxy|fastcgi|uwsgi|scgi|grpc|auth_(basic|request|jwt))_\w+\s[^\n]*;|auth_(basic|request)\s[^\n]*;"
    r"|(server_name|try_files|add_header|worker_connections|ssl_certificate|satisfy|limit_req)\s[^\n]*;"
    r"|location\s[^\n{;]+\{|listen\s+[\w.:\[\]*${}/-][^\n;]*;)"
)
# In a folder one line that other programs might have, too, is not enough.
_APACHE_SURELY = (
    r"(?im:^[ \t]*(<(VirtualHost|Directory|Location|Files|FilesMatch|LocationMatch|IfModule|Proxy|Macro)\b[^\n]*>"
    r"|(ServerRoot|DocumentRoot|LoadModule|RewriteEngine|RewriteRule|ProxyPass|AuthUserFile)[ \t][^\n;{]+$"
    r"|(Require[ \t]+(all|valid-user|user|ip|host)|(Request)?Header[ \t]+(always|set|unset|append|add|edit)"
    r"|AuthType[ \t]+\w+|SetEnvIf(NoCase)?[ \t]+\S+)\b[^\n;{]*$))"
)
_APACHE_INCLUDE = r"^[ \t]*Include(Optional)?[ \t]"
_NGINX_PERHAPS = r"(?m)^[ \t]*([a-z_]+(\s[^\n]*)?;|(http|events|server|upstream\s+\S+|map\s[^\n{]+)\s*\{)"


def kind_of(source: SourceFile, named: bool = True) -> str | None:
    """The kind of server that the file configures, told from name and content: "nginx", "apache" or None."""
    path = source.path or source.name
    name = posixpath.basename(path)
    if name.startswith(".htaccess") or _is_apache_dump(source.text):
        return "apache"
    if re.match(_APACHE_NAME, name) and (named or re.search(rf"{_APACHE_SURELY}|(?mi:{_APACHE_INCLUDE})", source.text)):
        return "apache"
    if re.search(_NGINX, source.text):
        return "nginx"
    if (named and re.search(_APACHE, source.text)) or re.search(_APACHE_SURELY, source.text):
        return "apache"
    parent = posixpath.basename(posixpath.dirname(os.path.abspath(path)))
    if name.endswith(".conf") and (name == "ports.conf" or re.match(_PART_FOLDER, parent)) and _is_apache(source):
        return "apache"
    likely = re.match(_NGINX_NAME, name) or re.match(_PART_FOLDER, parent)
    if (likely or named) and re.search(_NGINX_PERHAPS, source.text):
        return "nginx"
    return None


def _is_apache(source: SourceFile) -> bool:
    """Whether all lines begin with names that httpd knows, and none ends as nginx's do."""
    text = re.sub(r"(?m)\\\n|^[ \t]*#.*\n?", "", source.text)
    if re.search(r"(?m)[;{}][ \t]*$", text):
        return False
    words = {match[1].lower() for match in re.finditer(r"(?m)^[ \t]*(\S+)", text)}
    if not words or not all(re.match(r"</?\w+>?$|\w+$", word) for word in words):
        return False
    from auditor.servers.apache.directives import spec_of

    return all(word[0] == "<" or word in ("use", "include", "includeoptional") or spec_of(word) for word in words)


def _is_apache_dump(text: str) -> bool:
    if "# In file: " not in text:
        return False
    from auditor.servers.apache.dump import is_dump

    return is_dump(text)


_CONTEXTS = (
    ("main", r"(?m)^[ \t]*(http|events|stream|mail)\s*\{"),
    ("http", r"(?m)^[ \t]*((server|(upstream|map|geo)\s[^\n{;]*)\s*\{|\w+_zone\s)"),
    ("server", r"(?m)^[ \t]*(location\s[^\n{;]*\{|(server_name|listen|ssl_certificate)\s)"),
)


def context_of(text: str) -> str:
    """The block that a text is meant for: "main", "http", "server" or "location"; told by the outermost block or
    directive that it holds."""
    for context, pattern in _CONTEXTS:
        if re.search(pattern, text):
            return context
    return "location"


def is_known(source: SourceFile) -> bool:
    """Whether the text surely is a configuration, wherever it is found."""
    return kind_of(source, named=False) is not None or split_dump(source) is not None


def may_be_one(path: str) -> bool:
    """Whether a file of a folder may be a configuration, by its name and its folder's."""
    name = os.path.basename(path)
    parent = os.path.basename(os.path.dirname(os.path.abspath(path)))
    other = re.match(_OTHER_NAME, name)
    if not other and (re.match(_PART_FOLDER, parent) or re.match(_APACHE_NAME, name)):
        return True
    return any(re.match(pattern, name) for pattern in (_CONF_NAME, _NGINX_NAME))
