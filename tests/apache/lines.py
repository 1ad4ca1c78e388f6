"""Lines of mod_headers, mod_setenvif and mod_env and what the real httpd makes of them: lines.json, one row a line.

A row is [the lines, the status, the header lines of the answer]; status 0: no answer, the process ends. The lines stand
in the .htaccess of a folder of its own, those of SHOW behind them; the same request asks for a file there.
`python -m tests.apache.lines` asks the server again and writes the results anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.apache import lab, make

TABLE = Path(__file__).with_name("lines.json")
SERVER = "<Directory @DIR@/www>\nAllowOverride All\n</Directory>\n"
# Tells what the variables V and W and the request's headers X-A, X-New and X-N are as the answer is sent.
SHOW = """
Header always set V "[%{V}e]"
Header always set W "[%{W}e]"
Header always set Request "expr=<%{req_novary:X-A}|%{req_novary:X-New}|%{req_novary:X-N}>"
"""
TARGET = "/e/file.txt?a=1&b=2"
_ALWAYS = ("date", "server", "last-modified", "etag", "accept-ranges", "content-length", "connection")


def rows() -> list[list[Any]]:
    """The rows of the table."""
    found: list[list[Any]] = json.loads(TABLE.read_text())
    return found


def measure(table: list[list[Any]]) -> list[list[Any]]:
    """The rows with what the real server says."""
    files = {}
    for number, (text, *_) in enumerate(table):
        files[f"www/{number}/e/file.txt"] = "x"
        files[f"www/{number}/.htaccess"] = text + SHOW
    lines = [f"{name}: {value}" for name, value in make.LINES]
    found = []
    with lab.served(SERVER, files, ("headers", "setenvif", "env"), forks=True) as server:
        for number, (text, *_) in enumerate(table):
            reply = lab.ask(server.port, [f"GET /{number}{TARGET} HTTP/1.1", *lines, "Connection: close"])
            shown = [list(pair) for pair in reply.headers if pair[0].lower() not in _ALWAYS]
            found.append([text, reply.status or 0, shown if reply.status == 200 else []])
    return found


def main() -> None:
    text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in measure(rows()))
    TABLE.write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
