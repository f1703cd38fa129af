"""Factorization machines on data bigger than memory: prepare, train, compare."""

__version__ = "0.1.0"
