"""What a configuration says about requests to a server that runs it somewhere else."""

from __future__ import annotations

from typing import Any

from auditor.asked import read_line
from auditor.http import Request, make_request
from auditor.reports.trace_json import trace_json
from auditor.server import Site
from probes.questions import Line


class Prediction:
    """Gives the `trace/1` of a request to a running server. `address` is the URL that clients use, where that is
    another one than the one that is asked."""

    def __init__(self, site: Site, address: Request | None = None) -> None:
        self._site = site
        self._address = address
        self._ports: set[tuple[bool, int]] | None = None

    def __call__(self, line: Line) -> dict[str, Any]:
        request = make_request(line["url"], headers=[(name, value) for name, value in line["headers"]])
        moved = {**line, "url": self.there(request).url, "headers": [list(pair) for pair in request.headers]}
        trace = trace_json(moved, self._site.trace(*read_line(moved)))
        for outcome in trace["outcomes"]:
            for exchange in outcome["exchanges"]:
                exchange["servers"] = []  # the upstreams are where the origin is, not where the configuration says
        return trace

    def there(self, request: Request) -> Request:
        """The request at the port where the configuration takes it: that of `address`, else its own, else the only
        one. Raises ValueError where there are several."""
        if self._address is not None:
            return request._replace(host=self._address.host, port=self._address.port)
        if self._ports is None:
            self._ports = {(route.request.tls, route.request.port) for route in self._site.routes()}
        ports = sorted(port for tls, port in self._ports if tls == request.tls)
        if request.port in ports or not ports:
            return request
        if len(ports) > 1:
            known = ", ".join(map(str, ports))
            raise ValueError(
                f"the configuration does not listen on port {request.port}, but on {known}: "
                "say with --as as which URL clients know this one"
            )
        return request._replace(port=ports[0])
