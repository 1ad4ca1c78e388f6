"""Samples of patterns with what Python's own expressions lack."""

from __future__ import annotations

import warnings

from auditor.samples import samples


def test_classes_of_posix() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert samples("^/[[:alnum:]_-]+/x$", False) == ("/a/x",)
        assert samples("^json([[:space:]]*;|$)", False)
