"""The one exception for a user's mistake in data or arguments."""

from __future__ import annotations


class DataError(Exception):
    """A mistake in data or arguments, in one sentence: what, where, how to mend."""
