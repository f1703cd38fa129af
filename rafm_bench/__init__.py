"""Prepare, train, compare and track factorization machines on data bigger than memory."""

__version__ = "0.1.0"
