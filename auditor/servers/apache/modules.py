"""Which modules an httpd has: told by its LoadModule lines, else assumed."""

from __future__ import annotations

from collections.abc import Iterable

# Built into the server itself in every package that is met.
BUILT_IN = frozenset(
    (
        "core",
        "so",
        "http",
        "unixd",
        "version",
        "log_config",
        "logio",
        "watchdog",
        "mpm_common",  # the directives that all of _PROCESSES have
        "systemd",
        "suexec",
    )
)

# What is taken for granted where no LoadModule line tells: what the packages of Debian and of Red Hat load, or what
# their users switch on in nearly every case. No module of another project (PHP, WSGI, fcgid, security) is among them:
# configurations ask for those with <IfModule>, and then both ways are met in practice.
USUAL = frozenset(
    (
        *("access_compat", "actions", "alias", "allowmethods", "auth_basic", "auth_digest", "authn_anon", "authn_core"),
        *("authn_file", "authz_core", "authz_groupfile", "authz_host", "authz_owner", "authz_user", "autoindex"),
        *("cache", "cache_disk", "cgid", "data", "dav", "dav_fs", "deflate", "dir", "env", "expires", "ext_filter"),
        *("filter", "headers", "http2", "include", "info", "lbmethod_byrequests", "macro", "mime", "mime_magic"),
        *("negotiation", "proxy", "proxy_ajp", "proxy_balancer", "proxy_connect", "proxy_fcgi", "proxy_http"),
        *("proxy_scgi", "proxy_uwsgi", "proxy_wstunnel", "ratelimit", "remoteip", "reqtimeout", "request", "rewrite"),
        *("setenvif", "slotmem_shm", "socache_shmcb", "speling", "ssl", "status", "substitute", "unique_id", "userdir"),
        *("vhost_alias",),
    )
)

# What no server that loads its modules goes without: where it is loaded, the list is taken to be whole, and not lines
# for one module more beside the package's own.
_IN_EVERY_LIST = "authz_core"

# Module identifiers that are not their source file's name with "_module" behind it.
_SPELLINGS = {
    "util_ldap": "ldap",
    "cgi": "cgid",
    "http_core": "http",
}
# A server has one of these; their source files are called prefork.c and so on.
_PROCESSES = ("mpm_event", "mpm_prefork", "mpm_worker")


def module_name(argument: str) -> str:
    """One name for a module's source file (mod_rewrite.c) and its identifier (rewrite_module)."""
    name = argument.strip().lower()
    name = name.removesuffix(".c").removesuffix(".cpp").removeprefix("mod_").removesuffix("_module")
    return "php" if name in ("php", "php5", "php7", "php8", "libphp5", "libphp7") else name


class Modules:
    """The modules of a server. `known` says whether LoadModule lines told; else the usual ones are assumed, and those
    whose directives stand outside of any <IfModule>: without them the server would not start."""

    def __init__(self, loaded: Iterable[str] = (), known: bool = False) -> None:
        self.known = known
        self._loaded = dict.fromkeys(module_name(name) for name in loaded)
        self._shown: set[str] = set()
        self._answers: dict[str, bool] = {}
        self.asked: set[str] = set()  # by <IfModule>, where the answer was assumed

    def load(self, name: str) -> None:
        low = module_name(name)
        self._loaded.setdefault(low)
        self.known = self.known or low == _IN_EVERY_LIST
        self._answers.clear()

    def show(self, name: str) -> None:
        """A directive of that module is in use: without the module the server would not start with it."""
        self._shown.add(module_name(name))
        self._answers.clear()

    def in_order(self, first: str, second: str) -> bool:
        """Whether one module is loaded before another: what both have to do at the same point is done in that order.
        Debian loads them by the alphabet."""
        names = list(self._loaded)
        if first in names and second in names:
            return names.index(first) < names.index(second)
        return first < second

    def has(self, name: str) -> bool:
        """Whether the module is there, by its identifier or source file."""
        found = self._answers.get(name)
        if found is None:
            found = self._answers[name] = self._has(name)
        return found

    def _has(self, name: str) -> bool:
        low = module_name(name)
        if f"mpm_{low}" in _PROCESSES or low in _PROCESSES:
            return next((one for one in _PROCESSES if one in self._loaded), _PROCESSES[0]).endswith(low)
        low = _SPELLINGS.get(low, low) if low not in self._loaded else low
        if low in self._loaded or low in BUILT_IN:
            return True
        if self.known:
            return low == "cgid" and "cgi" in self._loaded
        if low in self._shown:
            return True
        self.asked.add(low)
        return low in USUAL
