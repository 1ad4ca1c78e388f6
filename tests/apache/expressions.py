"""Expressions and what the real httpd makes of them: expressions.json, one row a line.

A row is ["string" or "condition", text, result, the names in Vary]; the result is a text, true, false, or "error"
where httpd does not take the expression. `python -m tests.apache.expressions` asks the server again and writes the
results anew: to add a row, write it with any result and run that.

How it is measured: each expression stands in the .htaccess of a folder of its own, in a line
`Header always set X-R "expr=TEXT"` (a string) or `Header always set X-R yes "expr=TEXT"` (a condition), and the same
request asks for a file there. httpd answers 500, or not at all, where it cannot read the expression.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.apache import lab, make

TABLE = Path(__file__).with_name("expressions.json")
SERVER = """
DocumentRoot @DIR@/www
SetEnv SE set
SetEnvIf X-A "(.*)" FROM_A=$1
<Directory @DIR@/www>
    AllowOverride All
</Directory>
"""
QUERY = "a=1&b=2"
ROOT = "/srv/site"  # stands for the folder in the results


def rows() -> list[list[Any]]:
    """The rows of the table."""
    found: list[list[Any]] = json.loads(TABLE.read_text())
    return found


def uri_of(number: int) -> str:
    return f"/e{number:03}/file.txt"


def measure(table: list[list[Any]]) -> list[list[Any]]:
    """The rows with what the real server says."""
    files = {}
    for number, (kind, text, *_) in enumerate(table):
        folder = f"www{uri_of(number).removesuffix('/file.txt')}"
        value = "yes " if kind == "condition" else ""
        files[f"{folder}/file.txt"] = "x"
        files[f"{folder}/.htaccess"] = f"Header always set X-R {value}{lab.quoted('expr=' + text)}\n"
    lines = [f"{name}: {value}" for name, value in make.LINES]
    found = []
    with lab.served(SERVER, files, ("headers", "setenvif", "env"), forks=True) as server:
        for number, (kind, text, *_) in enumerate(table):
            reply = lab.ask(server.port, [f"GET {uri_of(number)}?{QUERY} HTTP/1.1", *lines, "Connection: close"])
            results = [value.strip().replace(server.path, ROOT) for value in reply.all("X-R")]
            vary = [part for value in reply.all("Vary") for part in value.split(",")]
            result: Any = bool(results) if kind == "condition" else "".join(results)
            found.append([kind, text, result if reply.status == 200 else "error", vary])
    return found


def main() -> None:
    text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in measure(rows()))
    TABLE.write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
