"""Predicted against observed for httpd: what probes.compare does, and what is particular to scripts.

- The variables of CGI-like protocols are compared by name, in any order: an origin reads them as a table.
- Some have a value that no configuration says: the port of the client, PATH of whoever started the server.
- UNIQUE_ID is another one each time, and the server's certificate (SSL_SERVER_...) is another one than the user's.
- PHP shows a script its own reading of the parameters, of which those that authenticate are noted: these are compared
  where the parameters themselves are not seen (php-fpm, mod_php).
"""

from __future__ import annotations

import re
from typing import Any

from probes import compare
from probes.compare import CGI_LIKE, Json, Observation
from probes.origin import Received

SCRIPTS = ("cgi", "wsgi", "php")  # run by the server itself, so that no address is theirs
VOLATILE = ("REMOTE_PORT", "PATH")
_OWN = re.compile(r".*UNIQUE_ID|(?:REDIRECT_)*SSL_SERVER_.*")
SHOWN = ("HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION", "AUTH_TYPE", "REMOTE_USER")


def differences(trace: Json, seen: Observation) -> list[str]:
    """Where the observation contradicts the trace, one line each; empty where one outcome fits."""
    php = any(entry.protocol == "php" for entry in seen.exchanges)
    if "outcomes" in trace:
        outcomes = [
            {**outcome, "exchanges": [_predicted(exchange, php) for exchange in outcome["exchanges"]]}
            for outcome in trace["outcomes"]
        ]
        trace = {**trace, "outcomes": outcomes}
    exchanges = tuple(_observed(entry) for entry in seen.exchanges)
    return compare.differences(trace, seen._replace(exchanges=exchanges))


def _predicted(exchange: Json, php: bool) -> dict[str, Any]:
    changed = dict(exchange)
    if exchange["protocol"] not in CGI_LIKE:
        return changed
    headers = [
        {**header, "value": None} if header["name"] in VOLATILE else dict(header)
        for header in exchange["headers"]
        if not _OWN.fullmatch(header["name"])
    ]
    if php and exchange["protocol"] in ("fastcgi", "cgi"):
        headers = [header for header in headers if header["name"] in SHOWN]
        changed |= {"protocol": "cgi", "body": None}
    if changed["protocol"] in SCRIPTS:
        changed["servers"] = []
    changed["headers"] = sorted(headers, key=lambda header: str(header["name"]))
    return changed


def _observed(entry: Received) -> Received:
    if entry.protocol not in CGI_LIKE:
        return entry
    headers = sorted((pair for pair in entry.headers if not _OWN.fullmatch(pair[0])), key=lambda pair: pair[0])
    if entry.protocol == "php":
        headers = [pair for pair in headers if pair[0] in SHOWN]
    # To the predictor, what runs in the server or is started by it is one protocol.
    protocol = "cgi" if entry.protocol in SCRIPTS else entry.protocol
    return entry._replace(headers=tuple(headers), protocol=protocol)
