"""`python -m auditor` is `audit`."""

from auditor.cli.main import run

run()
