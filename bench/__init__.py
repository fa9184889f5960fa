"""Measure this project and its peers at the same work: `make bench`, or `python -m bench --help`."""
