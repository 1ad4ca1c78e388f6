"""What log formats write of a request (https://nginx.org/en/docs/http/ngx_http_log_module.html)."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.patterns import lazy_re
from auditor.server import Logged
from auditor.servers.nginx.config import Http
from auditor.servers.nginx.syntax import Directive
from auditor.source import Place

_VARIABLE = lazy_re(r"\$\{?(http|sent_http|upstream_http|cookie|upstream_cookie|arg)_(\w+)")


def make_logged(http: Http) -> Iterator[Logged]:
    """The formats by which an access_log line writes, with what they name."""
    logs: dict[str, dict[Place, None]] = {}
    for top in http.block:
        for line in top.walk():
            if line.name == "access_log" and len(line.args) > 1 and line.args[0] not in ("off", "/dev/null"):
                logs.setdefault(line.args[1], {})[line.place] = None
    for line in http.own.get("log_format", ()):
        names = tuple(dict.fromkeys(named(line)))
        if names and line.args[0] in logs:
            yield Logged(line.place, names, tuple(logs[line.args[0]]))


def named(line: Directive) -> Iterator[str]:
    """The headers, cookies and arguments that a log_format line names."""
    for arg in line.args[1:]:
        for kind, name in _VARIABLE.findall(arg):
            if kind in ("cookie", "upstream_cookie"):
                yield f"cookie {name}"
            elif kind == "arg":
                yield f"argument {name}"
            else:
                yield name.replace("_", "-").lower()
