"""What a file with server blocks, or for them, says that other files of the same folder share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from auditor.parts import Facts
from auditor.servers.nginx.config import parse_listen
from auditor.servers.nginx.tokens import CLOSE, COMMENT, LUA, OPEN, REST, WORD, tokens
from auditor.source import InputError, SourceFile

# What does not stand directly in http: the file is a main one, or one to be included further in.
_ELSEWHERE = frozenset(
    (
        *("events", "http", "stream", "mail", "user", "worker_processes", "pid", "load_module", "daemon", "env"),
        *("worker_rlimit_nofile", "pcre_jit", "master_process", "thread_pool"),
        *("location", "if", "limit_except", "return", "rewrite", "set", "break", "try_files", "alias", "internal"),
        *("listen", "server_name", "proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass"),
    )
)
# What nginx refuses as a duplicate (measured with 1.22.1).
_SINGLE = frozenset(
    (
        *("gzip", "client_max_body_size", "server_tokens", "real_ip_header", "real_ip_recursive", "auth_basic"),
        *("auth_basic_user_file", "auth_request", "satisfy", "root", "resolver", "proxy_http_version", "proxy_cache"),
        *("proxy_read_timeout", "proxy_connect_timeout", "proxy_send_timeout", "proxy_buffering", "proxy_redirect"),
        *("keepalive_timeout", "types_hash_max_size", "default_type", "charset", "underscores_in_headers"),
        *("merge_slashes", "server_names_hash_bucket_size", "ssl_session_timeout", "log_not_found", "sendfile"),
        *("tcp_nopush", "tcp_nodelay"),
    )
)
_VARIABLES = ("map", "geo", "split_clients", "geoip2")
_ZONE = re.compile(r"(?:keys_)?zone=([^:]+)")
_USES = re.compile(r"_pass\s+(?:\w+://)?(?P<upstream>[\w.-]+)|\$\{?(?P<variable>\w+)|access_log\s+\S+\s+(?P<log>\w+)")


def facts_of(source: SourceFile) -> Facts | None:
    """None for what is no part of a configuration that stands in http."""
    found = _Found()
    words: list[str] = []
    opened: list[str] = []
    try:
        for kind, token, _, _ in tokens(source.name, source.text):
            if kind == WORD:
                words.append(token)
            elif kind == REST:
                words[-1] += token
            elif kind == CLOSE:
                if not opened:
                    return None
                opened.pop()
                if not opened:
                    found.end_server()
            elif kind != COMMENT:
                if words and not found.take(opened, words, kind in (OPEN, LUA)):
                    return None
                if kind == OPEN:
                    opened.append(words[0] if words else "")
                words = []
    except InputError:
        return None
    if opened or words or not found.any:
        return None
    uses = set()
    for match in _USES.finditer(source.text):
        name = match[match.lastgroup or 0]
        uses.add(f"${name}" if match.lastgroup == "variable" else f"{match.lastgroup} {name}")
    return Facts(
        frozenset(found.hosts),
        not found.hosts,
        frozenset(found.defines),
        frozenset(uses - found.defines),
        frozenset(found.once),
    )


class _Found:
    """What has been seen of a file so far."""

    def __init__(self) -> None:
        self.any = False
        self.hosts: set[tuple[str, str]] = set()
        self.defines: set[str] = set()
        self.once: set[str] = set()
        self._server = False
        self._names: list[str] = []
        self._ports: list[str] = []

    def take(self, opened: Sequence[str], words: Sequence[str], block: bool) -> bool:
        """One directive; False where it shows that the file does not stand in http."""
        name = words[0]
        if not opened:
            self.any = True
            if name in _ELSEWHERE:
                return False
            self._server = name == "server" and block
            self._define(name, words[1:])
        elif len(opened) == 1 and self._server:
            if name == "proxy_pass":
                return False  # a server of stream
            if name == "server_name":
                self._names += [word.lower() for word in words[1:]]
            elif name == "listen":
                for listen in parse_listen(list(words[1:])):
                    self._ports.append(str(listen.port or listen.address))
                    if listen.default:
                        self.once.add(f"default {listen.address}:{listen.port}")
        return True

    def end_server(self) -> None:
        if self._server:
            self.hosts.update((name, port) for name in self._names or [""] for port in self._ports or ["80"])
        self._server = False
        self._names, self._ports = [], []

    def _define(self, name: str, args: Sequence[str]) -> None:
        if name in _SINGLE:
            self.once.add(name)
        if not args:
            return
        if name == "upstream" or name == "log_format":
            about = f"{'log' if name == 'log_format' else name} {args[0]}"
            self.defines.add(about)
            self.once.add(about)
        elif name in _VARIABLES:
            self.defines.add("$" + args[-1].lstrip("$"))
        elif name.endswith(("_zone", "_cache_path")):
            self.once.update(f"zone {match[1]}" for word in args if (match := _ZONE.match(word)))
