"""The real httpd of this machine, started on a configuration with placeholders; and what its scripts were given.

One process in the foreground (`-X`) serves one configuration: it is there within some 30 ms, so that nothing has to be
shared between cases. A superuser's httpd runs as nobody, from a folder that is nobody's, as the sandbox does it for
nginx.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from auditor.http import Pairs
from probes.client import Reply, send
from probes.origin import Received
from probes.runners.local import Binary, Folder, Refused, fill, free_ports
from probes.runners.program import STDERR, Running
from tests import live

PID = "httpd.pid"
PLACES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/local/apache2/modules", "/usr/libexec/apache2")
# What every case has, in the order in which Debian loads it. CGI scripts of one process are started by it: mod_cgi.
MODULES = (
    "access_compat", "actions", "alias", "auth_basic", "authn_core", "authn_file", "authz_core", "authz_groupfile",
    "authz_host", "authz_user", "autoindex", "cache", "cache_disk", "cgi", "dir", "env", "expires", "filter",
    "headers", "include", "mime", "mpm_prefork", "negotiation", "proxy", "proxy_fcgi", "proxy_http", "proxy_scgi",
    "proxy_uwsgi", "remoteip", "request", "rewrite", "setenvif", "unixd", "version",
)  # fmt: skip
HEAD = """ServerRoot @DIR@
DefaultRuntimeDir @DIR@
PidFile @DIR@/httpd.pid
ErrorLog @DIR@/error.log
Mutex pthread
Listen 127.0.0.1:@P1@
ServerName t.example
ServerTokens Prod
<IfModule mod_mime.c>
TypesConfig @DIR@/mime.types
</IfModule>
"""
PHP = """<?php
header_remove("X-Powered-By");
$text = "";
foreach (["HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION", "AUTH_TYPE", "REMOTE_USER", "PHP_AUTH_USER",
          "PHP_AUTH_PW", "PHP_AUTH_DIGEST"] as $name)
    if (isset($_SERVER[$name])) $text .= "$name=$_SERVER[$name]\\0";
foreach (getallheaders() as $name => $value)
    if (strtolower($name) == "authorization") $text .= "getallheaders()=$value\\0";
file_put_contents(tempnam("@DIR@/seen", "php."), $text);
echo "PHP\\n";
"""
# A script notes what it was given in the folder `seen`, in the server's own order where that can be known.
FILES = {
    "mime.types": "text/html html shtml\ntext/plain txt\n",
    "seen/.keep": "",
    "www/e.cgi": """#!/bin/sh
cat >@DIR@/seen/body.$$
cat /proc/$$/environ >@DIR@/seen/cgi.$$
printf 'Content-Type: text/plain\\r\\n\\r\\nCGI\\n'
""",
    "www/app.wsgi": """import os, tempfile
def application(environ, start_response):
    pairs = [(name, value) for name, value in environ.items() if "." not in name and isinstance(value, str)]
    handle, path = tempfile.mkstemp(dir="@DIR@/seen", prefix="wsgi.")
    with open(path.replace("wsgi.", "body."), "wb") as file:
        file.write(environ["wsgi.input"].read())
    with open(handle, "wb") as file:
        file.write(b"".join(f"{name}={value}\\0".encode("latin-1") for name, value in pairs))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"WSGI\\n"]
""",
    "www/index.php": PHP,
    "www/a.php": PHP,
}
SCRIPTS = {"cgi": "CGI", "wsgi": "WSGI", "php": "PHP"}


class Httpd(NamedTuple):
    """An httpd of this machine: the program, the folder of its modules, and the names of those that are in it."""

    program: Binary
    folder: str
    built_in: frozenset[str]

    def file(self, module: str) -> str | None:
        """The path of a module's file, or None where it is not installed. `php` is that of any version."""
        names = ("libphp*.so",) if module == "php" else (f"mod_{module}.so",)
        found = sorted(path for name in names for path in glob.glob(os.path.join(self.folder, name)))
        return found[-1] if found else None

    def has(self, module: str) -> bool:
        """Whether that module can be loaded."""
        return module in self.built_in or self.file(module) is not None

    def load(self, modules: Iterable[str]) -> str:
        """The LoadModule lines for those of the modules that are not built in."""
        lines = [
            f"LoadModule {name}_module {self.file(name) or f'{self.folder}/mod_{name}.so'}\n"
            for name in sorted(set(modules) - self.built_in)
        ]
        return "".join(lines)


def find() -> Httpd | None:
    """The httpd of this machine, if it has one with modules."""
    for name in ("apache2", "httpd", "/usr/sbin/apache2", "/usr/sbin/httpd"):
        path = shutil.which(name)
        folder = next((place for place in PLACES if glob.glob(place + "/mod_*.so")), None)
        if path is None or folder is None:
            continue
        version = _said(path, "-v")
        match = re.search(r"Apache/([\d.]+)", version)
        if match:
            built_in = frozenset(re.findall(r"(?m)^ +(?:mod_)?(\w+)\.c$", _said(path, "-l")))
            return Httpd(Binary("httpd", path, match.group(1), version), folder, built_in)
    return None


def _said(path: str, option: str) -> str:
    run = subprocess.run([path, option], capture_output=True, text=True, timeout=10, check=False)
    return run.stdout


