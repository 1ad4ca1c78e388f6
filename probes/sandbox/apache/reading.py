"""The user's configuration, read once more: under the modules that this machine's httpd has, with what each include
line brought in."""

from __future__ import annotations

from auditor.files import Files
from auditor.servers.apache.config import ASSUMED
from auditor.servers.apache.load import Item, Loader
from auditor.servers.apache.modules import BUILT_IN, USUAL, Modules, module_name
from auditor.servers.apache.site import ApacheSite, make_site
from auditor.source import InputError, Place, SourceFile
from probes.runners.httpd import Httpd
from probes.sandbox.apache.tables import BARRED, FOREIGN

# One process serves, so CGI scripts are its own children: mod_cgi stands for mod_cgid.
# Not loaded unasked: it has nothing to say about headers, and notes another number each time.
QUIET = ("mpm_prefork", "unique_id")
SAME = {"cgid": "cgi", "mpm_event": "mpm_prefork", "mpm_worker": "mpm_prefork"}
STAND_INS = frozenset((*SAME, *SAME.values(), "event", "prefork", "worker"))


def loadable(program: Httpd, name: str) -> bool:
    """Whether the sandbox may load that module, and can."""
    real = SAME.get(name, name)
    known = real in FOREIGN or spec_known(real) or real.startswith(("mpm_", "lbmethod_", "socache_", "slotmem_"))
    return known and name not in BARRED and (real in program.modules or real in program.built_in)


def spec_known(name: str) -> bool:
    """Whether it is one of httpd's own modules: all that have directives here, and those that have none."""
    return name in _OWN or name in USUAL or name in BUILT_IN


_OWN = frozenset(
    (
        *(
            "actions",
            "asis",
            "auth_form",
            "authn_dbm",
            "authn_socache",
            "authz_dbm",
            "brotli",
            "buffer",
            "cache_socache",
        ),
        *(
            "cern_meta",
            "cgi",
            "charset_lite",
            "data",
            "imagemap",
            "log_debug",
            "proxy_html",
            "proxy_http2",
            "reflector",
        ),
        *("sed", "session", "session_cookie", "session_crypto", "usertrack", "xml2enc", "log_config", "logio"),
        *("unixd", "version", "mpm_prefork", "proxy_wstunnel", "allowmethods", "auth_digest"),
    )
)


class Present(Modules):
    """The modules that are both told or assumed, and at hand. `lacking` are those that were asked to be loaded and are
    not."""

    def __init__(self, program: Httpd) -> None:
        super().__init__()
        self._program = program
        self.lacking: set[str] = set()

    def load(self, name: str) -> None:
        low = module_name(name)
        if loadable(self._program, low):
            super().load(name)
        else:
            self.lacking.add(low)
        # Without this one no httpd starts, so lines that do not name it are not all that there are.
        self.known = "authz_core" in self._loaded or "authz_core" in self.lacking

    def show(self, name: str) -> None:
        if module_name(name) != "php":  # whose files are taken to be run by php-fpm
            super().show(name)

    def has(self, name: str) -> bool:
        low = module_name(name)
        if self.known or low in BUILT_IN or low in STAND_INS - {"cgid", "cgi"}:
            return super().has(name)
        return super().has(name) and loadable(self._program, "cgid" if low == "cgi" else low)

    def wanted(self) -> list[str]:
        """What the sandbox loads beside the user's LoadModule lines, in an order in which it can be loaded."""
        told = () if self.known else (*USUAL, *self._shown)
        names = {SAME.get(name, name) for name in (*BUILT_IN, *told) if loadable(self._program, name)}
        return sorted(name for name in names if name in self._program.modules and name not in QUIET)


class Reader(Loader):
    """Notes which files each include line brought in, by the line's file and number."""

    def __init__(self, files: Files, modules: Modules) -> None:
        super().__init__(files, modules)
        self.included: dict[tuple[SourceFile, int], list[SourceFile]] = {}
        self.assumed: list[SourceFile] = []  # what is taken to stand around a part of a configuration

    def read(self, source: SourceFile, via: Place | None = None) -> list[Item]:
        if source.name == ASSUMED:
            self.assumed.append(source)
        if via is not None:
            self.included.setdefault((via.source, via.line), []).append(source)
        return super().read(source, via)


class Reading:
    """A configuration for one httpd: `site` is what is predicted from, `loader` and `modules` tell of the reading, and
    `tops` are the files that no other one includes: the main one (a .htaccess that stands alone: that one), or parts
    that are read as one."""

    def __init__(self, original: ApacheSite, program: Httpd) -> None:
        files = original.known_files
        if files is None:
            raise InputError("(no files)", 0, "cannot be probed")
        self.tops = original.parts or (original.files[0],)
        self.modules = Present(program)
        self.loader = Reader(files, self.modules)
        self.site = make_site(self.tops[0], files, original.context, self.loader, original.parts)
        for route in self.site.routes():  # so that the .htaccess files on their ways are read
            self.site.trace(route.request)
