"""Predicted against observed, as the product does it."""

from __future__ import annotations

from probes.sandbox.apache.compare import SCRIPTS, SHOWN, VOLATILE, differences

__all__ = ["SCRIPTS", "SHOWN", "VOLATILE", "differences"]
