"""Something in the configuration was not understood, so nothing is said about it.

## What it does

Names each place whose effect on headers or gates could not be worked out: an include that is not at
hand, code in Lua or njs, a directive of a module that is not known here.

## Why it is bad

It is not bad; but no finding about these places does not mean that they are fine.

## Bad example

```nginx
location / {
    access_by_lua_file /etc/nginx/gate.lua;
    proxy_pass http://app;
}
```

## Good example

```nginx
location / {
    auth_request /check;
    proxy_pass http://app;
}
```

## Measured on

Nothing to measure.

## References

- https://nginx.org/en/docs/
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.findings import INFO, Finding
from auditor.server import Site
from auditor.settings import Settings

NAME = "unanalysed"
SEVERITY = INFO
SCREEN: frozenset[str] = frozenset()


def judge(site: Site, settings: Settings) -> Iterator[Finding]:
    for note in site.notes:
        if note.kind == "unanalysed" and note.place is not None:
            yield Finding(NAME, INFO, note.text, note.place)
