"""Measures whole processes: `python -m bench`, or `make bench`."""
