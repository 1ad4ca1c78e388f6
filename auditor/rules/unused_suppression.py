"""A comment silences a finding that is not there.

## What it does

Reports an `audit: ignore[...]` comment that silences nothing: the finding is gone, the rule's name
is wrong, or the comment cannot be read.

## Why it is bad

It would silence the next such defect without anybody having looked at it.

## Bad example

```nginx
# audit: ignore[stripped-authorization] the application has its own login
proxy_pass http://app;
```

```apache
# audit: ignore[stripped-authorization] the application has its own login
ProxyPass / http://127.0.0.1:9000/
```

## Good example

```nginx
proxy_pass http://app;
```

```apache
ProxyPass / http://127.0.0.1:9000/
```

## Measured on

Nothing to measure.

## References

- README, "Suppressions"
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.findings import WARNING, Finding
from auditor.rules.repairs import SAFE
from auditor.server import Route, Site
from auditor.settings import Settings

NAME = "unused-suppression"
SEVERITY = WARNING
FIX = SAFE


def judge(site: Site, routes: Sequence[Route], settings: Settings) -> Iterator[Finding]:
    """Nothing: only auditor.suppressions, which sees what all rules have found, can tell."""
    return iter(())
