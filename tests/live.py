"""What the tests that run a real server share."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from probes.probing import AGREES, UNPREDICTED, Session

IMAGES = os.environ.get("AUDIT_TEST_IMAGES", "").split()


def unavailable(reason: str) -> NoReturn:
    """Skips a test, and fails it in CI: there a skipped proof is no proof."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def disagreements(session: Session, reached: set[str] | None = None) -> list[str]:
    """All the probes asked, and then the further lines that the session was made for: where the server did something
    else than predicted. The upstreams that were sent requests go into `reached`."""
    found = []
    probed = session.run()
    for limit in probed.limits:
        if not limit.agrees:
            found.append(f"the longest Authorization: {limit}")
    cells = [cell for row in probed.rows for cell in row.cells]
    cells += [session.ask(session.sandboxes[0], line)[0] for line in session.witnesses]
    for cell in cells:
        if reached is not None and cell.seen is not None:
            reached |= {exchange.origin for exchange in cell.seen.exchanges}
        if cell.verdict not in (AGREES, UNPREDICTED):
            request = f"{cell.line['method']} {cell.line['url']} {cell.line['headers']}"
            found += [f"{cell.probe} {request}: {difference}" for difference in cell.differences]
    return found