class Server(Folder):
    """A running httpd on a configuration with placeholders. With `forks` it outlives a request that crashes it.

    Raises Refused where httpd does not accept the configuration, TimeoutError where it does not listen in time.
    """

    port = 0  # where there is one alone
    _mode = "-X"

    def __init__(
        self,
        program: Binary,
        config: str,
        files: Mapping[str, str] | None = None,
        folders: Iterable[str] = (),
        values: Mapping[str, object] | None = None,
        modes: Mapping[str, int] | None = None,
        forks: bool = False,
    ) -> None:
        super().__init__(program, watched=forks)  # which ends all of its process group when it ends
        self._mode = "-DFOREGROUND" if forks else "-X"
        try:
            every = {**(values or {}), "DIR": self.path}
            for name in folders:
                os.makedirs(os.path.join(self.path, name), exist_ok=True)
            for name, text in {**FILES, **(files or {}), "httpd.conf": config}.items():
                self.write(name, fill(text, every))
                if name.endswith(".cgi"):
                    os.chmod(os.path.join(self.path, name), 0o755)
            for name, mode in (modes or {}).items():
                os.chmod(os.path.join(self.path, name), mode)
            self.config = os.path.join(self.path, "httpd.conf")
            self.run(self.config, self.path)
        except BaseException:
            self.close()
            raise

    def run(self, config: str, prefix: str, patience: float = 10.0, unprivileged: bool = True) -> None:
        """Starts httpd on that main file, which has it write `httpd.pid` and `error.log` into the folder."""
        with self._open():
            self._process = self.program.start(self, [self._mode, "-d", prefix, "-f", config], unprivileged)
        deadline = time.monotonic() + patience
        while not self.read(PID):  # written when all sockets are bound
            if self._process.poll() is not None:
                raise Refused((self.read(STDERR) + self.read("error.log")).strip())
            if time.monotonic() > deadline:
                raise TimeoutError(f"httpd is not ready after {patience:g} s")
            time.sleep(0.001)

    def revive(self) -> None:
        """Starts httpd again where a request has crashed it: of -X there is one process only."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if isinstance(self._process, subprocess.Popen):
                self._process.wait(0.2)
                os.unlink(os.path.join(self.path, PID))
                self.run(self.config, self.path)

    def kill(self) -> None:
        """Ends the server, in order: it gives back what the system keeps for it beyond its end (shared memory)."""
        stop(self._process)

    def given(self) -> list[Received]:
        """What scripts were given since the last call, in the order in which they ran."""
        folder = os.path.join(self.path, "seen")
        found = []
        with os.scandir(folder) as entries:
            names = sorted((entry.stat().st_mtime_ns, entry.name) for entry in entries if entry.name != ".keep")
        for _, name in names:
            kind, _, number = name.partition(".")
            path = os.path.join(folder, name)
            if kind in SCRIPTS:
                with open(path, "rb") as file:
                    text = file.read().decode("latin-1")
                body = self.read(f"seen/body.{number}").encode("latin-1")
                parts = (pair.partition("=") for pair in text.split("\0")[:-1])
                pairs: Pairs = tuple((name, value) for name, _, value in parts)
                found.append(Received(0, SCRIPTS[kind], "", kind, "", "", pairs, body, size=len(body)))
        for _, name in names:
            os.unlink(os.path.join(folder, name))
        return found


@contextlib.contextmanager
def served(text: str, files: Mapping[str, str], modules: Iterable[str], **more: Any) -> Iterator[Server]:
    """httpd on these lines behind HEAD, with these modules and pages below `www`; @P1@ is its port. `more` as Server
    has it. Without an httpd the test ends (see tests.live)."""
    httpd = find()
    if httpd is None:
        live.unavailable("no httpd with loadable modules found: install apache2")
    missing = [name for name in modules if not httpd.has(name)]
    if missing:
        live.unavailable(f"this httpd has no module {', '.join(missing)}")
    (port,) = free_ports(1)
    head = httpd.load(("authz_core", "mpm_prefork", "unixd", *modules)) + HEAD + "DocumentRoot @DIR@/www\n"
    values = {"P1": port, **more.pop("values", {})}
    folders = ("www", *more.pop("folders", ()))
    with Server(httpd.program, head + text, files, folders, values, **more) as server:
        server.port = port
        yield server


def ask(port: int, lines: Iterable[str], source: str = "") -> Reply:
    """Sends one request of exactly these lines, the request line first."""
    return send(("127.0.0.1", port), "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1"), source)


def quoted(text: str) -> str:
    """A word of httpd's syntax."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Fpm:
    """A php-fpm of this machine, at `address`; it runs as the account that the httpd does which asks it."""

    def __init__(self, path: str) -> None:
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self._folder = Folder(Binary("php-fpm", path, ""), watched=True)
        self._process: Running | None = None
        config = f"""[global]
error_log = {self._folder.path}/error.log
daemonize = no
[www]
listen = {self.address}
pm = static
pm.max_children = 1
"""
        try:
            self._folder.write("fpm.conf", config)
            arguments = ["-n", "-F", "-y", f"{self._folder.path}/fpm.conf"]
            self._process = self._folder.program.start(self._folder, arguments, unprivileged=True)
            self._wait(port)
        except BaseException:
            self.close()
            raise

    def _wait(self, port: int, patience: float = 10.0) -> None:
        deadline = time.monotonic() + patience
        while True:
            with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise Refused(self._folder.read(STDERR) + self._folder.read("error.log"))
            time.sleep(0.005)

    def close(self) -> None:
        """Ends it and removes its folder."""
        stop(self._process)
        self._folder.close()


def find_fpm() -> str | None:
    """The php-fpm of this machine."""
    found = sorted(glob.glob("/usr/sbin/php-fpm*")) or sorted(filter(None, [shutil.which("php-fpm")]))
    return found[-1] if found else None


def stop(process: Running | None, patience: float = 5.0) -> None:
    """Asks a process to end, and ends it where it does not."""
    if process is None or process.poll() is not None:
        return
    if isinstance(process, subprocess.Popen):
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return
    process.kill()
    process.wait()
