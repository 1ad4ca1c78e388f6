"""A comment that silences a finding gives no reason.

## What it does

Reports an `audit: ignore[...]` comment without words behind it. Such a comment silences nothing.

## Why it is bad

The next reader cannot tell whether the finding was judged or only in the way.

## Bad example

```nginx
proxy_pass http://app;
proxy_set_header Authorization "";  # audit: ignore[stripped-authorization]
```

```apache
ProxyPass / http://127.0.0.1:9000/
# audit: ignore[stripped-authorization]
RequestHeader unset Authorization
```

## Good example

```nginx
proxy_pass http://app;
proxy_set_header Authorization "";  # audit: ignore[stripped-authorization] the application has sessions of its own
```

```apache
ProxyPass / http://127.0.0.1:9000/
# audit: ignore[stripped-authorization] the application has sessions of its own
RequestHeader unset Authorization
```

## Measured on

Nothing to measure.

## References

- README, "Suppressions"
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding
from auditor.server import Route, Site
from auditor.settings import Settings

NAME = "suppression-without-reason"
SEVERITY = WARNING


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    """Nothing: auditor.suppressions reads the comments."""
    return iter(())
