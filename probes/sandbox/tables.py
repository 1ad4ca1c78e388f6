"""What becomes of nginx's directives in the sandbox, as data. What is not named here stays as it is."""

from __future__ import annotations

import re

# Where the server keeps its own things: the sandbox has places of its own for them.
_HOUSEKEEPING = """
accept_mutex accept_mutex_delay access_log daemon debug_connection debug_points env error_log events
lock_file master_process multi_accept open_log_file_cache pid pcre_jit resolver ssl_engine thread_pool
timer_resolution use worker_aio_requests worker_connections worker_cpu_affinity worker_priority
worker_processes worker_rlimit_core worker_rlimit_nofile worker_shutdown_timeout working_directory
client_body_temp_path proxy_temp_path fastcgi_temp_path uwsgi_temp_path scgi_temp_path
map_hash_bucket_size map_hash_max_size
"""
HOUSEKEEPING = frozenset(_HOUSEKEEPING.split())
# What TLS needs beside a certificate; none of it decides about headers.
TLS_FILES = re.compile(
    r"(?:\w+_)?ssl_(?:crl|password_file|verify|verify_depth|stapling\w*|ocsp\w*|dhparam|session_ticket_key|ech_file"
    r"|certificate_cache|certificate_compression|object_cache_inheritable|key_log)$"
)
CERTIFICATE = re.compile(r"(?:\w+_)?ssl_(?:client_|trusted_)?certificate$")
CERTIFICATE_KEY = re.compile(r"(?:\w+_)?ssl_certificate_key$")
CODE = re.compile(r"js_(?!var$)|perl(?:_|$)|lua_|passenger|\w+_by_lua(?:_block|_file)?$|ndk_set_var")
CODE_FILES = ("js_import", "js_include", "js_path", "js_preload_object")  # the last argument is a path
VARIABLE_BY_CODE = re.compile(r"(?:js_set|perl_set|set_by_lua\w*)$")

# Taken out, with the reason that the report gives.
TAKEN = {
    **dict.fromkeys(("stream", "mail"), "only http is probed"),
    "load_module": "modules of the deployed machine are not at hand",
    "user": "the server runs as an ordinary user",
    **dict.fromkeys(("limit_req", "limit_conn"), "a probe asks faster than people do"),
    **dict.fromkeys(
        ("limit_rate", "limit_rate_after", "proxy_limit_rate", "fastcgi_limit_rate", "uwsgi_limit_rate"),
        "a probe asks faster than people do",
    ),
    "scgi_limit_rate": "a probe asks faster than people do",
    "echo_sleep": "it only waits",
    "dav_methods": "nothing may be written or deleted",
    **dict.fromkeys(
        ("proxy_bind", "fastcgi_bind", "uwsgi_bind", "scgi_bind", "grpc_bind", "memcached_bind"),
        "the address of this machine is another one",
    ),
    **dict.fromkeys(("otel_exporter", "mgmt", "health_check", "match", "api", "state"), "it speaks to other machines"),
    **dict.fromkeys(("google_perftools_profiles", "proxy_store", "fastcgi_store"), "it writes files"),
    **dict.fromkeys(("uwsgi_store", "scgi_store", "client_body_in_file_only"), "it writes files"),
}
TAKEN_PREFIXES = (("zone_sync", "it speaks to other machines"), ("opentelemetry_", "it speaks to other machines"))

# Arguments that are paths of the deployed machine: these lead into the sandbox's own folder.
PATHS = frozenset(("root", "alias", "auth_basic_user_file", "auth_jwt_key_file", "xslt_stylesheet"))
# Arguments that become files below a root, or parts of their paths.
SERVED = frozenset(("root", "alias", "index", "try_files", "rewrite", "error_page", "set"))
TABLES = frozenset(("map", "geo", "split_clients"))
PASSES = {
    "proxy_pass": "http",
    "grpc_pass": "grpc",
    "fastcgi_pass": "fastcgi",
    "uwsgi_pass": "uwsgi",
    "scgi_pass": "scgi",
    "memcached_pass": "memcached",
}
# Modules built into known packages whose directives open no connection and run no code of their own.
KNOWN_MODULES = re.compile(
    r"njs|auth-jwt|keyval|devel[_-]?kit|ndk|echo|headers-more|set-misc|brotli|geoip2?|cache[_-]purge|subs[_-]filter"
    r"|fancyindex|upstream-fair|dav-ext|image[_-]filter|xslt|mail|stream|perl|zstd|vts|traffic-status"
)
SERVER_OPTIONS_OUT = ("resolve", "service=", "route=", "slow_start=")


def third_party(build: str) -> bool:
    """Whether a server (what its `-V` says) has static modules that are not known here."""
    added = re.findall(r"--add-module=(\S+)", build)
    return any(KNOWN_MODULES.search(path) is None for path in added)
